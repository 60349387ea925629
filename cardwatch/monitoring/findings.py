"""What a health check found, and the report of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass

import cardwatch

Status = Literal["ok", "warn", "fail", "unknown"]
ORDER: Mapping[Status, int] = {"ok": 0, "unknown": 1, "warn": 2, "fail": 3}
EXIT_CODES: Mapping[Status, Literal[0, 1, 2]] = {"ok": 0, "unknown": 0, "warn": 1, "fail": 2}
RUNBOOK = "docs/RUNBOOK.md"
REPORT_NAME = "health_check_latest.json"


_DOCUMENTED = ConfigDict(
    use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
)


@dataclass(frozen=True, config=_DOCUMENTED)
class Finding:
    """What one health check found."""

    name: str
    """The check; the runbook has a section of that name."""
    status: Status
    """How it is; `unknown` where the check does not apply here, or could not be made."""
    measured: str
    """What was found, in words."""
    expected: str
    """What it was held against."""
    next_step: str = ""
    """What to do; empty where there is nothing to do."""
    seconds: float = 0.0
    """How long the check took."""
    runbook: str = Field(init=False, default="")
    """The page of the runbook about this check."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "runbook", f"{RUNBOOK}#{self.name}")


class HealthReport(BaseModel):
    """Every finding of one moment, as `health_check_latest.json` has it."""

    model_config = ConfigDict(frozen=True, **_DOCUMENTED)

    report_version: Literal[1] = 1
    """Later versions only add keys."""
    status: Status
    """The worst of the checks; what is `unknown` counts for nothing."""
    exit_code: Literal[0, 1, 2]
    """0 where all is well, 1 where somebody should look, 2 where something is broken."""
    checked_at: AwareDatetime
    """When, with the time zone."""
    environment: str
    """The environment that the configuration names: development, staging or production."""
    cardwatch_version: str
    """The version that checked."""
    checks: tuple[Finding, ...]
    """What each check found."""

    @classmethod
    def of(
        cls, checked_at: AwareDatetime, environment: str, checks: Sequence[Finding]
    ) -> HealthReport:
        """Return the report of some findings."""
        found: list[Status] = [each.status for each in checks if each.status != "unknown"]
        status: Status = max(found, key=ORDER.__getitem__, default="ok")
        return cls(
            status=status,
            exit_code=EXIT_CODES[status],
            checked_at=checked_at.replace(microsecond=0),
            environment=environment,
            cardwatch_version=cardwatch.__version__,
            checks=tuple(checks),
        )

    def to_json(self) -> str:
        """Return the report as it is written to ``health_check_latest.json``."""
        return self.model_dump_json(indent=2) + "\n"


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema of the report (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **HealthReport.model_json_schema(mode="serialization"),
    }


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
