from __future__ import annotations

from typing import Any

import pytest
from published_weeks import WEEK, manifest, week_report

from cardwatch.config import Config, settings
from cardwatch.history import WEEKS_BACK, History, record_of
from cardwatch.manifest import HistoryRecord, RunManifest
from cardwatch.outdated import (
    INPUT_SETTINGS,
    OutdatedList,
    ScoreRecord,
    WindowRows,
    expected_history,
    outdated_lists,
    remedy,
    sentence,
)
from cardwatch.ranking import WEEKS_NEEDED
from cardwatch.week import ReportingWeek

READ_WITH: dict[str, Any] = {"contract": {"max_amount": 100}, "portfolio": {"timezone": "UTC"}}


def run_of(week: ReportingWeek, **changes: Any) -> RunManifest:
    """A run over the week and the two before it; the digest of each is its label."""
    window = (*week.window(2), week)
    usual = {
        "input_weeks": {each.label: each.label for each in window},
        "source_keys": dict.fromkeys((each.label for each in window), None),
        "configuration": READ_WITH,
    }
    return manifest(week_report([], week)).model_copy(update=usual | changes)


def rows(
    *weeks: ReportingWeek, without: tuple[ReportingWeek, ...] = (), **digests: str
) -> WindowRows:
    known = {week.label: week.label for week in weeks if week not in without}
    changed = {label.replace("_", "-").strip("w"): digest for label, digest in digests.items()}
    return WindowRows(weeks, {**known, **changed}, READ_WITH)


def concerned(published: list[RunManifest], now: WindowRows) -> list[tuple[int, list[int]]]:
    """The lists that are out of date and their changed weeks, as distances from `WEEK`."""
    found = outdated_lists(published, now, {run.week: ScoreRecord.of(run) for run in published})
    return [(each.week - WEEK, [week - WEEK for week in each.rows]) for each in found]


def test_nothing_is_out_of_date_while_every_week_is_what_it_was() -> None:
    published = [run_of(WEEK - back) for back in range(4)]
    assert concerned(published, rows(*WEEK.window(3), WEEK)) == []


def test_every_list_that_read_a_changed_week_is_named_its_own_first() -> None:
    published = [run_of(WEEK - back) for back in range(5)]
    now = rows(*WEEK.window(4), WEEK, w2025_43="other rows")
    assert concerned(published, now) == [(-3, [-3]), (-2, [-3]), (-1, [-3])]


def test_a_list_of_a_later_week_is_found_when_an_old_week_is_run_again() -> None:
    now = rows(WEEK - 3, WEEK - 2, w2025_44="other rows")
    assert concerned([run_of(WEEK), run_of(WEEK + 1)], now) == [(0, [-2])]


def test_a_week_that_came_late_and_one_that_is_gone_are_changes() -> None:
    known = {WEEK.label: WEEK.label, (WEEK - 2).label: (WEEK - 2).label}
    without_one = run_of(WEEK, input_weeks=known)
    assert concerned([without_one], rows(WEEK - 1, WEEK)) == [(0, [-1])]
    gone = rows(*WEEK.window(2), WEEK, without=(WEEK - 1,))
    assert concerned([run_of(WEEK)], gone) == [(0, [-1])]
    assert concerned([without_one], gone) == []


def test_weeks_that_the_source_has_dropped_at_its_old_end_are_no_change() -> None:
    now = rows(*WEEK.window(3), WEEK, without=(WEEK - 3, WEEK - 2))
    assert concerned([run_of(WEEK - 1), run_of(WEEK)], now) == []
    assert concerned([run_of(WEEK)], rows(*WEEK.window(2), WEEK, without=WEEK.window(2))) == []
    nothing = rows(*WEEK.window(2), WEEK, without=(*WEEK.window(2), WEEK))
    assert concerned([run_of(WEEK)], nothing) == []


def test_a_week_before_everything_that_a_run_asked_for_is_no_change() -> None:
    assert concerned([run_of(WEEK)], rows(WEEK - 3, WEEK, w2025_43="other rows")) == []


def test_rows_read_with_other_settings_are_not_compared() -> None:
    other = {**READ_WITH, "contract": {"max_amount": 7}}
    now = rows(WEEK, w2025_46="other rows")
    assert concerned([run_of(WEEK, configuration=other)], now) == []
    unknown = {"ranking": {"top_n": 3}}
    assert concerned([run_of(WEEK, configuration=unknown)], now) == [(0, [0])]


