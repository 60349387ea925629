"""The customers of the generated portfolio and what an ordinary week of theirs looks like.

Customers are made in blocks of at most `BLOCK_CUSTOMERS`, so that memory stays bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cardwatch.sources.sample_categories import (
    SEGMENT_ACTIVITY,
    SEGMENT_SHARES,
    SEGMENT_TICKETS,
    SEGMENTS,
    Categories,
    categories,
)
from cardwatch.sources.sample_cells import (
    Bools,
    Cells,
    Floats,
    Ints,
    Purpose,
    Shorts,
    stream,
)
from cardwatch.week import ReportingWeek

BLOCK_CUSTOMERS = 30_000
"""Customers made at once: about 100,000 rows a week, one row group of a Parquet file."""
HABITS = 14
"""Most categories a customer uses habitually; the fewest is 8."""
USUAL_TRANSACTIONS = 4.65
"""Median transactions of an active week; with the habits it makes about 3.4 rows a week."""
OCCASIONAL_PURCHASES = 0.18
"""Mean purchases of an active week outside the habits, gamma distributed over customers."""
OCCASIONAL_TASTE = 0.8
"""How far occasional purchases follow the segment's taste: 0 not at all, 1 as the habits do."""
MOOD_RANGE = (0.05, 0.3)
"""How much a customer's weekly activity varies: standard deviation of its logarithm."""
BIG_PURCHASE_SHARE = 0.005
"""Share of purchases that are three to nine times as large as they would be."""
REFUND_SHARE = 0.0015
"""Share of transactions in refundable categories that are refunds."""
GAP_SHARE = 0.012
"""Probability that a week begins a gap of one to ten weeks."""


@dataclass(frozen=True)
class Population:
    """The customers of one block: B of them, K habits each, W weeks.

    Attributes
    ----------
    segment : int64, shape (B,)
    transactions : float64, shape (B,)
        Usual transactions in an active week.
    mood : float64, shape (B,)
        How much the activity of a week varies (standard deviation of its logarithm).
    tilt : float64, shape (B,)
        How large the customer's purchases are (added to the category's log ticket).
    habit : int16, shape (B, K)
        Categories used habitually, ascending.
    rate, log_ticket : float64, shape (B, K)
        Transactions per active week and log of the usual purchase in each habit; a rate of 0 fills
        up the row.
    occasional : float64, shape (B,)
        Purchases per active week outside the habits.
    usual_week : float64, shape (B,)
        Expected spend of an active week, in cents.
    active : bool, shape (B, W)
        Weeks in which the card is in use: after joining, before leaving, not in a gap.
    """

    segment: Ints
    transactions: Floats
    mood: Floats
    tilt: Floats
    habit: Shorts
    rate: Floats
    log_ticket: Floats
    occasional: Floats
    usual_week: Floats
    active: Bools

    @classmethod
    def make(cls, seed: int, block: int, size: int, weeks: int) -> Population:
        """Make the `size` customers of one block."""
        rng = stream(seed, Purpose.PEOPLE, block)
        world = categories()
        segment = rng.choice(len(SEGMENTS), size, p=SEGMENT_SHARES)
        transactions = USUAL_TRANSACTIONS * np.array(SEGMENT_ACTIVITY)[segment]
        transactions *= np.exp(0.6 * rng.standard_normal(size))
        tilt = np.log(np.array(SEGMENT_TICKETS))[segment] + 0.4 * rng.standard_normal(size)
        habit, share = _habits(rng, world, segment)
        log_ticket = world.log_ticket[habit] + tilt[:, None]
        log_ticket += 0.2 * rng.standard_normal(habit.shape)
        occasional = rng.gamma(1.5, OCCASIONAL_PURCHASES / 1.5, size)
        rate = share * transactions[:, None]
        ticket = 100 * np.exp(log_ticket + world.spread[habit] ** 2 / 2)
        return cls(
            segment=segment,
            transactions=transactions,
            mood=rng.uniform(*MOOD_RANGE, size),
            tilt=tilt,
            habit=habit,
            rate=rate,
            log_ticket=log_ticket,
            occasional=occasional,
            usual_week=(rate * ticket).sum(axis=1),
            active=_calendar(rng, size, weeks),
        )

    @property
    def size(self) -> int:
        """How many customers the block has."""
        return self.segment.size


