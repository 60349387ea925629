from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardwatch.detection.tails import (
    MAX_SURPRISE,
    TAPER,
    FeatureTail,
    Given,
    TailMethod,
    Tapered,
    fit_shaped,
    fit_tail,
    law_from_json,
)
from cardwatch.robust import Floats

METHODS: tuple[TailMethod, ...] = get_args(TailMethod)

samples = st.one_of(
    st.builds(
        lambda seed, n, kind: _sample(seed, n, kind),
        st.integers(0, 10_000),
        st.integers(2, 3_000),
        st.sampled_from(["normal", "heavy", "counts", "zeros", "two"]),
    ),
    st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=60).map(np.array),
)


def _sample(seed: int, n: int, kind: str) -> Floats:
    random = np.random.default_rng(seed)
    if kind == "normal":
        return random.normal(size=n)
    if kind == "heavy":
        return random.standard_cauchy(n)
    if kind == "counts":
        return random.poisson(3, n).astype(np.float64)
    if kind == "two":
        return random.integers(0, 2, n).astype(np.float64)
    return np.where(random.random(n) < 0.03, random.lognormal(0, 1, n), 0.0)


def fitted(values: Floats, two_sided: bool = False, method: TailMethod = "averaged") -> FeatureTail:
    tail = fit_tail(values, two_sided, method)
    assert tail is not None
    return tail


def spread_out(values: Floats) -> Floats:
    """The values, points between them and points far beyond, ascending."""
    reach = np.geomspace(1e-3, 1e12, 60)
    return np.unique(
        np.concatenate([values, np.linspace(values.min(), values.max(), 500), reach, -reach])
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(samples, st.sampled_from(METHODS))
def test_a_higher_value_is_never_less_surprising(values: Floats, method: TailMethod) -> None:
    tail = fit_tail(values, False, method)
    if tail is not None:
        surprise = tail.surprise(spread_out(values))
        assert (np.diff(surprise) >= 0).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["normal", "heavy", "zeros"])
def test_surprise_does_not_dip_where_the_tail_begins(kind: str, method: TailMethod) -> None:
    values = _sample(11, 20_000, kind)
    around = np.linspace(np.quantile(values, 0.85), np.quantile(values, 0.995), 20_000)
    assert (np.diff(fitted(values, method=method).surprise(around)) >= 0).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(samples, st.sampled_from(METHODS))
def test_a_surprise_lies_between_0_and_30(values: Floats, method: TailMethod) -> None:
    for two_sided in (True, False):
        tail = fit_tail(values, two_sided, method)
        if tail is not None:
            surprise = tail.surprise(spread_out(values))
            assert surprise.min() >= 0
            assert surprise.max() <= MAX_SURPRISE


@settings(max_examples=40, deadline=None, derandomize=True)
@given(samples, st.sampled_from(METHODS))
def test_both_sides_of_a_two_sided_feature_are_treated_alike(
    values: Floats, method: TailMethod
) -> None:
    tail, mirrored = fit_tail(values, True, method), fit_tail(-values, True, method)
    if tail is None or mirrored is None:
        assert tail is mirrored
        return
    points = spread_out(values)
    np.testing.assert_allclose(tail.surprise(points), mirrored.surprise(-points), atol=1e-9)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(samples, st.sampled_from(METHODS), st.booleans())
def test_a_law_read_back_from_json_is_the_same(
    values: Floats, method: TailMethod, two_sided: bool
) -> None:
    tail = fit_tail(values, two_sided, method)
    if tail is not None:
        assert FeatureTail.from_json(json.loads(json.dumps(tail.to_json()))) == tail


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [3.0], [3.0] * 50, [3.0, np.nan, 3.0]])
def test_a_column_without_two_values_has_no_law(values: list[float]) -> None:
    assert fit_tail(np.array(values), True, "averaged") is None


@pytest.mark.parametrize("state", [{}, {"centre": 0, "scale": 1}, {"centre": 0, "lower": None}])
def test_a_state_of_another_form_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(KeyError):
        FeatureTail.from_json(state)


def test_a_missing_value_is_no_surprise() -> None:
    tail = fitted(_sample(1, 500, "normal"), two_sided=True)
    assert tail.surprise(np.array([np.nan, 0.0, np.nan]))[[0, 2]].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("method", METHODS)
def test_in_the_body_surprise_is_the_logarithm_of_the_rank(method: TailMethod) -> None:
    values = _sample(2, 4_000, "normal")
    tail = fitted(values, method=method)
    for quantile in (0.1, 0.5, 0.8, 0.88):
        point = np.quantile(values, quantile)
        assert tail.surprise(np.array([point]))[0] == pytest.approx(
            -np.log10(1 - quantile), abs=0.01
        )


@pytest.mark.parametrize("method", METHODS)
def test_the_tail_of_an_exponential_law_is_met(method: TailMethod) -> None:
    """slog of an exponential of an exponential law has an exponential tail: the line is exact."""
    random = np.random.default_rng(3)
    values = np.expm1(random.exponential(0.8, 20_000))
    tail = fitted(values, method=method)
    high = np.expm1(0.8 * np.log(10) * np.array([2.5, 3.0, 3.5]))
    assert tail.surprise(high) == pytest.approx([2.5, 3.0, 3.5], abs=0.35)


def test_two_sided_surprise_costs_a_factor_of_two() -> None:
    values = _sample(4, 5_000, "normal")
    high = np.array([2.5])
    one, two = fitted(values).surprise(high), fitted(values, two_sided=True).surprise(high)
    assert two[0] == pytest.approx(one[0] - np.log10(2))


