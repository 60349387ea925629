from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from sklearn.ensemble import IsolationForest

from cardwatch.config import ModelConfig
from cardwatch.detection import isolation_forest
from cardwatch.detection.artefact import Artefact, pack
from cardwatch.detection.isolation_forest import IsolationForestDetector
from cardwatch.detection.trees import Trees
from cardwatch.engine import Engine
from cardwatch.errors import ModelError
from cardwatch.schema import Feature, FeatureTable
from cardwatch.week import ReportingWeek


@pytest.fixture
def threads() -> int:
    return 2


def feature(name: str, family: str, side: Literal["upper", "two"]) -> Feature:
    return Feature(name, family, "z", side, name.upper(), "said", ("", "", ""), "doc")


FEATURES = (
    feature("spend", "own_history", "two"),
    feature("count", "own_history", "upper"),
    feature("new", "novelty", "upper"),
    feature("gap", "events", "upper"),
)
COLUMNS = tuple(item.name for item in FEATURES)
FAMILIES = ("own_history", "novelty", "events")
Matrix = npt.NDArray[np.float64]


def portfolio(customers: int = 700, seed: int = 5) -> Matrix:
    """The first tenth absent (NaN in all but ``gap``), the last customer unusual."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(customers, len(COLUMNS)))
    values[random.random(values.shape) < 0.05] = np.nan
    values[: customers // 10, :3] = np.nan
    values[customers // 10 :, 3] = np.nan
    values[-1, :3] = 12.0
    return values


def has_rows(values: Matrix) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(values[:, :3]).any(axis=1))


def fill(engine: Engine, values: Matrix, order: npt.NDArray[np.intp] | None = None) -> FeatureTable:
    types = {"customer_key": "INTEGER", "has_rows": "BOOLEAN"} | dict.fromkeys(COLUMNS, "DOUBLE")
    engine.create("feature", types)
    place = np.arange(len(values)) if order is None else order
    present = has_rows(values)[place]
    columns: dict[str, Any] = {"customer_key": pa.array(place, pa.int32()), "has_rows": present}
    for index, name in enumerate(COLUMNS):
        columns[name] = pa.array(values[place, index], from_pandas=True)
    engine.append("feature", pa.table(columns))
    week = ReportingWeek.parse("2025-46")
    return FeatureTable(week, COLUMNS, int(present.sum()), int((~present).sum()), 12)


def detector(**settings: Any) -> IsolationForestDetector:
    return IsolationForestDetector(ModelConfig(**{"n_estimators": 40} | settings), FEATURES)


def scores(engine: Engine) -> pa.Table:
    return engine.arrow("SELECT * FROM score ORDER BY customer_key")


def test_scores_equal_those_of_scikit_learn(engine: Engine) -> None:
    values = portfolio()
    fitted = detector().fit_score(engine, fill(engine, values))
    theirs = IsolationForest(n_estimators=40, max_samples=256, random_state=42)
    present = has_rows(values)
    expected = -theirs.fit(values[present]).score_samples(values[present])
    published = scores(engine)["anomaly_score"].to_numpy()[present]
    assert np.abs(published - expected).max() <= 5.1e-10
    restored = Artefact.loads(json.dumps(fitted.state))
    detector().score(engine, fill(engine, values), restored)
    total = scores(engine)["surprise_total"].to_numpy()[present]
    root_length = 2 * (np.log(255) + np.euler_gamma) - 2 * 255 / 256
    assert np.abs(np.exp2(total / root_length - 1) - expected).max() < 1e-12


def test_families_add_up_to_the_surprise_total_of_every_customer(engine: Engine) -> None:
    scored = detector().fit_score(engine, fill(engine, portfolio()))
    table = scores(engine)
    assert scored.families == FAMILIES
    assert table.column_names == [
        *("customer_key", "anomaly_score", "surprise_total", "unweighted_total"),
        *(f"{family}_{kind}" for family in FAMILIES for kind in ("surprise", "contribution")),
    ]
    total = sum(table[f"{family}_contribution"].to_numpy() for family in FAMILIES)
    assert np.abs(total - table["surprise_total"].to_numpy()).max() < 1e-12


def test_the_unusual_customer_comes_first_and_owes_it_to_the_features_that_are_unusual(
    engine: Engine,
) -> None:
    detector().fit_score(engine, fill(engine, portfolio()))
    first = engine.rows("SELECT * FROM score ORDER BY anomaly_score DESC LIMIT 1")[0]
    assert first["customer_key"] == 699
    parts = [first[f"{family}_contribution"] for family in FAMILIES]
    assert parts == sorted(parts, reverse=True)


def test_attributions_are_the_families_contributions_and_name_the_feature_that_speaks(
    engine: Engine,
) -> None:
    values = portfolio()
    values[-2, :3] = [-12.0, -12.0, 0.0]
    scored = detector().fit_score(engine, fill(engine, values))
    found = detector().attribute(engine, scored, (699, 698, 3))
    for key, parts in found.items():
        row = engine.rows("SELECT * FROM score WHERE customer_key = $key", key=key)[0]
        assert {part.family for part in parts} == set(FAMILIES)
        assert sum(part.contribution for part in parts) == pytest.approx(row["surprise_total"])
        for part in parts:
            assert part.contribution == pytest.approx(row[f"{part.family}_contribution"])
    high, low, absent = found[699], found[698], found[3]
    assert [part.family for part in high[:2]] == ["own_history", "novelty"]
    assert high[0].feature in ("spend", "count")
    assert all(part.is_high for part in high[:2])
    assert (low[0].feature, low[0].is_high) == ("spend", False), "count speaks only when high"
    assert {part.feature for part in absent} == {""}, "a missing value is no reason"
    assert all(part.contribution > 0 for parts in found.values() for part in parts if part.feature)


def test_a_state_without_its_medians_is_refused(engine: Engine) -> None:
    table = fill(engine, portfolio(50))
    fitted = detector().fit(engine, table)
    with pytest.raises(ModelError, match="no median"):
        detector().score(engine, table, replace(fitted, state={"trees": fitted.state["trees"]}))


def test_absent_customers_are_scored_and_never_crowd_the_list(engine: Engine) -> None:
    values = portfolio()
    detector().fit_score(engine, fill(engine, values))
    found = scores(engine)["anomaly_score"].to_numpy()
    assert found[~has_rows(values)].max() < np.median(found[has_rows(values)])


def test_every_customer_is_scored_with_missing_values_and_huge_ones(engine: Engine) -> None:
    values = portfolio(300)
    values[5] = np.nan
    values[6, 0] = 1e308
    detector().fit_score(engine, fill(engine, values))
    table = scores(engine)
    assert table["customer_key"].to_pylist() == list(range(300))
    assert np.isfinite(table["anomaly_score"].to_numpy()).all()


def test_shuffled_rows_and_other_thread_counts_give_the_same_bytes(tmp_path: Path) -> None:
    values = portfolio()
    shuffled = np.random.default_rng(1).permutation(len(values))
    results = []
    for threads, order in ((1, None), (2, None), (1, shuffled), (2, shuffled)):
        with Engine("500MB", threads, tmp_path) as engine:
            scored = detector().fit_score(engine, fill(engine, values, order))
            results.append((json.dumps(scored.state), scores(engine)))
    assert all(result == results[0] for result in results[1:])


def test_a_bounded_sample_is_fitted_and_everybody_scored_in_small_batches(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = portfolio(5_000)
    detector().fit_score(engine, fill(engine, values))
    whole = scores(engine)["anomaly_score"].to_numpy()
    state = detector().fit(engine, fill(engine, values))
    monkeypatch.setattr(isolation_forest, "BATCH_ROWS", 700)
    monkeypatch.setattr(isolation_forest, "BLOCK_ROWS", 64)
    detector().score(engine, fill(engine, values), state)
    assert np.array_equal(scores(engine)["anomaly_score"].to_numpy(), whole)
    monkeypatch.setattr(isolation_forest, "FIT_ROWS", 1_000)
    detector().fit_score(engine, fill(engine, values))
    sampled = scores(engine)["anomaly_score"].to_numpy()
    assert len(sampled) == 5_000
    assert np.corrcoef(sampled, whole)[0, 1] > 0.9
    assert sampled.argmax() == whole.argmax() == 4_999


@pytest.mark.parametrize("customers", [1, 2, 3, 50])
def test_tiny_portfolios_are_scored(engine: Engine, customers: int) -> None:
    detector().fit_score(engine, fill(engine, np.arange(4.0 * customers).reshape(-1, 4)))
    found = scores(engine)["anomaly_score"].to_numpy()
    assert len(found) == customers
    assert ((found >= 0) & (found <= 1)).all()


def test_identical_customers_all_score_one_half(engine: Engine) -> None:
    detector().fit_score(engine, fill(engine, np.ones((300, 4))))
    assert set(scores(engine)["anomaly_score"].to_pylist()) == {0.5}
    assert set(scores(engine)["surprise_total"].to_pylist()) == {0.0}


def test_contamination_changes_no_score(engine: Engine) -> None:
    found = []
    for contamination in (0.01, 0.1):
        detector(contamination=contamination).fit_score(engine, fill(engine, portfolio()))
        found.append(scores(engine))
    assert found[0] == found[1]


@pytest.mark.parametrize("values", [np.empty((0, 4)), np.full((5, 4), np.nan)])
def test_no_customer_or_no_value_is_a_model_error(engine: Engine, values: Matrix) -> None:
    with pytest.raises(ModelError, match="0 customers .* 4 features, 0 values"):
        detector().fit_score(engine, fill(engine, values))


def test_a_week_without_a_transaction_is_a_model_error(engine: Engine) -> None:
    table = replace(fill(engine, portfolio(50)), rows_with_spend=0)
    with pytest.raises(ModelError, match="0 customers with a transaction"):
        detector().fit_score(engine, table)


def test_a_feature_without_a_family_is_a_model_error(engine: Engine) -> None:
    table = fill(engine, portfolio(50))
    with pytest.raises(ModelError, match="no family"):
        IsolationForestDetector(ModelConfig(), FEATURES[:1]).fit_score(engine, table)


def damaged(name: str, change: str) -> dict[str, Any]:
    values = portfolio(300)
    forest = IsolationForest(n_estimators=3, random_state=0).fit(values)
    arrays = {key: item.copy() for key, item in vars(Trees.of(forest)).items()}
    if change == "outside":
        arrays[name][0] = 10_000
    elif change == "shorter":
        arrays[name] = arrays[name][:-1]
    elif change == "loop":
        arrays[name][0] = 0
    types = {"threshold": "<f8", "missing_left": "|u1"}
    state: dict[str, Any] = {key: pack(item, types.get(key, "<i4")) for key, item in arrays.items()}
    if change == "gone":
        del state[name]
    elif change == "retyped":
        state[name] = pack(arrays[name], "<f8" if name != "threshold" else "<i4")
    return state


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("left", "outside"),
        ("right", "outside"),
        ("feature", "outside"),
        ("samples", "outside"),
        ("nodes", "outside"),
        ("left", "loop"),
        ("nodes", "loop"),
        ("threshold", "shorter"),
        ("nodes", "shorter"),
        ("samples", "gone"),
        ("threshold", "retyped"),
        ("left", "retyped"),
    ],
)
def test_damaged_trees_are_refused_before_they_are_walked(
    engine: Engine, name: str, change: str
) -> None:
    artefact = Artefact("isolation_forest", 1, COLUMNS, 42, {"trees": damaged(name, change)})
    with pytest.raises(ModelError):
        detector().score(engine, fill(engine, portfolio(50)), artefact)


def test_a_state_fitted_on_other_features_is_refused(engine: Engine) -> None:
    table = fill(engine, portfolio(50))
    artefact = Artefact("isolation_forest", 1, ("spend",), 42, {})
    with pytest.raises(ModelError, match="3 unknown"):
        detector().score(engine, table, artefact)
