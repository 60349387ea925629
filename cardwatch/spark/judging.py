"""The contract on an executor: the rows of a range of customers become accepted ones.

The first round numbers all customers of a partition and judges those who need not wait for the
usual tickets of the categories (`cardwatch.contract.part`); the second one judges these, from the
few rows that the first put aside. Both yield one stream of rows of several kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
import pyarrow as pa

from cardwatch.config import ContractConfig
from cardwatch.contract.part import WAITING_ROWS, Known, judge_part
from cardwatch.engine import Engine
from cardwatch.schema import Delivery, Shape
from cardwatch.sources.quoting import date_list
from cardwatch.sources.week_lookup import WeekLookup
from cardwatch.spark.engine import arrow_schema
from cardwatch.spark.pieces import from_bytes, pack, to_bytes, unpack
from cardwatch.spark.rows import Reading, delivered_rows
from cardwatch.week import ReportingWeek

FACTS, CUSTOMER, WAITING, WAITING_CELL, CELL, QUARANTINE = range(6)
"""Kinds of rows."""
COLUMNS = {
    "kind": "TINYINT",
    "customer_key": "INTEGER",
    "customer_id": "VARCHAR",
    "mcc": "SMALLINT",
    "week_index": "TINYINT",
    "spend_cents": "BIGINT",
    "transaction_count": "INTEGER",
    "blob": "BLOB",
}
"""Of a row; ``blob`` holds packed facts, or rows in Arrow's format."""
SCHEMA = arrow_schema(COLUMNS)
PART = "cardwatch_part"
"""Column that tells the partitions of customers apart."""
DELIVERED_ROWS = "source_rows"
"""Table of the delivered rows of a partition."""
_CELLS = "SELECT customer_key, mcc, week_index, spend_cents, transaction_count FROM cell"


@dataclass(frozen=True)
class Task:
    """What an executor needs to know of a delivery.

    Attributes
    ----------
    reading : Reading
        How the rows are read.
    memory_limit : str
        Of the engine that judges a partition.
    """

    week: ReportingWeek
    reference_weeks: tuple[ReportingWeek, ...]
    shape: Shape
    origin: str
    extra_columns: tuple[str, ...]
    rules: ContractConfig
    known: Known
    reading: Reading
    memory_limit: str

    def delivery(self) -> Delivery:
        """Return the delivery of the rows in the table of a partition."""
        return Delivery(
            week=self.week,
            reference_weeks=self.reference_weeks,
            shape=self.shape,
            select=self._select,
            content_key=lambda week: None,
            origin=self.origin,
            extra_columns=self.extra_columns,
        )

    def _select(self, weeks: Sequence[ReportingWeek]) -> str:
        days: list[date] = [week.monday for week in weeks]
        wanted = f"week_start IN ({date_list(days)})"
        if self.week in weeks:
            wanted += " OR week_start IS NULL"
        return f"SELECT * FROM {DELIVERED_ROWS} WHERE {wanted}"


def first_round(batches: Iterator[pa.RecordBatch], task: Task) -> Iterator[pa.RecordBatch]:
    """Judge the delivered rows of a partition; customers are numbered from 0."""
    with Engine(memory_limit=task.memory_limit, threads=1) as engine:
        lookup = WeekLookup(engine, task.reading.reader)
        given = (pa.Table.from_batches([batch]) for batch in batches)
        if not _fill(engine, (delivered_rows(engine, lookup, task.reading, g) for g in given)):
            return
        part = judge_part(engine, task.delivery(), task.rules, task.known)
        yield _blob(FACTS, pack(part))
        for batch in engine.batches("SELECT * FROM customer ORDER BY customer_key"):
            yield _batch(CUSTOMER, batch)
        if part.waiting:
            numbers = engine.arrow("SELECT customer_id, customer_key FROM waiting")
            rows = engine.arrow(f"SELECT * FROM {WAITING_ROWS}")
            yield _blob(WAITING, pack((numbers, rows)))
            for batch in engine.batches("SELECT * FROM waiting_cell"):
                yield _batch(WAITING_CELL, batch)
        yield from _judged_rows(engine)


def second_round(batches: Iterator[pa.RecordBatch], task: Task) -> Iterator[pa.RecordBatch]:
    """Judge who waited; they have their numbers, and the part they are of."""
    for batch in batches:
        for content, part in zip(batch["blob"].to_pylist(), batch[PART].to_pylist(), strict=True):
            numbers, rows = cast("tuple[pa.Table, pa.Table]", unpack(content))
            for judged in _judged_later(numbers, rows, task):
                yield judged.append_column(PART, pa.array([part] * judged.num_rows, pa.int32()))


def _judged_later(numbers: pa.Table, rows: pa.Table, task: Task) -> Iterator[pa.RecordBatch]:
    number = dict(zip(*numbers.to_pydict().values(), strict=True))
    with Engine(memory_limit=task.memory_limit, threads=1) as engine:
        _fill(engine, iter([rows]))
        yield _blob(FACTS, pack(judge_part(engine, task.delivery(), task.rules, task.known)))
        names = engine.arrow("SELECT customer_id FROM customer ORDER BY customer_key")
        keys = np.array([number[name] for name in names["customer_id"].to_pylist()], np.int32)
        for batch in _judged_rows(engine):
            if batch["kind"][0].as_py() == CELL:
                own = pa.array(keys[batch["customer_key"].to_numpy()], pa.int32())
                yield batch.set_column(1, "customer_key", own)
            else:
                yield batch


def _fill(engine: Engine, tables: Iterator[pa.Table]) -> int:
    """Copy rows into the engine's table of delivered rows; return how many there were."""
    rows = 0
    for table in tables:
        if not engine.scalar(
            "SELECT count(*) FROM duckdb_tables() WHERE table_name = $name", name=DELIVERED_ROWS
        ):
            engine.connection.register("first_rows", table)
            engine.execute(f"CREATE TABLE {DELIVERED_ROWS} AS SELECT * FROM first_rows LIMIT 0")
            engine.connection.unregister("first_rows")
        engine.append(DELIVERED_ROWS, table)
        rows += table.num_rows
    return rows


def _judged_rows(engine: Engine) -> Iterator[pa.RecordBatch]:
    for batch in engine.batches("SELECT * FROM quarantine"):
        yield _blob(QUARANTINE, to_bytes(batch))
    for batch in engine.batches(f"{_CELLS} ORDER BY customer_key, mcc, week_index"):
        yield _batch(CELL, batch)


def _batch(kind: int, rows: pa.RecordBatch) -> pa.RecordBatch:
    count = rows.num_rows
    columns = {field.name: pa.nulls(count, field.type) for field in SCHEMA}
    columns["kind"] = pa.array(np.full(count, kind, dtype=np.int8))
    for name in rows.schema.names:
        columns[name] = rows[name].cast(SCHEMA.field(name).type)
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def _blob(kind: int, content: bytes) -> pa.RecordBatch:
    return _batch(kind, pa.RecordBatch.from_pydict({"blob": pa.array([content], pa.binary())}))


def quarantined(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``quarantine`` that are packed in the rows of a partition."""
    for batch in batches:
        for content in batch["blob"].to_pylist():
            for rows in from_bytes(content):
                yield from pa.Table.from_batches([rows]).cast(schema).to_batches()
