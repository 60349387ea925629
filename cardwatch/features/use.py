"""How merchant categories and weeks are used by all customers: counts, added up over blocks."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from cardwatch.engine import Engine
from cardwatch.features.rows import (
    CODES,
    USED_CELLS,
    Activity,
    CategoryHistory,
    Ints,
    Rows,
)
from cardwatch.features.window import Window
from cardwatch.robust import Floats


@dataclass(frozen=True)
class Use:
    """Counts over customers, exact, so that they add up in any order.

    Per merchant category code, shape (`CODES`,): `users` in the reference weeks and their
    transactions `history_count`. Per newcomer week and code, shape (K, `CODES`): `newcomers`, who
    used the category that week, not in the look-back before, and were active in it; of them
    `heavy_newcomers` spent a large part of a usual week there. `known` customers have a reference
    week. Per week, shape (W,): `customers` with a transaction, their spend in `cents`, their
    transactions `count`.
    """

    users: Floats
    history_count: Floats
    newcomers: Floats
    heavy_newcomers: Floats
    known: int
    customers: Ints
    cents: Floats
    count: Floats

    def __add__(self, other: Use) -> Use:
        return Use(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class CountUse:
    """Counts over the customers whose rows of ``cell`` it is given."""

    window: Window

    def __call__(self, cells: pa.Table) -> Use:
        """Count over some customers."""
        return use_of(Rows.of(cells, self.window.scored + 1), self.window)


def measure_use(engine: Engine, window: Window, customers: int) -> Use:
    """Count over all customers of ``cell``, so many at once."""
    return engine.fold(USED_CELLS, CountUse(window), Use.__add__, customers)


def keep_weeks(engine: Engine, use: Use) -> None:
    """Make the engine's table ``portfolio_week``."""
    engine.create(
        "portfolio_week",
        {
            "week_index": "TINYINT",
            "spend_cents": "BIGINT",
            "transaction_count": "BIGINT",
            "customers": "BIGINT",
        },
    )
    engine.append(
        "portfolio_week",
        pa.table(
            {
                "week_index": pa.array(range(len(use.customers)), pa.int8()),
                "spend_cents": pa.array(use.cents.astype(np.int64)),
                "transaction_count": pa.array(use.count.astype(np.int64)),
                "customers": pa.array(use.customers),
            }
        ),
    )


def use_of(rows: Rows, window: Window) -> Use:
    """Count over the customers of one block."""
    activity = Activity.of(rows)
    history = CategoryHistory.of(rows, activity.level)
    newcomers, heavy = _newcomers(activity, history, window)
    return Use(
        users=_per_code(history.mcc[history.count > 0]),
        history_count=_per_code(history.mcc, history.count),
        newcomers=newcomers,
        heavy_newcomers=heavy,
        known=int(activity.active[:, : rows.scored].any(axis=1).sum()),
        customers=activity.active.sum(axis=0),
        cents=np.nansum(activity.spend, axis=0),
        count=np.asarray(np.bincount(rows.week, rows.count, rows.weeks), dtype=np.float64),
    )


def _newcomers(
    activity: Activity, history: CategoryHistory, window: Window
) -> tuple[Floats, Floats]:
    counts: list[Floats] = []
    heavy: list[Floats] = []
    for week in window.newcomer_weeks:
        start = max(week - window.lookback, 0)
        lookback = sum(1 << back for back in range(start, week))
        was_active = np.asarray(activity.active[:, start:week].any(axis=1))
        new = (history.used & (1 << week) != 0) & (history.used & lookback == 0)
        new &= was_active[history.row]
        counts.append(_per_code(history.mcc[new]))
        heavy.append(_per_code(history.mcc[new & (history.heavy & (1 << week) != 0)]))
    return np.stack(counts), np.stack(heavy)


def _per_code(mccs: Ints, weights: Floats | None = None) -> Floats:
    return np.asarray(np.bincount(mccs, weights, CODES), dtype=np.float64)
