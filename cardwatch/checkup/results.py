"""What a check found, as plain data that a table, a machine or an alert can show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import JsonValue

from cardwatch.errors import CardwatchError
from cardwatch.week import ReportingWeek

Status = Literal["ok", "warn", "fail"]
ONLY_WARNINGS = 1
"""Exit code where something should be looked at and nothing is broken."""


@dataclass(frozen=True)
class CheckResult:
    """One check.

    Attributes
    ----------
    name : str
        What was looked at: ``configuration``, ``output folder``, ``source``, ``files``, …
    status : {"ok", "warn", "fail"}
        ``warn``: a person should look, and runs go on; ``fail``: a run, or a reader, cannot go on.
    measured : str
        What was found, in words.
    advice : str
        What to do; empty where there is nothing to do.
    week : str
        The label of the week it is about; empty where it is about none.
    exit_code : int
        Of a check that failed: that of the error a run would end with.
    """

    name: str
    status: Status
    measured: str
    advice: str = ""
    week: str = ""
    exit_code: int = 0


def failed(name: str, error: CardwatchError, week: ReportingWeek | None = None) -> CheckResult:
    """Return the result of a check that an error ended."""
    measured = error.message.removesuffix(f". {error.next_step}") if error.next_step else ""
    return CheckResult(
        name,
        "fail",
        measured or error.message,
        error.next_step,
        week.label if week else "",
        error.exit_code,
    )


def attempt(name: str, check: Callable[[], CheckResult]) -> CheckResult:
    """Return what a check found; an error of Cardwatch's own is a failed check."""
    try:
        return check()
    except CardwatchError as error:
        return failed(name, error)


def exit_code(results: Sequence[CheckResult]) -> int:
    """Return 0 where all is well, else that of the first failure, else `ONLY_WARNINGS`."""
    codes = [each.exit_code for each in results if each.status == "fail"]
    if codes:
        return codes[0]
    return ONLY_WARNINGS if any(each.status == "warn" for each in results) else 0


def document(results: Sequence[CheckResult]) -> dict[str, JsonValue]:
    """Return the results as JSON values."""
    worst = next((s for s in ("fail", "warn") if any(r.status == s for r in results)), "ok")
    return {
        "status": worst,
        "exit_code": exit_code(results),
        "checks": [asdict(each) for each in results],
    }