def _habits(rng: np.random.Generator, world: Categories, segment: Ints) -> tuple[Shorts, Floats]:
    """Draw each customer's habitual categories and their shares of the transactions."""
    size = segment.size
    # The smallest of exponentials divided by weights: a weighted draw without replacement.
    race = rng.standard_exponential((size, len(world.codes)), dtype=np.float32)
    race /= world.weight[segment].astype(np.float32)
    habit = np.argpartition(race, HABITS - 1, axis=1)[:, :HABITS]
    rank = np.argsort(np.argsort(np.take_along_axis(race, habit, axis=1), axis=1), axis=1)
    kept = rank < rng.integers(8, HABITS + 1, size)[:, None]
    share = world.weight[segment[:, None], habit] ** 0.7
    share *= np.exp(0.5 * rng.standard_normal(habit.shape)) * kept
    share /= share.sum(axis=1, keepdims=True)
    order = np.argsort(habit, axis=1)
    ordered = np.take_along_axis(habit, order, axis=1).astype(np.int16)
    return ordered, np.take_along_axis(share, order, axis=1)


def _calendar(rng: np.random.Generator, size: int, weeks: int) -> Bools:
    """Draw joining, leaving and gaps: 6% join and 4% leave within half a year, some pause."""
    joins = np.where(rng.random(size) < 0.0023 * weeks, rng.integers(0, weeks, size), 0)
    leaves = np.where(rng.random(size) < 0.0016 * weeks, rng.integers(1, weeks + 1, size), weeks)
    week = np.arange(weeks)
    active: Bools = (week >= joins[:, None]) & (week < np.maximum(leaves, joins + 1)[:, None])
    begins = rng.random((size, weeks)) < GAP_SHARE
    length = rng.choice([1, 2, 3, 4, 6, 10], size, p=[0.45, 0.25, 0.14, 0.08, 0.05, 0.03])
    for back in range(min(10, weeks)):
        away = begins[:, : weeks - back] & (length > back)[:, None]
        active[:, back:] &= ~away
    return active


def climate(seed: int, world: Categories, week: ReportingWeek, index: int) -> Floats:
    """Return, per category, how busy a week is for everyone: season, slow growth, chance."""
    day = week.monday.timetuple().tm_yday
    peak_day = 30.44 * (world.peak_month - 0.5)
    season = 1 + world.amplitude * np.cos(2 * math.pi * (day - peak_day) / 365.25)
    chance = 0.02 * stream(seed, Purpose.CLIMATE, index).standard_normal()
    return np.asarray(season * 1.0007**index * math.exp(chance))


def ordinary_week(people: Population, busy: Floats, index: int, rng: np.random.Generator) -> Cells:
    """Return what the customers of a block spend in an ordinary week.

    Parameters
    ----------
    people : Population
    busy : float64, shape (M,)
        The week's climate.
    index : int
        The week's position in the portfolio.
    """
    mood = np.exp(people.mood * rng.standard_normal(people.size) - people.mood**2 / 2)
    mood *= people.active[:, index]
    usual = _habitual(people, mood, busy, rng)
    bought = usual.and_also(_occasional(people, mood, rng))
    cents = _spend(bought, rng)
    return Cells.merged([Cells(bought.customer, bought.category, bought.count, cents)])


@dataclass(frozen=True)
class Purchases:
    """How often a customer bought in a category, and the log of the usual ticket there."""

    customer: Ints
    category: Shorts
    count: Ints
    log_ticket: Floats

    def and_also(self, other: Purchases) -> Purchases:
        """Return the rows of both."""
        return Purchases(
            customer=np.concatenate([self.customer, other.customer]),
            category=np.concatenate([self.category, other.category]),
            count=np.concatenate([self.count, other.count]),
            log_ticket=np.concatenate([self.log_ticket, other.log_ticket]),
        )


def _habitual(
    people: Population, mood: Floats, busy: Floats, rng: np.random.Generator
) -> Purchases:
    """Draw how often each customer buys in each habitual category."""
    count = rng.poisson(people.rate * busy[people.habit] * mood[:, None])
    customer, slot = np.nonzero(count)
    place = (customer, slot)
    return Purchases(customer, people.habit[place], count[place], people.log_ticket[place])


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


def _spend(bought: Purchases, rng: np.random.Generator) -> Ints:
    """Draw every single purchase and return, per row, their sum in cents."""
    if not bought.count.size:
        return np.zeros(0, dtype=np.int64)
    world = categories()
    place = np.repeat(bought.category, bought.count)
    noise = rng.standard_normal(place.size, dtype=np.float32)
    chance = rng.random(place.size, dtype=np.float32)
    log_cents = np.repeat(bought.log_ticket, bought.count) + world.spread[place] * noise
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
