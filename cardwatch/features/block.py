"""A block: the numbers of some customers, as dense arrays ready for row-wise formulas.

A block holds one range of customers of the engine's ``cell``, reduced within each of them (`rows`).
Every formula maps a block to columns and never looks across customers, so blocks can be computed in
any order, on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from cardwatch.engine import Engine
from cardwatch.features.norms import TicketNorms
from cardwatch.features.rows import (
    CENTS,
    Activity,
    CategoryHistory,
    Ints,
    Rows,
    load_rows,
)
from cardwatch.robust import Floats

Bools = npt.NDArray[np.bool_]

MILLION, MILLIONTHS = 1e6, 1e-6
CLIP = 3.0
"""Robust z beyond which a ticket says no more about a week's mean ticket."""
_PLACES = ("row", "starts", "owner")


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

    @classmethod
    def placed(cls, row: Ints, **columns: npt.NDArray[Any]) -> Cells:
        """Return cells with these customers' positions, ascending."""
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        return cls(row=row, starts=starts, owner=row[starts], **columns)

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


def load_block(
    engine: Engine, weeks: int, norms: TicketNorms, where: str, **parameters: object
) -> Block:
    """Read the customers that satisfy `where` into arrays; see `load_rows`."""
    return block_of(load_rows(engine, weeks, where, **parameters), norms)


def block_of(rows: Rows, norms: TicketNorms) -> Block:
    """Return what formulas need to know of the customers whose rows these are."""
    activity = Activity.of(rows)
    history = CategoryHistory.of(rows, activity.level)
    before = history.count > 0
    known = activity.active[:, : rows.scored]
    return Block(
        keys=rows.keys,
        spend=activity.spend * CENTS,
        paid=_wide(rows, activity, np.maximum(rows.cents, 0)) * CENTS,
        risky=_wide(rows, activity, np.where(norms.is_risky[rows.mcc], np.abs(rows.cents), 0))
        * CENTS,
        count=_wide(rows, activity, rows.count),
        usual=activity.usual * CENTS,
        level=activity.level * CENTS,
        active_weeks=known.sum(axis=1),
        first_week=activity.active.argmax(axis=1),
        cells=_cells(rows, history),
        profile=Profile(
            row=history.row[before],
            mcc=history.mcc[before],
            paid=history.paid[before] * CENTS,
            count=history.count[before],
        ),
        **_tickets(rows, activity, norms),
    )


def concatenated(blocks: Sequence[Block]) -> Block:
    """Return one block of the customers of several, in their order."""
    first = np.cumsum([0, *(block.rows for block in blocks)])

    def joined(part: str, name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(getattr(block, part), name) for block in blocks])

    def moved(part: str) -> Ints:
        return np.concatenate(
            [getattr(block, part).row + at for block, at in zip(blocks, first, strict=False)]
        )

    row = moved("cells")
    own = {f.name: joined("cells", f.name) for f in fields(Cells) if f.name not in _PLACES}
    profile = {f.name: joined("profile", f.name) for f in fields(Profile) if f.name != "row"}
    parts = {
        f.name: np.concatenate([getattr(block, f.name) for block in blocks])
        for f in fields(Block)
        if f.name not in ("cells", "profile")
    }
    return Block(
        cells=Cells.placed(row, **own), profile=Profile(row=moved("profile"), **profile), **parts
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


def _wide(rows: Rows, activity: Activity, values: Floats) -> Floats:
    return np.where(activity.active, rows.per_week(values), np.nan)


def _tickets(rows: Rows, activity: Activity, norms: TicketNorms) -> dict[str, Floats]:
    """Return mean ticket and tilt of each week.

    Their terms are added up as whole millionths: such sums are far under 2^53, and exact.
    """
    distance = np.log(np.maximum(np.abs(rows.cents), 1) / 100 / rows.count)
    distance -= norms.log_ticket[rows.mcc]
    z = np.clip(distance / norms.log_ticket_spread[rows.mcc], -CLIP, CLIP)
    weight = np.sqrt(np.minimum(rows.count, 9))
    ticket, total = (rows.per_week(np.rint(values * MILLION)) for values in (weight * z, weight))
    tilt = rows.per_week(np.rint(distance * MILLION)) * MILLIONTHS
    categories = np.where(activity.active, rows.per_week(), np.nan)
    return {"ticket": ticket / np.where(activity.active, total, np.nan), "tilt": tilt / categories}


def _cells(rows: Rows, history: CategoryHistory) -> Cells:
    now = rows.week == rows.scored
    entry = history.entry[now]
    return Cells.placed(
        rows.row[now],
        mcc=rows.mcc[now],
        spend=rows.cents[now] * CENTS,
        count=rows.count[now],
        history_count=history.count[entry],
        history_paid=history.paid[entry] * CENTS,
        weeks_used=history.used[entry],
        weeks_heavy=history.heavy[entry],
    )
