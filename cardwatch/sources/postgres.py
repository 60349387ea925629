"""PostgreSQL as a source: one read-only transaction, its rows as Arrow batches.

Everything is asked over one ADBC connection, within one ``REPEATABLE READ`` transaction, so that a
feed that arrives meanwhile is seen whole or not at all. Rows come by binary ``COPY``. Decimals are
written as text by the server: exact, and faster than any other exact way.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from psycopg.sql import SQL, Composable, Identifier, Literal

from cardwatch.database.address import DatabaseAddress
from cardwatch.database.connection import session_parameters
from cardwatch.database.faults import translated
from cardwatch.errors import SourceError
from cardwatch.sources.interruptible import awaited, begun, given_up, interruptible
from cardwatch.sources.postgres_sql import Statements, Typed
from cardwatch.sources.postgres_sums import can_sum, remainder_statement, sums_statement
from cardwatch.sources.snapshots import Field, Rows, Sums, Wanted, Where

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection, Cursor

_KINDS: Mapping[str, tuple[pa.DataType, str]] = {
    "int2": (pa.int16(), "SMALLINT"),
    "int4": (pa.int32(), "INTEGER"),
    "int8": (pa.int64(), "BIGINT"),
    "float4": (pa.float32(), "FLOAT"),
    "float8": (pa.float64(), "DOUBLE"),
    "date": (pa.date32(), "DATE"),
    "timestamp": (pa.timestamp("us"), "TIMESTAMP"),
    "timestamptz": (pa.timestamp("us", "UTC"), "TIMESTAMP WITH TIME ZONE"),
}
"""Types that arrive as they are, with Arrow's and the engine's; the others arrive as text."""
_NO_FREE_TEXT = {
    *("numeric", "money", "oid", "bool", "uuid", "time", "timetz", "interval", "bit", "varbit"),
    *_KINDS,
}
_MODIFIER_OFFSET = 4
_IDLE_SECONDS = 600
"""A transaction that was forgotten open is ended by the server after so long."""
_SERVER = (
    "SELECT current_setting('server_version') AS version, current_user::text AS name,"
    " (SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()) AS is_encrypted,"
    " pg_is_in_recovery() AS is_standby"
)
_ABILITIES = (
    "SELECT to_regproc('pg_catalog.hash_record_extended') IS NOT NULL AS record,"
    " to_regproc('pg_catalog.hashtextextended') IS NOT NULL AS text,"
    " to_regproc('pg_catalog.date_bin') IS NOT NULL AS bins"
)
_COLUMNS = """
SELECT
    a.attname::text AS name,
    has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS is_readable,
    coalesce(c.collisdeterministic, true) AND EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
        JOIN pg_catalog.pg_am AS m ON m.oid = x.relam
        WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum AND i.indisvalid
            AND i.indpred IS NULL AND i.indcollation[0] = a.attcollation AND m.amname = 'btree'
    ) AS is_indexed
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_collation AS c ON c.oid = a.attcollation
WHERE a.attrelid = to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


class PostgresDatabase:
    """A table or a query of a PostgreSQL database.

    Parameters
    ----------
    table : tuple of str
        Its name, with the schema before it or without; empty for a query.
    query : str
        A SELECT to read in place of a table.
    connect_timeout, statement_timeout : float
        In seconds.
    """

    def __init__(
        self,
        address: DatabaseAddress,
        *,
        table: Sequence[str] = (),
        query: str = "",
        connect_timeout: float = 10,
        statement_timeout: float = 0,
    ) -> None:
        self.address = address
        self.kind = "query" if query else "table"
        self.table = ".".join(table) or "query"
        self.origin = (
            f"{self.kind} {self.table} of {address.origin}"
            if table
            else (f"query of {address.origin}")
        )
        self.source: Composable = Identifier(*table) if table else SQL("({}\n)").format(SQL(query))
        self.name = "" if query else Identifier(*table).as_string(None)
        self.parameters = session_parameters(
            read_only=True, connect_timeout=connect_timeout, statement_timeout=statement_timeout
        )

    def open(self) -> PostgresSnapshot:
        """Connect, and return a view of the table as it is now."""
        return PostgresSnapshot(self)

    def translated(self) -> AbstractContextManager[None]:
        """Turn errors of the driver and the server into `SourceError`."""
        return translated(self.address, SourceError, table=self.table)


@dataclass(eq=False)
class _Unread:
    """A statement whose rows were not all read; `coming` is its next batch, on the way."""

    cursor: Cursor
    coming: Future[pa.RecordBatch | None] | None = None

    def give_up(self, cancel: Callable[[], object]) -> None:
        """Wait until nothing of it is on the way: the driver bears no second call beside that."""
        if self.coming is not None:
            given_up(self.coming, cancel)


