from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError, SourceError
from cardwatch.sources.memory import MemorySource
from cardwatch.sources.week_values import MAX_WEEK_TEXTS, WeekReader, form_of
from cardwatch.week import ReportingWeek

GUIDE = WeekReader("UTC", "guide")


def mondays(engine: Engine, times: pa.Array, timezone: str = "UTC") -> list[date | None]:
    """Return the Monday of each time, as a source reads it."""
    count = len(times)
    rows = pa.table(
        {
            "customer_id": [f"{n:03d}" for n in range(count)],
            "transaction_time": times,
            "mcc": ["5411"] * count,
            "amount": ["1.00"] * count,
        }
    )
    source = MemorySource(rows, engine, timezone=timezone)
    weeks = source.present()
    delivery = source.read(weeks[-1], weeks[-1] - weeks[0])
    every = delivery.select([*delivery.reference_weeks, delivery.week])
    ordered = engine.rows(f"SELECT week_start FROM ({every}) ORDER BY customer_id")
    return [row["week_start"] for row in ordered]


@pytest.mark.parametrize(
    "text",
    ["2025-46", "2025-W47", "2025-11-17", " 2025-11-23 ", "2025-11-20T00:00:00.000"],
)
def test_a_week_is_read_from_a_label_or_a_day_of_it(text: str) -> None:
    assert GUIDE.monday(text) == date(2025, 11, 17)


def test_bare_labels_follow_the_numbering() -> None:
    assert WeekReader("UTC", "iso").monday("2025-46") == date(2025, 11, 10)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "20/11/2025",
        "2025-99",
        "2025-02-30",
        "2025-11-20T13:00:00",
        "9999-12-31",
        "0001-01-01",
        "1900-01-01",
        "202546",
        "'; DROP TABLE customer",
        "../../etc",
    ],
)
def test_what_names_no_week_is_not_guessed(text: str | None) -> None:
    assert GUIDE.monday(text) is None


@pytest.mark.parametrize(
    ("date_format", "text"),
    [
        ("%d/%m/%Y", "20/11/2025"),
        ("%m/%d/%Y", "11/20/2025"),
        ("%d.%m.%y", "20.11.25"),
        ("%Y%m%d", "20251120"),
        ("%Y%W", "202546"),
        ("%G-%V", "2025-47"),
        ("Week %W of %Y", "Week 46 of 2025"),
    ],
)
def test_a_date_format_is_followed(date_format: str, text: str) -> None:
    reader = WeekReader("UTC", "guide", date_format)
    reader.check_format()
    assert reader.monday(text) == date(2025, 11, 17)


@pytest.mark.parametrize("date_format", ["%Y", "%m/%Y", "%d/%m", "%Q", "day"])
def test_a_date_format_that_names_no_week_is_refused(date_format: str) -> None:
    with pytest.raises(ConfigurationError, match="data_source.date_format"):
        WeekReader("UTC", "guide", date_format).check_format()


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="portfolio.timezone"):
        WeekReader("Mars/Olympus", "guide")


def test_times_with_an_offset_are_converted_and_others_are_local_already(engine: Engine) -> None:
    times = [
        "2025-11-17T00:30:00",  # local
        "2025-11-17 00:30:00",
        "2025-11-17T00:30:00Z",  # Sunday evening in Chicago
        "2025-11-17 00:30:00 UTC",
        "2025-11-17T05:59:59.999Z",
        "2025-11-17T06:00:00+00:00",  # midnight in Chicago
        "2025-11-16T23:30:00-0700",
        "2025-11-17",
    ]
    sunday, monday = date(2025, 11, 10), date(2025, 11, 17)
    assert mondays(engine, pa.array(times), "America/Chicago") == [
        monday,
        monday,
        sunday,
        sunday,
        sunday,
        monday,
        monday,
        monday,
    ]


@pytest.mark.parametrize(
    ("day", "last_of_sunday", "first_of_monday"),
    [
        # Clocks go forward on Sunday 9 March: midnight moves from 06:00 to 05:00 UTC.
        (date(2025, 3, 10), "2025-03-10T04:59:59Z", "2025-03-10T05:00:00Z"),
        # Clocks go back on Sunday 2 November: midnight moves from 05:00 to 06:00 UTC.
        (date(2025, 11, 3), "2025-11-03T05:59:59Z", "2025-11-03T06:00:00Z"),
    ],
)
def test_the_week_ends_at_local_midnight_after_the_clocks_change(
    engine: Engine, day: date, last_of_sunday: str, first_of_monday: str
) -> None:
    week = ReportingWeek(day)
    expected = [(week - 1).monday, week.monday]
    texts = [last_of_sunday, first_of_monday]
    assert mondays(engine, pa.array(texts), "America/Chicago") == expected
    stamps = [datetime.fromisoformat(text).astimezone(UTC) for text in texts]
    typed = pa.array(stamps, pa.timestamp("us", tz="UTC"))
    assert mondays(engine, typed, "America/Chicago") == expected


