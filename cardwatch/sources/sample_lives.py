"""What ordinary life does to the customers of the generated portfolio, for a while or for good.

Pay days, moving house, marriage and a new card. None of it is a case. The week in which a
customer's spending turns is labelled, so that a measurement counts it as a negative.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cardwatch.sources.sample_categories import categories
from cardwatch.sources.sample_cells import Bools, Floats, Ints, Purpose, Shorts, stream
from cardwatch.sources.sample_population import Population, draw_habits

PAY_KINDS = ("none", "end of month", "middle of month", "even weeks", "odd weeks")
PAY_SHARES = (0.2, 0.3, 0.1, 0.2, 0.2)
LARGEST_PAY_EFFECT = 0.35
"""How much more a customer buys in a week with pay than in one without, at most."""
MOVED, MARRIED, NEW_CARD = LIFE_KINDS = (
    "lookalike_moved",
    "lookalike_married",
    "lookalike_new_card",
)
WEEKLY_RATES = (0.0016, 0.00012, 0.001)
"""Probability of each in a customer's week: 8% move a year, 5% get a card with another id, and 6 of
1,000 marry somebody of the portfolio."""
KEPT_HABITS = 0.5
"""Probability that a habit survives a move."""
LONGEST_WAIT = 2
"""Weeks without a card before a new one, at most."""


@dataclass(frozen=True)
class Lives:
    """What life holds for the customers of one block; B of them, T with a turn, K habits each.

    Attributes
    ----------
    pay : int64, shape (B,)
        Which of `PAY_KINDS`.
    pay_effect : float64, shape (B,)
        How much more is bought in a week with pay, as a share.
    customer, week, kind : int64, shape (T,)
        Whose spending turns, ascending; from which week on; which of `LIFE_KINDS`.
    habit : int16, shape (T, 2 K)
        Categories from that week on: one's own, then those of the person one married.
    rate, log_ticket : float64, shape (T, 2 K)
        As in `Population`; a rate of 0 fills up the row.
    new_id_from : int64, shape (B,)
        The week from which the card has another id; after the last week, for most.
    involved : bool, shape (B,)
        Customers with a turn, and those who use another's card from then on.
    """

    pay: Ints
    pay_effect: Floats
    customer: Ints
    week: Ints
    kind: Ints
    habit: Shorts
    rate: Floats
    log_ticket: Floats
    new_id_from: Ints
    involved: Bools

    @classmethod
    def draw(cls, people: Population, seed: int, block: int) -> tuple[Lives, Population]:
        """Draw the lives of a block; return them, and its customers with the weeks that are left.

        Of two who marry, one card is not used any more; before a new card there may be none.
        """
        rng = stream(seed, Purpose.LIVES, block)
        size, weeks = people.size, people.active.shape[1]
        pay = rng.choice(len(PAY_KINDS), size, p=PAY_SHARES)
        pay_effect = rng.uniform(0, LARGEST_PAY_EFFECT, size)
        customer, week, kind = _turns(people, rng)
        partner = _partners(customer, kind, size, rng)
        habit, rate, log_ticket = _habits_after(people, customer, kind, partner, rng)
        involved = np.zeros(size, dtype=np.bool_)
        involved[customer] = involved[partner[partner >= 0]] = True
        active = people.active.copy()
        since = np.arange(weeks)
        active[partner[partner >= 0]] &= since < week[partner >= 0, None]
        renewed = kind == LIFE_KINDS.index(NEW_CARD)
        wait = rng.integers(0, LONGEST_WAIT + 1, renewed.sum())
        begins = week[renewed, None]
        active[customer[renewed]] &= (since < begins - wait[:, None]) | (since >= begins)
        new_id_from = np.full(size, weeks)
        new_id_from[customer[renewed]] = week[renewed]
        lives = cls(
            pay=pay,
            pay_effect=pay_effect,
            customer=customer,
            week=week,
            kind=kind,
            habit=habit,
            rate=rate,
            log_ticket=log_ticket,
            new_id_from=new_id_from,
            involved=involved,
        )
        return lives, replace(people, active=active)

    def pay_factor(self, paid: Floats) -> Floats:
        """Return how much more than usual each customer buys, by who is paid in the week."""
        return np.asarray(1 + self.pay_effect * paid[self.pay])

    def turned(self, index: int) -> Ints:
        """Return whose habits are no longer those they began with, as positions in the turns."""
        changed = self.kind != LIFE_KINDS.index(NEW_CARD)
        return np.flatnonzero(changed & (self.week <= index))

    def turning(self, index: int, *kinds: str) -> tuple[Ints, Ints]:
        """Return whose life turns in one week, and how (positions in `LIFE_KINDS`)."""
        wanted = np.isin(self.kind, [LIFE_KINDS.index(kind) for kind in kinds or LIFE_KINDS])
        now = wanted & (self.week == index)
        return self.customer[now], self.kind[now]


def _turns(people: Population, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Draw who turns, when and how: at most once each, and while the card is in use."""
    size, weeks = people.size, people.active.shape[1]
    ladder = np.cumsum(WEEKLY_RATES) * min(weeks, 0.5 / sum(WEEKLY_RATES))
    kind = np.searchsorted(ladder, rng.random(size), side="right")
    week = rng.integers(1, max(weeks, 2), size)
    there = people.active[np.arange(size), np.minimum(week, weeks - 1)] & (week < weeks)
    customer = np.flatnonzero((kind < len(LIFE_KINDS)) & there)
    return customer, week[customer], kind[customer]


def _partners(customer: Ints, kind: Ints, size: int, rng: np.random.Generator) -> Ints:
    """Return, per turn, who stops using a card of their own: nobody (-1) unless two marry."""
    partner = np.full(customer.size, -1)
    married = np.flatnonzero(kind == LIFE_KINDS.index(MARRIED))
    others = np.setdiff1d(np.arange(size), customer)
    married = married[: others.size]
    partner[married] = rng.choice(others, married.size, replace=False)
    return partner


def _habits_after(
    people: Population, customer: Ints, kind: Ints, partner: Ints, rng: np.random.Generator
) -> tuple[Shorts, Floats, Floats]:
    """Return the habits after a turn: half are new after a move, who marries has two people's."""
    world = categories()
    fresh, share = draw_habits(rng, world, people.segment[customer])
    moved = kind == LIFE_KINDS.index(MOVED)
    new = moved[:, None] & (rng.random(fresh.shape) >= KEPT_HABITS)
    own = np.where(new, fresh, people.habit[customer]).astype(np.int16)
    rate = np.where(new, share * people.transactions[customer, None], people.rate[customer])
    tickets = world.log_ticket[fresh] + people.tilt[customer, None]
    log_ticket = np.where(new, tickets, people.log_ticket[customer])
    shared = (partner >= 0)[:, None] * people.rate[partner]
    return (
        np.hstack([own, people.habit[partner]]),
        np.hstack([rate, shared]),
        np.hstack([log_ticket, people.log_ticket[partner]]),
    )
