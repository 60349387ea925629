"""What holds for every week and every day from 1990 to 2060, in both numberings."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.errors import ConfigurationError
from cardwatch.week import Numbering, ReportingWeek

FIRST, LAST = date(1990, 1, 1), date(2060, 12, 31)
DAYS = [FIRST + timedelta(days=ahead) for ahead in range((LAST - FIRST).days + 1)]
YEARS = range(FIRST.year, LAST.year + 1)
NUMBERINGS: tuple[Numbering, ...] = ("guide", "iso")

days = st.dates(FIRST, LAST)
weeks = days.map(ReportingWeek.containing)


def label_in(numbering: Numbering, week: ReportingWeek) -> str:
    return week.label if numbering == "guide" else week.iso_label.replace("W", "")


def weeks_labelled(numbering: Numbering, year: int) -> dict[str, ReportingWeek]:
    found = {}
    for number in range(100):
        text = f"{year}-{number:02d}"
        try:
            found[text] = ReportingWeek.parse(text, numbering)
        except ConfigurationError:
            continue
    return found


def test_every_date_is_in_exactly_one_week() -> None:
    spans = dict.fromkeys(ReportingWeek.containing(day) for day in DAYS)
    covered = [week.monday + timedelta(days=ahead) for week in spans for ahead in range(7)]
    assert len(covered) == len(set(covered))
    assert set(DAYS) <= set(covered)
    for day in DAYS:
        week = ReportingWeek.containing(day)
        assert week.monday <= day <= week.sunday


@pytest.mark.parametrize("numbering", NUMBERINGS)
def test_week_to_label_to_week_returns_the_same_week(numbering: Numbering) -> None:
    for week in ReportingWeek.containing(FIRST).until(ReportingWeek.containing(LAST)):
        assert ReportingWeek.parse(label_in(numbering, week), numbering) == week
        assert ReportingWeek.parse(week.iso_label, numbering) == week
        assert ReportingWeek.parse(week.monday.isoformat(), numbering) == week


@pytest.mark.parametrize("numbering", NUMBERINGS)
def test_label_to_week_to_label_returns_the_same_label_week_00_aside(numbering: Numbering) -> None:
    for year in YEARS:
        for text, week in weeks_labelled(numbering, year).items():
            if not text.endswith("-00"):
                assert label_in(numbering, week) == text


@pytest.mark.parametrize("numbering", NUMBERINGS)
def test_no_two_labels_of_a_numbering_name_the_same_week_week_00_aside(
    numbering: Numbering,
) -> None:
    named = [
        week
        for year in YEARS
        for text, week in weeks_labelled(numbering, year).items()
        if not text.endswith("-00")
    ]
    assert len(named) == len(set(named))


def test_week_00_is_the_last_week_of_the_year_before_or_does_not_exist() -> None:
    for year in YEARS:
        zero = weeks_labelled("guide", year).get(f"{year}-00")
        if date(year, 1, 1).weekday() == 0:
            assert zero is None
        else:
            last_of_year_before = ReportingWeek.containing(date(year - 1, 12, 31))
            assert zero == last_of_year_before
            assert zero.label.startswith(f"{year - 1}-")


def test_the_runbooks_label_of_any_day_is_the_week_that_holds_it() -> None:
    for day in DAYS:
        assert ReportingWeek.parse(day.strftime("%Y-%W")) == ReportingWeek.containing(day)


def test_the_label_is_strftime_of_the_monday() -> None:
    for week in ReportingWeek.containing(FIRST).until(ReportingWeek.containing(LAST)):
        assert week.label == week.monday.strftime("%Y-%W")
        assert week.iso_label == week.monday.strftime("%G-W%V")


def test_a_year_has_53_guide_weeks_where_it_has_53_mondays_and_52_otherwise() -> None:
    for year in YEARS:
        mondays = sum(day.weekday() == 0 for day in DAYS if day.year == year)
        assert f"{year}-{mondays}" in weeks_labelled("guide", year)
        assert len(weeks_labelled("guide", year).keys() - {f"{year}-00"}) == mondays


def test_a_year_has_53_iso_weeks_where_the_28th_of_december_is_in_week_53() -> None:
    for year in YEARS:
        last = date(year, 12, 28).isocalendar().week
        assert len(weeks_labelled("iso", year)) == last


@given(weeks, st.integers(-520, 520))
def test_adding_and_subtracting_weeks_are_inverse(week: ReportingWeek, count: int) -> None:
    assert (week + count) - count == week
    assert (week + count) - week == count
    assert (week + count).monday == week.monday + timedelta(days=7 * count)


@given(weeks, weeks)
def test_order_follows_time_and_agrees_with_the_difference(
    one: ReportingWeek, other: ReportingWeek
) -> None:
    assert (one < other) == (one.monday < other.monday) == (one - other < 0)
    assert (one == other) == (one - other == 0)
    assert (one < other) == (one.label < other.label)


@given(weeks, st.integers(0, 60))
def test_a_window_is_consecutive_and_ends_just_before_the_week(
    week: ReportingWeek, count: int
) -> None:
    window = week.window(count)
    assert len(window) == count
    assert [later - earlier for earlier, later in zip(window, window[1:], strict=False)] == [1] * (
        count - 1
    )
    assert all(earlier < week for earlier in window)
    assert not window or window[-1] + 1 == week


@given(days, days)
def test_a_week_is_over_exactly_when_its_sunday_has_passed(day: date, today: date) -> None:
    week = ReportingWeek.containing(day)
    assert week.is_over(today) == (week < ReportingWeek.containing(today))


@given(st.text(max_size=40))
def test_any_text_is_a_week_or_a_configuration_error(text: str) -> None:
    try:
        week = ReportingWeek.parse(text)
    except ConfigurationError as error:
        assert "\n" not in error.message
    else:
        assert week.monday.weekday() == 0


@given(st.from_regex(r"\d{4}-W?\d{2}(-\d{2})?", fullmatch=True))
def test_any_text_of_a_weeks_form_is_a_week_or_a_configuration_error(text: str) -> None:
    for numbering in NUMBERINGS:
        try:
            week = ReportingWeek.parse(text, numbering)
        except ConfigurationError:
            continue
        assert ReportingWeek.parse(week.label) == week
        assert week.dates