def test_a_manifest_that_knows_no_window_has_that_of_its_rows() -> None:
    before = run_of(WEEK, source_keys={})
    assert before.window == (*WEEK.window(2), WEEK)
    assert run_of(WEEK, source_keys={}, input_weeks={}).window == (WEEK,)


def scores_of(*runs: RunManifest) -> dict[ReportingWeek, ScoreRecord]:
    return {run.week: ScoreRecord.of(run) for run in runs}


def test_what_a_run_would_use_of_earlier_scores_is_what_a_run_uses() -> None:
    earlier = [run_of(WEEK - back) for back in (9, 8, 6, 5, 4, 3, 1)]
    basis = earlier[0].score_basis
    assert WEEKS_BACK == WEEKS_NEEDED
    expected = expected_history(WEEK, basis, scores_of(*earlier))
    assert sorted(expected.weeks) == [run.reporting_week for run in earlier[1:]]
    assert expected_history(WEEK, basis, scores_of(*earlier[2:])) == HistoryRecord()
    assert expected_history(WEEK, "another", scores_of(*earlier)) == HistoryRecord()
    assert expected_history(WEEK + 5, basis, scores_of(*earlier)) == HistoryRecord()
    assert record_of(()) == HistoryRecord() == expected_history(WEEK, basis, {})
    assert History(WEEK).weeks_back == WEEKS_BACK


def test_a_list_whose_cuts_rest_on_scores_recorded_anew_is_out_of_date() -> None:
    earlier = [run_of(WEEK - back) for back in range(6, 0, -1)]
    used = expected_history(WEEK, earlier[0].score_basis, scores_of(*earlier))
    run, nothing = run_of(WEEK, history=used), rows()
    assert outdated_lists([run], nothing, scores_of(*earlier)) == ()
    assert outdated_lists([run], nothing, scores_of(*earlier[2:])) == ()

    anew = run_of(WEEK - 3, score_quantiles={"0.5": 0.2})
    found = outdated_lists([run], nothing, scores_of(*earlier) | scores_of(anew))
    assert found == (OutdatedList(WEEK, (), scores=True),)
    without = run_of(WEEK, history=HistoryRecord())
    assert outdated_lists([without], nothing, scores_of(*earlier)) == found


def test_one_line_says_what_changed_which_lists_and_what_to_do() -> None:
    one = [OutdatedList(WEEK, (WEEK - 2,), scores=False)]
    assert sentence(one) == (
        "The rows of 2025-44 have changed since the list of 2025-46 was published: "
        "`cardwatch run --reporting-week 2025-46` makes it again"
    )
    some = [
        OutdatedList(WEEK - 1, (WEEK - 2, WEEK - 1), scores=False),
        OutdatedList(WEEK, (WEEK - 2, WEEK - 1), scores=True),
    ]
    assert sentence(some) == (
        "The rows of 2025-44 and 2025-45 and recorded scores that cuts rest on have changed since "
        "the lists of 2025-45 and 2025-46 were published: "
        "`cardwatch backfill --from 2025-45 --to 2025-46` makes them again"
    )
    many = [OutdatedList(WEEK - back, (), scores=True) for back in range(5, -1, -1)]
    assert sentence(many) == (
        "Recorded scores that cuts rest on have changed since the lists of 6 weeks from 2025-41 to "
        "2025-46 were published: `cardwatch backfill --from 2025-41 --to 2025-46` makes them again"
    )
    assert remedy(many) == ["backfill", "--from", "2025-41", "--to", "2025-46"]


@pytest.mark.parametrize("key", INPUT_SETTINGS)
def test_the_settings_that_decide_how_rows_are_read_exist(key: str) -> None:
    assert key in {setting.key for setting in settings()}
    assert Config()


def test_verdicts_and_snoozes_that_a_list_used_do_not_make_it_outdated() -> None:
    used = HistoryRecord(reviews={(WEEK - 1).label: "a" * 64}, snoozes="b" * 64)
    assert concerned([run_of(WEEK, history=used)], rows(*WEEK.window(2), WEEK)) == []
