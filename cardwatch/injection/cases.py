"""What each kind of case does to a customer's weeks: whole weeks in, whole weeks out.

Amounts that do not depend on the customer are multiples of the portfolio's usual purchase, so that
they fit any currency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cardwatch.case_kinds import (
    CARD_TEST_CODES,
    CASH_CODES,
    GAMBLING_CODES,
    RAMP,
    TAKEOVER_CODES,
    TRANSFER_CODES,
    Kind,
)
from cardwatch.injection.spending import Customer, Market, Spend, Week

QUIET = (8, 11)
"""A dormant customer's silent weeks: with 12, no trace is left in 12 reference weeks."""
CHARGE = (0.00625, 0.078)
"""A test charge, in usual purchases of the portfolio; about 0.20 to 2.50 where those are 32."""
TRANSFER = (28.1, 30.9)
"""A structured transfer, in usual purchases; about 900 to 990 where those are 32."""

EVERYDAY_CODES = frozenset(
    (4111, 4121, 4131, 4784, 5300, 5331, 5411, 5422, 5462, 5499, 5541, 5542, 5811, 5812, 5813)
    + (5814, 5912, 5921, 5993, 7523, 8011, 8021)
)

Changes = Mapping[int, Week]
"""The weeks that a case changes, whole, by how many weeks ago they were."""


