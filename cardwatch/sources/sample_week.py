"""What the customers of the generated portfolio spend in an ordinary week."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardwatch.sources.sample_categories import categories
from cardwatch.sources.sample_cells import Cells, Floats, Ints, Shorts
from cardwatch.sources.sample_lives import Lives
from cardwatch.sources.sample_market import Market
from cardwatch.sources.sample_population import Population

OCCASIONAL_TASTE = 0.8
"""How far occasional purchases follow the segment's taste: 0 not at all, 1 as the habits do."""
BIG_PURCHASE_SHARE = 0.012
"""Share of purchases that are three to nine times as large as they would be."""
REFUND_SHARE = 0.0015
"""Share of transactions in refundable categories that are refunds."""
TICKET_FREEDOM = 7
"""Degrees of freedom of Student's t, by which the log of a purchase varies: a kurtosis of 5."""
FURTHEST_TICKET = 7.0
"""Spreads of its category by which a purchase differs from the usual one, at most."""


def ordinary_week(
    people: Population, lives: Lives, market: Market, index: int, rng: np.random.Generator
) -> Cells:
    """Return what the customers of a block spend in an ordinary week.

    Parameters
    ----------
    people : Population
    lives : Lives
    market : Market
    index : int
        The week's position in the portfolio.
    """
    mood = np.exp(people.mood * rng.standard_normal(people.size) - people.mood**2 / 2)
    mood *= people.active[:, index] * lives.pay_factor(market.paid[index])
    turned = lives.turned(index)
    changed = lives.customer[turned]
    as_before = mood.copy()
    as_before[changed] = 0
    busy = market.busy[index]
    everyone = np.arange(people.size)
    bought = Purchases.joined(
        _habitual(everyone, people.habit, people.rate, people.log_ticket, as_before, busy, rng),
        _habitual(
            changed,
            lives.habit[turned],
            lives.rate[turned],
            lives.log_ticket[turned],
            mood[changed],
            busy,
            rng,
        ),
        _occasional(people, mood, rng),
    )
    cents = _spend(bought, market.dear[index], rng)
    codes = market.codes(bought.customer, bought.category, index)
    return Cells.merged([Cells(bought.customer, codes, bought.count, cents)])


@dataclass(frozen=True)
class Purchases:
    """How often a customer bought in a category, and the log of the usual ticket there."""

    customer: Ints
    category: Shorts
    count: Ints
    log_ticket: Floats

    @staticmethod
    def joined(*parts: Purchases) -> Purchases:
        """Return the rows of all parts."""
        return Purchases(
            customer=np.concatenate([part.customer for part in parts]),
            category=np.concatenate([part.category for part in parts]),
            count=np.concatenate([part.count for part in parts]),
            log_ticket=np.concatenate([part.log_ticket for part in parts]),
        )


def _habitual(
    who: Ints,
    habit: Shorts,
    rate: Floats,
    log_ticket: Floats,
    mood: Floats,
    busy: Floats,
    rng: np.random.Generator,
) -> Purchases:
    """Draw how often some customers buy in each of their habitual categories, a row each."""
    count = rng.poisson(rate * busy[habit] * mood[:, None])
    row, slot = np.nonzero(count)
    place = (row, slot)
    return Purchases(who[row], habit[place], count[place], log_ticket[place])


def _occasional(people: Population, mood: Floats, rng: np.random.Generator) -> Purchases:
    """Draw single purchases in any category, by the segment's taste."""
    world = categories()
    customer = np.repeat(np.arange(people.size), rng.poisson(people.occasional * mood))
    segment = people.segment[customer]
    taste = np.cumsum(world.weight**OCCASIONAL_TASTE, axis=1)
    ladder = taste / taste[:, -1:] + np.arange(len(taste))[:, None]
    step = np.searchsorted(ladder.ravel(), segment + rng.random(customer.size), side="right")
    category = np.minimum(step - segment * taste.shape[1], taste.shape[1] - 1).astype(np.int16)
    log_ticket = world.log_ticket[category] + people.tilt[customer]
    return Purchases(customer, category, np.ones(customer.size, dtype=np.int64), log_ticket)


def _spend(bought: Purchases, dear: Floats, rng: np.random.Generator) -> Ints:
    """Draw every single purchase and return, per row, their sum in cents."""
    if not bought.count.size:
        return np.zeros(0, dtype=np.int64)
    world = categories()
    place = np.repeat(bought.category, bought.count)
    noise = rng.standard_t(TICKET_FREEDOM, place.size).clip(-FURTHEST_TICKET, FURTHEST_TICKET)
    chance = rng.random(place.size, dtype=np.float32)
    log_cents = np.repeat(bought.log_ticket + dear[bought.category], bought.count)
    log_cents += world.spread[place] * noise
    log_cents += np.where(chance < BIG_PURCHASE_SHARE, 1 + chance * (1.2 / BIG_PURCHASE_SHARE), 0)
    cents = np.maximum(np.rint(100 * np.exp(log_cents)), 50).astype(np.int64)
    returned = (chance > 1 - REFUND_SHARE) & world.refundable[place]
    np.negative(cents, out=cents, where=returned)
    return np.asarray(np.add.reduceat(cents, np.cumsum(bought.count) - bought.count))


@dataclass(frozen=True)
class Factors:
    """Whose ordinary week is multiplied, each customer once, and by how much."""

    customer: Ints
    on_counts: Floats
    on_tickets: Floats

    def and_also(self, other: Factors) -> Factors:
        """Return the rows of both."""
        return Factors(
            customer=np.concatenate([self.customer, other.customer]),
            on_counts=np.concatenate([self.on_counts, other.on_counts]),
            on_tickets=np.concatenate([self.on_tickets, other.on_tickets]),
        )


def scaled(
    cells: Cells,
    people: Population,
    factors: Factors,
    rng: np.random.Generator,
) -> Cells:
    """Multiply the counts and tickets of some customers' weeks.

    Who bought less than half the usual first buys once in each of the three most usual categories,
    so that there is a week to multiply.
    """
    who = factors.customer
    bought = np.bincount(cells.customer, cells.count, people.size)
    meagre = who[bought[who] < people.transactions[who] / 2]
    slot = np.argsort(-people.rate[meagre], axis=1, kind="stable")[:, :3]
    place = (meagre[:, None], slot)
    cents = np.rint(100 * np.exp(people.log_ticket[place])).astype(np.int64).ravel()
    usual = Cells(np.repeat(meagre, 3), people.habit[place].ravel(), np.ones_like(cents), cents)
    cells = Cells.merged([cells, usual])
    everyone = np.ones((2, people.size))
    everyone[:, who] = factors.on_counts, factors.on_tickets
    more, dearer = everyone[:, cells.customer]
    # Rounding spreads evenly over a customer's cells from one draw, so that totals keep the factor
    # and nobody's week depends on how many cells others have.
    turn = np.arange(cells.customer.size) - np.searchsorted(cells.customer, cells.customer)
    rounding = (rng.random(people.size)[cells.customer] + 0.618034 * turn) % 1
    count = np.maximum(np.floor(cells.count * more + rounding), 1).astype(np.int64)
    spend = cells.cents * (count / cells.count) * dearer
    return Cells(cells.customer, cells.category, count, np.rint(spend).astype(np.int64))
