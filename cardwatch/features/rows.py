"""The accepted rows of some customers, and what they come to within each customer.

The engine's table ``cell`` is sorted by customer, merchant category and week, so everything about a
customer is a run of neighbouring rows: sums of runs and of customer × week places are array
operations, many times cheaper than grouping the same rows by hash. Amounts are whole cents held in
float64, whose sums are exact below 2^53 in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cardwatch.engine import Engine
from cardwatch.robust import Floats, median_rows

Ints = npt.NDArray[np.int64]

LEVEL_FLOOR = 20.0
"""Added to the usual weekly spend (currency units), so that nobody is divided by nothing."""
HEAVY_SHARE = 0.4
CENTS = 1e-2
USED_CELLS = (
    "SELECT customer_key, mcc, week_index, spend_cents, transaction_count FROM cell "
    "WHERE transaction_count > 0"
)
"""The rows that say anything about a customer, as `Rows.of` takes them."""
CODES = 10_000
"""Merchant category codes have four digits: a table has a place for each."""


@dataclass(frozen=True)
class Rows:
    """Rows with a transaction, one per customer, merchant category and week, in that order.

    `keys` are the customers, ascending, shape (n,). Per row: `row`, the customer's position in
    `keys`; `mcc`; `week`, its index in a window of `weeks`; `cents`, net of refunds; `count`.
    """

    keys: Ints
    row: Ints
    mcc: Ints
    week: Ints
    cents: Floats
    count: Floats
    weeks: int

    @classmethod
    def of(cls, table: pa.Table, weeks: int) -> Rows:
        """Return the rows of a table with the columns of ``cell``, put in order where need be."""
        customer, mcc, week = (_ints(table, name) for name in ("customer_key", "mcc", "week_index"))
        cents, count = _floats(table, "spend_cents"), _floats(table, "transaction_count")
        order = (customer * CODES + mcc) * weeks + week
        if (order[1:] <= order[:-1]).any():  # never after the contract, which sorts
            placed = np.argsort(order)
            customer, mcc, week = customer[placed], mcc[placed], week[placed]
            cents, count = cents[placed], count[placed]
        is_new = np.diff(customer, prepend=-1) > 0
        return cls(customer[is_new], np.cumsum(is_new) - 1, mcc, week, cents, count, weeks)

    @property
    def customers(self) -> int:
        """Number of customers."""
        return len(self.keys)

    @property
    def scored(self) -> int:
        """Index of the scored week."""
        return self.weeks - 1

    def per_week(self, values: Floats | None = None) -> Floats:
        """Sum `values`, or count rows, per customer and week, shape (n, weeks)."""
        place = self.row * self.weeks + self.week
        counted = np.bincount(place, values, self.customers * self.weeks)
        return np.asarray(counted.reshape(self.customers, self.weeks), dtype=np.float64)


@dataclass(frozen=True)
class Activity:
    """When customers were active and what their usual week is, in cents; shape (n,) or (n, W).

    `spend` is NaN in weeks without a transaction; `usual` the median of the active reference weeks,
    NaN without any; `level` the same, never under 0, plus the floor.
    """

    active: npt.NDArray[np.bool_]
    spend: Floats
    usual: Floats
    level: Floats

    @classmethod
    def of(cls, rows: Rows) -> Activity:
        """Measure some customers."""
        active = np.asarray(rows.per_week() > 0)
        spend = np.where(active, rows.per_week(rows.cents), np.nan)
        usual = median_rows(spend[:, : rows.scored])
        level = np.maximum(np.nan_to_num(usual), 0) + LEVEL_FLOOR / CENTS
        return cls(active, spend, usual, level)


@dataclass(frozen=True)
class CategoryHistory:
    """What each customer did in each merchant category, one entry per pair, in that order.

    `row` is the customer's position. `count` and `paid` (cents, refunds left out) are sums over the
    reference weeks. `used` and `heavy` have bit w set for a week w with transactions, and for one
    with more than `HEAVY_SHARE` of the customer's level. `entry` maps the rows to the entries.
    """

    row: Ints
    mcc: Ints
    count: Floats
    paid: Floats
    used: Ints
    heavy: Ints
    entry: Ints

    @classmethod
    def of(cls, rows: Rows, level: Floats) -> CategoryHistory:
        """Reduce the rows of customers with these levels (cents, shape (n,))."""
        if not len(rows.row):
            none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
            return cls(none, none, nothing, nothing, none, none, none)
        first = np.ones(len(rows.row), dtype=np.bool_)
        first[1:] = (rows.mcc[1:] != rows.mcc[:-1]) | (rows.row[1:] != rows.row[:-1])
        starts = np.flatnonzero(first)
        before = rows.week < rows.scored
        bit = np.left_shift(1, rows.week)
        is_heavy = np.abs(rows.cents) > HEAVY_SHARE * level[rows.row]
        return cls(
            row=rows.row[starts],
            mcc=rows.mcc[starts],
            count=np.add.reduceat(np.where(before, rows.count, 0), starts),
            paid=np.add.reduceat(np.where(before, np.maximum(rows.cents, 0), 0), starts),
            used=np.bitwise_or.reduceat(bit, starts),
            heavy=np.bitwise_or.reduceat(np.where(is_heavy, bit, 0), starts),
            entry=np.cumsum(first) - 1,
        )


def load_rows(engine: Engine, weeks: int, where: str, **parameters: object) -> Rows:
    """Read the rows of the customers that satisfy `where` (a condition on ``customer_key``).

    Parameters
    ----------
    weeks : int
        Length W of the window, reference weeks and the scored week together.
    where : str
        SQL condition over ``customer_key`` with named parameters, from our own code only.
    """
    return Rows.of(engine.arrow(f"{USED_CELLS} AND {where}", **parameters), weeks)


def _ints(table: pa.Table, name: str) -> Ints:
    return np.asarray(table[name].to_numpy(), dtype=np.int64)


def _floats(table: pa.Table, name: str) -> Floats:
    return np.asarray(table[name].to_numpy(), dtype=np.float64)
