from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from cardwatch.config import ModelConfig
from cardwatch.detection.artefact import Artefact
from cardwatch.detection.surprise import COMPANION, HALF_SCORE, SurpriseDetector
from cardwatch.detection.tails import Approach, Tapered, fit_tail
from cardwatch.engine import Engine
from cardwatch.errors import ModelError
from cardwatch.schema import Feature, FeatureTable
from cardwatch.week import ReportingWeek


def feature(name: str, family: str, side: Literal["upper", "two"]) -> Feature:
    return Feature(name, family, "z", side, name.upper(), "said", ("", "", ""), "doc")


FEATURES = (
    feature("spend", "own_history", "two"),
    feature("count", "own_history", "upper"),
    feature("new", "novelty", "upper"),
    feature("ticket", "ticket", "upper"),
    feature("gap", "events", "upper"),
)
COLUMNS = tuple(item.name for item in FEATURES)
FAMILIES = ("own_history", "novelty", "ticket", "events")
WEEK = ReportingWeek.parse("2025-46")
Matrix = npt.NDArray[np.float64]


class SmallBatches(Engine):
    """Streams in batches that are smaller than the tables of these tests."""

    def batches(self, sql: str, rows: int = 700, **parameters: object) -> Iterator[pa.RecordBatch]:
        return super().batches(sql, rows, **parameters)


def portfolio(customers: int = 1_000) -> Matrix:
    """Normal values; the first tenth absent, with weeks of silence of their own."""
    random = np.random.default_rng(5)
    values = random.normal(size=(customers, len(COLUMNS)))
    values[random.random(values.shape) < 0.03] = np.nan
    absent = np.arange(customers) < customers // 10
    values[absent, :4] = np.nan
    values[:, 4] = np.where(absent, random.integers(1, 9, customers), np.nan)
    return values


def fill(engine: Engine, values: Matrix) -> FeatureTable:
    types = {"customer_key": "INTEGER", "has_rows": "BOOLEAN"} | dict.fromkeys(COLUMNS, "DOUBLE")
    engine.create("feature", types)
    present = np.isnan(values[:, 4])
    columns: dict[str, Any] = {"customer_key": np.arange(len(values)), "has_rows": present}
    for index, name in enumerate(COLUMNS):
        columns[name] = pa.array(values[:, index], from_pandas=True)
    engine.append("feature", pa.table(columns))
    return FeatureTable(WEEK, COLUMNS, int(present.sum()), int((~present).sum()), 12)


def detector(**settings: Any) -> SurpriseDetector:
    config = ModelConfig(**settings)
    return SurpriseDetector(config, FEATURES, {"gap": config.absent_cap})


def scores(engine: Engine) -> dict[str, Matrix]:
    table = engine.arrow("SELECT * FROM score ORDER BY customer_key")
    return {name: table[name].to_numpy() for name in table.column_names}


def surprises(values: Matrix) -> Matrix:
    """Each feature's surprise by its own law, fitted on the customers with rows."""
    present = np.isnan(values[:, 4])
    columns = []
    for index, item in enumerate(FEATURES[:4]):
        law = fit_tail(values[present, index], item.side == "two", "averaged")
        assert law is not None
        columns.append(law.surprise(values[:, index]))
    silence = Approach.among(3.0, int(present.sum())).surprise(values[:, 4])
    return np.column_stack([*columns, silence])


def test_a_family_is_its_largest_surprise_and_some_of_the_second_and_families_count_by_rank(
    engine: Engine,
) -> None:
    values = portfolio()
    detector().fit_score(engine, fill(engine, values))
    found, expected = scores(engine), surprises(values)
    own = expected[:, :2].max(axis=1) + COMPANION * expected[:, :2].min(axis=1)
    alone = np.column_stack([own, expected[:, 2:]])
    for place, family in enumerate(FAMILIES):
        np.testing.assert_allclose(found[f"{family}_surprise"], alone[:, place], atol=1e-12)
    total = (np.sort(alone)[:, ::-1] * 0.25 ** np.arange(4)).sum(axis=1)
    np.testing.assert_allclose(found["surprise_total"], total, atol=1e-12)
    np.testing.assert_allclose(found["anomaly_score"], total / (total + HALF_SCORE), atol=6e-10)


@pytest.mark.parametrize("decay", [0.0, 0.3, 1.0])
def test_decay_weighs_the_families_after_the_first(engine: Engine, decay: float) -> None:
    values = portfolio()
    detector(decay=decay).fit_score(engine, fill(engine, values))
    found = scores(engine)
    alone = np.sort(np.column_stack([found[f"{family}_surprise"] for family in FAMILIES]))[:, ::-1]
    total = (alone * decay ** np.arange(4)).sum(axis=1)
    np.testing.assert_allclose(found["surprise_total"], total, atol=1e-12)


def test_equally_surprising_families_share_the_weights_in_the_catalogues_order(
    engine: Engine,
) -> None:
    values = portfolio()
    values[:, 2] = values[:, 3] = values[:, 1]
    scored = detector().fit_score(engine, fill(engine, values))
    top = int(np.argmax(scores(engine)["novelty_surprise"]))
    parts = {part.family: part for part in detector().attribute(engine, scored, [top])[top]}
    assert parts["ticket"].contribution == pytest.approx(0.25 * parts["novelty"].contribution)