@dataclass
class Draft:
    """One customer's weeks while a case is being planted.

    Attributes
    ----------
    strength : float
        What distances from the usual are multiplied by.
    place : int
        The merchant category where colluding customers meet.
    """

    who: Customer
    market: Market
    strength: float
    rng: np.random.Generator
    place: int = 0
    weeks: dict[int, dict[int, Spend]] = field(default_factory=dict)

    def week(self, ago: int) -> dict[int, Spend]:
        """Return one of the customer's weeks, to be changed."""
        return self.weeks.setdefault(ago, dict(self.who.weeks.get(ago, {})))

    def silence(self, ago: int) -> None:
        """Let nothing happen in a week."""
        self.weeks[ago] = {}

    def add(self, ago: int, mcc: int, cents: NDArray[np.float64]) -> None:
        """Add one transaction per amount."""
        week, amounts = self.week(ago), np.rint(cents)
        amounts[amounts == 0] = 1
        had = week.get(mcc, Spend(0, 0))
        week[mcc] = Spend(had.cents + int(amounts.sum()), had.transactions + amounts.size)

    def scale(self, ago: int, factor: float) -> None:
        """Multiply a week's spend, partly through more transactions and partly larger ones."""
        week, split = self.week(ago), self.rng.uniform(0.4, 0.7)
        for mcc, spend in week.items():
            many = round(spend.transactions * factor**split)
            transactions = max(many, min(spend.transactions, 1))
            week[mcc] = Spend(round(spend.cents * factor), transactions)

    def beyond(self, factor: float) -> float:
        """Return a factor whose distance from 1 is multiplied by the strength."""
        return 1 + (factor - 1) * self.strength

    def times(self, low: float, high: float, size: int) -> NDArray[np.float64]:
        """Draw how many times the usual something is."""
        return self.strength * self.rng.uniform(low, high, size)

    def some(self, low: int, high: int) -> int:
        """Draw a whole number from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def more(self, low: int, high: int) -> int:
        """Draw a whole number, and multiply it by the strength."""
        return max(round(self.some(low, high) * self.strength), 1)

    def one_of(self, codes: tuple[int, ...]) -> int:
        """Draw one merchant category."""
        return int(self.rng.choice(codes))


def planted(
    kind: Kind,
    who: Customer,
    market: Market,
    strength: float,
    rng: np.random.Generator,
    place: int = 0,
) -> Changes:
    """Return the weeks of a customer that a case changes.

    Parameters
    ----------
    place : int
        The merchant category where colluding customers meet; others pass it over.
    """
    draft = Draft(who, market, strength, rng, place)
    _PLANT[kind](draft)
    return draft.weeks


def _takeover(draft: Draft) -> None:
    pool = sorted(set(TAKEOVER_CODES) - draft.who.used)
    if len(pool) < 2:
        pool = sorted(set(draft.market.tickets) - draft.who.used) or pool or [TAKEOVER_CODES[0]]
    chosen = draft.rng.choice(pool, min(draft.some(2, 4), len(pool)), replace=False)
    for mcc in map(int, chosen):
        usual = draft.who.ticket(mcc, draft.market)
        draft.add(0, mcc, usual * draft.times(1.3, 3.5, draft.some(1, 3)))


def _bust_out(draft: Draft) -> None:
    for ago, step in zip(range(len(RAMP) - 1, -1, -1), RAMP, strict=True):
        factor = draft.beyond(step)
        cash = draft.rng.uniform(0.3, 0.5) * (factor - 1)
        draft.scale(ago, factor - cash)
        withdrawals = 1 + int(step / 2)
        amounts = np.full(withdrawals, cash * draft.who.usual_week / withdrawals)
        draft.add(ago, draft.one_of(CASH_CODES), amounts)


def _card_test(draft: Draft) -> None:
    low, high = (part * draft.market.ticket for part in CHARGE)
    charges = draft.rng.uniform(low, high, draft.more(10, 35))
    places = draft.rng.choice(CARD_TEST_CODES, draft.some(1, 3), replace=False)
    for mcc, part in zip(map(int, places), np.array_split(charges, places.size), strict=True):
        draft.add(0, mcc, part)


def _gambling(draft: Draft) -> None:
    bets = draft.rng.dirichlet(np.full(draft.some(5, 20), 3.0))
    total = draft.who.usual_week * draft.times(1, 3, 1)
    draft.add(0, draft.one_of(GAMBLING_CODES), bets * total)


def _structured(draft: Draft) -> None:
    low, high = (part * draft.market.ticket for part in TRANSFER)
    amounts = draft.rng.uniform(low, high, draft.more(3, 9))
    draft.add(0, draft.one_of(TRANSFER_CODES), amounts)


def _refund(draft: Draft) -> None:
    amounts = -draft.who.usual_week * draft.times(0.4, 1.5, draft.some(2, 7))
    draft.add(0, draft.who.favourite(), amounts)


def _dormant(draft: Draft) -> None:
    oldest = max(draft.who.before) - 1
    longest = max(min(QUIET[1], oldest), 1)
    shortest = min(QUIET[0], longest)
    quiet = min(draft.some(shortest, longest), draft.some(shortest, longest))
    for ago in range(1, quiet + 1):
        draft.silence(ago)
    draft.scale(0, draft.beyond(draft.rng.uniform(1.5, 3.5)))


def _drop(draft: Draft) -> None:
    mcc = draft.who.favourite()
    purchases = max(round(1 / draft.strength), 1)
    total = draft.who.ticket(mcc, draft.market) / draft.strength
    draft.silence(0)
    draft.add(0, mcc, np.full(purchases, total / purchases))


def _growth(draft: Draft) -> None:
    draft.scale(0, draft.beyond(draft.rng.uniform(3, 6)))


def _ticket(draft: Draft) -> None:
    mcc = draft.who.favourite(EVERYDAY_CODES)
    draft.add(0, mcc, draft.who.ticket(mcc, draft.market) * draft.times(12, 40, 1))


def _collusion(draft: Draft) -> None:
    total = float(draft.who.usual_week * draft.times(0.6, 2, 1)[0])
    purchases = draft.some(1, 3)
    draft.add(0, draft.place, np.full(purchases, total / purchases))


_PLANT: Mapping[Kind, Callable[[Draft], None]] = {
    Kind.TAKEOVER: _takeover,
    Kind.BUST_OUT: _bust_out,
    Kind.CARD_TEST: _card_test,
    Kind.GAMBLING: _gambling,
    Kind.STRUCTURED: _structured,
    Kind.REFUND: _refund,
    Kind.DORMANT: _dormant,
    Kind.DROP: _drop,
    Kind.GROWTH: _growth,
    Kind.TICKET: _ticket,
    Kind.COLLUSION: _collusion,
}
