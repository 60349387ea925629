"""What executors do with the rows of a partition: pieces of whole customers through a function.

A partition of customers holds all rows of each, one customer's after the other's.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import numpy as np
import pyarrow as pa

from cardwatch.engine import KEY

Result = TypeVar("Result")


def derived(
    batches: Iterator[pa.RecordBatch],
    function: Callable[[pa.Table], pa.Table],
    customers: int,
    schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:
    """Yield what a function gives for pieces of so many customers, as batches of a schema."""
    for piece in whole_customers(batches, customers):
        made = function(piece)
        yield from made.select(schema.names).cast(schema).to_batches()


def folded(
    batches: Iterator[pa.RecordBatch],
    function: Callable[[pa.Table], Result],
    combine: Callable[[Result, Result], Result],
    customers: int,
) -> Iterator[pa.RecordBatch]:
    """Yield one batch of one row for the whole partition: what the pieces come to, packed."""
    total: Result | None = None
    for piece in whole_customers(batches, customers):
        found = function(piece)
        total = found if total is None else combine(total, found)
    if total is not None:
        yield pa.RecordBatch.from_pydict({"packed": pa.array([pack(total)], pa.binary())})


def whole_customers(batches: Iterator[pa.RecordBatch], customers: int) -> Iterator[pa.Table]:
    """Join batches, and part them again between customers, so many at least to a piece.

    Examples
    --------
    >>> rows = [pa.record_batch({"customer_key": keys}) for keys in ([1, 2], [2, 3], [3, 7])]
    >>> [piece["customer_key"].to_pylist() for piece in whole_customers(iter(rows), 2)]
    [[1, 2, 2], [3, 3, 7]]
    """
    waiting: list[pa.RecordBatch] = []
    held, last = 0, None
    for batch in batches:
        if not batch.num_rows:
            continue
        keys = batch[KEY].to_numpy(zero_copy_only=False)
        starts = np.flatnonzero(np.diff(keys, prepend=keys[0] if last is None else last))
        new = len(starts) + (last is None)
        if held + new > customers and len(starts):
            cut = int(starts[-1])  # the last customer may go on in the next batch
            yield pa.Table.from_batches([*waiting, batch.slice(0, cut)])
            waiting, held = [batch.slice(cut)], 1
        else:
            waiting.append(batch)
            held += new
        last = keys[-1]
    if waiting:
        yield pa.Table.from_batches(waiting)


def packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a partition packed, so that each of its batches is one row."""
    for batch in batches:
        if batch.num_rows:
            yield pa.RecordBatch.from_pydict({"packed": pa.array([to_bytes(batch)], pa.binary())})


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """Return rows in Arrow's format."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return cast("bytes", sink.getvalue().to_pybytes())


def from_bytes(content: bytes) -> list[pa.RecordBatch]:
    """Return the rows that `to_bytes` was given."""
    with pa.ipc.open_stream(content) as stream:
        return list(stream)


def pack(value: object) -> bytes:
    """Return a small result as bytes, for the way to the driver."""
    return zlib.compress(pickle.dumps(value), level=1)


def unpack(packed: bytes) -> object:
    """Return what `pack` was given."""
    return pickle.loads(zlib.decompress(packed))
