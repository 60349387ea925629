"""The sink that writes a week into PostgreSQL, where Power BI reads it.

It sends what the week's files say, in one transaction: readers see the old list or the new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cardwatch.config import OutputConfig
from cardwatch.database.address import DatabaseAddress
from cardwatch.database.faults import is_database_error, is_transient, translated
from cardwatch.database.retry import retrying
from cardwatch.engine import Engine
from cardwatch.errors import PublishError
from cardwatch.manifest import RunManifest
from cardwatch.publish.database_files import read_week
from cardwatch.publish.database_operations import DatabaseOperations
from cardwatch.publish.database_transaction import TABLES, WeekTransaction
from cardwatch.publish.rows import TableRows, rows_of
from cardwatch.schema import Receipt, WeekReport
from cardwatch.week import ReportingWeek


@dataclass
class _Week:
    """A week on its way; `in_doubt` once the answer to its commit was lost."""

    week: ReportingWeek
    run_id: str
    rows: list[TableRows]
    in_doubt: bool = False


@dataclass(frozen=True)
class Preview:
    """What a publication would do: rows of the list that go, and rows that come, by table.

    `current_run` is the run whose rows are there now, None for none.
    """

    run_id: str
    current_run: str | None
    listed_now: int
    rows: dict[str, int]


class DatabaseSink:
    """Replaces a week's rows by those of its files, all or nothing.

    Parameters
    ----------
    config : OutputConfig
        The output folder and the ``database`` section.
    address : DatabaseAddress
        Where the database is, and who writes.
    operations : DatabaseOperations, optional
        What reaches the server; a test passes one that fails.
    sleep : callable, optional
        Waits between attempts; told the seconds.
    """

    name = "database"

    def __init__(
        self,
        config: OutputConfig,
        address: DatabaseAddress,
        *,
        operations: DatabaseOperations | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder = Path(config.directory)
        self._config = config.database
        self._lock_seconds = config.lock_timeout_seconds
        self._address = address
        self._operations = operations or DatabaseOperations()
        self._sleep = sleep

    @property
    def place(self) -> str:
        """The database and schema, for people."""
        return f"{self._address.origin}, schema {self._config.schema_name}"

    def planned(self, week: ReportingWeek) -> tuple[Path, ...]:
        """Return no file: this sink makes none."""
        return ()

    @contextmanager
    def hold(self) -> Iterator[tuple[str, ...]]:
        """Hold nothing: the database is reached only once the files are written."""
        yield ()

    def write(self, report: WeekReport, engine: Engine, manifest: RunManifest) -> Receipt:
        """Publish the week that was just written as files.

        Raises
        ------
        PublishError
            See `publish`.
        """
        return self.publish(report.week)

    def publish(self, week: ReportingWeek) -> Receipt:
        """Replace the week's rows by those of its files, in one transaction.

        Doing it again changes nothing. Transient faults are tried again as a whole; where the
        answer to a commit was lost, it is found out whether it came through.

        Raises
        ------
        PublishError
            If the files are not as a run wrote them, a value does not fit its column, or the
            database cannot be reached or written. The database then holds what it held before.
        """
        content = self._content(week)
        try:
            with translated(self._address, PublishError):
                retrying(self._config.attempts, sleep=self._sleep)(self._attempt, content)
        except PublishError as error:
            if not (content.in_doubt and self._came_through(content)):
                raise _advised(error, content) from None
        counts = (f"{rows.count:,} in {rows.table.name}" for rows in content.rows if rows.count)
        return Receipt(self.name, (f"{self.place}: {', '.join(counts)}",))

    def preview(self, week: ReportingWeek) -> Preview:
        """Say what `publish` would do, after checking everything that it checks.

        Raises
        ------
        PublishError
            What would keep it from being published.
        """
        content = self._content(week)
        with translated(self._address, PublishError), self._transaction() as transaction:
            transaction.check_fit(content.rows, week.label)
            return Preview(
                content.run_id,
                transaction.current_run(week),
                transaction.listed(week),
                {rows.table.name: rows.count for rows in content.rows},
            )

    def current_runs(self) -> dict[str, str]:
        """Return the runs whose rows the database holds, by the label of their week.

        Raises
        ------
        PublishError
            If the database cannot be reached, or its tables are not ready.
        """
        with translated(self._address, PublishError), self._transaction() as transaction:
            transaction.catalog()
            return transaction.current_runs()

    def _content(self, week: ReportingWeek) -> _Week:
        files = read_week(self._folder, week, with_scores=self._config.scores)
        return _Week(week, files.manifest.run_id, rows_of(files, TABLES))

    @contextmanager
    def _transaction(self) -> Iterator[WeekTransaction]:
        """Open a transaction; what was not committed is undone."""
        connection = self._operations.connect(self._address, self._config)
        schema, user = self._config.schema_name, self._address.user
        try:
            yield WeekTransaction(connection, self._operations, schema, self.place, user)
        finally:
            with suppress(Exception):  # the outcome stands, and an error on its way says more
                connection.close()

    def _attempt(self, content: _Week) -> None:
        with self._transaction() as transaction:
            transaction.lock(content.week, self._lock_seconds)
            transaction.check_fit(content.rows, content.week.label)
            was_there = transaction.current_run(content.week) == content.run_id
            if content.in_doubt and was_there:
                return
            transaction.replace(content.week, content.run_id, content.rows)
            try:
                self._operations.commit(transaction.connection)
            except Exception as error:
                # Where the run was there before, its being there would not speak for this commit.
                content.in_doubt = is_transient(error) and not was_there
                raise

    def _came_through(self, content: _Week) -> bool:
        """Look whether a commit without an answer came through, once it cannot be under way."""
        try:
            with self._transaction() as transaction:
                transaction.lock(content.week, self._lock_seconds)
                found = transaction.current_run(content.week)
        except Exception as error:
            if isinstance(error, PublishError) or is_database_error(error):
                return False
            raise
        content.in_doubt = False
        return found == content.run_id


def _advised(error: PublishError, content: _Week) -> PublishError:
    """Say also that the files are whole, and how their content gets there later."""
    label, step = content.week.label, error.next_step.rstrip(".")
    if content.in_doubt:
        step += ". Whether the last attempt came through is not known"
    advised = PublishError(
        error.what,
        where=error.where,
        observed=error.observed,
        expected=error.expected,
        next_step=f"{step}. The week's files are written; `cardwatch publish --reporting-week "
        f"{label}` sends them to the database",
    )
    advised.retryable = error.retryable
    return advised
