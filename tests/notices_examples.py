"""Notices about invented customers, for the tests of how they are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cardwatch.notify.message import FailureNotice, Figure, Left, Listed, ListNotice
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")
PICTURE = b"\x89PNG\r\n\x1a\n and so on"


def listed(rank: int, **changes: Any) -> Listed:
    """A customer of the list."""
    customer = Listed(
        rank=rank,
        name=f"•••{rank:03}",
        category="high",
        signal="concern",
        standing="new on the list",
        spend="1,240 EUR",
        usual_spend="300",
        transactions="4 transactions",
        reasons=("Spent 1,240 this week, 4.1 × the usual week of 300", "Made 4 purchases"),
        chart=PICTURE,
        chart_text="Week of 17 Nov: 1,240 EUR.",
    )
    return replace(customer, **changes)


def list_notice(count: int = 7, **changes: Any) -> ListNotice:
    """A list of `count` customers, two of them told in detail."""
    notice = ListNotice(
        week=WEEK,
        numbering="guide",
        environment="staging",
        run_id="20251124T060000Z-abc123",
        version="1.0.0",
        list_digest="ab" * 32,
        figures=(Figure("Critical", 1, 2), Figure("Scored", 1_979, None)),
        listed=tuple(listed(rank) for rank in range(1, count + 1)),
        details=2,
        before=WEEK - 1,
        new=3,
        back=0,
        gone=(Left(4, "•••044", "Rank 39 of 1,979 now; the list ends at 20"),),
        remarks=("A week of the window is missing.",),
        coverage="Of 10 rows in the weeks read, none set aside; 9 of 9 customers scored.",
        currency="EUR",
        is_masked=True,
    )
    return replace(notice, **changes)


def failure_notice(**changes: Any) -> FailureNotice:
    """A run that failed while reading."""
    notice = FailureNotice(
        week=WEEK,
        numbering="guide",
        environment="staging",
        command="cardwatch run",
        step="read",
        exit_code=3,
        error="The database does not answer (db.bank.example:5432). Try again later",
        run_id="20251124T060000Z-abc123",
        log="/opt/cardwatch/logs/app.log on batch-1",
        last_list="2025-45 (10–16 November 2025)",
    )
    return replace(notice, **changes)