def test_an_hour_that_is_skipped_or_repeated_counts_in_its_day(engine: Engine) -> None:
    times = ["2025-03-09T02:30:00", "2025-11-02T01:30:00"]
    assert mondays(engine, pa.array(times), "America/Chicago") == [
        date(2025, 3, 3),
        date(2025, 10, 27),
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_typed_times_without_a_zone_are_local(engine: Engine, unit: str) -> None:
    times = pa.array([datetime(2025, 11, 16, 23, 59), datetime(2025, 11, 17)])  # noqa: DTZ001
    assert mondays(engine, times.cast(pa.timestamp(unit)), "America/Chicago") == [
        date(2025, 11, 10),
        date(2025, 11, 17),
    ]


def test_typed_dates_are_days(engine: Engine) -> None:
    days = pa.array([date(2025, 11, 16), date(2025, 11, 17), None, date(9999, 12, 31)])
    assert mondays(engine, days, "Pacific/Kiritimati") == [
        date(2025, 11, 10),
        date(2025, 11, 17),
        None,
        None,
    ]


@pytest.mark.parametrize(
    "text", ["20/11/2025", "11/20/2025", "2025/11/20", "infinity", "2025-11-20 25:00", "5 pm"]
)
def test_a_time_that_is_not_iso_is_not_guessed(engine: Engine, text: str) -> None:
    assert mondays(engine, pa.array(["2025-11-20", text])) == [date(2025, 11, 17), None]


@pytest.mark.parametrize(
    ("date_format", "text", "monday"),
    [
        ("%d/%m/%Y %H:%M", "17/11/2025 00:30", date(2025, 11, 17)),
        ("%d/%m/%Y %H:%M %z", "17/11/2025 00:30 +0000", date(2025, 11, 10)),
    ],
)
def test_times_follow_the_date_format(
    engine: Engine, date_format: str, text: str, monday: date
) -> None:
    rows = pa.table(
        {"customer_id": ["a"], "transaction_time": [text], "mcc": ["1"], "amount": ["1"]}
    )
    source = MemorySource(rows, engine, timezone="America/Chicago", date_format=date_format)
    assert source.present() == (ReportingWeek(monday),)


@pytest.mark.parametrize(
    "weeks",
    [
        pa.array([date(2025, 11, 20), date(2025, 11, 9)]),
        pa.array([datetime(2025, 11, 20), datetime(2025, 11, 9)], pa.timestamp("ns")),  # noqa: DTZ001
        pa.array(["2025-46", "2025-44"]).dictionary_encode(),
    ],
    ids=["dates", "times", "dictionary"],
)
def test_typed_weeks_are_read(engine: Engine, weeks: pa.Array) -> None:
    rows = pa.table(
        {
            "customer_id": [1, 2],
            "reporting_week": weeks,
            "mcc": [5411, 742],
            "spend_amount": [1.5, 2.0],
            "transaction_count": [1, 1],
        }
    )
    source = MemorySource(rows, engine)
    assert [week.label for week in source.present()] == ["2025-44", "2025-46"]
    delivery = source.read(ReportingWeek.parse("2025-46"), 2)
    types = engine.arrow(delivery.select([delivery.week])).schema
    assert types.field("customer_id").type == pa.int64()
    assert types.field("spend_amount").type == pa.float64()
    assert types.field("week_value").type == pa.string()


def test_a_column_of_too_many_different_texts_holds_no_weeks(engine: Engine) -> None:
    count = MAX_WEEK_TEXTS + 1
    rows = pa.table(
        {
            "customer_id": ["a"] * count,
            "reporting_week": [f"week {n}" for n in range(count)],
            "mcc": ["5411"] * count,
            "spend_amount": ["1"] * count,
            "transaction_count": ["1"] * count,
        }
    )
    with pytest.raises(SourceError, match="reporting_week holds no weeks"):
        MemorySource(rows, engine).present()


def test_a_form_says_nothing_about_the_value() -> None:
    assert form_of("20/Nov/2025 ☃") == "99/Aaa/9999 ?"
    assert form_of("é" * 1000) == "a" * 30 + "…"
