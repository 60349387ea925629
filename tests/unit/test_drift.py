from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest
from published_weeks import WEEK, manifest, week_report

from cardwatch.drift import (
    CATEGORIES,
    category_index,
    comparable_runs,
    drift_of,
    histogram_index,
    measure_drift,
)
from cardwatch.engine import Engine
from cardwatch.histograms import (
    BINS,
    CUSTOMERS,
    OTHER,
    category_counts,
    feature_histograms,
    histogram,
)
from cardwatch.manifest import RunManifest
from cardwatch.schema import Distributions, Drift, Shift

QUANTILES = {"0.5": 0.1, "0.75": 0.2, "0.9": 0.4, "0.99": 0.8, "1": 1.0}
WORDS = {"own_spend": "own spend"}
MALL, GROCER, OTHERS = {"5399": 40}, {"5411": 3_000}, {"5812": 2_000, "5541": 1_500}


def week(
    values: Sequence[float] | np.ndarray = (), weeks: int = 13, **categories: int
) -> Distributions:
    counts = {"own_spend": histogram(np.asarray(values, dtype=np.float64))} if len(values) else {}
    mccs = {name.strip("m"): count for name, count in categories.items()}
    return Distributions(QUANTILES, 3_000, weeks, counts, mccs)


def against(now: Distributions, *before: Distributions) -> Drift:
    return measure_drift(now, {f"2025-{30 + i}": each for i, each in enumerate(before)}, WORDS)


def draws(seed: int, customers: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, customers)


@pytest.mark.parametrize("customers", [60, 300, 3_000])
def test_where_nothing_changed_hardly_any_index_is_beyond_chance(customers: int) -> None:
    found = [
        histogram_index(
            histogram(draws(2 * i, customers)), [histogram(draws(2 * i + 1, customers))]
        )
        for i in range(300)
    ]
    beyond = sum(each is not None and each.psi > each.chance for each in found)
    assert beyond == 0


def test_a_feature_that_moves_is_told_and_named() -> None:
    before = [week(draws(seed, 3_000)) for seed in range(6)]
    calm, moved = (
        against(week(draws(9, 3_000)), *before),
        against(week(draws(9, 3_000, 0.7)), *before),
    )
    assert not calm.notes(0.1, 0.25)
    assert moved.features[0].psi > 0.25
    assert moved.notes(0.1, 0.25)[0].startswith(
        "Spread otherwise than in the 6 weeks before: own spend"
    )


def test_customers_to_whom_a_feature_no_longer_applies_are_drift_too() -> None:
    whole, missing = draws(1, 3_000), draws(2, 3_000)
    missing[:1_000] = np.nan
    assert against(week(missing), *[week(whole)] * 3).features[0].psi > 0.25


def test_more_of_what_few_customers_ever_have_is_told() -> None:
    def refunded(customers: int) -> Distributions:
        return week([0.5] * customers + [0.0] * (3_000 - customers))

    usual = [refunded(60 + i) for i in range(6)]
    assert against(refunded(400), *usual).features[0].is_over(0.1)
    assert against(refunded(75), *usual).features[0].psi < 0.01
    assert against(refunded(300), *[refunded(0)] * 3).features[0].is_over(0.1)


def test_what_moves_every_week_is_usual_and_one_odd_week_before_excuses_nothing() -> None:
    restless = [week(draws(seed, 3_000, 0.5 * (seed % 2))) for seed in range(6)]
    again = against(week(draws(9, 3_000, 0.5)), *restless)
    assert not again.features[0].is_over(0.01)
    once = [week(draws(seed, 3_000, 0.7 * (seed == 3))) for seed in range(6)]
    assert against(week(draws(9, 3_000, 0.7)), *once).features[0].is_over(0.1)


def test_purchases_that_come_together_are_not_as_many_as_they_are() -> None:
    def bought(seed: int, coded_anew: bool = False) -> Distributions:
        random = np.random.default_rng(seed)
        counts = 16 * np.bincount(random.integers(0, 10, 100), minlength=10)
        if coded_anew:
            counts[:2] = 0, counts[:2].sum()
        mccs = {str(5_000 + at): int(count) for at, count in enumerate(counts)}
        return Distributions(QUANTILES, 100, 13, {}, mccs)

    weeks = [bought(seed) for seed in range(80)]
    told = [against(weeks[i], *weeks[i - 6 : i]).features[0].is_over(0.1) for i in range(6, 80)]
    assert sum(told) <= 2
    assert against(bought(99, coded_anew=True), *weeks[:6]).features[0].is_over(0.1)


def test_features_wait_for_three_weeks_of_an_equally_long_past() -> None:
    now, other = week(draws(1, 300)), week(draws(2, 300))
    assert against(now) == Drift()
    assert against(now, other, other).features == ()
    assert against(now, other, other).scores == Shift("", "scores", 0.0, 0.017163)
    shorter = week(draws(3, 300), weeks=9)
    assert against(now, other, other, shorter).features == ()
    assert len(against(now, other, other, shorter, other).features) == 1


