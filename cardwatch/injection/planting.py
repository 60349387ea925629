"""Puts the cases of a plan into the engine's ``cell``, between the contract and the features.

Nothing else is written: the tables of an engine go with its session, and what is planted there has
no way into a file, a cache or a message.
"""

from __future__ import annotations

import pyarrow as pa

from cardwatch.engine import Engine
from cardwatch.injection.plan import PACKAGE, Plan, Planted
from cardwatch.schema import Checked


def plant(engine: Engine, checked: Checked, plan: Plan) -> dict[int, Planted]:
    """Change ``cell`` as planned, and return the planted customers by their key.

    Customers whom this configuration's contract has not accepted, and weeks before its window, are
    passed over.
    """
    keys = dict(
        engine.execute(
            "SELECT customer_id, customer_key FROM customer "
            "WHERE customer_id IN (SELECT unnest($ids)) ORDER BY customer_id",
            ids=[each.customer_id for each in plan.planted],
        ).fetchall()
    )
    found = {keys[each.customer_id]: each for each in plan.planted if each.customer_id in keys}
    weeks, cells = _tables(found, len(checked.reference_weeks))
    engine.create("planted_week", {"customer_key": "INTEGER", "week_index": "TINYINT"})
    engine.append("planted_week", weeks)
    engine.execute("CREATE OR REPLACE TABLE planted_cell AS SELECT * FROM cell LIMIT 0")
    engine.append("planted_cell", cells)
    engine.run_file(PACKAGE, "plant")
    engine.drop(("planted_week", "planted_cell"))
    return found


def _tables(found: dict[int, Planted], scored: int) -> tuple[pa.Table, pa.Table]:
    changed = [
        (key, scored - ago, week)
        for key, case in found.items()
        for ago, week in case.weeks.items()
        if ago <= scored
    ]
    weeks = {
        "customer_key": pa.array([key for key, _, _ in changed], pa.int32()),
        "week_index": pa.array([index for _, index, _ in changed], pa.int8()),
    }
    rows = [
        (key, index, mcc, spend)
        for key, index, week in changed
        for mcc, spend in sorted(week.items())
    ]
    cells = {
        "customer_key": pa.array([key for key, _, _, _ in rows], pa.int32()),
        "week_index": pa.array([index for _, index, _, _ in rows], pa.int8()),
        "mcc": pa.array([mcc for _, _, mcc, _ in rows], pa.int16()),
        "spend_cents": pa.array([spend.cents for _, _, _, spend in rows], pa.int64()),
        "transaction_count": pa.array([spend.transactions for _, _, _, spend in rows], pa.int32()),
    }
    return pa.table(weeks), pa.table(cells)
