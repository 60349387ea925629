from __future__ import annotations

from datetime import date

import pytest

from cardwatch.errors import ConfigurationError
from cardwatch.week import ReportingWeek


def week(text: str) -> ReportingWeek:
    return ReportingWeek.parse(text)


@pytest.mark.parametrize(
    ("text", "monday"),
    [
        ("2025-46", date(2025, 11, 17)),
        ("2025-W47", date(2025, 11, 17)),
        ("2025-11-17", date(2025, 11, 17)),
        ("2025-11-20", date(2025, 11, 17)),
        ("2025-11-23", date(2025, 11, 17)),
        ("2025-52", date(2025, 12, 29)),
        ("2026-W01", date(2025, 12, 29)),
        ("2026-01", date(2026, 1, 5)),
        (" 2025-46\n", date(2025, 11, 17)),
    ],
)
def test_every_accepted_form_names_the_same_monday(text: str, monday: date) -> None:
    assert week(text).monday == monday


def test_a_bare_label_is_read_in_the_numbering_asked_for() -> None:
    assert ReportingWeek.parse("2025-47", "iso") == ReportingWeek.parse("2025-46", "guide")


def test_an_iso_label_means_the_same_in_both_numberings() -> None:
    assert ReportingWeek.parse("2025-W47", "iso") == ReportingWeek.parse("2025-W47", "guide")


def test_week_00_of_2026_is_the_last_week_of_2025() -> None:
    assert week("2026-00") == week("2025-52")
    assert week("2026-00").label == "2025-52"


def test_week_00_does_not_exist_in_a_year_that_begins_on_a_monday() -> None:
    with pytest.raises(ConfigurationError, match="2024 has no week 00"):
        week("2024-00")


def test_week_00_does_not_exist_in_iso_numbering() -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        ReportingWeek.parse("2026-00", "iso")


def test_week_53_exists_in_guide_labels_only_where_a_year_has_53_mondays() -> None:
    assert week("2024-53").monday == date(2024, 12, 30)
    assert week("2018-53").monday == date(2018, 12, 31)
    with pytest.raises(ConfigurationError, match="2025 has no week 53"):
        week("2025-53")


def test_week_53_exists_in_iso_labels_only_in_long_iso_years() -> None:
    assert week("2020-W53").monday == date(2020, 12, 28)
    assert week("2026-W53").monday == date(2026, 12, 28)
    with pytest.raises(ConfigurationError):
        week("2025-W53")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025",
        "2025-4",
        "2025-99",
        "2025-W00",
        "2025-W99",
        "2025-02-30",
        "2025-13-01",
        "0000-01",
        "0000-00",
        "0001-00-00",
        "9999-W53",
        "20251120",
        "last",
        "../../etc",
        "'; DROP TABLE cell; --",
        "2025-46; rm",
        "2025-46\x00",
        "٢٠٢٥-٤٦",
        "2025-46-01-01",
    ],
)
def test_text_that_names_no_week_is_refused_with_the_forms_that_do(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a label like 2025-46") as caught:
        week(text)
    assert caught.value.exit_code == 2
    assert "`cardwatch weeks`" in caught.value.next_step


@pytest.mark.parametrize("text", ["'; DROP TABLE cell; --", "../../etc", "x" * 10_000, "a\nb"])
def test_unreadable_text_of_another_form_is_not_repeated_in_the_message(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        week(text)
    assert text not in caught.value.message
    assert "\n" not in caught.value.message


def test_a_week_cannot_be_made_from_a_day_that_is_no_monday() -> None:
    with pytest.raises(ConfigurationError, match=r"2025-11-18 \(Tuesday\)"):
        ReportingWeek(date(2025, 11, 18))


def test_labels_of_the_two_numberings_differ_where_january_begins_late_in_a_week() -> None:
    assert (week("2025-01-06").label, week("2025-01-06").iso_label) == ("2025-01", "2025-W02")
    assert (week("2024-01-01").label, week("2024-01-01").iso_label) == ("2024-01", "2024-W01")


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("2025-46", "17–23 November 2025"),
        ("2025-39", "29 September – 5 October 2025"),
        ("2025-52", "29 December 2025 – 4 January 2026"),
    ],
)
def test_people_see_the_range_of_days(text: str, dates: str) -> None:
    assert week(text).dates == dates


def test_display_shows_the_label_in_the_chosen_numbering_with_the_days() -> None:
    assert week("2025-46").display() == "2025-46 (17–23 November 2025)"
    assert week("2025-46").display("iso") == "2025-W47 (17–23 November 2025)"


def test_the_stored_label_is_the_guides_in_any_numbering() -> None:
    assert str(ReportingWeek.parse("2025-47", "iso")) == "2025-46"


def test_a_week_is_over_from_the_monday_after_it() -> None:
    assert not week("2025-46").is_over(date(2025, 11, 17))
    assert not week("2025-46").is_over(date(2025, 11, 23))
    assert week("2025-46").is_over(date(2025, 11, 24))


def test_arithmetic_crosses_the_new_year() -> None:
    assert (week("2025-52") + 1).label == "2026-01"
    assert (week("2026-01") - 1).label == "2025-52"
    assert week("2026-01") - week("2025-52") == 1
    assert week("2025-52") - week("2026-01") == -1


def test_the_window_is_the_weeks_before_oldest_first() -> None:
    labels = [each.label for each in week("2026-02").window(3)]
    assert labels == ["2025-51", "2025-52", "2026-01"]
    assert week("2026-02").window(0) == ()


def test_until_yields_both_ends_and_nothing_for_an_earlier_end() -> None:
    labels = [each.label for each in week("2025-51").until(week("2026-01"))]
    assert labels == ["2025-51", "2025-52", "2026-01"]
    assert list(week("2026-01").until(week("2025-51"))) == []


def test_weeks_sort_in_time_and_serve_as_keys() -> None:
    late, early = week("2026-01"), week("2025-52")
    assert sorted([late, early]) == [early, late]
    assert {early: "x"}[week("2026-W01")] == "x"


def test_the_calendars_last_week_ends_with_the_calendar() -> None:
    last = week("9999-12-31")
    assert last.dates == "27–31 December 9999"
    assert ReportingWeek.parse(last.label) == last


@pytest.mark.parametrize(("text", "count"), [("9999-52", 1), ("0001-01", -1)])
def test_a_week_beyond_the_calendar_is_refused(text: str, count: int) -> None:
    with pytest.raises(ConfigurationError, match="The calendar has no such week"):
        week(text) + count
    with pytest.raises(ConfigurationError, match="found 12 weeks before 0001-01"):
        week("0001-01").window(12)


@pytest.mark.parametrize("text", ["2025-W53", "2025-W00"])
def test_an_iso_week_that_its_year_has_not_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\(2025 has no ISO week {text[-2:]}\)"):
        week(text)