def test_a_merchant_coded_anew_is_named() -> None:
    before = [week(m5411=3_000 + 9 * i, m5812=2_000, m5541=1_500, m5399=40) for i in range(6)]
    now = week(m5411=1_900, m5812=2_000, m5541=1_500, m5399=1_140)
    found = against(now, *before).features[0]
    assert (found.feature, found.is_over(0.1)) == (CATEGORIES, True)
    assert "(5399)" in found.words
    assert "(5411)" in found.words


def test_small_categories_count_together() -> None:
    many = {f"{mcc:04d}": 10 for mcc in range(3_000, 3_400)}
    now: Mapping[str, int] = {"5411": 4_000, OTHER: 4_000}
    found = category_index(now, [{"5411": 4_000, **many}] * 3)
    assert found is not None
    assert found.psi == 0.0


def test_what_a_run_recorded_stands_and_an_older_record_tells_of_its_scores() -> None:
    def run(back: int, top: float = 1.0, drift: Drift | None = None) -> RunManifest:
        quantiles = {key: value * top for key, value in QUANTILES.items()}
        made = manifest(week_report((), WEEK - back), drift=drift, score_quantiles=quantiles)
        return made.model_copy(
            update={"counts": made.counts.model_copy(update={"customers_scored": 3_000})}
        )

    runs = [run(2), run(1), run(0, 1.6)]
    older = drift_of(runs[-1], runs)
    assert older.weeks == ((WEEK - 2).label, (WEEK - 1).label)
    assert older.scores is not None
    assert older.scores.is_over(0.1)
    recorded = Drift(((WEEK - 1).label,), Shift("", "scores", 0.02, 0.01))
    newer = run(0, 1.6, recorded)
    assert drift_of(newer, runs) == recorded
    assert [each.week for each in comparable_runs(newer, runs)] == [WEEK - 1]


def test_a_sentence_names_the_farthest_and_counts_the_rest() -> None:
    shifts = tuple(Shift(f"f{i}", f"feature {i}", 0.9 - i / 10, 0.02) for i in range(9))
    said = Drift(("2025-45",), Shift("", "scores", 0.3, 0.02), shifts).notes(0.1, 0.25)
    assert said[0] == (
        "The scores are spread otherwise than in the 1 week before (PSI 0.30): find out why before "
        "you rely on this list"
    )
    assert "feature 4 (PSI 0.50) and 3 others. Look" in said[1]
    assert not Drift(("2025-45",), Shift("", "scores", 0.3, 0.4), ()).notes(0.1, 0.25)


def test_absent_customers_count_in_absence_only(engine: Engine) -> None:
    engine.create(
        "feature",
        {"customer_key": "INTEGER", "has_rows": "BOOLEAN", "z": "DOUBLE", "absence": "DOUBLE"},
    )
    engine.append(
        "feature",
        pa.table(
            {
                "customer_key": [0, 1, 2],
                "has_rows": [True, True, False],
                "z": [0.0, 40.0, None],
                "absence": [None, None, 0.3],
            }
        ),
    )
    found = feature_histograms(engine, ("z", "absence"), of_everybody=("absence",))
    assert (sum(found["z"]), found["z"][BINS - 2], found["z"][27]) == (2, 1, 1)
    assert (sum(found["absence"]), found["absence"][-1]) == (3, 2)


def test_of_many_customers_a_bounded_number_is_counted(engine: Engine) -> None:
    engine.execute(
        "CREATE OR REPLACE TABLE feature AS SELECT range::INTEGER AS customer_key, "
        "true AS has_rows, 1.0::DOUBLE AS z FROM range(100000)"
    )
    counted = sum(feature_histograms(engine, ("z",), ())["z"])
    assert abs(counted - CUSTOMERS) < 100


def test_a_category_of_few_customers_is_not_told_apart(engine: Engine) -> None:
    engine.create("scored_cell", {"customer_key": "INTEGER", "mcc": "SMALLINT"})
    keys, mccs = [*range(12), *range(9), *range(3)], [742] * 12 + [5_411] * 9 + [5_812] * 3
    engine.append("scored_cell", pa.table({"customer_key": keys, "mcc": mccs}))
    assert category_counts(engine) == {"0742": 12, OTHER: 12}


def test_a_change_for_good_is_told_for_two_weeks() -> None:
    weeks = [week(draws(seed, 3_000)) for seed in range(6)]
    told = []
    for seed in range(6, 12):
        now = week(draws(seed, 3_000, 1.0))
        told.append(bool(against(now, *weeks[-6:]).notes(0.1, 0.25)))
        weeks.append(now)
    assert told == [True, True, False, False, False, False]
