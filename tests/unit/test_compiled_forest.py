from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import IsolationForest
from test_isolation_forest import detector, fill, portfolio

from cardwatch.detection import compiled, isolation_forest
from cardwatch.detection.compiled import CompiledForest
from cardwatch.detection.trees import Singles, Trees, average_path_length
from cardwatch.engine import Engine

COLUMNS = 5


def rows_like_ours(count: int, seed: int = 3) -> Singles:
    """Gaps, a constant column, a column of few values, and one without any value."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, COLUMNS)).astype(np.float32)
    rows[random.random(rows.shape) < 0.2] = np.nan
    rows[:, 1], rows[:, 4] = 7.0, np.nan
    rows[:, 2] = random.integers(0, 3, count) / 3
    return rows


def forest_over(rows: Singles, max_samples: int = 256, trees: int = 20) -> IsolationForest:
    samples = min(max_samples, len(rows))
    return IsolationForest(n_estimators=trees, max_samples=samples, random_state=1).fit(rows)


def compiled_scores(forest: IsolationForest, rows: Singles) -> npt.NDArray[np.float64]:
    """What scikit-learn's score_samples means, from the sums of the compiled walk."""
    trees = Trees.of(forest)
    credits = trees.credits(range(COLUMNS), COLUMNS)
    sums = CompiledForest.of(trees, credits, COLUMNS).sums(rows).sum(axis=1) / len(trees.nodes)
    root = float(average_path_length(trees.samples[0]))
    return np.asarray(-np.exp2((sums / root if root > 0 else sums) - 1))


def scikit_sums(forest: IsolationForest, rows: Singles, group_of: list[int]) -> pa.Array:
    trees = Trees.of(forest)
    leaves = np.split(trees.credits(group_of, max(group_of) + 1), trees.offsets()[1:])
    return isolation_forest._sums(list(zip(trees.walkers(COLUMNS), leaves, strict=True)), rows)


@pytest.mark.parametrize("max_samples", [2, 256, 3_000])
def test_scores_are_scikit_learns_and_the_sums_its_to_the_last_bit(max_samples: int) -> None:
    rows = rows_like_ours(5_000)
    forest = forest_over(rows, max_samples)
    assert np.abs(compiled_scores(forest, rows) - forest.score_samples(rows)).max() < 1e-12
    trees, group_of = Trees.of(forest), [0, 1, 1, 0, 2]
    found = CompiledForest.of(trees, trees.credits(group_of, 3), COLUMNS).sums(rows)
    assert found.tobytes() == scikit_sums(forest, rows, group_of).tobytes()


@settings(max_examples=25, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.just(COLUMNS)),
        elements=st.one_of(
            st.sampled_from([0.0, 1.0, float("nan"), 1e30, -1e30, 0.1, 1 / 3]).map(np.float32),
            st.floats(-(2.0**99), 2.0**99, width=32),
        ),
    )
)
def test_every_value_goes_where_scikit_learn_sends_it(rows: Singles) -> None:
    forest = forest_over(rows_like_ours(50), trees=5)
    group_of = list(range(COLUMNS))
    trees = Trees.of(forest)
    found = CompiledForest.of(trees, trees.credits(group_of, COLUMNS), COLUMNS).sums(rows)
    assert found.tobytes() == scikit_sums(forest, rows, group_of).tobytes()
    own = forest_over(rows, trees=5)
    assert np.abs(compiled_scores(own, rows) - own.score_samples(rows)).max() < 1e-12


def test_a_value_between_a_threshold_and_its_float32_goes_where_scikit_learn_sends_it() -> None:
    rows = rows_like_ours(400)
    forest = forest_over(rows)
    split = Trees.of(forest)
    inner = split.feature >= 0
    near = split.threshold[inner].astype(np.float32)
    on_the_edge = np.repeat(near[:, None], COLUMNS, axis=1)
    assert (near > split.threshold[inner]).any(), "some thresholds round up to the nearest"
    found = compiled_scores(forest, on_the_edge)
    assert np.abs(found - forest.score_samples(on_the_edge)).max() < 1e-12


def test_a_detector_gives_the_same_bytes_compiled_or_not_on_one_thread_or_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = portfolio(3_000)

    def score_table(threads: int, worthwhile: int) -> tuple[pa.Table, object]:
        monkeypatch.setattr(isolation_forest, "WORTHWHILE_STEPS", worthwhile)
        with Engine("200MB", threads) as engine:
            scored = detector().fit_score(engine, fill(engine, values))
            reasons = detector().attribute(engine, scored, (2_999, 3))
            table = engine.arrow("SELECT * FROM score ORDER BY customer_key")
        return table, reasons

    expected = score_table(2, 10**12)
    assert score_table(1, 0) == expected
    assert score_table(2, 0) == expected
    monkeypatch.setitem(sys.modules, "numba", None)
    assert score_table(2, 0) == expected, "and where the extra is not installed"


def test_nothing_compiled_is_kept_on_disk() -> None:
    rows = rows_like_ours(20)
    compiled_scores(forest_over(rows), rows)
    assert compiled._compiled().stats.cache_path is None  # type: ignore[attr-defined]
