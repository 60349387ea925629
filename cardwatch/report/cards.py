"""A card for each listed customer, made of the JSON list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

from cardwatch.report.charts import (
    CATEGORY_ROWS,
    CategoryBar,
    Point,
    Range,
    category_chart,
    category_words,
    spend_chart,
)
from cardwatch.report.document import CategoryPart, CustomerPart, Document, PortfolioPart
from cardwatch.report.page import Card, Comparison, Reason
from cardwatch.report.wording import amount, identified, masked, number, percent, shown
from cardwatch.wording import counted

CARDS: Final = 200
"""Customers with a card: a list may be as long as the portfolio."""
CHARTED: Final = 50
"""Customers whose card has charts."""

_LAG, _LEAST_BASELINE, _LEAST_SPENDING = 3, 4, 3
_OTHERS = 8
_LONGEST_SENTENCE = 400


@dataclass(frozen=True)
class Manner:
    """How customers are shown: whose currency (a code, or empty), and whether ids are masked."""

    currency: str
    has_masked_ids: bool

    def name(self, customer_id: str) -> str:
        """Return an id as the page shows it."""
        return masked(customer_id) if self.has_masked_ids else identified(customer_id)


def cards(document: Document, since: Mapping[str, str], manner: Manner) -> tuple[Card, ...]:
    """Return the cards of the first customers on the list.

    Parameters
    ----------
    since : mapping
        By customer id, what is said of how long and how often the customer was listed.
    """
    first = _first_week(document.portfolio)
    return tuple(
        _card(customer, since.get(customer.customer_id, ""), manner, first, position < CHARTED)
        for position, customer in enumerate(document.customers[:CARDS])
    )


def usual_range(customer: CustomerPart, first_week: int = 0) -> Range | None:
    """Return where eight in ten of the customer's usual weeks lay; None for too few with spend.

    Usual weeks are those that the usual spend is the median of: without the last three before the
    scored one. `first_week` is the first of the window for which there is data.
    """
    span = len(customer.weeks) - 1 - first_week
    usual = slice(first_week, first_week + max(span - _LAG, min(span, _LEAST_BASELINE)))
    spends = [week.spend for week in customer.weeks[usual] if week.spend is not None]
    if len(spends) < _LEAST_SPENDING:
        return None
    tenths = quantiles(spends, n=10, method="inclusive")
    middle = customer.usual.spend if customer.usual.spend is not None else median(spends)
    return Range(tenths[0], middle, tenths[-1])


def _first_week(portfolio: Sequence[PortfolioPart]) -> int:
    return next((i for i, week in enumerate(portfolio) if week.customers), 0)


def _card(
    customer: CustomerPart, since: str, manner: Manner, first_week: int, charted: bool
) -> Card:
    usual = usual_range(customer, first_week)
    points = [Point(week.week_start, week.spend) for week in customer.weeks]
    drawn, others = _chosen(customer)
    bars = [CategoryBar(c.mcc, c.name, c.spend, c.usual_spend, c.is_new) for c in drawn]
    return Card(
        rank=customer.anomaly_rank,
        customer=manner.name(customer.customer_id),
        category=customer.risk_category,
        signal=customer.signal,
        rule=customer.signal_rule,
        score=number(customer.anomaly_score, 3),
        spend=amount(customer.total_spend),
        since=since,
        reasons=_reasons(customer),
        spend_chart=spend_chart(points, usual, manner.currency) if charted and points else None,
        usual_range=f"{amount(usual.low)} to {amount(usual.high)}" if usual else "",
        category_chart=category_chart(bars, manner.currency) if charted and bars else None,
        category_words=tuple(map(category_words, bars)),
        other_categories=_named(others if charted else customer.categories),
        comparisons=_comparisons(customer),
        peer_group=customer.peers.group,
        history=_history(customer.history_weeks),
        remarks=tuple(_remarks(customer)),
    )


def _remarks(customer: CustomerPart) -> Iterator[str]:
    if customer.guard:
        yield "Listed by its score without verdicts"
    if customer.rank_stability == 1:
        yield "Stands without its strongest reason"


def _reasons(customer: CustomerPart) -> tuple[Reason, ...]:
    total = sum(max(reason.contribution, 0.0) for reason in customer.reasons)
    total = max(total, customer.surprise_total)
    return tuple(
        Reason(
            shown(reason.sentence, _LONGEST_SENTENCE),
            _share(max(reason.contribution, 0.0), total),
        )
        for reason in customer.reasons
    )


def _share(part: float, whole: float) -> str:
    return "<1%" if 0 < part < 0.005 * whole else percent(part, whole, 0)


def _chosen(customer: CustomerPart) -> tuple[list[CategoryPart], list[CategoryPart]]:
    """Return the categories to draw, those that reasons name among them, and the others."""
    named = {reason.mcc for reason in customer.reasons}
    first = sorted(customer.categories, key=lambda category: category.mcc not in named)
    drawn = {category.mcc for category in first[:CATEGORY_ROWS]}
    return (
        [category for category in customer.categories if category.mcc in drawn],
        [category for category in customer.categories if category.mcc not in drawn],
    )


def _named(categories: Sequence[CategoryPart]) -> str:
    said = [
        f"{shown(each.name, 40)} {amount(each.spend)}"
        + (" (new)" if each.is_new else f" (usual {amount(each.usual_spend)})")
        for each in categories[:_OTHERS]
    ]
    if len(categories) > _OTHERS:
        said.append(f"and {len(categories) - _OTHERS} more")
    return ", ".join(said)


def _comparisons(customer: CustomerPart) -> tuple[Comparison, ...]:
    usual, peers, count = customer.usual, customer.peers, customer.transaction_count
    ticket = customer.total_spend / count if count else None
    return (
        Comparison("Spend", amount(customer.total_spend), amount(usual.spend), amount(peers.spend)),
        Comparison(
            "Transactions",
            number(count),
            _count(usual.transaction_count),
            _count(peers.transaction_count),
        ),
        Comparison("Per transaction", amount(ticket), amount(usual.ticket), amount(peers.ticket)),
        Comparison(
            "Merchant categories",
            number(customer.mcc_diversity),
            "–",
            _count(peers.mcc_diversity),
        ),
    )


def _count(value: float | None) -> str:
    """Return a median of counts, with a digit after the point where there is one to show."""
    if value is None:
        return "–"
    return number(value, 0 if abs(value - round(value)) < 0.05 else 1)


def _history(weeks: int) -> str:
    if not weeks:
        return "First seen this week"
    return f"First seen {counted(weeks, 'week')} ago or earlier"
