"""Any database that SQLAlchemy has a dialect for as a source: the same rows, on a slower path.

Rows come one by one from the database's own driver and are written as text; only the days, times
and binary fractions that a table declares stay what they are. All rows of a delivery come from one
statement, so that they are of one state also where a database has no view that lasts for several.
No content is hashed there: even with a cache every week is read.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.sql.elements import quoted_name

from cardwatch.database.address import DatabaseAddress
from cardwatch.database.faults import translated
from cardwatch.errors import ConfigurationError, SourceError
from cardwatch.sources.python_values import as_array, as_text, binned
from cardwatch.sources.snapshots import ROW_COUNT, Field, Rows, Sums, Times, Wanted, Where
from cardwatch.sources.week_values import AFTER_LAST_DAY, FIRST_DAY, MAX_WEEK_TEXTS

BATCH_ROWS = 20_000
_MOST_VALUES = 500
"""Values in one condition; beyond so many, all rows are read and chosen from afterwards."""
_ARROW: Mapping[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
}
_MARGIN = timedelta(days=2)
"""No two places on earth are further apart in local time."""
_NUMBERS = (sa.Integer, sa.Numeric)
_NO_FREE_TEXT = (*_NUMBERS, sa.Boolean, sa.Date, sa.DateTime, sa.Time, sa.Interval, sa.Uuid)


class OtherDatabase:
    """A table or a query of a database that is not PostgreSQL.

    Parameters
    ----------
    table : tuple of str
        Its name, with the schema before it or without; empty for a query.
    query : str
        A SELECT to read in place of a table.

    Raises
    ------
    ConfigurationError
        If SQLAlchemy knows no such dialect, or its driver is not installed.
    """

    def __init__(
        self, address: DatabaseAddress, *, table: Sequence[str] = (), query: str = ""
    ) -> None:
        self.address = address
        self.kind = "query" if query else "table"
        self.table = ".".join(table) or "query"
        self.origin = " ".join([self.kind, *([self.table] if table else []), "of", address.origin])
        self.query = query
        self.name = table
        self.engine = _engine(address)

    def open(self) -> OtherSnapshot:
        """Connect, and return a view of the table as it is now."""
        return OtherSnapshot(self)

    def translated(self) -> AbstractContextManager[None]:
        """Turn errors of the driver and the server into `SourceError`."""
        return translated(self.address, SourceError, table=self.table)


class OtherSnapshot:
    """One connection: see `Snapshot`."""

    def __init__(self, database: OtherDatabase) -> None:
        self._database = database
        with database.translated():
            self._connection = database.engine.connect()
        self._close = weakref.finalize(self, _close, self._connection)
        self._values: dict[str, set[Any]] = {}
        try:
            with database.translated():
                if database.engine.dialect.name == "sqlite":
                    # Its driver begins no transaction for a SELECT.
                    self._connection.exec_driver_sql("BEGIN")
                self.fields: Sequence[Field] = self._described()
        except BaseException:
            self.close()
            raise

    def server(self) -> str:
        """Return the dialect and its version."""
        dialect = self._connection.dialect
        version = ".".join(str(part) for part in dialect.server_version_info or ())
        return " ".join(["Server", dialect.name, version]).strip() + "."

    def week_values(self, column: Wanted) -> Rows:
        """Return values from which weeks can be told."""
        return self.tally(column, None)

    def tally(self, column: Wanted, where: Where, content: Sequence[Wanted] = ()) -> Rows:
        """Return values from which weeks can be told, counted; never their content."""
        del content
        counted = self._texts(column, where) if column.as_text else self._times(column, where)
        schema = pa.schema([(column.name, self._kind(column)), (ROW_COUNT, pa.int64())])
        arrays = [pa.array(list(counted), schema.types[0]), pa.array(list(counted.values()))]
        return Rows(schema, iter([pa.record_batch(arrays, schema=schema)]))

    def rows(self, wanted: Sequence[Wanted], where: Where, *, hashed: bool = False) -> Rows:
        """Return rows; no dialect hashes them."""
        del hashed
        schema = pa.schema([(each.name, self._kind(each)) for each in wanted])
        if self._database.query:
            statement = self._from(sa.select(sa.text("*")), where)
            return Rows(schema, self._batches(statement, [each.at for each in wanted], schema))
        statement = self._from(sa.select(*(self._column(each.at) for each in wanted)), where)
        return Rows(schema, self._batches(statement, range(len(wanted)), schema))

    def sums(self, sums: Sums) -> Rows | None:
        """Return None: which rows are sound is said in words that dialects do not share."""
        del sums
        return None

    def remainder(
        self, wanted: Sequence[Wanted], where: Where, sums: Sums, customers: Sequence[str]
    ) -> Rows:
        """Return all rows, as there are no sums."""
        del sums, customers
        return self.rows(wanted, where)

    def close(self) -> None:
        """End the connection."""
        self._close()

    def _texts(self, column: Wanted, where: Where) -> Counter[str | None]:
        one = self._column(column.at)
        statement = self._from(sa.select(one, sa.func.count()), where).group_by(one)
        counted: Counter[str | None] = Counter()
        for value, rows in self._fetched(statement.limit(MAX_WEEK_TEXTS)):
            shown = as_text(value)
            counted[shown] += rows
            if shown is not None:
                self._values.setdefault(shown, set()).add(value)
        return counted

    def _times(self, column: Wanted, where: Where) -> Counter[date | None]:
        statement = self._from(sa.select(self._column(column.at)), where)
        return Counter(binned(value) for (value,) in self._fetched(statement))

    def _batches(
        self, statement: sa.Select[Any], places: Sequence[int], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        origin = self._database.origin
        named = list(zip(schema, places, strict=True))
        rows = self._fetched(statement)
        while chunk := list(islice(rows, BATCH_ROWS)):
            columns = list(zip(*chunk, strict=True))
            arrays = [as_array(columns[at], each.type, each.name, origin) for each, at in named]
            yield pa.record_batch(arrays, schema=schema)

    def _fetched(self, statement: sa.Select[Any]) -> Iterator[Sequence[Any]]:
        translate = self._database.translated
        with translate():
            result = self._connection.execution_options(stream_results=True).execute(statement)
        with result:
            while True:
                with translate():
                    rows = result.fetchmany(BATCH_ROWS)
                if not rows:
                    return
                yield from rows

    def _described(self) -> Sequence[Field]:
        nothing = self._from(sa.select(sa.text("*")), None).where(sa.text("1 = 0"))
        described = self._connection.execute(nothing).cursor.description
        names = [str(each[0]) for each in described]
        if self._database.query:
            return self._sniffed(names)
        schema, table = ("", *self._database.name)[-2:]
        found = sa.inspect(self._connection).get_columns(table, schema=schema or None)
        declared = {each["name"]: each["type"] for each in found}
        is_typed = self._connection.dialect.name != "sqlite"
        return [_field(name, declared.get(name), is_typed) for name in names]

    def _sniffed(self, names: Sequence[str]) -> Sequence[Field]:
        """Tell numbers from texts by the first row: a query declares no types."""
        first = self._connection.execute(self._from(sa.select(sa.text("*")), None).limit(1)).first()
        values = first or [None] * len(names)
        return [
            Field(
                name,
                "VARCHAR",
                is_free_text=value is None or isinstance(value, str | bytes),
                is_exact=isinstance(value, int | float | Decimal),
            )
            for name, value in zip(names, values, strict=True)
        ]

    def _from(self, statement: sa.Select[Any], where: Where) -> sa.Select[Any]:
        database = self._database
        if database.query:
            query = database.query.replace(":", r"\:")
            chosen = statement.select_from(sa.text(f"({query}\n) delivered"))
        else:
            *schema, name = (quoted_name(part, quote=True) for part in database.name)
            chosen = statement.select_from(sa.table(name, schema=schema[0] if schema else None))
        condition = self._condition(where)
        return chosen if condition is None else chosen.where(condition)

    def _condition(self, where: Where) -> sa.ColumnElement[bool] | None:
        if where is None:
            return None
        one = self._column(where.at)
        if isinstance(where, Times):
            return self._between(one, where)
        values = {value for shown in where.texts for value in self._values.get(shown, ())}
        if where.or_endless or len(values) > _MOST_VALUES:
            return None
        chosen = one.in_(sorted(values, key=str))
        return sa.or_(chosen, one.is_(None)) if where.or_null else chosen

    def _between(self, one: sa.ColumnClause[Any], where: Times) -> sa.ColumnElement[bool]:
        kind = self.fields[where.at].kind
        first, after, first_day, after_last = (
            _moment(day, kind)
            for day in (
                where.first - _MARGIN,
                where.after + _MARGIN,
                FIRST_DAY + _MARGIN,
                AFTER_LAST_DAY - _MARGIN,
            )
        )
        chosen = sa.and_(one >= first, one < after)
        if not where.or_no_day:
            return chosen
        return sa.or_(chosen, one.is_(None), one < first_day, one >= after_last)

    def _column(self, at: int) -> sa.ColumnClause[Any]:
        return sa.column(quoted_name(self.fields[at].name, quote=True))

    def _kind(self, wanted: Wanted) -> pa.DataType:
        return _ARROW["VARCHAR" if wanted.as_text else self.fields[wanted.at].kind]


def _field(name: str, declared: Any, is_typed: bool) -> Field:
    kind = _declared_kind(declared) if is_typed else "VARCHAR"
    is_number = isinstance(declared, _NUMBERS)
    return Field(
        name,
        kind,
        is_free_text=not isinstance(declared, _NO_FREE_TEXT),
        is_exact=is_number and kind == "VARCHAR",
    )


def _declared_kind(declared: Any) -> str:
    if isinstance(declared, sa.Float):
        return "DOUBLE"
    if isinstance(declared, sa.Date):
        return "DATE"
    if isinstance(declared, sa.DateTime):
        has_zone = getattr(declared, "timezone", False) or "OFFSET" in str(declared)
        return "TIMESTAMP WITH TIME ZONE" if has_zone else "TIMESTAMP"
    return "VARCHAR"


def _moment(day: date, kind: str) -> date | datetime:
    if kind == "DATE":
        return day
    return datetime.combine(day, time(), tzinfo=UTC if kind.endswith("ZONE") else None)


def _engine(address: DatabaseAddress) -> sa.Engine:
    url = address.sqlalchemy_url
    try:
        if url.get_backend_name() == "sqlite" and url.database:
            path = Path(url.database).absolute()
            # Read only, and a missing file is an error rather than made.
            return sa.create_engine(
                "sqlite://",
                creator=lambda: sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True),
                poolclass=sa.NullPool,
            )
        return sa.create_engine(url, poolclass=sa.NullPool)
    except NoSuchModuleError:
        raise _no_driver(address, "no such dialect") from None
    except ModuleNotFoundError as error:
        raise _no_driver(address, f"no module {error.name}") from error


def _no_driver(address: DatabaseAddress, observed: str) -> ConfigurationError:
    return ConfigurationError(
        f"No driver for {address.dialect} is installed",
        where="data_source.connection_string",
        observed=observed,
        next_step="Install the driver that SQLAlchemy's page on this database names, with pip",
    )


def _close(connection: sa.Connection) -> None:
    with suppress(SQLAlchemyError):
        connection.close()
