"""What a health check found, and the report of them all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import cardwatch

Status = Literal["ok", "warn", "fail", "unknown"]
ORDER: Mapping[Status, int] = {"ok": 0, "unknown": 1, "warn": 2, "fail": 3}
RUNBOOK = "docs/RUNBOOK.md"
REPORT_VERSION = 1
REPORT_NAME = "health_check_latest.json"


@dataclass(frozen=True)
class Finding:
    """What one health check found.

    Attributes
    ----------
    name : str
        The check; the runbook has a section of that name.
    status : {"ok", "warn", "fail", "unknown"}
        ``unknown``: the check does not apply here, or could not be made.
    measured : str
        What was found, in words.
    expected : str
        What it was held against.
    next_step : str
        What to do; empty where there is nothing to do.
    seconds : float
        How long the check took.
    """

    name: str
    status: Status
    measured: str
    expected: str
    next_step: str = ""
    seconds: float = 0.0

    @property
    def runbook(self) -> str:
        """The page of the runbook about this check."""
        return f"{RUNBOOK}#{self.name}"


@dataclass(frozen=True)
class HealthReport:
    """Every finding of one moment."""

    checked_at: datetime
    environment: str
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """The worst of the findings; what does not apply here counts for nothing."""
        return max(
            (each.status for each in self.findings if each.status != "unknown"),
            key=ORDER.__getitem__,
            default="ok",
        )

    @property
    def exit_code(self) -> int:
        """0 where all is well, 1 where somebody should look, 2 where something is broken."""
        return {"ok": 0, "unknown": 0, "warn": 1, "fail": 2}[self.status]

    def to_json(self) -> str:
        """Return the report as it is written to ``health_check_latest.json``."""
        content = {
            "report_version": REPORT_VERSION,
            "status": self.status,
            "exit_code": self.exit_code,
            "checked_at": self.checked_at.isoformat(timespec="seconds"),
            "environment": self.environment,
            "cardwatch_version": cardwatch.__version__,
            "checks": [{**asdict(each), "runbook": each.runbook} for each in self.findings],
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def worst_of(name: str, expected: str, found: Sequence[tuple[Status, str, str]]) -> Finding:
    """Return one finding for several places: the worst status, and what is said of each.

    Parameters
    ----------
    found : sequence of (status, measured, next step)
    """
    if not found:
        return Finding(name, "unknown", "nothing to look at", expected)
    status = max((each[0] for each in found), key=ORDER.__getitem__)
    measured = "; ".join(dict.fromkeys(text for _, text, _ in found))
    steps = dict.fromkeys(step for level, _, step in found if step and level != "ok")
    return Finding(name, status, measured, expected, "; ".join(steps))


def report_path(folder: Path, configured: Path | None) -> Path:
    """Return where the report goes."""
    return configured or folder / REPORT_NAME
