"""What the braces of a sentence may name: figures, and phrases that agree with the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cardwatch.explanation.numbers import amount, category, counted, ratio, share
from cardwatch.explanation.totals import (
    net,
    of_each,
    others_spend,
    spent,
    spent_each,
    usually_of,
)
from cardwatch.schema import CategoryFacts, CustomerFacts

WIDELY_USED = 0.2
"""A category that this share of customers use is not called rare."""

Words = dict[str, float | str | None]
"""Figures, said by their unit, and ready-made phrases."""


def words_for(facts: CustomerFacts, feature: str, risky: Sequence[str]) -> Words:
    """Return everything that a sentence about `feature` may name, for one customer."""
    driver = next((c for c in facts.categories if c.mcc == facts.drivers.get(feature)), None)
    return {
        **_week_words(facts),
        **_growth_words(facts),
        **_peer_words(facts),
        **_category_words(facts),
        **_event_words(facts, risky),
        **(_driver_words(driver, facts) if driver else {}),
    }


def _week_words(facts: CustomerFacts) -> Words:
    spend, number = facts.weekly_spend[-1] or 0.0, facts.weekly_count[-1] or 0
    usual = facts.usual_spend
    return {
        "spend": spend,
        "usual_spend": usual,
        "spend_beside_usual": f"{ratio(spend / usual)} × the usual week of {amount(usual)}"
        if usual and usual > 0
        else f"usually {net(usual or 0.0)}",
        "usual_week": f"the usual week is {amount(usual)}"
        if usual and usual > 0
        else f"usually {net(usual or 0.0)}",
        "spent_in_all": spent(spend),
        "then_spent": spent(spend)[0].lower() + spent(spend)[1:],
        "spent_only": spent(spend, "only "),
        "spent_each": spent_each(spend, number),
        "spent_only_each": spent_each(spend, number, "only "),
        "count": number,
        "transactions": counted(number, "transaction"),
        "usual_count": facts.usual_count,
        "count_ratio": _over(number, facts.usual_count),
        "ticket": spend / number if number else 0.0,
        "usual_ticket": facts.usual_ticket,
        "count_of_ticket": of_each(spend, number),
        "usually_of_ticket": usually_of(facts.usual_ticket, facts.usual_count),
        "spend_four_weeks": sum(value or 0.0 for value in facts.weekly_spend[-4:]),
        "usual_four_weeks": None if usual is None else 4 * usual,
    }


def _growth_words(facts: CustomerFacts) -> Words:
    """Say of spend, count and ticket what has grown; a feature can be high where one has not."""
    spend, number = facts.weekly_spend[-1] or 0.0, facts.weekly_count[-1] or 0
    ticket = spend / number if number else 0.0
    usual, usual_ticket = max(facts.usual_spend or 0.0, 0), max(facts.usual_ticket or 0.0, 0)
    more_spend, more = spend > usual, number > (facts.usual_count or 0.0)
    larger = ticket > usual_ticket
    purchases = "purchases" if spend > 0 else "transactions"
    four_weeks = sum(value or 0.0 for value in facts.weekly_spend[-4:])
    spend_and_count = {
        (True, True): "Spent more, and more often",
        (True, False): "Spent more",
        (False, True): "Shopped more often",
        (False, False): "Spend and number of transactions",
    }[more_spend, more]
    return {
        "spend_and_count_grew": spend_and_count,
        "usual_places_grew": spend_and_count
        + (", in the usual places" if more_spend and more else " in the usual places"),
        "count_and_ticket_grew": {
            (True, True): "Made more and larger purchases",
            (True, False): f"Made more {purchases}",
            (False, True): "Made larger purchases",
            (False, False): f"Number and size of {purchases}",
        }[more, larger],
        "four_weeks_grew": "Spent more" if four_weeks > 4 * usual else "Spend",
    }


def _peer_words(facts: CustomerFacts) -> Words:
    return {
        **{f"peer_{name}": value for name, value in facts.peers.items()},
        "others_spend": others_spend(facts.peers["spend"], " a week"),
        "others_spend_each": others_spend(facts.peers["ticket"], ""),
    }


def _category_words(facts: CustomerFacts) -> Words:
    fresh = [c for c in facts.categories if c.is_new]
    top = facts.categories[0] if facts.categories else None
    paid = sum(max(c.spend, 0) for c in facts.categories)
    shares = [max(c.spend, 0) / paid if paid else 0.0 for c in facts.categories]
    turnover = sum(abs(c.spend) for c in facts.categories)
    new_amount = sum(abs(c.spend) for c in fresh)
    new_usual = sum(c.usual_ticket * c.transaction_count for c in fresh)
    new_deals = sum(c.transaction_count for c in fresh)
    larger = "a larger purchase" if new_deals == 1 else "larger purchases"
    return {
        "category_count": len(facts.categories),
        "categories": counted(len(shares), "merchant category", "merchant categories"),
        "concentration": sum(share**2 for share in shares),
        "top_share": shares[0] if shares else 0.0,
        "top_category": category(top.mcc) if top else "",
        "new_amount": new_amount,
        "new_spent": _spent_or_refunded(fresh),
        "new_share": new_amount / turnover if turnover else 0.0,
        "new_categories": _names(fresh),
        "new_places": "a merchant category" if len(fresh) == 1 else "merchant categories",
        "new_purchases": f", in {larger} than usual there" if new_amount > new_usual else "",
        "turnover": "spend" if turnover == paid else "spend and refunds",
    }


def _event_words(facts: CustomerFacts, risky: Sequence[str]) -> Words:
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


def _driver_words(driver: CategoryFacts, facts: CustomerFacts) -> Words:
    number, refunded = driver.transaction_count, driver.spend < 0
    ticket = abs(driver.spend) / max(number, 1)
    past = facts.active_weeks > 0
    others = counted(driver.others_new, "other customer is", "other customers are")
    return {
        "driver": category(driver.mcc),
        "spent": "Was refunded" if refunded else "Spent",
        "paid": "Was refunded" if refunded else "Paid",
        "driver_amount": abs(driver.spend),
        "driver_usual": driver.usual_spend or None,
        "driver_deal": "transaction" if refunded else "purchase",
        "driver_unusual_for": _unusual_for(driver, past),
        **_driver_shares(driver, facts, past),
        "driver_count": number,
        "driver_transactions": counted(number, "transaction"),
        "driver_purchases": f"{counted(number, 'purchase')} of only {amount(ticket)}"
        + (" each" if number > 1 else ""),
        "driver_bought": counted(number, "purchase"),
        "driver_ticket": ticket,
        "driver_norm": driver.usual_ticket,
        "driver_grew": "Purchases are larger than usual, most of all at"
        if ticket > driver.usual_ticket
        else "Size of purchases at",
        "driver_ratio": _over(ticket, driver.usual_ticket),
        "driver_users": driver.users_share,
        "driver_use": _use(driver, facts),
        "driver_others": driver.others_new,
        "driver_others_are": others if driver.others_new else "no other customer is",
        "driver_others_usual": driver.others_new_usual,
    }


def _driver_shares(driver: CategoryFacts, facts: CustomerFacts, past: bool) -> Words:
    turnover = sum(abs(c.spend) for c in facts.categories)
    done = sum(c.transaction_count for c in facts.categories)
    spent = abs(driver.spend) / turnover if turnover else 0.0
    count_share = driver.transaction_count / done if done else 0.0
    usually, usually_done = driver.usual_spend_share, driver.usual_count_share
    others, own = "similar customers", "usual"
    return {
        "driver_share": spent,
        "driver_usual_share": usually if past else None,
        "driver_usually_spent": _usually(usually) if past else "",
        "spend_elsewhere": own if past and spent > usually else others,
        "driver_count_share": count_share,
        "driver_usual_count_share": usually_done if past else None,
        "driver_usually_done": _usually(usually_done, " of them") if past else "",
        "count_elsewhere": own if past and count_share > usually_done else others,
    }


def _usually(usual: float, of: str = "") -> str:
    return f", usually {share(usual)}{of}" if usual else ", usually none"


def _unusual_for(driver: CategoryFacts, past: bool) -> str:
    if not past:
        return "such a customer"
    usual = driver.usual_spend
    if usual >= abs(driver.spend):
        return "this customer"
    return f"this customer: {amount(usual) if usual else 'nothing'} there in a usual week"


def _use(driver: CategoryFacts, facts: CustomerFacts) -> str:
    if driver.users_share >= WIDELY_USED:
        return _beside(driver.usual_spend, facts)
    if not (driver.users_share or facts.active_weeks):
        return _beside(0.0, facts)
    if driver.users_share:
        return f"which {share(driver.users_share)} of customers use"
    return "which no customer used in the weeks before"


def _beside(usual: float, facts: CustomerFacts) -> str:
    if not facts.active_weeks:
        return "with no earlier week to compare with"
    return f"against {amount(usual) if usual else 'nothing'} in a usual week"


def _spent_or_refunded(categories: Sequence[CategoryFacts]) -> str:
    if all(c.spend >= 0 for c in categories):
        return "Spent"
    return "Was refunded" if all(c.spend <= 0 for c in categories) else "Spent and was refunded"


def _names(categories: Sequence[CategoryFacts], most: int = 3) -> str:
    ordered = sorted(categories, key=lambda c: (-abs(c.spend), c.mcc))
    named = ", ".join(category(c.mcc) for c in ordered[:most])
    rest = len(ordered) - most
    return f"{named} and {rest} more" if rest > 0 else named


def _over(value: float, usual: float | None) -> float:
    return value / usual if usual and usual > 0 else math.inf
