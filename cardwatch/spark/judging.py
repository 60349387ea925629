"""The contract on an executor: the rows of a range of customers become accepted ones.

Two rounds over the same partitions. The first judges everybody but those who wait for the usual
tickets of the categories (`cardwatch.contract.part`); the second judges these and numbers the
customers of the partition. Both yield one stream of rows of several kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cardwatch.config import ContractConfig
from cardwatch.contract.part import WAITING_ROWS, Known, Part, judge_part
from cardwatch.contract.tally import Tally
from cardwatch.engine import BATCH_ROWS, Engine
from cardwatch.schema import Delivery, Shape
from cardwatch.sources.quoting import date_list
from cardwatch.spark.pieces import pack, unpack
from cardwatch.spark.rows import ID
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
SCHEMA = pa.schema(
    [
        ("kind", pa.int8()),
        ("customer_key", pa.int32()),
        ("customer_id", pa.string()),
        ("mcc", pa.int16()),
        ("week_index", pa.int8()),
        ("spend_cents", pa.int64()),
        ("transaction_count", pa.int32()),
        ("blob", pa.binary()),
    ]
)
DELIVERED_ROWS = "source_rows"
"""Table of the delivered rows of a partition."""
_CELLS = "SELECT customer_key, mcc, week_index, spend_cents, transaction_count FROM cell"


@dataclass(frozen=True)
class Task:
    """What an executor needs to know of a delivery.

    Attributes
    ----------
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


@dataclass(frozen=True)
class Settled:
    """What a partition came to in the end: its counts, and how many customers it has."""

    tally: Tally
    customers: int


def first_round(batches: Iterator[pa.RecordBatch], task: Task) -> Iterator[pa.RecordBatch]:
    """Judge the delivered rows of a partition; customers are numbered from 0."""
    with Engine(memory_limit=task.memory_limit, threads=1) as engine:
        if not _fill(engine, (batch.drop_columns(ID) for batch in batches)):
            return
        part = judge_part(engine, task.delivery(), task.rules, task.known)
        yield _blob(FACTS, pack(part))
        for batch in engine.batches("SELECT * FROM customer ORDER BY customer_key"):
            yield _batch(CUSTOMER, batch)
        if part.waiting:
            for batch in engine.batches(f"SELECT * FROM {WAITING_ROWS}"):
                yield _blob(WAITING, _to_bytes(batch))
            for batch in engine.batches("SELECT * FROM waiting_cell"):
                yield _batch(WAITING_CELL, batch)
        yield from _judged_rows(engine)


def second_round(batches: Iterator[pa.RecordBatch], task: Task) -> Iterator[pa.RecordBatch]:
    """Judge who waited, and number all customers of the partition by their ids."""
    part, ids, waiting = None, list[pa.Array](), list[pa.RecordBatch]()
    later, runs = None, _runs(batches)
    for batch in runs:
        kind = batch["kind"][0].as_py()
        if kind == FACTS:
            part = cast("Part", unpack(batch["blob"][0].as_py()))
        elif kind == CUSTOMER:
            ids.append(batch["customer_id"])
        elif kind == WAITING:
            waiting += _from_bytes(batch["blob"][0].as_py())
        elif kind != WAITING_CELL:
            later = batch
            break
    if part is None:
        return
    with Engine(memory_limit=task.memory_limit, threads=1) as engine:
        tally, own = part.tally, pa.concat_arrays(ids) if ids else pa.array([], pa.string())
        others = pa.array([], pa.string())
        if waiting:
            _fill(engine, iter(waiting))
            tally += judge_part(engine, task.delivery(), task.rules, task.known).tally
            found = engine.arrow("SELECT customer_id FROM customer ORDER BY customer_key")
            others = found["customer_id"].combine_chunks().cast(pa.string())
        names, keys = _numbered(own, others)
        yield _blob(FACTS, pack(Settled(tally, len(names))))
        yield from _batches_of(
            CUSTOMER,
            pa.table(
                {
                    "customer_key": pa.array(np.arange(len(names), dtype=np.int32)),
                    "customer_id": names,
                }
            ),
        )
        for batch in _chained(later, runs):
            yield _renumbered(batch, keys[: len(own)])
        if waiting:
            for batch in _judged_rows(engine):
                yield _renumbered(batch, keys[len(own) :])


def _fill(engine: Engine, batches: Iterator[pa.RecordBatch]) -> int:
    """Copy rows into the engine's table of delivered rows; return how many there were."""
    rows = 0
    for batch in batches:
        if not rows:
            engine.connection.register("first_rows", pa.Table.from_batches([batch]))
            engine.execute(f"CREATE TABLE {DELIVERED_ROWS} AS SELECT * FROM first_rows LIMIT 0")
            engine.connection.unregister("first_rows")
        engine.append(DELIVERED_ROWS, batch)
        rows += batch.num_rows
    return rows


def _judged_rows(engine: Engine) -> Iterator[pa.RecordBatch]:
    for batch in engine.batches("SELECT * FROM quarantine"):
        yield _blob(QUARANTINE, _to_bytes(batch))
    for batch in engine.batches(f"{_CELLS} ORDER BY customer_key, mcc, week_index"):
        yield _batch(CELL, batch)


def _numbered(own: pa.Array, others: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Return all ids in order, and the number of each of the given ones in it."""
    names = pa.concat_arrays([own, others])
    order = pc.sort_indices(names).to_numpy()
    keys = np.empty(len(order), dtype=np.int32)
    keys[order] = np.arange(len(order), dtype=np.int32)
    return names.take(pa.array(order)), keys


def _renumbered(batch: pa.RecordBatch, keys: np.ndarray) -> pa.RecordBatch:
    if batch["kind"][0].as_py() != CELL:
        return batch
    made = pa.array(keys[batch["customer_key"].to_numpy()], pa.int32())
    return batch.set_column(1, "customer_key", made)


def _runs(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Part batches where the kind changes: Spark joins rows as it likes."""
    for batch in batches:
        kinds = batch["kind"].to_numpy()
        ends = [*np.flatnonzero(np.diff(kinds)) + 1, len(kinds)]
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            if end > start:
                yield batch.slice(start, end - start)


def _chained(
    first: pa.RecordBatch | None, rest: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    if first is not None:
        yield first
        yield from rest


def _batches_of(kind: int, rows: pa.Table) -> Iterator[pa.RecordBatch]:
    for batch in rows.to_batches(BATCH_ROWS):
        yield _batch(kind, batch)


def _batch(kind: int, rows: pa.RecordBatch) -> pa.RecordBatch:
    count = rows.num_rows
    columns = {field.name: pa.nulls(count, field.type) for field in SCHEMA}
    columns["kind"] = pa.array(np.full(count, kind, dtype=np.int8))
    for name in rows.schema.names:
        columns[name] = rows[name].cast(SCHEMA.field(name).type)
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def _blob(kind: int, content: bytes) -> pa.RecordBatch:
    return _batch(kind, pa.RecordBatch.from_pydict({"blob": pa.array([content], pa.binary())}))


def _to_bytes(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return cast("bytes", sink.getvalue().to_pybytes())


def _from_bytes(content: bytes) -> list[pa.RecordBatch]:
    with pa.ipc.open_stream(content) as stream:
        return list(stream)


def quarantined(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``quarantine`` that are packed in the rows of a partition."""
    for batch in batches:
        for content in batch["blob"].to_pylist():
            for rows in _from_bytes(content):
                yield from pa.Table.from_batches([rows]).cast(schema).to_batches()
