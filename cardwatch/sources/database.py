"""Spending in a database, whichever it is: told once, over an adapter for each kind of database.

The database counts and filters; which week a row belongs to is decided here, by the rules that hold
for files too, on the rows that were handed over. Every answer comes from one view of the table,
read again from its beginning where the connection breaks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cardwatch.database.retry import retrying
from cardwatch.engine import Engine
from cardwatch.schema import Delivery, WeekSummary
from cardwatch.sources.base import SourceReport
from cardwatch.sources.columns import ColumnSettings
from cardwatch.sources.database_delivery import DeliveredRows, RollUp
from cardwatch.sources.database_table import find_table
from cardwatch.sources.database_view import View
from cardwatch.sources.snapshots import Database
from cardwatch.sources.week_lookup import WeekLookup
from cardwatch.sources.week_values import WeekReader
from cardwatch.week import ReportingWeek

Answer = TypeVar("Answer")


class DatabaseSource:
    """A table, a view or a query of a database, in either shape.

    Parameters
    ----------
    database : Database
        The adapter.
    engine : Engine
        Gets a copy of the rows that are delivered.
    reader : WeekReader
        How weeks and times are written.
    columns : ColumnSettings
        The shape, and the names of our columns.
    piecemeal : bool
        Whether reference weeks are read only when they are asked for: with a cache, which knows
        most of them.
    roll_up : {"auto", "database", "engine"}
        Who adds up transactions of reference weeks.
    attempts : int
        How often reading is tried where a fault may pass by itself.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        reader: WeekReader,
        columns: ColumnSettings,
        *,
        piecemeal: bool = False,
        roll_up: RollUp = "engine",
        attempts: int = 1,
    ) -> None:
        reader.check_format()
        self._database = database
        self._engine = engine
        self._reader = reader
        self._columns = columns
        self._lookup = WeekLookup(engine, reader)
        self._piecemeal = piecemeal
        self._roll_up = roll_up
        self._attempts = attempts

    @property
    def origin(self) -> str:
        """What the table is called in messages."""
        return self._database.origin

    def test_connection(self) -> SourceReport:
        """Reach the database, and say what is there."""
        return self._ask(self._report)

    def present(self) -> tuple[ReportingWeek, ...]:
        """Return the weeks that have rows, oldest first."""
        return tuple(map(ReportingWeek, self._ask(View.present)))

    def weeks(self) -> list[WeekSummary]:
        """Return rows, customers and net spend of each week present, oldest first."""
        return self._ask(View.summaries)

    def read(self, week: ReportingWeek, reference_weeks: int) -> Delivery:
        """Return the rows of one week and of the weeks before it."""
        settings = {
            "shape": self._columns.shape,
            "columns": self._columns.renamed,
            "reader": repr(self._reader),
        }

        def read() -> Delivery:
            return DeliveredRows(
                self._open,
                week,
                week.window(reference_weeks),
                attempts=self._attempts,
                settings=settings,
                piecemeal=self._piecemeal,
                roll_up=self._roll_up,
            ).delivery()

        return retrying(self._attempts)(read)

    def _ask(self, question: Callable[[View], Answer]) -> Answer:
        def ask() -> Answer:
            view = self._open()
            try:
                return question(view)
            finally:
                view.snapshot.close()

        return retrying(self._attempts)(ask)

    def _open(self) -> View:
        snapshot = self._database.open()
        try:
            table = find_table(
                snapshot.fields,
                self._columns,
                self.origin,
                self._database.table,
                self._reader,
                self._engine,
            )
        except BaseException:
            snapshot.close()
            raise
        return View(snapshot, table, self._engine, self._lookup, self.origin)

    def _report(self, view: View) -> SourceReport:
        weeks = view.counted()
        table = view.table
        return SourceReport(
            origin=self.origin,
            kind=self._database.kind,
            items=1,
            shape=table.shape,
            columns={ours: table.fields[at].name for ours, at in table.layout.positions.items()},
            weeks=tuple(ReportingWeek(day) for day in sorted(day for day in weeks if day)),
            rows=sum(held.rows for held in weeks.values()),
            unreadable_rows=weeks[None].rows if None in weeks else 0,
            notes=(view.snapshot.server(),),
            numbering=self._reader.numbering,
        )
