"""The generated portfolio: ordinary weeks, cases and look-alikes put together as rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa

from cardwatch.errors import ConfigurationError
from cardwatch.sources.sample_cases import Casebook
from cardwatch.sources.sample_categories import categories
from cardwatch.sources.sample_cells import Cells, Ints, Purpose, stream
from cardwatch.sources.sample_lives import LIFE_KINDS, MOVED, Lives
from cardwatch.sources.sample_lookalikes import LOOKALIKE_KINDS, Lookalikes
from cardwatch.sources.sample_market import Market
from cardwatch.sources.sample_plan import plan
from cardwatch.sources.sample_population import BLOCK_CUSTOMERS, Population
from cardwatch.sources.sample_week import ordinary_week, scaled
from cardwatch.week import ReportingWeek

ROW_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("reporting_week", pa.string()),
        ("mcc", pa.string()),
        ("spend_amount", pa.float64()),
        ("transaction_count", pa.int32()),
        ("avg_ticket_amount", pa.float64()),
    ]
)
LABEL_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("week_start", pa.date32()),
        ("kind", pa.string()),
        ("strength", pa.string()),
    ]
)
MOST_CUSTOMERS = 10_000_000
MOST_WEEKS = 520


class SamplePortfolio:
    """A generated portfolio: the same arguments give the same rows.

    Parameters
    ----------
    customers : int
        1 to 10,000,000. Under 500, only some of the eleven kinds of cases fall into each week.
    weeks : int
        1 to 520, ending with `last_week`. Cases begin in the 13th week; about 35 customers among
        6,000 have one, rising with the square root of the portfolio.
    seed : int
        Not negative.
    last_week : ReportingWeek
    strength : float
        How far the cases are from an ordinary week, each weak, medium or strong beside it; 1 is
        the usual, 0 plants none.

    Raises
    ------
    ConfigurationError
        If an argument is out of its range.

    Examples
    --------
    >>> week = ReportingWeek.parse("2025-46")
    >>> portfolio = SamplePortfolio(customers=50, weeks=13, seed=1, last_week=week)
    >>> portfolio.rows(week).column_names[:3]
    ['customer_id', 'reporting_week', 'mcc']
    """

    def __init__(
        self,
        customers: int = 20_000,
        weeks: int = 26,
        seed: int = 7,
        *,
        last_week: ReportingWeek,
        strength: float = 1.0,
    ) -> None:
        _within("customers", customers, 1, MOST_CUSTOMERS)
        _within("weeks", weeks, 1, MOST_WEEKS)
        _within("seed", seed, 0, 2**63 - 1)
        _within("strength", strength, 0, 10)
        self.customers = customers
        self.seed = seed
        self.strength = strength
        self.weeks = tuple(last_week - back for back in range(weeks - 1, -1, -1))
        starts = range(0, customers, BLOCK_CUSTOMERS)
        self._sizes = [min(BLOCK_CUSTOMERS, customers - start) for start in starts]
        self._plan = plan(seed, self._sizes, weeks)
        self._market = Market.make(seed, self.weeks)
        self._block = lru_cache(maxsize=4)(self._make_block)

    @property
    def blocks(self) -> range:
        """The blocks of customers, each of which can be made alone."""
        return range(len(self._sizes))

    def rows(self, week: ReportingWeek) -> pa.Table:
        """Return the rows of one week (`ROW_SCHEMA`), by customer and category.

        Raises
        ------
        ConfigurationError
            If the week is not one of the portfolio's.
        """
        if week not in self.weeks:
            raise ConfigurationError(
                "The generated portfolio does not hold this week",
                observed=week.label,
                expected=f"{self.weeks[0]} to {self.weeks[-1]}",
            )
        index = week - self.weeks[0]
        return pa.concat_tables([self.block_rows(block, index) for block in self.blocks])

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows of every week, oldest first."""
        for week in self.weeks:
            yield self.rows(week)

    def labels(self) -> pa.Table:
        """Return what was planted, and the look-alikes (`LABEL_SCHEMA`), by week and customer."""
        return in_order([self.block_labels(block) for block in self.blocks])

    def block_rows(self, block: int, index: int) -> pa.Table:
        """Return the rows of one block in the week at position `index`."""
        made = self._block(block)
        cells = self._cells(made, block, index)
        count = pa.array(cells.count, pa.int32())
        codes = pa.array(categories().codes)
        spend = cells.cents / 100
        label = pa.scalar(self.weeks[index].label)
        columns = [
            made.names(cells.customer, index),
            pa.repeat(label, len(count)),
            codes.take(pa.array(cells.category)),
            pa.array(spend),
            count,
            pa.array(np.round(spend / cells.count, 2)),
        ]
        return pa.Table.from_arrays(columns, schema=ROW_SCHEMA)

    def block_labels(self, block: int) -> pa.Table:
        """Return the labels of one block; look-alikes have no strength."""
        made = self._block(block)
        entries: list[tuple[int, int, str, str | None]] = [*made.book.labels]
        for index in range(len(self.weeks)):
            extras = self._lookalikes(made, block, index)
            kinds = [LOOKALIKE_KINDS[kind] for kind in extras.kind]
            turned, turns = made.lives.turning(index)
            kinds += [LIFE_KINDS[kind] for kind in turns]
            customers = [*extras.customer, *turned]
            entries += [
                (who, index, kind, None) for who, kind in zip(customers, kinds, strict=True)
            ]
        table = np.array([(who, index) for who, index, _, _ in entries], np.int64).reshape(-1, 2)
        columns = [
            made.names(table[:, 0], table[:, 1]),
            pa.array([self.weeks[index].monday for index in table[:, 1]], pa.date32()),
            pa.array([kind for _, _, kind, _ in entries], pa.string()),
            pa.array([strength for _, _, _, strength in entries], pa.string()),
        ]
        return pa.Table.from_arrays(columns, schema=LABEL_SCHEMA)

    def _make_block(self, block: int) -> _Block:
        people = Population.make(self.seed, block, self._sizes[block], len(self.weeks))
        lives, people = Lives.draw(people, self.seed, block)
        rng = stream(self.seed, Purpose.CASES, block)
        book = Casebook.make(people, self._plan[block], self.strength, rng, lives.involved)
        return _Block(people, lives, book, block * BLOCK_CUSTOMERS + 1)

    def _lookalikes(self, made: _Block, block: int, index: int) -> Lookalikes:
        rng = stream(self.seed, Purpose.LOOKALIKES, block, index)
        away = made.book.involved | made.lives.involved
        movers, _ = made.lives.turning(index, MOVED)
        return Lookalikes.draw(made.people, away, movers, index, rng)

    def _cells(self, made: _Block, block: int, index: int) -> Cells:
        """Return one week of one block: ordinary spending, changed by cases and look-alikes."""
        people, book = made.people, made.book
        rng = stream(self.seed, Purpose.WEEK, block, index)
        ordinary = self._market.delivered(
            ordinary_week(people, made.lives, self._market, index, rng),
            index,
            stream(self.seed, Purpose.FEED, block, index),
        )
        extras = self._lookalikes(made, block, index)
        changed = scaled(
            ordinary.where(book.keeps(ordinary, index)),
            people,
            book.factors(index).and_also(extras.bonus),
            stream(self.seed, Purpose.CASE_WEEK, block, index),
        )
        return Cells.merged([changed, Cells.of(book.added.get(index, [])), extras.bought])


@dataclass(frozen=True)
class _Block:
    """The customers of one block, their lives and cases; the first has the number `first`."""

    people: Population
    lives: Lives
    book: Casebook
    first: int

    def names(self, customers: Ints, weeks: Ints | int) -> pa.Array:
        """Return the ids that customers have in one week, or each in a week of their own."""
        renewed = self.lives.new_id_from[customers] <= weeks
        return self._both_names.take(pa.array(customers + self.people.size * renewed))

    @cached_property
    def _both_names(self) -> pa.Array:
        """The ids, C and seven digits or more, and after them those of a second card."""
        numbers = range(self.first, self.first + self.people.size)
        return pa.array([f"C{number:07d}{card}" for card in ("", "-2") for number in numbers])


def in_order(labels: list[pa.Table]) -> pa.Table:
    """Return the labels of several blocks as one table, by week and customer."""
    keys = [("week_start", "ascending"), ("customer_id", "ascending")]
    return pa.concat_tables(labels).sort_by(keys)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigurationError(
            f"The sample's {name} setting is out of range",
            where=name,
            observed=str(value),
            expected=f"{low} to {high}",
        )