def test_where_nearly_all_values_are_zero_the_excess_gives_the_slope() -> None:
    random = np.random.default_rng(5)
    values = np.where(random.random(5_000) < 0.025, random.lognormal(0, 0.5, 5_000), 0.0)
    averaged, body = fitted(values), fitted(values, method="body")
    assert len({(line.start, line.slope) for line in averaged.upper.lines}) == 1
    assert averaged.surprise(np.array([0.0]))[0] == 0
    assert averaged.surprise(np.array([0.5]))[0] > 1.5
    assert 2.5 < averaged.surprise(np.array([5.0]))[0] < 6
    assert body.upper.lines


def test_extreme_values_do_not_hide_each_other_from_a_slope_taken_in_the_body() -> None:
    values, point = _sample(6, 10_000, "normal"), np.array([12.0])
    crowd = np.append(values, np.full(100, 12.0))
    surprise = {
        method: (
            fitted(np.append(values, point), method=method).surprise(point)[0],
            fitted(crowd, method=method).surprise(point)[0],
        )
        for method in METHODS
    }
    alone, together = surprise["body"]
    assert together > 0.8 * alone, "one in a hundred customers costs little"
    assert surprise["averaged"][1] > 0.5 * surprise["averaged"][0]
    assert together > -np.log10(0.01), "more than their own rank"


def test_the_fit_is_the_same_in_any_order() -> None:
    values = _sample(7, 3_000, "heavy")
    shuffled = np.random.default_rng(8).permutation(values)
    assert fitted(values, True) == fitted(shuffled, True)


def shaped(values: Floats) -> FeatureTail:
    tail = fit_shaped(values)
    assert tail is not None
    return tail


def pareto(shape: float, n: int = 40_000) -> Floats:
    """A generalised Pareto law; its surprise at x is log10(1 + shape · x) / shape."""
    return np.expm1(shape * np.random.default_rng(9).exponential(1, n)) / shape


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.8])
def test_a_shaped_tail_meets_a_generalised_pareto_law(shape: float) -> None:
    far = np.expm1(shape * np.log(10) * np.array([2.0, 3.0, 4.0])) / shape
    assert shaped(pareto(shape)).surprise(far) == pytest.approx([2, 3, 4], abs=0.5)


def test_a_shaped_tail_keeps_a_distance_from_a_light_body_that_a_logarithm_takes_away() -> None:
    values = np.append(_sample(10, 5_000, "normal"), np.full(40, 9.0))
    far = np.array([9.0])
    assert shaped(values).surprise(far)[0] > 1.4 * fitted(values).surprise(far)[0]


def test_a_crowd_in_the_far_tail_hides_itself_little_from_a_shape_taken_under_it() -> None:
    values, far = pareto(0.3), np.array([50.0])
    crowd = np.append(values, np.full(len(values) // 100, 50.0))
    assert shaped(crowd).surprise(far)[0] > 0.7 * shaped(values).surprise(far)[0]
    assert shaped(crowd).surprise(far)[0] > fitted(crowd).surprise(far)[0]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(samples)
def test_a_shaped_tail_rises_within_its_bounds_and_reads_back_from_json(values: Floats) -> None:
    tail = fit_shaped(values)
    if tail is not None:
        surprise = tail.surprise(spread_out(values))
        assert (np.diff(surprise) >= 0).all()
        assert surprise.min() >= 0
        assert surprise.max() <= MAX_SURPRISE
        assert law_from_json(json.loads(json.dumps(tail.to_json()))) == tail


@pytest.mark.parametrize("kind", ["zeros", "two"])
def test_a_body_without_a_slope_has_no_shape(kind: str) -> None:
    assert fit_shaped(_sample(12, 3_000, kind)) is None
    assert fit_shaped(np.array([np.nan])) is None


def test_a_value_that_is_a_surprise_already_is_taken_as_it_is() -> None:
    values = np.array([-1.0, 0.0, 2.5, 99.0, np.nan])
    assert Given().surprise(values).tolist() == [0, 0, 2.5, MAX_SURPRISE, 0]
    assert law_from_json(Given().to_json()) == Given()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(samples, st.integers(1, 10_000_000))
def test_a_tapered_law_is_its_law_and_from_its_start_on_grows_by_a_part_of_it(
    values: Floats, customers: int
) -> None:
    law = fit_tail(values, False, "averaged")
    if law is None:
        return
    tapered, there = Tapered.among(law, customers), spread_out(values)
    plain, surprise = law.surprise(there), tapered.surprise(there)
    common = plain <= tapered.start
    assert (surprise[common] == plain[common]).all()
    beyond = np.append(tapered.start, plain[~common])
    np.testing.assert_allclose(
        np.diff(np.append(tapered.start, surprise[~common])), TAPER * np.diff(beyond), atol=1e-9
    )
    assert law_from_json(json.loads(json.dumps(tapered.to_json()))) == tapered


def test_the_taper_begins_at_one_customer_in_three_times_the_root_of_all() -> None:
    law = fitted(_sample(3, 2_000, "normal"))
    assert Tapered.among(law, 10_000).start == pytest.approx(np.log10(300))
    assert Tapered.among(law, 100).start == pytest.approx(np.log10(30))


def test_a_missing_value_is_no_surprise_to_a_tapered_law_either() -> None:
    law = Tapered.among(fitted(_sample(3, 2_000, "normal")), 2_000)
    assert law.surprise(np.array([np.nan])).tolist() == [0]
