"""The cases planted in the generated portfolio.

Eleven kinds, each in every week from `FIRST_CASE_WEEK` on, and each at a customer with enough
history to be judged, weak, medium or strong. How many of which kind fall into which week and block
is planned for the whole portfolio; who they are, how strong a case is and what they do is drawn
within the block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

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
    Strength,
)
from cardwatch.sources.sample_categories import categories
from cardwatch.sources.sample_cells import Bools, Cells, Floats, Ints, Row
from cardwatch.sources.sample_plan import RAMP_KIND
from cardwatch.sources.sample_population import Population
from cardwatch.sources.sample_week import Factors

WEEKS_BETWEEN_CASES = 13
USUAL_MINIMUM = 5.0
"""Transactions a week from which a customer's usual week is well enough defined for a case."""
BUSIEST_SHARE = 0.03
"""Share of the candidates who count as busy: with them, a week of one purchase is a drop."""
DEPARTMENT_STORES = 5311
EVERYDAY = ("food", "dining", "fuel", "transit", "health")
RARE_WEIGHT = 0.5
"""Up to this weight in every segment, a merchant category is a rare one."""


@dataclass
class Casebook:
    """Every case of one block, as changes to its customers' ordinary weeks.

    Attributes
    ----------
    strength : float
        Of all cases of the portfolio; each has a `Strength` of its own beside it.
    labels : list of (customer, week, kind, strength)
    added : per week, cells spent beside the ordinary ones
    scaled : per week, (customer, factor on counts, factor on tickets)
    silent : bool, shape (B, W)
        Weeks whose ordinary spending does not happen.
    unused : list of (customer, category, week)
        Categories the customer has never used before that week.
    involved : bool, shape (B,)
        Customers with a case in any week.
    own : Strength
        That of the case that is being planted.
    """

    people: Population
    rng: np.random.Generator
    strength: float
    labels: list[tuple[int, int, str, str]] = field(default_factory=list)
    added: dict[int, list[Row]] = field(default_factory=dict)
    scaled: dict[int, list[tuple[int, float, float]]] = field(default_factory=dict)
    unused: list[tuple[int, int, int]] = field(default_factory=list)
    silent: Bools = field(init=False)
    involved: Bools = field(init=False)
    own: Strength = field(init=False, default=Strength.MEDIUM)

    def __post_init__(self) -> None:
        self.silent = np.zeros_like(self.people.active)
        self.involved = np.zeros(self.people.size, dtype=np.bool_)

    @classmethod
    def make(
        cls,
        people: Population,
        planned: list[tuple[int, Kind]],
        strength: float,
        rng: np.random.Generator,
        away: Bools,
    ) -> Casebook:
        """Draw who the planned cases of a block are, and what they do.

        `away` marks customers who are not to be chosen, shape (B,).
        A planned case for which nobody is left to choose (tiny portfolios) is not planted.
        """
        book = cls(people, rng, strength)
        free_from = np.where(away, people.active.shape[1], 0)
        for week, entries in groupby(planned, key=itemgetter(0)):
            ready = _ready(people, week)
            for _, kind in entries:
                pool = ready[free_from[ready] <= week]
                # What a case does is drawn apart from who it is, which no strength may change.
                book.rng = np.random.Generator(np.random.SFC64(int(rng.integers(2**63))))
                book.own = book.one_strength()
                chosen = book.choose(kind, pool, rng)
                ends = kind is Kind.BUST_OUT
                free_from[chosen] = people.active.shape[1] if ends else week + WEEKS_BETWEEN_CASES
                book.involved[chosen] = True
                if chosen:
                    _PLANT[kind](book, week, chosen)
        return book if strength > 0 else book.emptied()

    def choose(self, kind: Kind, pool: Ints, rng: np.random.Generator) -> list[int]:
        """Draw the customers of one case from `pool`; nobody if they are too few."""
        if kind is Kind.DROP:
            order = np.argsort(-self.people.transactions[pool], kind="stable")
            pool = pool[order[: max(10, round(BUSIEST_SHARE * pool.size))]]
        if pool.size < kind.customers:
            return []
        return [int(customer) for customer in rng.choice(pool, kind.customers, replace=False)]

    def one_strength(self) -> Strength:
        """Draw how strong a case is."""
        return list(Strength)[self.some(0, len(Strength) - 1)]

    @property
    def power(self) -> float:
        """How far the case that is being planted is from an ordinary week; 1 is the usual."""
        return self.strength * self.own.factor

    def emptied(self) -> Casebook:
        """Return the book of the same customers without anything planted."""
        blank = Casebook(self.people, self.rng, 0.0)
        blank.involved = self.involved
        return blank

    def keeps(self, ordinary: Cells, index: int) -> Bools:
        """Return which of a week's ordinary cells still happen, as a mask."""
        kept: Bools = ~self.silent[ordinary.customer, index]
        not_yet = [
            (customer, category, 0, 0) for customer, category, week in self.unused if index < week
        ]
        kept &= ~np.isin(ordinary.key(), Cells.of(not_yet).key())
        return kept

    def factors(self, index: int) -> Factors:
        """Return whose ordinary spending a week changes."""
        table = np.array(self.scaled.get(index, []), dtype=np.float64).reshape(-1, 3)
        return Factors(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])

    def label(self, week: int, customer: int, kind: str) -> None:
        """Note what was planted."""
        self.labels.append((customer, week, kind, self.own))

    def add(self, week: int, customer: int, category: int, cents: Floats) -> None:
        """Add purchases of the given amounts, in cents, at one category."""
        total = int(np.rint(cents).sum())
        self.added.setdefault(week, []).append((customer, category, cents.size, total))

    def scale(self, week: int, customer: int, factor: float, split: float) -> None:
        """Multiply a week's spend by `factor`, a share `split` of it through more purchases."""
        strong = 1 + (factor - 1) * self.power
        self.scaled.setdefault(week, []).append((customer, strong**split, strong ** (1 - split)))

    def times(self, low: float, high: float, size: int) -> Floats:
        """Draw how many times the usual something is, times the strength of the case."""
        return self.power * self.rng.uniform(low, high, size)

    def some(self, low: int, high: int) -> int:
        """Draw a whole number between `low` and `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def many(self, low: int, high: int) -> int:
        """Draw how many purchases a case has, times its strength; two at least."""
        return max(2, round(self.power * self.some(low, high)))

    def one_of(self, codes: tuple[int, ...]) -> int:
        """Draw one of some merchant categories, as a position."""
        return int(self.rng.choice(_positions(codes)))

    def ticket(self, customer: int, category: int) -> float:
        """Return the usual purchase at a category, in cents, for this customer."""
        return float(100 * np.exp(categories().log_ticket[category] + self.people.tilt[customer]))


def _positions(codes: tuple[int, ...]) -> NDArray[np.int16]:
    return categories().index(*map(str, codes))


def _ready(people: Population, week: int) -> Ints:
    """Return who has enough history and activity for a case in a week."""
    seasoned = people.active[:, week - 12 : week].sum(axis=1) >= 10
    steady = people.active[:, week - 3 : week + 1].all(axis=1)
    return np.flatnonzero(seasoned & steady & (people.transactions >= USUAL_MINIMUM))


def _takeover(book: Casebook, week: int, chosen: list[int]) -> None:
    (customer,) = chosen
    pool = np.setdiff1d(_positions(TAKEOVER_CODES), book.people.habit[customer])
    for category in book.rng.choice(pool, book.some(2, 4), replace=False):
        usual = book.ticket(customer, int(category))
        book.add(week, customer, int(category), usual * book.times(1.3, 3.5, book.some(1, 3)))
        book.unused.append((customer, int(category), week))
    book.label(week, customer, Kind.TAKEOVER)


def _bust_out(book: Casebook, week: int, chosen: list[int]) -> None:
    (customer,) = chosen
    usual = book.people.usual_week[customer]
    for at, factor in zip(range(week - 3, week + 1), RAMP, strict=True):
        cash = book.rng.uniform(0.3, 0.5) * (factor - 1)
        book.scale(at, customer, factor - cash, book.rng.uniform(0.4, 0.7))
        purchases = 1 + int(factor / 2)
        drawn = np.full(purchases, book.power * cash * usual / purchases)
        book.add(at, customer, book.one_of(CASH_CODES), drawn)
        book.label(at, customer, Kind.BUST_OUT if at == week else RAMP_KIND)
    book.silent[customer, week + 1 :] = True


def _card_test(book: Casebook, week: int, chosen: list[int]) -> None:
    (customer,) = chosen
    places = book.some(1, 3)
    pool = _positions(CARD_TEST_CODES)
    charges = book.rng.uniform(20, 249, book.many(10, 35))
    for category, part in zip(
        book.rng.choice(pool, places, replace=False), np.array_split(charges, places), strict=True
    ):
        book.add(week, customer, int(category), part)
    book.label(week, customer, Kind.CARD_TEST)


def _gambling(book: Casebook, week: int, chosen: list[int]) -> None:
    (customer,) = chosen
    bets = book.rng.dirichlet(np.full(book.some(5, 20), 3.0))
    total = book.people.usual_week[customer] * book.times(1, 3, 1)
    book.add(week, customer, book.one_of(GAMBLING_CODES), bets * total)
    book.label(week, customer, Kind.GAMBLING)


def _structured(book: Casebook, week: int, chosen: list[int]) -> None:
    (customer,) = chosen
    transfers = book.rng.uniform(90_000, 99_000, book.many(3, 9))
    book.add(week, customer, book.one_of(TRANSFER_CODES), transfers)
    book.label(week, customer, Kind.STRUCTURED)


def _refund(book: Casebook, week: int, chosen: list[int]) -> None:
    (customer,) = chosen
    habits = book.people.habit[customer][book.people.rate[customer] > 0]
    shops = habits[categories().refundable[habits]]
    category = int(book.rng.choice(shops)) if shops.size else book.one_of((DEPARTMENT_STORES,))
    usual = book.people.usual_week[customer]
    book.add(week, customer, category, -usual * book.times(0.4, 1.5, book.some(2, 7)))
    book.label(week, customer, Kind.REFUND)


def _dormant(book: Casebook, week: int, chosen: list[int]) -> None:
    (customer,) = chosen
    longest = min(12, week - 3)
    # The shorter of two draws: of a silence of 12 weeks no trace is left in 12 reference weeks.
    quiet = min(book.some(8, longest), book.some(8, longest))
    book.silent[customer, week - quiet : week] = True
    book.scale(week, customer, book.rng.uniform(1.5, 3.5), book.rng.uniform(0.4, 0.7))
    book.label(week, customer, Kind.DORMANT)


def _drop(book: Casebook, week: int, chosen: list[int]) -> None:
    (customer,) = chosen
    slot = int(np.argmax(book.people.rate[customer]))
    usual = 100 * np.exp(book.people.log_ticket[customer, slot])
    left = max(1, round(1 / max(book.power, 0.1)))
    book.silent[customer, week] = True
    book.add(week, customer, int(book.people.habit[customer, slot]), np.full(left, usual))
    book.label(week, customer, Kind.DROP)


def _growth(book: Casebook, week: int, chosen: list[int]) -> None:
    (customer,) = chosen
    book.scale(week, customer, book.rng.uniform(3, 6), book.rng.uniform(0.4, 0.7))
    book.label(week, customer, Kind.GROWTH)


def _ticket(book: Casebook, week: int, chosen: list[int]) -> None:
    (customer,) = chosen
    everyday = np.isin(book.people.habit[customer], categories().of_family(*EVERYDAY))
    slot = int(np.argmax(book.people.rate[customer] * everyday))
    usual = 100 * np.exp(book.people.log_ticket[customer, slot])
    category = int(book.people.habit[customer, slot])
    book.add(week, customer, category, usual * book.times(12, 40, 1))
    book.label(week, customer, Kind.TICKET)


def _collusion(book: Casebook, week: int, chosen: list[int]) -> None:
    world = categories()
    rare = np.flatnonzero(world.weight.max(axis=0) <= RARE_WEIGHT).astype(np.int16)
    used = np.unique(book.people.habit[chosen])
    category = int(book.rng.choice(np.setdiff1d(rare, used)))
    for customer in chosen:
        total = book.people.usual_week[customer] * book.times(0.6, 2, 1)
        book.add(week, customer, category, np.repeat(total, n := book.some(1, 3)) / n)
        book.unused.append((customer, category, week))
        book.label(week, customer, Kind.COLLUSION)


_PLANT: dict[Kind, Callable[[Casebook, int, list[int]], None]] = {
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
