"""What every detector keeps, whichever it is: the same tests over each of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cells import WEEK, Cell, Dense, build, detectors, forest, portfolio, surprise

from cardwatch.config import ModelConfig
from cardwatch.detection.base import Detector
from cardwatch.engine import Engine
from cardwatch.errors import ModelError
from cardwatch.features.catalog import CATALOG, FAMILIES
from cardwatch.schema import FeatureTable, Scored

DETECTORS: dict[str, Callable[[], Detector]] = {"surprise": surprise, "isolation_forest": forest}
FEATURES = {feature.name: feature for feature in CATALOG}
CUSTOMERS = 300
ROW_GROUP = 122_880
"""Rows that the engine gives to one thread at a time."""


@pytest.fixture(scope="module", params=DETECTORS)
def detector(request: pytest.FixtureRequest) -> Detector:
    made = DETECTORS[request.param]()
    assert made.name == request.param
    return made


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, FeatureTable]]:
    with Engine("500MB", 2, tmp_path_factory.mktemp("engine")) as engine:
        table, _ = build(engine, with_a_takeover())
        yield engine, table


@pytest.fixture(scope="module")
def scored(session: tuple[Engine, FeatureTable], detector: Detector) -> tuple[Engine, Scored]:
    engine, table = session
    return engine, detector.fit_score(engine, table)


def with_a_takeover() -> list[Cell]:
    """A portfolio, and a customer whose card buys jewellery and sends money in one week."""
    cells = portfolio(CUSTOMERS).cells()
    quiet = [Cell("Z", week, 5411, 3_000 + week, 2) for week in range(13)]
    return [*cells, *quiet, Cell("Z", 12, 5944, 90_000, 2), Cell("Z", 12, 4829, 80_000, 1)]


def test_every_configurable_detector_is_held_to_this() -> None:
    allowed = ModelConfig.model_json_schema()["properties"]["detector"]["enum"]
    assert sorted(allowed) == sorted(DETECTORS)


def test_everybody_is_scored_between_0_and_1(scored: tuple[Engine, Scored]) -> None:
    engine, found = scored
    scores = engine.arrow("SELECT * FROM score ORDER BY customer_key")
    assert scores["customer_key"].to_pylist() == list(range(CUSTOMERS + 1))
    values = scores["anomaly_score"].to_numpy()
    assert values.min() >= 0
    assert values.max() <= 1
    assert (values == values.round(9)).all(), "rounded before anything is ranked"
    parts = [f"{family}_{kind}" for family in FAMILIES for kind in ("surprise", "contribution")]
    totals = ["anomaly_score", "surprise_total", "unweighted_total"]
    assert scores.column_names == ["customer_key", *totals, *parts]
    assert found.families == FAMILIES


def test_the_strangest_customer_comes_first(scored: tuple[Engine, Scored]) -> None:
    engine, _ = scored
    first = engine.scalar("SELECT customer_key FROM score ORDER BY anomaly_score DESC LIMIT 1")
    assert first == CUSTOMERS


def test_a_higher_total_is_never_a_lower_score(scored: tuple[Engine, Scored]) -> None:
    engine, _ = scored
    rows = engine.arrow("SELECT * FROM score ORDER BY surprise_total")
    assert (np.diff(rows["anomaly_score"].to_numpy()) >= -1e-9).all()


def test_the_families_contributions_add_up_to_the_total(scored: tuple[Engine, Scored]) -> None:
    engine, _ = scored
    rows = engine.arrow("SELECT * FROM score")
    total = sum(rows[f"{family}_contribution"].to_numpy() for family in FAMILIES)
    np.testing.assert_allclose(total, rows["surprise_total"].to_numpy(), atol=1e-9)


def test_attributions_are_one_per_family_and_add_up_to_the_total(
    scored: tuple[Engine, Scored], detector: Detector
) -> None:
    engine, found = scored
    keys = range(CUSTOMERS + 1)
    rows = {row["customer_key"]: row for row in engine.rows("SELECT * FROM score")}
    values = {row["customer_key"]: row for row in engine.rows("SELECT * FROM feature")}
    attributed = detector.attribute(engine, found, keys)
    assert set(attributed) == set(keys)
    for key, parts in attributed.items():
        families = [part.family for part in parts]
        assert len(set(families)) == len(families)
        total = sum(part.contribution for part in parts)
        assert total == pytest.approx(rows[key]["surprise_total"], abs=1e-9)
        speaking = [part for part in parts if part.feature]
        assert parts[: len(speaking)] == tuple(speaking), "families without a feature come last"
        contributions = [part.contribution for part in speaking]
        assert contributions == sorted(contributions, reverse=True)
        for part in parts:
            expected = rows[key][f"{part.family}_contribution"]
            assert part.contribution == pytest.approx(expected, abs=1e-9)
        for part in speaking:
            assert part.contribution > 0
            assert FEATURES[part.feature].family == part.family
            assert values[key][part.feature] is not None, "a missing value is no reason"
            assert part.is_high or FEATURES[part.feature].side == "two"


def test_a_family_left_out_never_raises_a_total_and_lowers_those_it_made(
    scored: tuple[Engine, Scored], detector: Detector
) -> None:
    engine, found = scored
    rows = engine.arrow("SELECT * FROM score ORDER BY customer_key")
    total = rows["surprise_total"].to_numpy()
    for family in found.families:
        left = detector.total_without(rows, found.families, family)
        assert (left <= total + 1e-9).all()
        part = rows[f"{family}_contribution"].to_numpy()
        assert (left[part > 1e-6] < total[part > 1e-6]).all()


def test_weights_move_totals_where_the_detector_takes_them_and_can_be_taken_back(
    session: tuple[Engine, FeatureTable], detector: Detector
) -> None:
    engine, table = session
    detector.fit_score(engine, table)
    before = engine.arrow("SELECT * FROM score ORDER BY customer_key")
    weights = {name: 0.5 for name in table.columns if FEATURES[name].family == "novelty"}
    weighted = detector.fit_score(engine, table, weights)
    after = engine.arrow("SELECT * FROM score ORDER BY customer_key")
    np.testing.assert_allclose(after["unweighted_total"], before["surprise_total"], atol=1e-12)
    assert detector.takes_weights == (after["surprise_total"] != before["surprise_total"])
    assert (after["surprise_total"].to_numpy() <= before["surprise_total"].to_numpy() + 1e-9).all()
    parts = detector.attribute(engine, weighted, [CUSTOMERS])[CUSTOMERS]
    total = after["surprise_total"].to_pylist()[CUSTOMERS]
    assert sum(part.contribution for part in parts) == pytest.approx(total, abs=1e-9)


def test_nobody_asked_for_gets_no_attributions(
    scored: tuple[Engine, Scored], detector: Detector
) -> None:
    engine, found = scored
    assert detector.attribute(engine, found, []) == {}


def test_the_state_is_json_that_attributes_the_same_when_read_back(
    scored: tuple[Engine, Scored], detector: Detector
) -> None:
    engine, found = scored
    restored = Scored(found.detector, found.families, json.loads(json.dumps(found.state)))
    keys = [0, 7, CUSTOMERS]
    assert detector.attribute(engine, restored, keys) == detector.attribute(engine, found, keys)


def test_the_state_of_another_detector_is_refused(
    scored: tuple[Engine, Scored], detector: Detector
) -> None:
    engine, found = scored
    others = [make() for kind, make in DETECTORS.items() if kind != detector.name]
    for other in others:
        with pytest.raises(ModelError, match="another detector"):
            other.attribute(engine, found, [0])


def test_absent_customers_are_scored_and_do_not_crowd_the_list(
    scored: tuple[Engine, Scored],
) -> None:
    engine, _ = scored
    absent = engine.scalar("SELECT count(*) FROM feature WHERE NOT has_rows")
    listed = engine.scalar(
        "SELECT count(*) FILTER (WHERE NOT has_rows) FROM (SELECT has_rows FROM score "
        "INNER JOIN feature USING (customer_key) ORDER BY anomaly_score DESC LIMIT 20)"
    )
    assert absent > 30
    assert listed <= 2


def test_a_week_without_transactions_is_refused(engine: Engine, detector: Detector) -> None:
    table, _ = build(engine, [cell for cell in portfolio(40).cells() if cell.week < 12])
    with pytest.raises(ModelError, match=WEEK.label):
        detector.fit_score(engine, table)


def everything(
    folder: Path, dense: Dense, shuffle: int | None, threads: int, block_rows: int
) -> list[object]:
    """The table ``feature``, and every detector's table ``score`` and state."""
    rows = int((dense.number > 0).sum())
    order = None if shuffle is None else np.random.default_rng(shuffle).permutation(rows)
    with Engine("500MB", threads, folder) as engine:
        table, _ = build(engine, dense, order=order, block_rows=block_rows)
        made: list[object] = [engine.arrow("SELECT * FROM feature")]
        for detector in detectors():
            found = detector.fit_score(engine, table)
            made += [engine.arrow("SELECT * FROM score"), json.dumps(found.state)]
    return made


@pytest.mark.system
def test_shuffled_rows_other_thread_counts_and_smaller_blocks_give_the_same_bytes(
    tmp_path: Path,
) -> None:
    dense = portfolio(4_000)
    assert (dense.number > 0).sum() > ROW_GROUP, "so that both threads have work"
    expected = everything(tmp_path, dense, None, 1, 131_072)
    assert everything(tmp_path, dense, 1, 2, 131_072) == expected
    assert everything(tmp_path, dense, 2, 2, 700) == expected
