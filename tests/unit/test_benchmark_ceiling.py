"""The ceiling: what someone who is told the planted cases could reach."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.datasets import CUSTOMERS, LAST_WEEKS, WEEKS
from benchmarks.judge import Truth
from benchmarks.oracles import Chance, Dominators
from benchmarks.planted import KINDS, parameters
from benchmarks.surprises import FEATURES, WEIGHTS, SurprisingWeek, by_family, totals
from benchmarks.told_weights import Board, fitted_weights, places
from cardwatch.config import ModelConfig
from cardwatch.detection.surprise import SurpriseDetector
from cardwatch.features.catalog import CATALOG, FAMILIES
from cardwatch.robust import Floats
from cardwatch.sources.sample import SamplePortfolio
from cardwatch.week import ReportingWeek

NAMES = [feature.name for feature in FEATURES]


def a_week(surprise: Floats, truth: Truth) -> SurprisingWeek:
    """Customers c0, c1, … in the order of the product's score."""
    score = totals(surprise, WEIGHTS)
    order = np.argsort(-score, kind="stable")
    customers = np.array([f"c{i}" for i in range(len(surprise))], dtype=object)
    week = ReportingWeek.parse("2025-46")
    return SurprisingWeek("made up", week, customers, score[order], surprise[order], truth)


def test_totals_are_the_detector_s() -> None:
    surprise = np.random.default_rng(1).exponential(size=(50, len(FEATURES)))
    families = by_family(surprise * WEIGHTS)
    columns = {f"{family}_surprise": families[:, f] for f, family in enumerate(FAMILIES)}
    detector = SurpriseDetector(ModelConfig(), CATALOG, {})
    expected = detector.total_without(pa.table(columns), FAMILIES, "none of them")
    assert totals(surprise, WEIGHTS) == pytest.approx(expected)


def test_a_board_finds_the_figures_of_a_list() -> None:
    surprise = np.random.default_rng(2).exponential(size=(400, len(FEATURES)))
    truth = Truth(
        {"c0": "takeover", "c99": "ticket", "c100": "ticket"},
        frozenset({"c1"}),
        strengths=dict.fromkeys(("c0", "c99", "c100"), "medium"),
    )
    found = Board([a_week(surprise, truth)]).figures(WEIGHTS)
    assert found["precision"] == pytest.approx(1 / 20)
    assert found["spared"] == pytest.approx(19 / 20)
    assert found["average_precision"] == pytest.approx((1 + 2 / 100 + 3 / 101) / 3)
    assert (found["takeover"], found["ticket"]) == (1.0, 0.5)


def test_equals_share_the_first_of_their_places() -> None:
    assert places(np.array([1.0, 3.0, 1.0, 2.0])).tolist() == [3, 1, 3, 2]


def test_weights_are_found_that_raise_the_goal() -> None:
    wanted = WEIGHTS * np.where(np.arange(WEIGHTS.size) % 5 == 0, 3.0, 1.0)
    found = fitted_weights(lambda weights: -float((np.log(weights / wanted) ** 2).sum()))
    assert found == pytest.approx(wanted, rel=0.1)


def test_dominators_are_harmless_and_nowhere_less_surprising() -> None:
    surprise = np.full((5, len(FEATURES)), 0.1)
    ticket, rare = NAMES.index("ticket_max"), NAMES.index("rare_category")
    surprise[:, ticket] = [9, 0.2, 7, 6, 5]
    surprise[:, rare] = [0.1, 16, 3, 0.1, 0.1]
    truth = Truth({"c0": "ticket", "c3": "ticket"})
    found = Dominators.of(a_week(surprise, truth), 3, {"ticket"})
    assert found == Dominators(features=1, families=1, sizes=2, driver=1)


def test_as_few_by_chance_is_even_for_the_same_share_and_rare_for_much_less() -> None:
    there = np.tile([[9.0, 10.0]], (60, 1))
    there[::2, 0] = 8.0
    same = Chance.of(there[:40], there)
    assert all(0.4 < chance < 0.75 for chance in vars(same).values())
    fewer = Chance.of(np.tile([[6.0, 10.0]], (40, 1)), there)
    assert max(vars(fewer).values()) < 0.001


@pytest.mark.system
def test_what_cases_were_made_of_is_that_of_the_generated_portfolio() -> None:
    seed = 3
    last = ReportingWeek.parse(LAST_WEEKS[seed % len(LAST_WEEKS)])
    portfolio = SamplePortfolio(CUSTOMERS, WEEKS, seed, last_week=last)
    labels = portfolio.labels().to_pandas()
    planted = labels[labels["kind"].isin(list(KINDS))]
    made = parameters(seed)
    made["week_start"] = [week.monday for week in made["week"]]
    key = ["customer_id", "week_start", "kind", "strength"]
    assert set(planted[key].itertuples(index=False)) == set(made[key].itertuples(index=False))
    medium = made.query("strength == 'medium'").groupby("kind")["dear"]
    assert medium.min()["ticket"] >= 12
    assert medium.max()["ticket"] <= 40
    assert medium.max()["takeover"] <= 3.5
