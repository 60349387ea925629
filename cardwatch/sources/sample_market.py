"""What happens to everyone in the generated portfolio: seasons, holidays, prices, codes, the feed.

None of it is a case, and none of it is labelled: it is what weeks are like.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from cardwatch.sources.sample_categories import Categories, categories
from cardwatch.sources.sample_cells import Cells, Floats, Ints, Purpose, Shorts, stream
from cardwatch.week import ReportingWeek

PRICE_CHANGES = 0.15
"""Share of the categories whose merchants change their prices within a year."""
RECODINGS = 0.04
"""Probability that in a week merchants of one code begin to report another of the same family."""
MISHAPS = 0.06
"""Probability that a week's feed lacks days of one category, or holds a day of it twice."""
WEEKS_A_YEAR = 52
COMMON_WEIGHT = 2.0
"""Weight from which a category has enough customers for its new code, or its feed, to matter."""


@dataclass(frozen=True)
class Holiday:
    """Days on which some families of categories are busier, or quieter, than they would be."""

    days: Callable[[int], tuple[date, date]]
    busier: dict[str, float]


def _each_year(first: tuple[int, int], last: tuple[int, int]) -> Callable[[int], tuple[date, date]]:
    return lambda year: (date(year, *first), date(year, *last))


def _thanksgiving(year: int) -> tuple[date, date]:
    """Return the days from before the fourth Thursday of November to the Monday after it."""
    first = date(year, 11, 1)
    thursday = first + timedelta((3 - first.weekday()) % 7 + 21)
    return thursday - timedelta(3), thursday + timedelta(4)


HOLIDAYS = (
    Holiday(_each_year((1, 1), (1, 20)), {"leisure": 1.15, "fashion": 0.85, "general": 0.85}),
    Holiday(_each_year((2, 10), (2, 14)), {"giving": 1.5, "luxury": 1.4, "dining": 1.2}),
    Holiday(_each_year((4, 1), (4, 18)), {"state": 1.8, "office": 1.2}),
    Holiday(_each_year((5, 6), (5, 12)), {"giving": 1.4, "care": 1.2, "dining": 1.1}),
    Holiday(_each_year((6, 28), (7, 5)), {"food": 1.12, "fuel": 1.15, "travel": 1.3}),
    Holiday(
        _each_year((7, 10), (8, 20)),
        {"travel": 1.35, "airline": 1.3, "lodging": 1.4, "rental_car": 1.4, "transit": 0.85},
    ),
    Holiday(_each_year((8, 10), (9, 5)), {"learning": 1.6, "kids": 1.3, "fashion": 1.2}),
    Holiday(_each_year((10, 24), (10, 31)), {"general": 1.1, "kids": 1.2, "food": 1.08}),
    Holiday(
        _thanksgiving,
        {
            "food": 1.3,
            "general": 1.6,
            "fashion": 1.6,
            "hobby": 1.9,
            "kids": 1.4,
            "luxury": 1.3,
            "airline": 1.4,
            "office": 0.6,
            "trade": 0.7,
        },
    ),
    Holiday(
        _each_year((12, 1), (12, 24)),
        {
            "food": 1.15,
            "general": 1.4,
            "fashion": 1.4,
            "hobby": 1.6,
            "kids": 1.5,
            "luxury": 1.7,
            "care": 1.15,
            "giving": 1.5,
        },
    ),
    Holiday(
        _each_year((12, 25), (12, 31)),
        {"food": 0.9, "dining": 1.1, "office": 0.4, "trade": 0.5, "transit": 0.6, "learning": 0.5},
    ),
)
"""What a year holds for shops: sales, school, summer, Thanksgiving, December."""


@dataclass(frozen=True)
class Recoding:
    """From a week on, a share of one category's merchants report another; their prices stay."""

    week: int
    old: int
    new: int
    share: float


@dataclass(frozen=True)
class Mishap:
    """A week whose feed lacks some days of a category (`days` under 0) or holds them twice."""

    week: int
    category: int
    days: int


