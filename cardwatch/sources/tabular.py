"""The source methods, told once for everything that the engine can scan as a table.

A source of this kind only says which parts its data has (`parts.Part`). Which weeks each item
holds is found in one cheap pass over the one column that says when; later passes open only the
items with the wanted weeks.
"""

from __future__ import annotations

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from cardwatch.engine import Engine
from cardwatch.schema import Delivery, WeekSummary
from cardwatch.sources.base import SourceReport, week_not_available
from cardwatch.sources.contents import Contents, ItemWeeks, Opened, choices
from cardwatch.sources.parts import (
    AMOUNT_COLUMN,
    DELIVERED,
    WEEK_COLUMN,
    Part,
    chosen_rows,
    count_sql,
    delivered_columns,
    no_rows,
    shared_kinds,
)
from cardwatch.sources.reading import reading
from cardwatch.sources.staging import Staging
from cardwatch.sources.week_lookup import WeekLookup
from cardwatch.sources.week_values import (
    MAX_WEEK_TEXTS,
    WeekReader,
    no_weeks,
    too_many_weeks,
)
from cardwatch.week import ReportingWeek

_log = logging.getLogger(__name__)


class TabularSource(ABC):
    """A source whose data the engine scans.

    Parameters
    ----------
    engine : Engine
        Runs every statement; what `Delivery.select` returns is for this engine.
    reader : WeekReader
        How weeks and times are written.
    settings : mapping
        Everything that changes how the data is understood; part of every content key.
    """

    def __init__(
        self, engine: Engine, reader: WeekReader, origin: str, settings: Mapping[str, object]
    ) -> None:
        reader.check_format()
        self._engine = engine
        self._reader = reader
        self._origin = origin
        self._settings = settings
        self._known: dict[tuple[str, Hashable], ItemWeeks] = {}
        self._lookup = WeekLookup(engine, reader)

    @abstractmethod
    def _open(self) -> Opened:
        """Return the data as it is now."""

    def _worth_counting(self, opened: Opened, weeks: Sequence[date]) -> set[str]:
        """Return the items that may hold one of the weeks, as far as their names tell."""
        return set(opened.items)

    @property
    def origin(self) -> str:
        """What the data is called in messages."""
        return self._origin

    def test_connection(self) -> SourceReport:
        """Reach the data, and say what is there."""
        opened, contents = self._opened_whole()
        first = opened.parts[0]
        return SourceReport(
            origin=self._origin,
            kind=opened.kind,
            items=len(opened.items),
            shape=first.shape,
            columns={ours: column.name for ours, column in first.columns.items()},
            weeks=tuple(map(ReportingWeek, contents.mondays)),
            rows=contents.rows,
            unreadable_rows=contents.unreadable,
            notes=opened.notes,
            numbering=self._reader.numbering,
        )

    def present(self) -> tuple[ReportingWeek, ...]:
        """Return the weeks that have rows, oldest first."""
        return tuple(map(ReportingWeek, self._opened_whole()[1].mondays))

    def weeks(self) -> list[WeekSummary]:
        """Return rows, customers and net spend of each week present, oldest first."""
        opened, contents = self._opened_whole()
        amount = AMOUNT_COLUMN[opened.parts[0].shape]
        rows = self._select(opened, contents, contents.mondays, unreadable=False)
        with reading(self._origin, opened.shown):
            return week_summaries(self._engine, rows, "week_start", "customer_id", amount)

    def read(self, week: ReportingWeek, reference_weeks: int) -> Delivery:
        """Return the rows of one week and of the weeks before it."""
        opened = self._open()
        references = week.window(reference_weeks)
        window = [each.monday for each in (*references, week)]
        contents = self._contents(opened, self._worth_counting(opened, window))
        if not contents.holding([week.monday]):
            contents = self._contents(opened, set(opened.items))
            self._check_weeks(opened, contents)
            present = [ReportingWeek(day) for day in contents.mondays]
            raise week_not_available(week, present, self._origin, self._reader.numbering)
        for item in opened.items:
            held = contents.by_item.get(item, {}).keys() & set(window)
            if held:
                _log.debug("reading %s: %d weeks of the window", opened.shown(item), len(held))
        staging = self._staging(opened, contents, window) if opened.staged else None

        def select(weeks: Sequence[ReportingWeek]) -> str:
            days = [each.monday for each in weeks]
            if staging is not None:
                with reading(self._origin, opened.shown):
                    return staging.select(days, week in weeks)
            return self._select(opened, contents, days, unreadable=week in weeks)

        return Delivery(
            week=week,
            reference_weeks=references,
            shape=opened.parts[0].shape,
            select=select,
            content_key=lambda each: self._content_key(opened, contents, each),
            origin=self._origin,
            extra_columns=opened.extras,
            notes=opened.notes,
            rows=contents.rows_of(window),
        )

    def _opened_whole(self) -> tuple[Opened, Contents]:
        opened = self._open()
        contents = self._contents(opened, set(opened.items))
        self._check_weeks(opened, contents)
        return opened, contents

    def _contents(self, opened: Opened, items: set[str]) -> Contents:
        """Return the weeks of some items, counting those that are not known yet."""
        for part in opened.parts:
            new = [
                item
                for item in part.items
                if item in items and (item, opened.state(item)) not in self._known
            ]
            if new:
                counted = self._count(part, new, opened)
                self._known.update(
                    {(item, opened.state(item)): counted.get(item, {}) for item in new}
                )
        kept = [item for item in opened.items if item in items]
        return Contents({item: self._known[item, opened.state(item)] for item in kept})

    def _count(
        self, part: Part, items: Sequence[str], opened: Opened
    ) -> dict[str, dict[date | None, int]]:
        with reading(self._origin, opened.shown):
            rows = self._engine.rows(f"{count_sql(part, items)} LIMIT {MAX_WEEK_TEXTS}")
        if len(rows) == MAX_WEEK_TEXTS:
            raise too_many_weeks(WEEK_COLUMN[part.shape], self._origin)
        if not part.local_time:
            self._lookup.learn({row["week_text"] for row in rows})
        counted: dict[str, dict[date | None, int]] = {}
        for row in rows:
            monday = row["monday"] if part.local_time else self._lookup.mondays[row["week_text"]]
            weeks = counted.setdefault(row["item"], {})
            weeks[monday] = weeks.get(monday, 0) + row["row_count"]
        return counted

    def _check_weeks(self, opened: Opened, contents: Contents) -> None:
        if contents.mondays:
            return
        texts = [
            self._engine.scalar(f"SELECT min({part.week_text}) FROM {part.scan(part.items)}")
            for part in opened.parts
        ]
        value = min((text for text in texts if text is not None), default=None)
        column = WEEK_COLUMN[opened.parts[0].shape]
        raise no_weeks(contents.rows, value, column, self._origin, self._reader)

    def _select(
        self, opened: Opened, contents: Contents, weeks: Sequence[date], *, unreadable: bool
    ) -> str:
        """Return the SELECT of weeks' rows, reading only the items that hold them."""
        kinds = shared_kinds(opened.parts)
        branches = [
            f"SELECT {delivered_columns(part, kinds, opened.extras)}"
            f" FROM {chosen_rows(part, chosen, self._lookup.table)}"
            for part in opened.parts
            for chosen in choices(part, contents, weeks, unreadable)
        ]
        return " UNION ALL ".join(branches) or no_rows(opened.parts[0].shape, kinds, opened.extras)

    def _staging(self, opened: Opened, contents: Contents, window: Sequence[date]) -> Staging:
        def rows_of(items: Sequence[str]) -> str:
            chosen = Contents({item: contents.by_item[item] for item in items})
            return self._select(opened, chosen, window, unreadable=True)

        def needed(weeks: Sequence[date], unreadable: bool) -> list[str]:
            asked: list[date | None] = [*weeks, None] if unreadable else [*weeks]
            return contents.holding(asked)

        columns = len(DELIVERED[opened.parts[0].shape]) + len(opened.extras)
        return Staging(self._engine, columns, rows_of, needed)

    def _content_key(self, opened: Opened, contents: Contents, week: ReportingWeek) -> str:
        content = sorted(opened.content(contents.holding([week.monday])))
        described = json.dumps([content, self._settings], sort_keys=True, default=str)
        return hashlib.sha256(described.encode()).hexdigest()


def week_summaries(
    engine: Engine, rows: str, monday: str, customer: str, amount: str
) -> list[WeekSummary]:
    """Summarise rows by week, leaving out those without a Monday; the texts are SQL."""
    found = engine.rows(
        f"SELECT {monday} AS monday, count(*) AS row_count,"
        f" count(DISTINCT {customer}) AS customers,"
        f" sum(TRY_CAST({amount} AS DECIMAL(18, 2))) AS spend"
        f" FROM ({rows}) WHERE {monday} IS NOT NULL GROUP BY monday ORDER BY monday"
    )
    return [
        WeekSummary(
            ReportingWeek(row["monday"]),
            row["row_count"],
            row["customers"],
            row["spend"] or Decimal("0.00"),
        )
        for row in found
    ]
