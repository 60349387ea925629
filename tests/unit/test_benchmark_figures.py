"""The figures that benchmarks report: what counts as found, and how sizes are extrapolated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import rivals
from benchmarks.judge import DRIVERS, Summary, Truth, judge
from benchmarks.measure import Usage
from benchmarks.speed import (
    APPLIED,
    JUDGED,
    PANDAS,
    PRODUCT,
    SCAN,
    Timed,
    extrapolated,
    growth,
    what_a_share_means,
)
from cardwatch.features.catalog import FAMILIES


def scores(customers: int = 200) -> pd.Series:
    """c0 scores highest, c1 next, and so on."""
    return pd.Series({f"c{i}": 1.0 - i / customers for i in range(customers)})


def test_precision_counts_the_first_twenty_after_those_left_out() -> None:
    truth = Truth({"c1": "drop", "c21": "drop"}, frozenset({"c2"}), frozenset({"c0", "c3"}))
    figures = judge(scores(), truth)
    assert figures.precision == pytest.approx(2 / 20)
    assert figures.lookalikes == pytest.approx(1 / 20)
    assert judge(scores(), Truth({"c1": "drop", "c21": "drop"})).precision == pytest.approx(1 / 20)


def test_recall_counts_the_first_hundred_per_kind() -> None:
    found = judge(scores(), Truth({"c0": "drop", "c99": "refund", "c100": "refund"})).recall
    assert (found["drop", ""].hits, found["drop", ""].total) == (1, 1)
    assert (found["refund", ""].hits, found["refund", ""].total) == (1, 2)


def test_a_perfect_ranking_has_an_average_precision_and_auc_of_one() -> None:
    figures = judge(scores(), Truth({"c0": "drop", "c1": "drop"}))
    assert (figures.average_precision, figures.auc) == (1.0, 1.0)


def test_a_reason_counts_when_a_driver_of_the_kind_is_among_the_first_three() -> None:
    truth = Truth({"c0": "refund", "c1": "refund", "c150": "refund"})
    families = {f"c{i}": ["ticket", "novelty", "growth", "events"] for i in range(200)}
    families["c0"] = ["ticket", "novelty", "events"]
    figures = judge(scores(), truth, families)
    assert (figures.reasons.hits, figures.reasons.total) == (1, 3)
    assert (figures.reasons_seen.hits, figures.reasons_seen.total) == (1, 2)


def test_weeks_are_summed_up_as_means_and_tallies() -> None:
    weeks = [judge(scores(), Truth({customer: "drop"})) for customer in ("c0", "c150")]
    summary = Summary(weeks)
    assert summary.of("precision").mean == pytest.approx(0.025)
    assert (summary.recall("drop").mean, summary.recall("drop").total) == (0.5, 2)
    assert summary.recall("ticket").weeks == 0


def test_recall_is_told_apart_by_strength() -> None:
    strengths = {"c0": "strong", "c150": "weak"}
    truth = Truth({"c0": "drop", "c150": "drop"}, strengths=strengths)
    summary = Summary([judge(scores(), truth)])
    found = {name: summary.recall("drop", name).mean for name in ("weak", "strong")}
    assert found == {"weak": 0.0, "strong": 1.0}
    assert summary.recall("drop", "medium").total == 0
    assert summary.everything().mean == 0.5


def test_churn_is_the_share_of_the_list_that_is_new() -> None:
    before = judge(scores(), Truth({"c0": "drop"}))
    gone = judge(scores(), Truth({"c5": "drop"}, left_out=frozenset({"c0", "c1"})))
    assert gone.after(before).churn.share == pytest.approx(2 / 20)
    assert before.after(None).churn.total == 0


def test_the_firm_and_the_rest_are_counted_apart_without_those_left_out() -> None:
    truth = Truth({"c0": "drop", "c1": "drop"}, left_out=frozenset({"c3"}))
    figures = judge(scores(), truth, firm={"c0": True, "c1": False, "c2": False, "c3": True})
    assert (figures.firm.hits, figures.firm.total) == (1, 1)
    assert (figures.shaky.hits, figures.shaky.total) == (1, 2)


def test_drivers_are_families_of_the_catalogue() -> None:
    assert frozenset().union(*DRIVERS.values()) <= set(FAMILIES)


def test_a_program_is_extrapolated_above_its_start_up_along_its_power_law() -> None:
    def timed(customers: int, seconds: float) -> Timed:
        return Timed(PANDAS, customers, customers, (Usage(seconds, seconds, 100.0),))

    start_up = Usage(2.0, 2.0, 50.0)
    known = [timed(20_000, 6.0), timed(40_000, 18.0)]
    found = extrapolated(known, start_up, 80_000, 80_000)
    assert found.extrapolated
    assert found.wall == pytest.approx(2.0 + 64.0)
    assert found.peak == pytest.approx(100.0)
    assert extrapolated(known[:1], start_up, 40_000, 40_000).cpu == pytest.approx(2.0 + 8.0)


def test_an_interval_holds_the_mean_and_is_the_same_again() -> None:
    weeks = [judge(scores(), Truth({f"c{i}": "drop"})) for i in (0, 5, 50, 150)]
    summary = Summary(weeks)
    figure = summary.of("precision")
    assert 0 <= figure.low < figure.mean < figure.high <= 0.05
    assert summary.of("precision") == figure


@pytest.mark.parametrize(
    "chosen", [rivals.OF_SCIKIT_LEARN, pytest.param(rivals.OF_PYOD, marks=pytest.mark.system)]
)
def test_rivals_rank_an_outlier_first_whatever_is_missing(chosen: rivals.Rivals) -> None:
    rows = np.random.default_rng(3).normal(size=(300, 4))
    rows[7] = 9.0
    rows[8, 2] = np.nan
    features = pd.DataFrame(rows, index=[f"c{i}" for i in range(300)]).assign(same=1.0)
    found = rivals.scores(features, chosen)
    assert set(found) == {*chosen, rivals.AVERAGE}
    assert {name: series.idxmax() for name, series in found.items()} == dict.fromkeys(found, "c7")


def test_a_twentieth_is_told_in_scans_for_both_rivals_and_only_where_they_were_measured() -> None:
    walls = {SCAN: 2.0, PANDAS: 70.0, APPLIED: 300.0}
    timed = [Timed(name, JUDGED, 10, (Usage(wall, wall, 1.0),)) for name, wall in walls.items()]
    told = what_a_share_means(timed)
    assert "15.0 s, 7.5 times the plain scan" in told
    assert "3.5 s, 1.8 times the scan" in told
    assert what_a_share_means(timed[:2]) == ""


def test_growth_is_the_power_of_the_rows_above_the_start_up() -> None:
    start_up = Usage(1.0, 1.0, 100.0)
    runs = [
        Timed(PRODUCT, 20_000, 1_000, (Usage(3.0, 3.0, 100.0),)),
        Timed(PRODUCT, 2_000_000, 100_000, (Usage(21.0, 21.0, 100.0),)),
        Timed(SCAN, 20_000, 1_000, (Usage(9.0, 9.0, 100.0),)),
    ]
    assert "From 20,000 to 2,000,000 customers" in growth(runs, start_up)
    assert "to the power of 0.50." in growth(runs, start_up)
    assert growth(runs[:1], start_up) == ""