@dataclass(frozen=True)
class Market:
    """What happens to everyone, week by week; W weeks, M categories.

    Attributes
    ----------
    busy : float64, shape (W, M)
        How often everyone buys, relative to an average week.
    dear : float64, shape (W, M)
        What is added to the log of every ticket since prices changed.
    paid : float64, shape (W, 5)
        Per kind of pay day (`sample_lives.PAY_KINDS`): 1 for pay in the week, less their mean.
    recodings : tuple of Recoding
    mishaps : tuple of Mishap
    """

    busy: Floats
    dear: Floats
    paid: Floats
    recodings: tuple[Recoding, ...]
    mishaps: tuple[Mishap, ...]

    @classmethod
    def make(cls, seed: int, weeks: Sequence[ReportingWeek]) -> Market:
        """Draw what the weeks of a portfolio hold."""
        world = categories()
        rng = stream(seed, Purpose.MARKET)
        chance = [
            0.02 * stream(seed, Purpose.CLIMATE, index).standard_normal()
            for index in range(len(weeks))
        ]
        growth = 1.0007 ** np.arange(len(weeks)) * np.exp(chance)
        season = np.array([_season(world, week) for week in weeks])
        return cls(
            busy=season * growth[:, None],
            dear=_prices(world, len(weeks), rng),
            paid=np.array([_paid(week) for week in weeks]),
            recodings=tuple(_recodings(world, len(weeks), rng)),
            mishaps=tuple(_mishaps(world, len(weeks), rng)),
        )

    def codes(self, customer: Ints, category: Shorts, index: int) -> Shorts:
        """Return the categories that merchants report in a week for what customers bought."""
        reported = category.copy()
        for change in self.recodings:
            if change.week <= index:
                hit = np.flatnonzero(reported == change.old)
                # Whose merchants changed: a fixed share of the customers, spread evenly.
                theirs = (customer[hit] * 0.618034) % 1 < change.share
                reported[hit[theirs]] = change.new
        return reported

    def delivered(self, cells: Cells, index: int, rng: np.random.Generator) -> Cells:
        """Return a week's cells as the feed delivers them, with its mishaps."""
        for mishap in self.mishaps:
            if mishap.week == index:
                cells = _with_mishap(cells, mishap, rng)
        return cells


def _season(world: Categories, week: ReportingWeek) -> Floats:
    """Return, per category, how busy the week is for the time of year."""
    day = week.monday.timetuple().tm_yday
    peak_day = 30.44 * (world.peak_month - 0.5)
    season = 1 + world.amplitude * np.cos(2 * math.pi * (day - peak_day) / 365.25)
    for holiday in HOLIDAYS:
        if share := _share_of(week, holiday):
            factor = [1 + (holiday.busier.get(name, 1) - 1) * share for name in world.family]
            season = season * np.array(factor)
    return np.asarray(season)


def _share_of(week: ReportingWeek, holiday: Holiday) -> float:
    """Return the share of a week's days that a holiday covers."""
    days = [week.monday + timedelta(back) for back in range(7)]
    inside = [first <= day <= last for day in days for first, last in [holiday.days(day.year)]]
    return sum(inside) / 7


def _paid(week: ReportingWeek) -> list[float]:
    """Return, per kind of pay day, whether a week has it less how many weeks have."""
    days = {(week.monday + timedelta(ahead)).day for ahead in range(7)}
    fortnight = week.monday.toordinal() // 7 % 2
    monthly = [float(day in days) - 12 / WEEKS_A_YEAR for day in (28, 15)]
    return [0.0, *monthly, fortnight - 0.5, 0.5 - fortnight]


def _prices(world: Categories, weeks: int, rng: np.random.Generator) -> Floats:
    """Draw what merchants add to their prices, most of them 3 to 25%, from which week on."""
    size = len(world.codes)
    changes = rng.random(size) < PRICE_CHANGES * weeks / WEEKS_A_YEAR
    since = rng.integers(1, max(weeks, 2), size)
    step = np.log(rng.uniform(1.03, 1.25, size)) * np.where(rng.random(size) < 0.15, -1, 1)
    later = np.arange(weeks)[:, None] >= since
    return np.asarray(later * (step * changes))


def _recodings(world: Categories, weeks: int, rng: np.random.Generator) -> list[Recoding]:
    common = np.flatnonzero(world.weight.max(axis=0) >= COMMON_WEIGHT)
    found = []
    for week in np.flatnonzero(rng.random(weeks) < RECODINGS):
        old = int(rng.choice(common))
        alike = [at for at in common if world.family[at] == world.family[old] and at != old]
        if alike and week > 0:
            share = rng.uniform(0.2, 0.6)
            found.append(Recoding(int(week), old, int(rng.choice(alike)), float(share)))
    return found


def _mishaps(world: Categories, weeks: int, rng: np.random.Generator) -> list[Mishap]:
    common = np.flatnonzero(world.weight.max(axis=0) >= COMMON_WEIGHT)
    return [
        Mishap(int(week), int(rng.choice(common)), int(rng.choice([-3, -2, -1, 1, 2])))
        for week in np.flatnonzero(rng.random(weeks) < MISHAPS)
    ]


def _with_mishap(cells: Cells, mishap: Mishap, rng: np.random.Generator) -> Cells:
    """Take a category's purchases of some days out of a week, or count them twice."""
    hit = np.flatnonzero(cells.category == mishap.category)
    before = cells.count[hit]
    changed = rng.binomial(before, abs(mishap.days) / 7) * np.sign(mishap.days)
    count, cents = cells.count.copy(), cells.cents.copy()
    count[hit] += changed
    cents[hit] = np.rint(cents[hit] * (count[hit] / before)).astype(np.int64)
    return Cells(cells.customer, cells.category, count, cents).where(count > 0)
