"""Figures of a backtest: what is counted, and what may be concluded from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from review_examples import review

from cardwatch.backtesting import (
    Backtest,
    Past,
    Sought,
    Trial,
    compare_trials,
    figures_of,
    scorable_weeks,
)
from cardwatch.backtesting.figures import Found
from cardwatch.case_kinds import Kind, Strength
from cardwatch.errors import WeekNotAvailableError
from cardwatch.history import EarlierWeek, History
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")
NOTHING = Past({}, {}, {})


def record(week: ReportingWeek, basis: str = "basis") -> EarlierWeek:
    return EarlierWeek(week, "surprise", "2", basis, {"0.5": 0.1}, None)


def trial(week: ReportingWeek, listed: str, found: Sequence[bool] = ()) -> Trial:
    """A week whose list is one letter per customer; `found` tells who of the planted was."""
    sought = [
        Sought(
            Kind.REFUND, Strength.WEAK, each, each, on_list_without=False, in_first_without=False
        )
        for each in found
    ]
    return Trial(
        week=week,
        listed=tuple(listed),
        guards=0,
        first=tuple(listed),
        scored=100,
        flagged=2,
        earlier_cut=True,
        record=record(week),
        sought=tuple(sought),
        places_taken=sum(found),
    )


def backtest(lists: Sequence[str], found: Sequence[Sequence[bool]] = ((),)) -> Backtest:
    weeks = [WEEK + number for number in range(len(lists))]
    every = [found[number % len(found)] for number in range(len(lists))]
    return figures_of([trial(*each) for each in zip(weeks, lists, every, strict=True)], NOTHING)


def test_churn_is_what_left_the_list_of_the_week_before_and_a_gap_has_none() -> None:
    trials = [trial(WEEK, "abcd"), trial(WEEK + 1, "abxy"), trial(WEEK + 3, "abxy")]
    tried = figures_of(trials, NOTHING)
    assert [each.churn for each in tried.weeks] == [None, 0.5, None]
    assert tried.summary.churn == 0.5
    assert tried.summary.flagged_share == 0.02


def test_hits_are_of_those_listed_here_and_published_lists_are_compared_as_they_were() -> None:
    label = WEEK.label
    reviews = (
        review("a", label),
        review("b", label, "expected"),
        review("c", label, "unclear"),
        review("z", label),
    )
    past = Past({}, {WEEK: tuple("abz")}, {WEEK: reviews})
    [week] = figures_of([trial(WEEK, "abcd")], past).weeks
    assert (week.hits.count, week.hits.of) == (1, 2)
    assert week.published is not None
    assert (week.published.count, week.published.of) == (2, 3)


def test_a_kind_whose_cases_take_five_customers_counts_as_much_as_any_other_kind() -> None:
    ring = Sought(Kind.COLLUSION, Strength.WEAK, False, False, False, False)
    alone = Sought(Kind.DROP, Strength.WEAK, True, True, False, False)
    of_week = Trial(
        WEEK, (), 0, (), 100, 2, True, record(WEEK), sought=(*[ring] * 10, *[alone] * 2)
    )
    [week] = figures_of([of_week], NOTHING).weeks
    assert week.recall is not None
    assert week.recall.on_list == 0.5
    found = Found.by_kind(of_week.sought)
    assert found[Kind.COLLUSION].on_list.cases == found[Kind.DROP].on_list.cases == 2


def test_weeks_that_were_tried_stand_in_for_those_recorded_and_no_later_week_is_used() -> None:
    recorded = History(WEEK, (record(WEEK - 2, "old"), record(WEEK - 1, "old")))
    past = Past({WEEK: recorded}, {}, {})
    known = past.before(WEEK, [record(WEEK - 1), record(WEEK)]).weeks
    assert [(each.week, each.score_basis) for each in known] == [
        (WEEK - 2, "old"),
        (WEEK - 1, "basis"),
    ]


def test_a_champion_that_is_its_own_challenger_differs_in_nothing() -> None:
    tried = backtest(["abcd", "abxy"], [(True, False)])
    contest = compare_trials(tried, tried)
    assert contest.is_identical
    assert [each.rank_correlation for each in contest.weeks] == [1.0, 1.0]
    assert contest.conclusion == "Both list the same customers in every one of 2 weeks."
    one = backtest(["abcd"], [(True, False)])
    assert compare_trials(one, one).conclusion == "Both list the same customers in the one week."


def test_where_no_week_could_be_scored_by_both_nothing_is_called_the_same() -> None:
    one, other = backtest(["abcd"]), backtest(["abcd", "abcd"])
    contest = compare_trials(one, replace(other, weeks=other.weeks[1:]))
    assert contest.weeks == ()
    assert contest.conclusion == "No week could be scored by both: there is nothing to compare."


def test_without_cases_and_verdicts_nothing_is_concluded() -> None:
    contest = compare_trials(backtest(["abcd"]), backtest(["abxy"]))
    [week] = contest.weeks
    assert (week.shared, week.only_champion, week.only_challenger) == (2, ("c", "d"), ("x", "y"))
    assert "nothing says which of the two is better" in contest.conclusion


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([(True, False)], [(False, True)], "both have the same share"),
        ([(False, False)], [(True, True), (True, False)], "75.0 points higher (95% interval +29.1"),
        ([(False, False)], [(True, False), (False, False)], "no difference is shown"),
    ],
)
def test_a_difference_is_shown_only_where_its_interval_leaves_zero_out(
    before: Sequence[Sequence[bool]], after: Sequence[Sequence[bool]], said: str
) -> None:
    lists = ["ab"] * 4
    contest = compare_trials(backtest(lists, before), backtest(["cd"] * 4, after))
    first, second = contest.conclusion.split("; ")
    assert said in first
    assert said in second
    assert contest.conclusion.startswith("In 4 weeks ")


def test_three_weeks_are_too_few_for_an_interval() -> None:
    contest = compare_trials(
        backtest(["ab"] * 3, [(False, False)]), backtest(["cd"] * 3, [(True, True)])
    )
    assert "in too few weeks to say more" in contest.conclusion


def test_weeks_without_data_do_not_count_and_too_few_are_refused() -> None:
    present = [WEEK - back for back in (12, 11, 10, 9, 8, 2, 0)]
    found = scorable_weeks(present, WEEK, 2, 12)
    assert [each.label for each in found] == [(WEEK - 2).label, WEEK.label]
    with pytest.raises(WeekNotAvailableError) as refused:
        scorable_weeks(present, WEEK, 4, 12)
    assert "found 3 up to 2025-46 with 4 reference weeks or more" in refused.value.message
    assert refused.value.exit_code == 3
