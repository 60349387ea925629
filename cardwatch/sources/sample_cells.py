"""What the generated portfolio is made of: cells of spending, and streams of random numbers.

Everything random comes from a stream of its own per purpose, block and week, so that a block or a
week can be made alone, in any order and on any number of threads, with the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Shorts = NDArray[np.int16]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Row = tuple[int, int, int, int]
"""Customer, category, count and cents of one cell."""


class Purpose(IntEnum):
    """What a random stream is for."""

    PEOPLE = 0
    WEEK = 1
    CASES = 2
    LOOKALIKES = 3
    CASE_WEEK = 4
    PLAN = 5
    CLIMATE = 6
    MARKET = 7
    LIVES = 8
    FEED = 9


def stream(seed: int, purpose: Purpose, *path: int) -> np.random.Generator:
    """Return the random numbers of one purpose; `path` is a block, or a block and a week."""
    return np.random.Generator(
        np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(int(purpose), *path)))
    )


@dataclass(frozen=True)
class Cells:
    """Customer × category totals of one week; columns of equal length.

    `customer` counts within the block, `category` is a position in `Categories`, `cents` is net of
    refunds.
    """

    customer: Ints
    category: Shorts
    count: Ints
    cents: Ints

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Cells:
        """Make cells from (customer, category, count, cents)."""
        table = np.array(rows, dtype=np.int64).reshape(-1, 4)
        return cls(table[:, 0], table[:, 1].astype(np.int16), table[:, 2], table[:, 3])

    def where(self, mask: Bools) -> Cells:
        """Return the cells that `mask` keeps."""
        return Cells(self.customer[mask], self.category[mask], self.count[mask], self.cents[mask])

    def key(self) -> Ints:
        """Return one integer per cell that orders by customer, then by category."""
        return (self.customer << 12) + self.category

    @staticmethod
    def merged(parts: Sequence[Cells]) -> Cells:
        """Return all cells, one per customer and category, in that order."""
        key = np.concatenate([part.key() for part in parts])
        order = np.argsort(key, kind="stable")
        key = key[order]
        starts = np.flatnonzero(np.diff(key, prepend=-1))
        count = np.concatenate([part.count for part in parts])[order]
        cents = np.concatenate([part.cents for part in parts])[order]
        if not key.size:
            return Cells.of([])
        return Cells(
            customer=key[starts] >> 12,
            category=(key[starts] & 4095).astype(np.int16),
            count=np.add.reduceat(count, starts),
            cents=np.add.reduceat(cents, starts),
        )
