"""Digests of weeks that depend on what was accepted and set aside, and on nothing else.

Not on the order of the rows, their files, the number of threads or the engine's version: the rows
are hashed in the order of customer id and merchant category, as fixed bytes. Nor on which week is
scored: they are taken before unit errors, which only a scored week has, are set aside, and rows of
no known week, which come with the scored one, have a digest of their own. So the digest of a week
when it was scored can be compared with its digest when it is a reference week.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cardwatch.contract.window import Window
from cardwatch.engine import Engine
from cardwatch.parallel import mapped

_ROW = np.dtype(
    [("is_new_customer", "?"), ("mcc", "<i2"), ("spend_cents", "<i8"), ("count", "<i4")]
)
_USABLE = "SELECT customer_key, week_index, mcc, spend_cents, transaction_count FROM rolled_up"
NO_WEEK = -1
"""Index of rows whose week is not known."""
_SET_ASIDE = """
SELECT
    coalesce(week_index, {no_week}) AS week_index,
    sha256(concat_ws(chr(31), reason, {fields})) || CAST(sum(row_copies) AS VARCHAR) AS line
FROM set_aside
GROUP BY week_index, reason, {columns}
ORDER BY 1, 2
"""
_FIELDS = ("week_value", "customer_id", "mcc", "amount", "transaction_count", "detail")


@dataclass(frozen=True)
class Fingerprints:
    """A digest per week label, and one of the rows of no known week, empty where there are none."""

    weeks: Mapping[str, str]
    no_week: str = ""


class WeekDigest:
    """Grows with a week's rows: accepted ones in order, then lines about those set aside."""

    def __init__(self) -> None:
        # One digest per column: the bytes of each are the same however the rows are batched.
        self._rows, self._ids, self._id_lengths = sha256(), sha256(), sha256()
        self._lines, self._line_lengths = sha256(), sha256()
        self._last_key = -1

    def add_rows(self, keys: npt.NDArray[np.int32], rows: np.ndarray, ids: pa.Array) -> None:
        """Add accepted rows; `ids` holds the customer ids by key."""
        is_new = rows["is_new_customer"]
        is_new[0] = keys[0] != self._last_key
        is_new[1:] = keys[1:] != keys[:-1]
        self._last_key = int(keys[-1])
        self._rows.update(rows.tobytes())
        lengths, text = _text_bytes(ids.take(pa.array(keys[is_new])))
        self._id_lengths.update(lengths.tobytes())
        self._ids.update(text)

    def add_lines(self, lines: pa.Array) -> None:
        """Add lines about rows that were set aside."""
        lengths, text = _text_bytes(lines)
        self._line_lengths.update(lengths.tobytes())
        self._lines.update(text)

    def hexdigest(self) -> str:
        """Return the digest of everything added."""
        parts = (self._rows, self._ids, self._id_lengths, self._lines, self._line_lengths)
        return sha256(b"".join(part.digest() for part in parts)).hexdigest()


def week_fingerprints(engine: Engine, window: Window) -> Fingerprints:
    """Return a digest for every week of the window.

    Reads ``customer``, ``rolled_up`` (in its own order) and ``set_aside`` as streams, once repeats
    are folded and card numbers masked, and before unit errors are judged.
    """
    digests = {index: WeekDigest() for index in range(len(window.weeks))}
    ids = _column(engine.arrow("SELECT customer_id FROM customer ORDER BY customer_key"), 0)
    for parts in mapped(_split, engine.batches(_USABLE), engine.threads):
        for week, keys, rows in parts:
            digests[week].add_rows(keys, rows, ids)
    for batch in engine.batches(aside_lines()):
        weeks = batch.column(0).to_numpy()
        for week in np.unique(weeks):
            digest = digests.setdefault(int(week), WeekDigest())
            digest.add_lines(batch.column(1).filter(pa.array(weeks == week)))
    stray = digests.get(NO_WEEK)
    return Fingerprints(
        {week.label: digests[index].hexdigest() for index, week in enumerate(window.weeks)},
        stray.hexdigest() if stray else "",
    )


def aside_lines() -> str:
    """Return the query of lines about rows set aside: ``week_index, line``, in order."""
    fields = ", ".join(f"coalesce({name}, chr(30))" for name in _FIELDS)
    return _SET_ASIDE.format(fields=fields, columns=", ".join(_FIELDS), no_week=NO_WEEK)


def _split(batch: pa.RecordBatch) -> list[tuple[int, npt.NDArray[np.int32], np.ndarray]]:
    """Return week index, customer keys and rows of each week in a batch, in the batch's order."""
    keys, weeks, mcc, cents, count = (column.to_numpy() for column in batch.columns)
    order = np.argsort(weeks, kind="stable")
    rows = np.zeros(len(order), dtype=_ROW)
    rows["mcc"], rows["spend_cents"], rows["count"] = mcc[order], cents[order], count[order]
    ends = np.cumsum(np.bincount(weeks))
    parts = zip(np.split(keys[order], ends[:-1]), np.split(rows, ends[:-1]), strict=True)
    return [(week, keys, rows) for week, (keys, rows) in enumerate(parts) if len(keys)]


def _text_bytes(texts: pa.Array) -> tuple[npt.NDArray[np.int32], memoryview]:
    """Return the lengths of texts and their UTF-8 bytes, one after the other."""
    whole = texts.cast(pa.large_string())
    _, offsets, data = whole.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[whole.offset : whole.offset + len(whole) + 1]
    return np.diff(ends).astype("<i4"), memoryview(data or b"")[ends[0] : ends[-1]]


def _column(table: pa.Table, index: int) -> pa.Array:
    chunks = table.column(index).cast(pa.large_string()).chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.large_string())
