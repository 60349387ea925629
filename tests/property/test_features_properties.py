"""What holds for any rows the contract may accept."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from cells import Cell, build, column, detectors, fill, name
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cardwatch.config import FeatureConfig, RankingConfig
from cardwatch.engine import Engine
from cardwatch.explanation import reasons_for
from cardwatch.features.build import build_features
from cardwatch.features.catalog import CATALOG
from cardwatch.features.facts import customer_facts
from cardwatch.ranking import rank
from cardwatch.robust import Floats, median_rows, slog, spread_rows
from cardwatch.schema import Checked

FEATURES = {feature.name: feature for feature in CATALOG}
LARGEST = 10_000_000 * 100

cents = st.one_of(
    st.integers(-LARGEST, LARGEST), st.sampled_from([0, 1, -1, LARGEST, -LARGEST]), st.just(5_000)
)
places = st.tuples(
    st.integers(0, 9).map(name), st.integers(0, 12), st.sampled_from([5411, 742, 7995, 3000])
)
portfolios = st.dictionaries(
    places, st.tuples(cents, st.integers(0, 40)), min_size=1, max_size=60
).map(lambda found: [Cell(*place, *amounts) for place, amounts in found.items()])

values = arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(0, 9)),
    elements=st.one_of(st.floats(-1e6, 1e6), st.just(np.nan)),
)
PAYING = [Cell(name(i), week, 5411, 5_000, 1) for i in range(3) for week in range(13)]


def run(folder: Path, cells: list[Cell]) -> None:
    """Features, both detectors, ranking and reasons of everybody; nothing may be unsayable."""
    with Engine("500MB", 1, folder) as engine:
        checked: Checked = fill(engine, [*PAYING, *cells])
        table, fitted = build_features(checked, FeatureConfig(), engine, 42)
        for feature in CATALOG:
            present = column(engine, feature.name)
            assert not np.isinf(present).any(), feature.name
        everybody = [row["customer_key"] for row in engine.rows("SELECT customer_key FROM feature")]
        facts = customer_facts(engine, fitted, everybody)
        for detector in detectors():
            scored = detector.fit_score(engine, table)
            order = rank(engine, scored, RankingConfig(top_n=100), 0.01, {})
            assert sorted(order.listed) == everybody
            for key, parts in detector.attribute(engine, scored, everybody).items():
                for reason in reasons_for(parts, facts[key], FEATURES, FeatureConfig().risky_mccs):
                    assert np.isfinite([reason.value, reason.contribution]).all()
                    for wrong in ("nan", "inf ", "None", "{", "}"):
                        assert wrong not in reason.sentence


@settings(max_examples=8, deadline=None, derandomize=True)
@given(portfolios)
@example([Cell(name(9), 12, 5411, LARGEST, 1), Cell(name(8), 12, 5411, -LARGEST, 1)])
@example([Cell(name(9), 12, 742, 0, 3)])
@example([Cell(name(9), week, 7995, -5_000, 2) for week in range(13)])
def test_any_accepted_rows_can_be_scored_and_told(cells: list[Cell]) -> None:
    taken = {(cell.customer, cell.week, cell.mcc) for cell in PAYING}
    fresh = [cell for cell in cells if cell[:3] not in taken]
    with TemporaryDirectory() as folder:
        run(Path(folder), fresh)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(values)
def test_medians_of_rows_are_numpys_without_its_missing_values(x: Floats) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanmedian(x, axis=1)
        spread = 1.4826 * np.nanmedian(np.abs(x - expected[:, None]), axis=1)
    np.testing.assert_allclose(median_rows(x), expected, rtol=1e-12)
    np.testing.assert_allclose(spread_rows(x, median_rows(x)), spread, rtol=1e-9, atol=1e-9)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(arrays(np.float64, 2, elements=st.floats(-1e12, 1e12)))
def test_the_signed_logarithm_keeps_order_and_sign(x: Floats) -> None:
    low, high = slog(np.sort(x))
    assert low <= high
    assert (slog(-x) == -slog(x)).all()
    assert (np.sign(slog(x)) == np.sign(x)).all()


def test_the_names_of_customers_and_categories_carry_no_information(engine: Engine) -> None:
    random = np.random.default_rng(4)
    cells = [
        Cell(name(i), week, int(mcc), int(random.integers(500, 20_000)), int(random.integers(1, 5)))
        for i in range(40)
        for week in range(13)
        for mcc in random.choice([5411, 5541, 5812, 5912], 2, replace=False)
    ]
    build(engine, cells)
    expected = {feature.name: column(engine, feature.name) for feature in CATALOG}
    renamed = {5411: 101, 5541: 202, 5812: 303, 5912: 404}
    build(engine, [c._replace(customer=f"x{c.customer}", mcc=renamed[c.mcc]) for c in cells])
    for feature in CATALOG:
        assert column(engine, feature.name) == pytest.approx(
            expected[feature.name], rel=1e-9, abs=1e-9, nan_ok=True
        )
