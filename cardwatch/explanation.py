"""From attributions to reasons a person can say aloud.

A reason is one family's contribution to the score, told with the feature that spoke for the family:
the observed value, the usual one, whose usual it is, and a sentence from the catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from cardwatch.merchant_categories import mcc_name
from cardwatch.schema import Attribution, CategoryFacts, CustomerFacts, Feature, Reason

MAX_REASONS = 3
MANY_TIMES = 999.0
"""Ratios above this are not spelled out."""


def reasons_for(
    attributions: Sequence[Attribution],
    facts: CustomerFacts,
    catalogue: Mapping[str, Feature],
    risky: Sequence[str],
) -> tuple[Reason, ...]:
    """Return up to three reasons, from different families, largest contribution first.

    Parameters
    ----------
    attributions : sequence of Attribution
        One per family, largest first; a family without a leading feature gives no reason.
    risky : sequence of str
        Codes of the watched merchant categories.
    """
    return tuple(
        explain(attribution, facts, catalogue[attribution.feature], risky)
        for attribution in [part for part in attributions if part.feature][:MAX_REASONS]
    )


def explain(
    attribution: Attribution, facts: CustomerFacts, feature: Feature, risky: Sequence[str]
) -> Reason:
    """Return the reason that one attribution is."""
    words = _words(facts, feature.name, risky)
    value, usual, basis = feature.shows
    observed, expected = _figure(words, value), _figure(words, usual)
    high = attribution.is_high
    if feature.sentence_low and observed is not None and expected is not None:
        high = observed >= expected  # what is said agrees with the figures it says
    return Reason(
        code=feature.code,
        family=feature.family,
        feature=feature.name,
        value=_rounded(observed) or 0.0,
        usual=_rounded(expected),
        usual_basis=basis,
        unit=_UNITS.get(value, "amount"),
        contribution=attribution.contribution,
        sentence=(feature.sentence if high else feature.sentence_low).format_map(_say(words)),
        mcc=facts.drivers.get(feature.name),
    )


def amount(value: float) -> str:
    """Return an amount as people write it: thousands separators, cents only below 100.

    >>> amount(12345.6), amount(9.5), amount(-1200)
    ('12,346', '9.50', '-1,200')
    """
    cents = round(value, 2) + 0.0
    return f"{cents:,.0f}" if abs(cents) >= 100 else f"{cents:,.2f}"


def _net(value: float) -> str:
    return amount(value) if value >= 0 else f"minus {amount(-value)} net of refunds"


def share(value: float) -> str:
    """Return a share in per cent.

    >>> share(0.417), share(0.002), share(0.00001)
    ('42%', '0.2%', 'under 0.1%')
    """
    if 0 < value < 0.001:
        return "under 0.1%"
    return f"{value:.1%}" if value < 0.095 else f"{value:.0%}"


def ratio(value: float) -> str:
    """Return how many times as much.

    >>> ratio(4.13), ratio(38.2), ratio(float("inf"))
    ('4.1', '38', 'over 999')
    """
    if value > MANY_TIMES:
        return f"over {MANY_TIMES:.0f}"
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def weeks(value: float) -> str:
    """Return a number of weeks in words.

    >>> weeks(1), weeks(9)
    ('1 week', '9 weeks')
    """
    return counted(value, "week")


def count(value: float) -> str:
    """Return a count, with one decimal where a usual count is no whole number.

    >>> count(12.0), count(2.5), count(1234)
    ('12', '2.5', '1,234')
    """
    tenths = round(value, 1)
    return f"{tenths:,.0f}" if value >= 10 or tenths == round(tenths) else f"{tenths:.1f}"


def counted(value: float, what: str, several: str = "") -> str:
    """Return a count with what is counted, in the singular or the plural.

    >>> counted(1, "purchase"), counted(2.5, "category", "categories")
    ('1 purchase', '2.5 categories')
    """
    said = count(value)
    return f"{said} {what if said == '1' else several or what + 's'}"


def category(mcc: str) -> str:
    """Return a merchant category's name with its code.

    >>> category("5411")
    'Grocery stores and supermarkets (5411)'
    """
    name = mcc_name(mcc)
    return name if name.endswith(mcc) else f"{name} ({mcc})"


_SHARES = ("new_share", "top_share", "driver_users", "concentration", "peer_concentration")
_COUNTS = (
    "count",
    "usual_count",
    "peer_count",
    "category_count",
    "peer_categories",
    "driver_count",
    "driver_others",
    "driver_others_usual",
)
_RATIOS = ("count_ratio", "driver_ratio")

_UNITS: dict[str, str] = {
    **dict.fromkeys(_SHARES, "share"),
    **dict.fromkeys(_COUNTS, "count"),
    **dict.fromkeys(_RATIOS, "ratio"),
    "gap": "weeks",
}
_SAYERS: dict[str, Callable[[float], str]] = {
    "share": share,
    "count": count,
    "ratio": ratio,
    "weeks": weeks,
}

_Words = dict[str, float | str | None]
"""What the braces of a sentence may name: figures, said by their unit, and ready-made phrases."""


def _say(words: Mapping[str, float | str | None]) -> dict[str, str]:
    said = {}
    for name, value in words.items():
        if isinstance(value, str):
            said[name] = value
        elif value is None:
            said[name] = "nothing"
        else:
            said[name] = _SAYERS.get(_UNITS.get(name, ""), _net)(value)
    return said


def _words(facts: CustomerFacts, feature: str, risky: Sequence[str]) -> _Words:
    driver = next((c for c in facts.categories if c.mcc == facts.drivers.get(feature)), None)
    return {
        **_week_words(facts),
        **_peer_words(facts),
        **_category_words(facts),
        **_event_words(facts, risky),
        **(_driver_words(driver, facts) if driver else {}),
    }


def _week_words(facts: CustomerFacts) -> _Words:
    spend, number = facts.weekly_spend[-1] or 0.0, facts.weekly_count[-1] or 0
    usual = facts.usual_spend
    return {
        "spend": spend,
        "usual_spend": usual,
        "spend_beside_usual": f"{ratio(spend / usual)} × the usual week of {amount(usual)}"
        if usual and usual > 0
        else f"usually {_net(usual) if usual else 'nothing'}",
        "spent_only": f"Spent only {amount(spend)}"
        if spend >= 0
        else f"Got {amount(-spend)} more back than was spent",
        "count": number,
        "transactions": counted(number, "transaction"),
        "usual_count": facts.usual_count,
        "count_ratio": _over(number, facts.usual_count),
        "ticket": spend / number if number else 0.0,
        "usual_ticket": facts.usual_ticket,
        "spend_four_weeks": sum(value or 0.0 for value in facts.weekly_spend[-4:]),
        "usual_four_weeks": None if usual is None else 4 * usual,
    }


def _peer_words(facts: CustomerFacts) -> _Words:
    return {f"peer_{name}": value for name, value in facts.peers.items()}


def _category_words(facts: CustomerFacts) -> _Words:
    fresh = [c for c in facts.categories if c.is_new]
    top = facts.categories[0] if facts.categories else None
    paid = sum(max(c.spend, 0) for c in facts.categories)
    shares = [max(c.spend, 0) / paid if paid else 0.0 for c in facts.categories]
    turnover = sum(abs(c.spend) for c in facts.categories)
    new_amount = sum(abs(c.spend) for c in fresh)
    return {
        "category_count": len(facts.categories),
        "categories": counted(len(shares), "merchant category", "merchant categories"),
        "concentration": sum(share**2 for share in shares),
        "top_share": shares[0] if shares else 0.0,
        "top_category": category(top.mcc) if top else "",
        "new_amount": new_amount,
        "new_share": new_amount / turnover if turnover else 0.0,
        "new_categories": _names(fresh),
    }


def _event_words(facts: CustomerFacts, risky: Sequence[str]) -> _Words:
    return {
        "refunds": facts.refunds,
        "usual_refunds": facts.usual_refunds or None,
        "refunds_beside_usual": _beside(facts.usual_refunds, facts),
        "gap": facts.gap_weeks,
        "weeks_before": _weeks_before(facts),
        "risky": facts.risky,
        "usual_risky": facts.usual_risky or None,
        "risky_beside_usual": _beside(facts.usual_risky, facts),
        "risky_categories": _names([c for c in facts.categories if c.mcc in risky]),
    }


def _weeks_before(facts: CustomerFacts) -> str:
    active = [week for week, number in enumerate(facts.weekly_count[:-1]) if number]
    span = active[-1] - active[0] + 1 if active else 0
    if span == len(active):
        return "every week before"
    return f"{len(active)} of the {span} weeks before"


def _driver_words(driver: CategoryFacts, facts: CustomerFacts) -> _Words:
    number, refunded = driver.transaction_count, driver.spend < 0
    ticket = abs(driver.spend) / max(number, 1)
    others = counted(driver.others_new, "other customer is", "other customers are")
    return {
        "driver": category(driver.mcc),
        "spent": "Was refunded" if refunded else "Spent",
        "paid": "Was refunded" if refunded else "Paid",
        "driver_amount": abs(driver.spend),
        "driver_usual": driver.usual_spend or None,
        "driver_beside_usual": _beside(driver.usual_spend, facts),
        "driver_count": number,
        "driver_transactions": counted(number, "transaction"),
        "driver_purchases": f"{counted(number, 'purchase')} of only {amount(ticket)}"
        + (" each" if number > 1 else ""),
        "driver_bought": counted(number, "purchase"),
        "driver_ticket": ticket,
        "driver_norm": driver.usual_ticket,
        "driver_ratio": _over(ticket, driver.usual_ticket),
        "driver_users": driver.users_share,
        "driver_use": f"which {share(driver.users_share)} of customers use"
        if driver.users_share
        else "which no customer used in the weeks before",
        "driver_others": driver.others_new,
        "driver_others_are": others if driver.others_new else "no other customer is",
        "driver_others_usual": driver.others_new_usual,
    }


def _beside(usual: float, facts: CustomerFacts) -> str:
    if not facts.active_weeks:
        return "with no earlier week to compare with"
    return f"against {amount(usual) if usual else 'nothing'} in a usual week"


def _names(categories: Sequence[CategoryFacts], most: int = 3) -> str:
    ordered = sorted(categories, key=lambda c: (-abs(c.spend), c.mcc))
    named = ", ".join(category(c.mcc) for c in ordered[:most])
    rest = len(ordered) - most
    return f"{named} and {rest} more" if rest > 0 else named


def _over(value: float, usual: float | None) -> float:
    return value / usual if usual and usual > 0 else math.inf


def _figure(words: Mapping[str, float | str | None], name: str) -> float | None:
    value = words.get(name) if name else None
    return float(value) if isinstance(value, int | float) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)
