"""What became of each week of a backfill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from cardwatch.week import ReportingWeek

Action = Literal["run", "published", "skipped", "no data", "not over", "failed", "not reached"]
"""``published``: sent to a database that did not hold it, from the files as they are."""


@dataclass(frozen=True)
class WeekOutcome:
    """One week: what was done, or would be in a dry run, and why.

    Attributes
    ----------
    listed : int or None
        Customers on its list; None where there is none.
    run_id : str or None
        The run whose results stand; None where none was made.
    exit_code : int
        Of the error, for a week that failed; else 0.
    warnings : tuple of str
        What the run warned of.
    """

    week: ReportingWeek
    action: Action
    why: str = ""
    seconds: float = 0.0
    listed: int | None = None
    run_id: str | None = None
    exit_code: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The outcome on one line."""
        return f"{self.week} {self.action}" + (f": {self.why}" if self.why else "")


def exit_code(outcomes: Sequence[WeekOutcome]) -> int:
    """Return the exit code of a backfill: that of its first failure."""
    return next((each.exit_code for each in outcomes if each.exit_code), 0)


def document(outcomes: Sequence[WeekOutcome], dry_run: bool) -> dict[str, JsonValue]:
    """Return the outcomes as JSON values, weeks as labels."""
    return {
        "dry_run": dry_run,
        "exit_code": exit_code(outcomes),
        "weeks": [
            {
                "reporting_week": each.week.label,
                "week_start": each.week.monday.isoformat(),
                "action": each.action,
                "why": each.why,
                "seconds": each.seconds,
                "listed": each.listed,
                "run_id": each.run_id,
                "exit_code": each.exit_code,
                "warnings": list(each.warnings),
            }
            for each in outcomes
        ],
    }
