"""A block: the numbers of some customers, as dense arrays ready for row-wise formulas.

SQL has reduced the rows to three tables sorted by customer (``customer_week``,
``customer_activity``, ``scored_cell``); a block holds one range of customers of them. Every formula
maps a block to columns and never looks across customers, so blocks can be computed in any order, on
any machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cardwatch.engine import Engine
from cardwatch.robust import Floats

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MILLIONTHS = 1e-6
CENTS = 1e-2


@dataclass(frozen=True)
class Cells:
    """The scored week's customer × MCC rows of a block, sorted by customer, then MCC.

    `row` is the position of the customer in the block; `starts` the first cell of each customer
    with cells and `owner` that customer's position. Amounts in currency units. `history_count` and
    `history_paid` are what the customer did and paid there in the reference weeks.
    """

    row: Ints
    starts: Ints
    owner: Ints
    mcc: Ints
    spend: Floats
    count: Floats
    history_count: Floats
    history_paid: Floats
    weeks_used: Ints
    weeks_heavy: Ints

    def sums(self, values: Floats, rows: int) -> Floats:
        """Sum a cell value per customer; 0 for customers without cells. Shape (rows,)."""
        out = np.zeros(rows)
        if len(self.starts):
            out[self.owner] = np.add.reduceat(values, self.starts)
        return out

    def maxima(self, values: Floats, rows: int, empty: float = 0.0) -> Floats:
        """Return the largest cell value per customer; `empty` for customers without cells."""
        out = np.full(rows, empty)
        if len(self.starts):
            out[self.owner] = np.maximum.reduceat(values, self.starts)
        return out


@dataclass(frozen=True)
class Profile:
    """What the customers of a block paid and did per MCC over the reference weeks, same order."""

    row: Ints
    mcc: Ints
    paid: Floats
    count: Floats


@dataclass(frozen=True)
class Block:
    """Arrays over n customers and W weeks (the last one is scored); NaN where a week is inactive.

    ``spend`` net, ``paid`` without refunds, ``risky`` (currency units), ``count``, ``ticket`` (mean
    ticket in clipped category z) and ``tilt`` (mean log distance from category norms): shape (n,
    W). ``level`` (usual weekly spend + floor, currency units), ``usual``: shape (n,), NaN without
    history. ``active_weeks`` counts reference weeks with transactions; ``first_week`` is an index.
    """

    keys: Ints
    spend: Floats
    paid: Floats
    risky: Floats
    count: Floats
    ticket: Floats
    tilt: Floats
    usual: Floats
    level: Floats
    active_weeks: Ints
    first_week: Ints
    cells: Cells
    profile: Profile

    @property
    def rows(self) -> int:
        """Number of customers in the block."""
        return len(self.keys)

    @property
    def scored(self) -> int:
        """Index of the scored week."""
        return int(self.spend.shape[1]) - 1

    @property
    def has_rows(self) -> Bools:
        """Which customers have a transaction in the scored week, shape (n,)."""
        return np.asarray(~np.isnan(self.count[:, -1]))


def load_block(engine: Engine, weeks: int, where: str, **parameters: object) -> Block:
    """Read the customers that satisfy `where` (a condition on ``customer_key``) into arrays.

    Parameters
    ----------
    weeks : int
        Length W of the window, reference weeks and the scored week together.
    where : str
        SQL condition over ``customer_key`` with named parameters, from our own code only.
    """
    activity = engine.arrow(
        "SELECT customer_key, first_week, active_weeks, usual_cents, level_cents "
        f"FROM customer_activity WHERE {where} ORDER BY customer_key",
        **parameters,
    )
    by_week = engine.arrow(
        "SELECT customer_key, week_index, spend_cents, paid_cents, risky_cents, "
        "transaction_count, categories, ticket_sum, ticket_weight, tilt_sum "
        f"FROM customer_week WHERE {where} ORDER BY customer_key, week_index",
        **parameters,
    )
    cells = engine.arrow(
        f"SELECT * FROM scored_cell WHERE {where} ORDER BY customer_key, mcc", **parameters
    )
    profile = engine.arrow(
        "SELECT customer_key, mcc, history_paid_cents, history_count FROM customer_category "
        f"WHERE {where} AND history_count > 0 ORDER BY customer_key, mcc",
        **parameters,
    )
    keys = _ints(activity, "customer_key")
    wide = _spread_weeks(by_week, keys, weeks)
    return Block(
        keys=keys,
        usual=_floats(activity, "usual_cents") * CENTS,
        level=_floats(activity, "level_cents") * CENTS,
        active_weeks=_ints(activity, "active_weeks"),
        first_week=_ints(activity, "first_week"),
        cells=_cells(cells, keys),
        profile=Profile(
            row=positions(keys, _ints(profile, "customer_key")),
            mcc=_ints(profile, "mcc"),
            paid=_floats(profile, "history_paid_cents") * CENTS,
            count=_floats(profile, "history_count"),
        ),
        **wide,
    )


def positions(keys: Ints, wanted: Ints) -> Ints:
    """Return where each of `wanted` stands in `keys` (ascending), which holds all of them.

    A table of positions, as keys lie close together: many times faster than a search.

    Examples
    --------
    >>> positions(np.array([4, 5, 9]), np.array([9, 4, 4])).tolist()
    [2, 0, 0]
    """
    if not len(wanted):
        return wanted
    place = np.empty(keys[-1] - keys[0] + 1, dtype=np.int64)
    place[keys - keys[0]] = np.arange(len(keys))
    return np.asarray(place[wanted - keys[0]])


def _spread_weeks(by_week: pa.Table, keys: Ints, weeks: int) -> dict[str, Floats]:
    place = positions(keys, _ints(by_week, "customer_key")) * weeks + _ints(by_week, "week_index")
    weight = np.maximum(_floats(by_week, "ticket_weight"), 1.0)
    values = {
        "spend": _floats(by_week, "spend_cents") * CENTS,
        "paid": _floats(by_week, "paid_cents") * CENTS,
        "risky": _floats(by_week, "risky_cents") * CENTS,
        "count": _floats(by_week, "transaction_count"),
        "ticket": _floats(by_week, "ticket_sum") / weight,
        "tilt": _floats(by_week, "tilt_sum") * MILLIONTHS / _floats(by_week, "categories"),
    }
    wide = {}
    for name, value in values.items():
        flat = np.full(len(keys) * weeks, np.nan)
        flat[place] = value
        wide[name] = flat.reshape(len(keys), weeks)
    return wide


def _cells(table: pa.Table, keys: Ints) -> Cells:
    row = positions(keys, _ints(table, "customer_key"))
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    return Cells(
        row=row,
        starts=starts,
        owner=row[starts],
        mcc=_ints(table, "mcc"),
        spend=_floats(table, "spend_cents") * CENTS,
        count=_floats(table, "transaction_count"),
        history_count=_floats(table, "history_count"),
        history_paid=_floats(table, "history_paid_cents") * CENTS,
        weeks_used=_ints(table, "weeks_used"),
        weeks_heavy=_ints(table, "weeks_heavy"),
    )


def _ints(table: pa.Table, name: str) -> Ints:
    return np.asarray(table[name].to_numpy(), dtype=np.int64)


def _floats(table: pa.Table, name: str) -> Floats:
    return np.asarray(table[name].to_numpy(), dtype=np.float64)
