"""What one view of a database's table holds, week by week, and copies of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from cardwatch.engine import Engine
from cardwatch.schema import WeekSummary
from cardwatch.sources.database_rows import copy_rows
from cardwatch.sources.database_table import DatabaseTable
from cardwatch.sources.parts import AMOUNT_COLUMN, WEEK, WEEK_COLUMN, Part, dated_rows
from cardwatch.sources.reading import reading
from cardwatch.sources.snapshots import ROW_COUNT, ROW_HASH, Rows, Snapshot, Sums
from cardwatch.sources.tabular import week_summaries
from cardwatch.sources.week_lookup import WeekLookup
from cardwatch.sources.week_values import LONGEST_WEEK, MAX_WEEK_TEXTS, no_weeks, too_many_weeks


@dataclass(frozen=True)
class Held:
    """How many rows a week has, and a sum that tells their content where the database can hash."""

    rows: int
    content: int | None = None


Weeks = Mapping[date | None, Held]
"""What is held of each week, by Monday; under None, rows whose week cannot be read."""


@dataclass(frozen=True)
class Copy:
    """Rows of a table in a file of the engine's, and what that holds of each week."""

    part: Part
    weeks: Weeks


@dataclass(frozen=True)
class View:
    """A table as it is at one moment, until its snapshot is closed.

    Attributes
    ----------
    lookup : WeekLookup
        Learns the texts that name weeks.
    origin : str
        What the table is called in messages.
    """

    snapshot: Snapshot
    table: DatabaseTable
    engine: Engine
    lookup: WeekLookup
    origin: str

    def counted(self) -> Weeks:
        """Return what is held of every week.

        Raises
        ------
        SourceError
            If there is no row, or not one with a week that can be read.
        """
        week, snapshot = self.table.week, self.snapshot
        can_choose = self.table.can_choose
        copy = self._copied(
            snapshot.tally(week, None) if can_choose else snapshot.rows([week], None)
        )
        if not any(copy.weeks):
            raise self._no_weeks(copy)
        return copy.weeks

    def present(self) -> list[date]:
        """Return the Mondays of the weeks with rows; raises as `counted` does."""
        weeks: Weeks = {}
        if self.table.can_choose:
            weeks = self._copied(self.snapshot.week_values(self.table.week)).weeks
        return sorted(day for day in (weeks if any(weeks) else self.counted()) if day)

    def learn(self) -> None:
        """Learn which weeks the texts of the table name, where few texts do."""
        if self.table.is_named:
            self._copied(self.snapshot.week_values(self.table.week))

    def tallied(self, mondays: Sequence[date]) -> Weeks:
        """Return what is held of some weeks, and perhaps of more, as the database counts it."""
        where = self.table.where(mondays, self.lookup, unreadable=False)
        content = list(self.table.wanted.values())
        return self._copied(self.snapshot.tally(self.table.week, where, content)).weeks

    def copy(self, mondays: Sequence[date], *, unreadable: bool) -> Copy:
        """Copy the rows of weeks, and perhaps some more, beside the engine."""
        where = self.table.where(mondays, self.lookup, unreadable=unreadable)
        wanted = list(self.table.wanted.values())
        return self._copied(self.snapshot.rows(wanted, where, hashed=True))

    def remainder(self, mondays: Sequence[date], sums: Sums, customers: Sequence[str]) -> Copy:
        """Copy the rows of weeks that are in no sum, and all rows of some customers."""
        where = self.table.where(mondays, self.lookup, unreadable=False)
        wanted = list(self.table.wanted.values())
        return self._copied(self.snapshot.remainder(wanted, where, sums, customers))

    def summaries(self) -> list[WeekSummary]:
        """Return rows, customers and net spend of every week; raises as `counted` does."""
        copy = self._copied(self.snapshot.rows(self.table.summarised, None))
        if not any(copy.weeks):
            raise self._no_weeks(copy)
        part = copy.part
        customer, amount = (part.columns[n] for n in ("customer_id", AMOUNT_COLUMN[part.shape]))
        rows = f"SELECT * FROM {dated_rows(part, part.items, self.lookup.table)}"
        with reading(self.origin):
            return week_summaries(self.engine, rows, WEEK, customer.sql, amount.sql)

    def _copied(self, rows: Rows) -> Copy:
        names = rows.schema.names
        path = copy_rows(rows, self.engine, repeating=self.table.repeating)
        part = self.table.part(path, names)
        if self.table.is_named:
            self._learn_from(part)
        count = ROW_COUNT if ROW_COUNT in names else "1"
        content = f"CAST({ROW_HASH} AS HUGEINT)" if ROW_HASH in names else "NULL"
        with reading(self.origin):
            found = self.engine.execute(
                f"SELECT {WEEK}, sum({count}), sum({content})"
                f" FROM {dated_rows(part, part.items, self.lookup.table)} GROUP BY ALL"
            ).fetchall()
        return Copy(part, {day: Held(int(rows), content) for day, rows, content in found})

    def _learn_from(self, part: Part) -> None:
        with reading(self.origin):
            texts = self.engine.execute(
                f"SELECT DISTINCT left({part.week_text}, {LONGEST_WEEK + 1})"
                f" FROM {part.scan(part.items)} LIMIT {MAX_WEEK_TEXTS}"
            ).fetchall()
        if len(texts) == MAX_WEEK_TEXTS:
            raise too_many_weeks(WEEK_COLUMN[part.shape], self.origin)
        self.lookup.learn([text for (text,) in texts])

    def _no_weeks(self, copy: Copy) -> Exception:
        part = copy.part
        value = self.engine.scalar(f"SELECT min({part.week_text}) FROM {part.scan(part.items)}")
        rows = sum(held.rows for held in copy.weeks.values())
        return no_weeks(rows, value, WEEK_COLUMN[part.shape], self.origin, self.table.reader)
