"""When a snooze holds, and when the customer is awake again."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from cardwatch.history import History, read_history, record_of
from cardwatch.review.ledger import ledger_bytes
from cardwatch.review.snooze import SNOOZE_FILE, Seen, Snooze, sleeps, standing_snoozes
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")


def snooze(**changes: Any) -> Snooze:
    told = {
        "customer_id": "C-1",
        "reporting_week": "2025-45",
        "owner": "ada",
        "reason": "known",
        "until": date(2025, 12, 31),
        "leading_family": "events",
        "risk_category": "high",
        "noted_at": datetime(2025, 11, 20, tzinfo=UTC),
    }
    return Snooze.model_validate(told | changes)


@pytest.mark.parametrize(
    ("scope", "family", "mcc", "category", "holds"),
    [
        ({}, "events", "", "high", True),
        ({}, "events", "", "low", True),
        ({}, "events", "", "critical", False),
        ({}, "growth", "", "high", False),
        ({"family": "growth"}, "growth", "", "high", True),
        ({"family": "growth"}, "events", "", "high", False),
        ({"family": "growth"}, "growth", "", "critical", False),
        ({"mcc": "7995"}, "ticket", "7995", "high", True),
        ({"mcc": "7995"}, "events", "5411", "high", False),
        ({"mcc": "7995"}, "events", "7995", "critical", False),
    ],
)
def test_it_holds_while_the_reason_is_the_same_and_the_category_no_higher(
    scope: dict[str, str], family: str, mcc: str, category: Any, holds: bool
) -> None:
    assert sleeps(snooze(**scope), Seen(family, mcc, category)) is holds


def test_it_concerns_the_weeks_after_its_list_until_the_last_day() -> None:
    short = snooze(until=date(2025, 11, 24))  # the Monday of 2025-47
    weeks = [ReportingWeek.parse(f"2025-{number}") for number in (44, 45, 46, 47, 48)]
    assert [short.concerns(week) for week in weeks] == [False, False, True, True, False]


def test_the_last_of_a_scope_stands_and_the_end_of_one_ends_it() -> None:
    one, other = snooze(), snooze(family="growth")
    longer = snooze(until=date(2026, 1, 31))
    assert standing_snoozes([one, other, longer]) == (longer, other)
    over = longer.model_copy(update={"is_over": True})
    assert standing_snoozes([one, other, longer, over]) == (other,)


def test_a_run_reads_those_that_concern_its_week_and_records_them(tmp_path: Path) -> None:
    (tmp_path / SNOOZE_FILE).write_bytes(
        ledger_bytes([snooze(), snooze(customer_id="C-2", reporting_week="2025-46")])
    )
    found = read_history(tmp_path, WEEK).snoozes
    assert [each.customer_id for each in found] == ["C-1"]
    assert record_of((), (), found).snoozes
    assert record_of((), (), History(WEEK).snoozes).snoozes is None
    (tmp_path / SNOOZE_FILE).write_bytes(b"{}")
    damaged = read_history(tmp_path, WEEK)
    assert damaged.snoozes == ()
    assert damaged.warnings[0].startswith("Nobody is snoozed: ")