def test_the_feature_that_speaks_is_the_most_surprising_and_says_on_which_side(
    engine: Engine,
) -> None:
    values = portfolio()
    values[-1], values[-2] = [9.0, 0.0, 0.0, 0.0, np.nan], [-9.0, 5.0, 0.0, 0.0, np.nan]
    scored = detector().fit_score(engine, fill(engine, values))
    found = detector().attribute(engine, scored, [999, 998, 0])
    assert (found[999][0].feature, found[999][0].is_high) == ("spend", True)
    assert (found[998][0].feature, found[998][0].is_high) == ("spend", False)
    assert [part.feature for part in found[0]] == ["gap"], "absent: no other value, no other reason"


def test_a_column_that_says_nothing_takes_no_part(engine: Engine) -> None:
    values = portfolio()
    values[:, 3] = np.where(np.isnan(values[:, 3]), np.nan, 7.0)
    scored = detector().fit_score(engine, fill(engine, values))
    assert scored.families == FAMILIES
    assert (scores(engine)["ticket_surprise"] == 0).all()
    assert set(scored.state["state"]["laws"]) == {"spend", "count", "new", "gap"}  # type: ignore[index]


def test_the_body_alone_gives_other_slopes_than_the_average(engine: Engine) -> None:
    table = fill(engine, portfolio())
    detector(tail="averaged").fit_score(engine, table)
    averaged = scores(engine)["anomaly_score"]
    detector(tail="body").fit_score(engine, table)
    assert (scores(engine)["anomaly_score"] != averaged).any()


def test_absent_customers_take_no_part_in_the_laws(engine: Engine) -> None:
    values = portfolio()
    fitted = detector().fit(engine, fill(engine, values))
    without = detector().fit(engine, fill(engine, values[100:]))
    assert fitted.state["laws"] == without.state["laws"]


def test_batches_of_any_size_give_the_same_table(engine: Engine) -> None:
    values = portfolio(2_500)
    detector().fit_score(engine, fill(engine, values))
    expected = engine.arrow("SELECT * FROM score")
    with SmallBatches("500MB", 2, engine.folder) as small:
        table = fill(small, values)
        assert len(list(small.batches("SELECT * FROM feature"))) > 1
        detector().fit_score(small, table)
        assert small.arrow("SELECT * FROM score") == expected


def test_a_state_read_back_scores_the_same(engine: Engine) -> None:
    table = fill(engine, portfolio())
    scored = detector().fit_score(engine, table)
    expected = engine.arrow("SELECT * FROM score")
    restored = Artefact.loads(json.dumps(scored.state))
    again = detector().score(engine, table, restored)
    assert json.dumps(again.state) == json.dumps(scored.state)
    assert engine.arrow("SELECT * FROM score") == expected


def test_a_state_of_other_features_or_another_form_is_refused(engine: Engine) -> None:
    table = fill(engine, portfolio())
    fitted = detector().fit(engine, table)
    with pytest.raises(ModelError, match="other features"):
        detector().score(engine, replace(table, columns=COLUMNS[:3]), fitted)
    forms: list[object] = [None, 3, {"spend": {}}, {"spend": {"lower": 1}}]
    for laws in forms:
        damaged = replace(fitted, state={**fitted.state, "laws": laws})
        with pytest.raises(ModelError, match="cannot be used"):
            detector().score(engine, table, damaged)


def test_a_features_weight_multiplies_its_surprise(engine: Engine) -> None:
    table, told = fill(engine, portfolio()), {}
    for weight in (1.0, 0.5):
        features = [replace(each, weight=weight) for each in FEATURES]
        SurpriseDetector(ModelConfig(), features, {}).fit_score(engine, table)
        told[weight] = scores(engine)
    for family in FAMILIES:
        name = f"{family}_surprise"
        np.testing.assert_allclose(told[0.5][name], told[1.0][name] / 2)
    assert told[1.0]["ticket_surprise"].max() > 2


def test_a_feature_that_tapers_says_the_same_until_it_is_rare_and_less_beyond(
    engine: Engine,
) -> None:
    values = portfolio()
    values[-1, 3] = 12.0
    features = [replace(each, tapers=each.name == "ticket") for each in FEATURES]
    tapering = SurpriseDetector(ModelConfig(), features, {})
    scored = tapering.fit_score(engine, fill(engine, values))
    found, plain = scores(engine)["ticket_surprise"], surprises(values)[:, 3]
    start = Tapered.among(fit_tail(values[100:, 3], False, "averaged"), 900).start  # type: ignore[arg-type]
    np.testing.assert_allclose(found[plain <= start], plain[plain <= start])
    assert (found[plain > start] < plain[plain > start]).all()
    assert found[-1] == found.max() > start, "rarer is never less"
    top = tapering.attribute(engine, scored, [999])[999][0]
    assert (top.feature, top.is_high) == ("ticket", True)
