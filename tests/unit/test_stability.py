"""Who stays on the list when one family is not looked at."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from cells import surprise

from cardwatch import stability
from cardwatch.detection.base import score_types
from cardwatch.engine import Engine
from cardwatch.stability import rank_stability

FAMILIES = ("growth", "novelty", "ticket")
DECAY = 0.3


def fill(engine: Engine, alone: list[list[float]]) -> None:
    """Make the tables ``customer`` and ``score`` of these surprises per family."""
    values = np.array(alone)
    place = np.argsort(np.argsort(-values, axis=1, kind="stable"), axis=1, kind="stable")
    contribution = values * DECAY**place
    keys = pa.array(range(len(values)), pa.int32())
    engine.create("customer", {"customer_key": "INTEGER", "customer_id": "VARCHAR"})
    ids = [f"C{key:04d}" for key in range(len(values))]
    engine.append("customer", pa.table({"customer_key": keys, "customer_id": ids}))
    engine.create("score", score_types(FAMILIES))
    engine.create("left_out", {"customer_key": "INTEGER"})
    total = pa.array(contribution.sum(axis=1))
    columns = {"customer_key": keys, "anomaly_score": total, "surprise_total": total}
    columns |= {"unweighted_total": total}
    for f, family in enumerate(FAMILIES):
        columns[f"{family}_surprise"] = pa.array(values[:, f])
        columns[f"{family}_contribution"] = pa.array(contribution[:, f])
    engine.append("score", pa.table(columns))


def test_a_place_that_rests_on_one_family_goes_with_it(engine: Engine) -> None:
    fill(engine, [[9, 8, 7], [0, 0, 6], [5, 5, 5], [1, 1, 1], [2, 0, 0]])
    found = rank_stability(engine, surprise(), FAMILIES, [0, 2, 1])
    assert found == {0: 1.0, 2: 1.0, 1: pytest.approx(2 / 3)}


def test_a_list_of_everybody_is_firm_and_one_of_nobody_is_empty(engine: Engine) -> None:
    fill(engine, [[3, 0, 0], [0, 2, 0]])
    assert rank_stability(engine, surprise(), FAMILIES, [0, 1]) == {0: 1.0, 1: 1.0}
    assert rank_stability(engine, surprise(), FAMILIES, []) == {}


def test_who_is_far_down_is_looked_at_where_it_can_matter(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(1)
    alone = generator.exponential(1, (400, 3))
    alone[:60] = 0
    alone[:60, 0] = 30 + np.arange(60)  # sixty that only growth speaks for
    fill(engine, alone.tolist())
    listed = list(range(59, 39, -1))
    some = rank_stability(engine, surprise(), FAMILIES, listed)
    monkeypatch.setattr(stability, "CANDIDATES_PER_PLACE", 400)
    assert some == rank_stability(engine, surprise(), FAMILIES, listed)
    assert list(some.values()) == pytest.approx([2 / 3] * 20)