class PostgresSnapshot:
    """One transaction: see `Snapshot`."""

    def __init__(self, database: PostgresDatabase) -> None:
        # Imported when it is used: most runs read files.
        from adbc_driver_postgresql import dbapi

        self._database = database
        with database.translated():
            connection = dbapi.connect(database.address.uri(**database.parameters), autocommit=True)
        self._connection = connection
        self._unread: list[_Unread] = []
        self._close = weakref.finalize(self, _close, connection, self._unread)
        try:
            self._begin()
            self._statements = self._described()
        except BaseException:
            self.close()
            raise
        self.fields: Sequence[Field] = [typed.field for typed in self._statements.columns]

    def server(self) -> str:
        """Return version, user and encryption."""
        [row] = self._ask(_SERVER)
        encrypted = "encrypted" if row["is_encrypted"] else "not encrypted"
        standby = ", a standby" if row["is_standby"] else ""
        return f"Server PostgreSQL {row['version']}{standby}, user {row['name']}, {encrypted}."

    def week_values(self, column: Wanted) -> Rows:
        """Return values from which weeks can be told."""
        return self._stream(self._statements.week_values(column))

    def tally(self, column: Wanted, where: Where, content: Sequence[Wanted] = ()) -> Rows:
        """Return values from which weeks can be told, counted."""
        return self._stream(self._statements.tally(column, where, content))

    def rows(self, wanted: Sequence[Wanted], where: Where, *, hashed: bool = False) -> Rows:
        """Return rows."""
        return self._stream(self._statements.rows(wanted, where, hashed=hashed))

    def sums(self, sums: Sums) -> Rows | None:
        """Return transactions added up, where the columns' types allow it."""
        if not can_sum(self._statements, sums):
            return None
        return self._stream(sums_statement(self._statements, sums))

    def remainder(
        self, wanted: Sequence[Wanted], where: Where, sums: Sums, customers: Sequence[str]
    ) -> Rows:
        """Return the rows that are in no sum, and all rows of some customers."""
        return self._stream(remainder_statement(self._statements, wanted, where, sums, customers))

    def close(self) -> None:
        """End the connection, with its transaction and any statement that is still read from."""
        self._close()

    def _begin(self) -> None:
        with self._database.translated(), self._connection.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        settings = {
            "TimeZone": "UTC",
            "DateStyle": "ISO",
            "bytea_output": "hex",
            "jit": "off",
            "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s",
        }
        each = (f"set_config('{name}', '{value}', true)" for name, value in settings.items())
        self._ask(f"SELECT {', '.join(each)}")

    def _described(self) -> Statements:
        """Find out the columns, which of them may be read, and what the server can do."""
        source, name = self._database.source, self._database.name
        with self._database.translated(), self._connection.cursor() as cursor:
            selected = SQL("SELECT * FROM {} AS delivered").format(source).as_string(None)
            described = partial(cursor.adbc_execute_schema, selected)
            schema = interruptible(described, cursor.adbc_cancel)
        known = self._ask(SQL(_COLUMNS).format(Literal(name)).as_string(None)) if name else []
        facts = {row["name"]: row for row in known}
        [able] = self._ask(_ABILITIES)
        hashes = "record" if able["record"] else "text" if able["text"] else ""
        columns = [_typed(field, facts.get(field.name, {})) for field in schema]
        return Statements(source, columns, hashes=hashes, has_bins=able["bins"])

    def _ask(self, statement: str) -> list[dict[str, Any]]:
        with self._database.translated(), self._connection.cursor() as cursor:
            interruptible(partial(cursor.execute, statement), cursor.adbc_cancel)
            answer: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
            return answer

    def _stream(self, statement: Composable) -> Rows:
        # fetch_record_batch() has another reader, whose errors have no SQLSTATE.
        from adbc_driver_manager._reader import AdbcRecordBatchReader

        unread = _Unread(self._connection.cursor())
        self._unread.append(unread)
        cursor = unread.cursor
        with self._read(unread):
            interruptible(partial(cursor.execute, statement.as_string(None)), cursor.adbc_cancel)
            stream = cursor.fetch_arrow()
            reader = AdbcRecordBatchReader._import_from_c(stream.address)
        return Rows(reader.schema, self._batches(unread, iter(reader)))

    def _batches(
        self, unread: _Unread, arriving: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        """Yield batches; the next one arrives while one is looked at."""
        following = partial(next, arriving, None)
        with unread.cursor as cursor:
            try:
                unread.coming = begun(following)
                while True:
                    with self._read(unread):
                        batch = awaited(unread.coming, cursor.adbc_cancel)
                    if batch is None:
                        self._unread.remove(unread)
                        return
                    unread.coming = begun(following)
                    yield batch
            finally:
                unread.give_up(cursor.adbc_cancel)

    @contextmanager
    def _read(self, unread: _Unread) -> Iterator[None]:
        """Translate errors, after which there is nothing left to cancel."""
        try:
            with self._database.translated():
                yield
        except SourceError:
            self._unread.remove(unread)
            raise


def _typed(field: pa.Field, facts: Mapping[str, Any]) -> Typed:
    told = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    name = told.get("POSTGRESQL:type", "")
    arrow, kind = _KINDS.get(name, (None, "VARCHAR"))
    described = Field(
        name=field.name,
        kind=kind if arrow == field.type else "VARCHAR",
        is_free_text=name not in _NO_FREE_TEXT and facts.get("is_readable", True),
        is_exact=name == "numeric",
    )
    scale = _scale(int(told.get("POSTGRESQL:typmod", "-1"))) if name == "numeric" else None
    return Typed(described, name, scale, bool(facts.get("is_indexed")))


def _scale(modifier: int) -> int | None:
    """Return the decimals that a numeric column's type modifier declares; None for any number."""
    if modifier < _MODIFIER_OFFSET:
        return None
    declared = (modifier - _MODIFIER_OFFSET) & 0x7FF  # eleven bits, negative ones from 15 on
    return declared - 0x800 if declared & 0x400 else declared


def _close(connection: Connection, unread: Sequence[_Unread]) -> None:
    if unread:  # or the server goes on with it until it next writes
        with suppress(Exception):
            connection.adbc_cancel()
    for each in unread:
        each.give_up(connection.adbc_cancel)
    with suppress(Exception):
        connection.close()
