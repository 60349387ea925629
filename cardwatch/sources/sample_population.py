"""The customers of the generated portfolio and what an ordinary week of theirs looks like.

Customers are made in blocks of at most `BLOCK_CUSTOMERS`, so that memory stays bounded.
"""

from __future__ import annotations

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
    Floats,
    Ints,
    Purpose,
    Shorts,
    stream,
)

BLOCK_CUSTOMERS = 30_000
"""Customers made at once: about 100,000 rows a week, one row group of a Parquet file."""
HABITS = 14
"""Most categories a customer uses habitually; the fewest is 8."""
USUAL_TRANSACTIONS = 4.65
"""Median transactions of an active week; with the habits it makes about 3.4 rows a week."""
OCCASIONAL_PURCHASES = 0.18
"""Mean purchases of an active week outside the habits, gamma distributed over customers."""
MOOD_RANGE = (0.05, 0.3)
"""How much a customer's weekly activity varies: standard deviation of its logarithm."""
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
        habit, share = draw_habits(rng, world, segment)
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


def draw_habits(
    rng: np.random.Generator, world: Categories, segment: Ints
) -> tuple[Shorts, Floats]:
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
