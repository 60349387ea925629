"""One week in one transaction: its old rows go and its new ones come, or nothing happens."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from cardwatch.errors import PublishError
from cardwatch.publish.database_catalog import Catalog, problems, read_catalog
from cardwatch.publish.database_declared import DECLARED
from cardwatch.publish.database_locks import hold_until_commit, lock_key
from cardwatch.publish.database_objects import Expansion, Table, identifier
from cardwatch.publish.database_operations import DatabaseOperations
from cardwatch.publish.rows import TableRows
from cardwatch.publish.rows_fit import check_fit
from cardwatch.week import ReportingWeek

if TYPE_CHECKING:
    from psycopg import Connection

REPORTS, RUNS = "anomaly_reports", "anomaly_runs"
TABLES: Mapping[str, Table] = {
    table.name: table for table in DECLARED.tables if table.name != "anomaly_reviews"
}
"""The tables that a publication writes."""

_WRITTEN = Expansion(tables=tuple(TABLES.values()))
_ROWS_AT_ONCE = 16_384
"""Rows per part that is sent; about two megabytes."""


@dataclass(frozen=True)
class WeekTransaction:
    """The statements of a publication, on one open connection.

    Attributes
    ----------
    place, user : str
        The database and who writes there, for messages.
    """

    connection: Connection[Any]
    operations: DatabaseOperations
    schema: str
    place: str
    user: str

    def lock(self, week: ReportingWeek, seconds: float) -> None:
        """Keep other publishers of this week out until the transaction ends.

        Raises
        ------
        PublishError
            If another one is still at it after `seconds`.
        """
        key = lock_key("publish", self.schema, week.label)
        what = f"publishing week {week.label}"
        hold_until_commit(self.connection, self.operations, key, seconds, what)

    def catalog(self) -> Catalog:
        """Return the tables as they are, once they are known to be fit to be written.

        Raises
        ------
        PublishError
            If a table or column is missing, or the user lacks a privilege.
        """
        catalog = read_catalog(self.connection, self.operations, self.schema, _WRITTEN)
        for problem in problems(_WRITTEN, catalog):
            if problem.is_fault and not problem.place.startswith("index "):
                raise PublishError(
                    "The database's tables are not ready",
                    where=self.place,
                    observed=problem.sentence,
                    next_step="`cardwatch db upgrade` makes them; `cardwatch db check` says more",
                )
        for sentence, grant in missing_privileges(catalog, self.schema, self.user):
            raise PublishError(sentence, where=self.place, next_step=grant)
        return catalog

    def current_run(self, week: ReportingWeek) -> str | None:
        """Return the run whose rows of `week` are there."""
        statement = (
            f"SELECT run_id FROM {self._quoted(RUNS)} WHERE week_start = %(monday)s AND is_current"
        )
        found = self._run(statement, {"monday": week.monday}).fetchone()
        return None if found is None else str(found[0])

    def current_runs(self) -> dict[str, str]:
        """Return the runs whose rows are there, by the label of their week."""
        statement = f"SELECT reporting_week, run_id FROM {self._quoted(RUNS)} WHERE is_current"
        return dict(self._run(statement, {}).fetchall())

    def listed(self, week: ReportingWeek) -> int:
        """Return how many rows of the list are there."""
        statement = f"SELECT count(*) FROM {self._quoted(REPORTS)} WHERE reporting_week = %(label)s"
        return int((self._run(statement, {"label": week.label}).fetchone() or (0,))[0])

    def replace(self, week: ReportingWeek, run_id: str, contents: Sequence[TableRows]) -> None:
        """Delete what the week has and copy what the run made; the caller commits."""
        given = {"label": week.label, "monday": week.monday, "run": run_id}
        runs = self._quoted(RUNS)
        self._run(f"DELETE FROM {self._quoted(REPORTS)} WHERE reporting_week = %(label)s", given)
        for name in TABLES:
            if name not in (REPORTS, RUNS):
                self._run(f"DELETE FROM {self._quoted(name)} WHERE week_start = %(monday)s", given)
        self._run(
            f"UPDATE {runs} SET is_current = false WHERE week_start = %(monday)s AND is_current",
            given,
        )
        self._run(f"DELETE FROM {runs} WHERE run_id = %(run)s", given)
        # The other tables' rows refer to the run's.
        for rows in sorted(contents, key=lambda each: each.table.name != RUNS):
            self._copy(rows)

    def check_fit(self, contents: Sequence[TableRows], label: str) -> None:
        """Check that every value fits the column that is there; see `rows_fit.check_fit`."""
        catalog = self.catalog()
        for rows in contents:
            check_fit(rows, catalog.relations[rows.table.name].columns, label)

    def _copy(self, rows: TableRows) -> None:
        columns = ", ".join(column.name for column in rows.table.written)
        statement = f"COPY {self._name(rows.table.name)} ({columns}) FROM STDIN (FORMAT csv)"
        self.operations.copy(self.connection, statement, _as_csv(rows))

    def _run(self, statement: str, given: Mapping[str, object]) -> Any:
        return self.operations.execute(self.connection, statement, given)

    def _name(self, table: str) -> str:
        return f"{identifier(self.schema)}.{table}"

    def _quoted(self, table: str) -> str:
        """Return the name for a statement with values, in which a percent sign is doubled."""
        return self._name(table).replace("%", "%%")


def missing_privileges(catalog: Catalog, schema: str, user: str) -> Iterator[tuple[str, str]]:
    """Yield what the connected user may not do and has to, and the statement that allows it."""
    for name in TABLES:
        relation = catalog.relations[name]
        needed = ("SELECT", "INSERT", "DELETE", *(["UPDATE"] if name == RUNS else []))
        missing = [each for each in needed if each not in relation.privileges]
        if missing:
            yield (
                f"The user {user} may not {missing[0]} on {name}",
                f"Its owner, {relation.owner}, can grant that: GRANT {', '.join(missing)} "
                f"ON {identifier(schema)}.{name} TO {identifier(user)}",
            )


def _as_csv(rows: TableRows) -> Iterator[bytes]:
    """Yield rows as PostgreSQL reads CSV: text is quoted, and only what has no value is bare."""
    options = pa_csv.WriteOptions(include_header=False, quoting_style="needed")
    # In the order of the key, the key's index is written in half the time.
    order = [(name, "ascending") for name in rows.table.key]
    for part in rows.parts():
        for batch in part.sort_by(order).to_batches(max_chunksize=_ROWS_AT_ONCE):
            sink = io.BytesIO()
            pa_csv.write_csv(pa.Table.from_batches([batch]), sink, options)
            yield sink.getvalue()
