"""Digests of weeks that add up over customers, for rows that never come together in one place.

Each accepted row, and each line about rows set aside, is hashed by itself; the hashes of a week are
added modulo 2^64, twice with different constants. So a digest depends neither on the order of the
rows nor on how they are parted. It tells any change by accident; unlike `fingerprint`'s it is no
protection against one by design.

References
----------
Bellare, Micciancio (1997), A new paradigm for collision-free hashing (sums of hashes); Steele, Lea,
Flood (2014), Fast splittable pseudorandom number generators (the mixing function).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cardwatch.contract.fingerprint import NO_WEEK, Fingerprints, aside_lines
from cardwatch.engine import Engine
from cardwatch.parallel import mapped
from cardwatch.week import ReportingWeek

Hashes = npt.NDArray[np.uint64]

_MODULUS = 2**64
_LANES = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03)
_ROWS = "SELECT customer_key, week_index, mcc, spend_cents, transaction_count FROM rolled_up"


@dataclass(frozen=True)
class WeekSums:
    """How much was added up for one week: accepted rows and lines, and the sums of their hashes."""

    rows: int = 0
    sums: tuple[int, ...] = (0, 0)

    def __add__(self, other: WeekSums) -> WeekSums:
        added = (a + b for a, b in zip(self.sums, other.sums, strict=True))
        return WeekSums(self.rows + other.rows, tuple(each % _MODULUS for each in added))

    def __str__(self) -> str:
        return f"{self.rows:x}-" + "".join(f"{each:016x}" for each in self.sums)


def week_sums(engine: Engine) -> dict[int, WeekSums]:
    """Add up ``rolled_up`` and ``set_aside`` by week index, `NO_WEEK` where none is known."""
    ids = engine.arrow(
        "SELECT md5_number_lower(customer_id) AS low, md5_number_upper(customer_id) AS high"
        " FROM customer ORDER BY customer_key"
    )
    lanes = [ids[name].to_numpy().astype(np.uint64) for name in ("low", "high")]
    found: dict[int, WeekSums] = {}
    parts = mapped(lambda batch: list(_sums(batch, lanes)), engine.batches(_ROWS), engine.threads)
    for week, sums in (each for part in parts for each in part):
        found[week] = found.get(week, WeekSums()) + sums
    lines = engine.execute(
        "SELECT week_index, count(*), sum(CAST(md5_number_lower(line) AS HUGEINT)),"
        f" sum(CAST(md5_number_upper(line) AS HUGEINT)) FROM ({aside_lines()}) GROUP BY week_index"
    ).fetchall()
    for week, rows, *added in lines:
        line_sums = WeekSums(rows, tuple(int(each) % _MODULUS for each in added))
        found[week] = found.get(week, WeekSums()) + line_sums
    return found


def added_fingerprints(
    sums: Mapping[int, WeekSums], weeks: Sequence[ReportingWeek]
) -> Fingerprints:
    """Return the digest of every week of the window, and of the rows of no known week."""
    stray = sums.get(NO_WEEK)
    return Fingerprints(
        {week.label: str(sums.get(index, WeekSums())) for index, week in enumerate(weeks)},
        str(stray) if stray else "",
    )


def _sums(batch: pa.RecordBatch, lanes: Sequence[Hashes]) -> Iterator[tuple[int, WeekSums]]:
    keys, weeks, mcc, cents, count = (column.to_numpy() for column in batch.columns)
    value = _mixed(cents.astype(np.int64).view(np.uint64))
    value = _mixed(value ^ (mcc.astype(np.uint64) << np.uint64(32)) ^ count.astype(np.uint64))
    hashes = [
        _mixed(lane[keys] ^ (value + np.uint64(odd)))
        for lane, odd in zip(lanes, _LANES, strict=True)
    ]
    for week in np.unique(weeks):
        chosen = weeks == week
        sums = tuple(int(each[chosen].sum(dtype=np.uint64)) for each in hashes)
        yield int(week), WeekSums(int(chosen.sum()), sums)


def _mixed(x: Hashes) -> Hashes:
    """Return splitmix64 of each number."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
