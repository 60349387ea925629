"""How much each feature counts after verdicts."""

from __future__ import annotations

import math

import pytest
from review_examples import review

from cardwatch.config import Config
from cardwatch.detection.base import Detector
from cardwatch.fingerprints import score_basis
from cardwatch.history import History, record_of
from cardwatch.pipeline import learn
from cardwatch.review.ledger import standing
from cardwatch.review.verdicts import Review, telling
from cardwatch.review.weights import learned_weights
from cardwatch.schema import FeatureWeight, Learning
from cardwatch.week import ReportingWeek
from cardwatch.wiring import open_detector

WEEK = ReportingWeek.parse("2025-46")
CODES = {"refunds": "REFUNDS", "ticket_max": "LARGE_TICKET", "absence": "ABSENCE"}
NEVER = math.inf


def weights(reviews: list[Review], prior: float = 10, half_life: float = NEVER) -> dict[str, float]:
    found = learned_weights(reviews, WEEK, CODES, prior=prior, half_life=half_life)
    return {each.feature: each.weight for each in found}


def some(number: int, verdict: str, *features: str, week: str = "2025-45") -> list[Review]:
    return [review(f"{verdict}-{n}-{features}", week, verdict, *features) for n in range(number)]


def test_a_weight_is_the_features_precision_over_everybodys_both_shrunk() -> None:
    reviews = some(2, "confirmed_risk", "refunds") + some(12, "expected", "refunds")
    reviews += some(16, "opportunity", "ticket_max")
    overall = (18 + 1) / (30 + 2)
    found = weights(reviews)
    assert found["refunds"] == pytest.approx((2 + 10 * overall) / 24 / overall, abs=1e-6)
    assert found["ticket_max"] == pytest.approx((16 + 10 * overall) / 26 / overall, abs=1e-6)


def test_unclear_later_and_forgotten_features_teach_nothing() -> None:
    reviews = some(5, "unclear", "refunds") + some(5, "expected", "refunds", week="2025-46")
    assert weights(reviews) == {}
    assert weights(some(5, "expected", "of_an_older_catalogue")) == {}


def test_weights_are_bounded_whatever_is_said() -> None:
    reviews = some(5_000, "expected", "refunds") + some(500, "confirmed_risk", "ticket_max")
    found = weights(reviews)
    assert found["refunds"] == 0.25
    assert found["ticket_max"] == 2.5


def test_what_is_wanted_now_outweighs_what_was_wanted_long_ago() -> None:
    then = some(40, "confirmed_risk", "refunds", week="2025-20")
    now = some(10, "expected", "refunds") + some(10, "confirmed_risk", "ticket_max")
    assert weights(then + now)["refunds"] > 0.9
    assert weights(then + now, half_life=6)["refunds"] < 0.75


def test_a_correction_counts_and_what_it_corrects_does_not() -> None:
    wrong = review("C-1", "2025-45", "confirmed_risk", "refunds")
    right = wrong.model_copy(
        update={
            "verdict": review(verdict="expected").verdict,
            "reviewed_at": wrong.reviewed_at.replace(hour=10),
        }
    )
    [stands] = standing([right, wrong])
    assert stands.verdict == "expected"


def detector(**settings: object) -> tuple[Config, Detector]:
    config = Config.model_validate(settings)
    return config, open_detector(config)


def test_learning_is_off_by_a_setting_and_without_verdicts() -> None:
    history = History(WEEK, reviews=tuple(some(3, "expected", "refunds")))
    assert learn(history, *detector()).reviews == 3
    assert learn(history, *detector(review={"learn": False})) == Learning()
    assert learn(History(WEEK), *detector()) == Learning()


def test_verdicts_whose_reasons_are_not_known_teach_nothing() -> None:
    known = some(6, "confirmed_risk", "own_count") + some(6, "expected", "own_spend")
    unknown = some(60, "expected")
    assert telling(unknown) == ()
    assert weights(unknown + some(6, "opportunity", "refunds")) == weights(
        some(6, "opportunity", "refunds")
    )
    with_them, without = (
        learn(History(WEEK, reviews=tuple(reviews)), *detector())
        for reviews in (known + unknown, known)
    )
    assert with_them == without
    assert without.reviews == 12


def test_the_isolation_forest_says_that_it_does_not_learn() -> None:
    history = History(WEEK, reviews=tuple(some(3, "expected", "refunds")))
    learning = learn(history, *detector(model={"detector": "isolation_forest"}))
    assert learning.weights == ()
    assert learning.notes == ("Verdicts do not weigh the scores of the detector isolation_forest",)


def test_the_weights_are_told_with_their_reasons_and_what_they_did() -> None:
    moved = FeatureWeight("refunds", "REFUNDS", 14, 2, 0.4)
    still = FeatureWeight("absence", "ABSENCE", 4, 2, 1.01)
    told, did = Learning(120, (still, moved), moved_off=1, guards=2).notes
    assert told == "Learnt from 120 verdicts on earlier lists: Refunds: 2 of 14 confirmed → × 0.4"
    assert did.startswith("Without verdicts 1 other customer would be listed")


def test_the_record_of_a_run_tells_which_verdicts_it_used() -> None:
    first, second = review("C-1", "2025-44", "expected"), review("C-2", "2025-45", "expected")
    recorded = record_of((), (first, second)).reviews
    assert list(recorded) == ["2025-44", "2025-45"]
    assert recorded == record_of((), (second, first)).reviews
    other = review("C-2", "2025-45", "confirmed_risk")
    assert record_of((), (first, other)).reviews["2025-45"] != recorded["2025-45"]
    noted = second.model_copy(update={"note": "called"})
    assert record_of((), (first, noted)).reviews == recorded


def test_scores_with_learning_off_do_not_compare_with_others() -> None:
    before: dict[str, object] = {"model": {"decay": 0.3}}
    bases = [
        score_basis("surprise", "2", {**before, **section})  # type: ignore[dict-item]
        for section in ({}, {"review": {"learn": True}}, {"review": {"learn": False}})
    ]
    assert bases[0] == bases[1] != bases[2]
