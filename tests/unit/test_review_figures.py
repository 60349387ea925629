"""Rates of hits and actions, by week and family, and who has no verdict yet."""

from __future__ import annotations

import pytest
from review_examples import review

from cardwatch.review.figures import NO_REASON, Rate, review_report
from cardwatch.week import ReportingWeek

FAMILIES = {"refunds": "events", "own_spend": "own_history"}
OLD, NEW = ReportingWeek.parse("2025-45"), ReportingWeek.parse("2025-46")
REVIEWS = (
    review("C-1", "2025-46", "confirmed_risk", "refunds", "own_spend", action_taken="blocked"),
    review("C-2", "2025-46", "expected", "own_spend"),
    review("C-3", "2025-46", "unclear", "refunds", action_taken="called"),
    review("C-9", "2025-45", "opportunity", action_taken=" "),
)


def test_each_week_has_its_rates_and_its_open_customers() -> None:
    lists = {NEW: ["C-3", "C-4", "C-1", "C-2", "C-5"]}
    old, new = review_report(REVIEWS, lists, FAMILIES, 13).weeks
    assert (new.listed, new.not_reviewed) == (5, ("C-4", "C-5"))
    assert (new.figures.hits, new.figures.acted) == (Rate(1, 2), Rate(2, 3))
    assert (old.listed, old.not_reviewed) == (None, ())
    assert (new.elsewhere, old.elsewhere) == (0, 0)
    assert (old.figures.hits, old.figures.acted) == (Rate(1, 1), Rate(0, 1))


def test_verdicts_on_who_is_not_on_the_list_any_more_do_not_pass_for_reviews_of_it() -> None:
    [_, new] = review_report(REVIEWS, {NEW: ["C-1", "C-4"]}, FAMILIES, 13).weeks
    assert (new.listed, new.not_reviewed, new.elsewhere) == (2, ("C-4",), 2)
    assert new.figures.reviewed == 3


def test_families_are_those_of_the_leading_reason() -> None:
    families = review_report(REVIEWS, {}, FAMILIES, 13).families
    assert {name: each.reviewed for name, each in families.items()} == {
        "events": 2,
        "own_history": 1,
        NO_REASON: 1,
    }
    assert families["events"].hits == Rate(1, 1)


def test_only_the_newest_weeks_are_counted() -> None:
    report = review_report(REVIEWS, {OLD: ["C-9"]}, FAMILIES, 1)
    assert [each.week for each in report.weeks] == [NEW]
    assert report.overall.reviewed == 3


@pytest.mark.parametrize(("count", "of"), [(0, 0), (0, 7), (7, 7), (3, 40)])
def test_an_interval_holds_its_share_and_stays_within_0_and_1(count: int, of: int) -> None:
    rate = Rate(count, of)
    low, high = rate.interval
    assert 0 <= low < high <= 1
    assert rate.share is None if not of else low - 1e-12 <= (rate.share or 0) <= high + 1e-12
