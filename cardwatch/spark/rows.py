"""Delivered rows on an executor: which week they belong to, and whose they are.

Weeks and times are read by the code that reads those of files, one batch of rows after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from cardwatch.engine import Engine
from cardwatch.sources.columns import ColumnSettings, find_layout
from cardwatch.sources.parts import (
    ITEM,
    Chosen,
    Column,
    Part,
    chosen_rows,
    count_sql,
    delivered_columns,
    make_part,
    shared_kinds,
)
from cardwatch.sources.quoting import identifier
from cardwatch.sources.week_lookup import WeekLookup
from cardwatch.sources.week_values import WeekReader

ID = "cardwatch_id"
"""Column of the customer id as text: what rows are parted by."""
_GIVEN = "given_rows"
_MEMORY = "200MB"


@dataclass(frozen=True)
class Reading:
    """How delivered rows are read: all that an executor needs to know.

    Attributes
    ----------
    weeks : tuple of datetime.date
        Mondays of the wanted weeks.
    """

    part: Part
    reader: WeekReader
    weeks: tuple[date, ...] = ()


def describe_rows(
    engine: Engine, like: pa.Table, settings: ColumnSettings, reader: WeekReader, origin: str
) -> Part:
    """Match the columns of delivered rows to ours; see `find_layout` for the errors.

    Parameters
    ----------
    like : pyarrow.Table
        A table with their columns; its rows are not looked at. `ITEM` is none of the data.
    """
    with _given(engine, like):
        described = engine.rows(f"DESCRIBE SELECT * EXCLUDE ({ITEM}) FROM {_GIVEN}")
    columns = [
        Column(identifier(row["column_name"]), row["column_type"], row["column_name"])
        for row in described
    ]
    layout = find_layout([column.name for column in columns], settings, origin)
    return make_part(layout, columns, [origin], _scan, reader, engine)


def counted(batches: Iterator[pa.RecordBatch], reading: Reading) -> Iterator[pa.RecordBatch]:
    """Yield how many rows each week has: ``monday, week_text, row_count``.

    The text is NULL where times are read. Only the column that says when, and `ITEM`, need be
    there.
    """
    part = reading.part
    with small_engine() as engine:
        lookup = WeekLookup(engine, reading.reader)
        for batch in batches:
            with _given(engine, pa.Table.from_batches([batch])):
                found = engine.rows(count_sql(part, ()))
            if not part.local_time:
                lookup.learn({row["week_text"] for row in found})
                for row in found:
                    row["monday"] = lookup.mondays.get(row["week_text"])
            yield pa.RecordBatch.from_pydict(
                {
                    "monday": pa.array([row["monday"] for row in found], pa.date32()),
                    "week_text": pa.array([row["week_text"] for row in found], pa.string()),
                    "row_count": pa.array([row["row_count"] for row in found], pa.int64()),
                }
            )


def delivered(
    batches: Iterator[pa.RecordBatch], reading: Reading, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the wanted and of no known week, as a `Delivery` has them."""
    with small_engine() as engine:
        lookup = WeekLookup(engine, reading.reader)
        for batch in batches:
            found = delivered_rows(engine, lookup, reading, pa.Table.from_batches([batch]))
            yield from found.cast(schema).to_batches()


def delivered_rows(
    engine: Engine, lookup: WeekLookup, reading: Reading, rows: pa.Table
) -> pa.Table:
    """Return those of some rows."""
    part = reading.part
    columns = delivered_columns(part, shared_kinds([part]), tuple(part.extras))
    with _given(engine, rows):
        if not part.local_time:
            texts = engine.rows(f"SELECT DISTINCT {part.week_text} AS text FROM {_GIVEN}")
            lookup.learn({row["text"] for row in texts})
        chosen = chosen_rows(part, Chosen((), reading.weeks, unreadable=True), lookup.table)
        return engine.arrow(f"SELECT {columns} FROM {chosen}")


@contextmanager
def small_engine() -> Iterator[Engine]:
    """Open an engine for one batch of rows after the other."""
    with Engine(memory_limit=_MEMORY, threads=1) as engine:
        yield engine


@contextmanager
def _given(engine: Engine, rows: pa.Table) -> Iterator[None]:
    engine.connection.register(_GIVEN, rows)
    try:
        yield
    finally:
        engine.connection.unregister(_GIVEN)


def _scan(items: Sequence[str]) -> str:
    return _GIVEN
