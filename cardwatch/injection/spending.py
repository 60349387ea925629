"""What a planted case is made from: one customer's own weeks, and what purchases usually cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median
from typing import NamedTuple


class Spend(NamedTuple):
    """What a customer did in one merchant category and week; cents, net of refunds."""

    cents: int
    transactions: int


Week = Mapping[int, Spend]
"""One week of a customer, by merchant category."""


@dataclass(frozen=True)
class Market:
    """What is usual in the portfolio.

    Attributes
    ----------
    tickets : mapping of merchant category to float
        The geometric mean of its purchases, in cents.
    ticket : float
        The same of all purchases.
    rare : tuple of int
        The merchant categories that hardly anybody uses.
    """

    tickets: Mapping[int, float]
    ticket: float
    rare: tuple[int, ...]

    def usual(self, mcc: int) -> float:
        """Return the usual purchase at a category, in cents; the portfolio's where nobody buys."""
        return self.tickets.get(mcc, self.ticket)


@dataclass(frozen=True)
class Customer:
    """One customer before anything is planted.

    Attributes
    ----------
    weeks : mapping of int to Week
        The weeks with transactions, by how many weeks ago they were; 0 is the scored week.
    """

    customer_id: str
    weeks: Mapping[int, Week]

    @cached_property
    def before(self) -> dict[int, Week]:
        """The weeks before the scored one."""
        return {ago: week for ago, week in self.weeks.items() if ago}

    @cached_property
    def used(self) -> frozenset[int]:
        """Every merchant category of the window."""
        return frozenset(mcc for week in self.weeks.values() for mcc in week)

    @cached_property
    def visits(self) -> dict[int, int]:
        """Transactions before the scored week, by merchant category."""
        counts: dict[int, int] = {}
        for week in self.before.values():
            for mcc, spend in week.items():
                counts[mcc] = counts.get(mcc, 0) + spend.transactions
        return counts

    @cached_property
    def usual_week(self) -> float:
        """The median spend of the weeks before, in cents."""
        return median(sum(each.cents for each in week.values()) for week in self.before.values())

    def favourite(self, among: frozenset[int] | None = None) -> int:
        """Return the category used most before, of some where any of them was used."""
        chosen = {mcc: n for mcc, n in self.visits.items() if among is None or mcc in among}
        return max(chosen or self.visits, key=lambda mcc: (self.visits[mcc], -mcc))

    def ticket(self, mcc: int, market: Market) -> float:
        """Return what this customer would usually pay at a category, in cents."""
        ratios = [
            math.log(spend.cents / spend.transactions / market.usual(code))
            for week in self.before.values()
            for code, spend in week.items()
            if spend.cents > 0 and spend.transactions > 0
        ]
        return market.usual(mcc) * math.exp(fmean(ratios)) if ratios else market.usual(mcc)
