"""What follows a command that makes results: its record, its metrics, its alerts.

Nothing here fails the command, or hides how it ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cardwatch.config import Config, LoadedConfig
from cardwatch.errors import CardwatchError
from cardwatch.logs import FILE_ONLY, LOGGER
from cardwatch.monitoring.alert_state import Problem, Severity
from cardwatch.monitoring.alerting import Alerter
from cardwatch.monitoring.findings import RUNBOOK, Finding, HealthReport, Status
from cardwatch.monitoring.last_run import LastRun, read_last_run, write_last_run
from cardwatch.monitoring.metrics import (
    HEALTH_FILE,
    RUN_FILE,
    health_metrics,
    run_metrics,
    write_metrics,
)
from cardwatch.monitoring.place_checks import free_space
from cardwatch.monitoring.settings import MonitoringSettings, read_settings
from cardwatch.monitoring.surroundings import Surroundings
from cardwatch.session import log_again

Say = Callable[[str], None]

RUN_SCOPE = "run"
HEALTH_SCOPE = "health:"
_SEVERITIES: dict[Status, Severity] = {"warn": "warn", "fail": "critical"}


@dataclass
class Watched:
    """A command that is watched; it may tell its week and what it has to say at its end.

    `facts` are lines for whoever looks into a failure: the step, the run, where the log is.
    """

    command: str
    week: str = ""
    summary: str = ""
    facts: str = ""


@contextmanager
def watched(
    config: Config, command: str, say: Say, settings: Path | None = None
) -> Iterator[Watched]:
    """Record how a command ends, write metrics, and alert, where ``monitoring.enabled``.

    Parameters
    ----------
    command : str
        For people, such as ``cardwatch run``.
    say : callable
        Told in one sentence what could not be written or sent.
    settings : pathlib.Path, optional
        The file of monitoring settings, where it is not the usual one.
    """
    noted = Watched(command)
    begun = datetime.now(UTC)
    if not config.monitoring.enabled:
        yield noted
        return
    try:
        yield noted
    except (Exception, SystemExit) as error:
        code, message = _ending(error, noted)
        _after(config, noted, begun, code, message, say, settings)
        raise
    _after(config, noted, begun, 0, "", say, settings)


def _ending(error: BaseException, noted: Watched) -> tuple[int, str]:
    """Return the exit code that an error ends the command with, and what there is to say of it."""
    match error:
        case CardwatchError():
            return error.exit_code, error.message
        case SystemExit(code=int() | None as code):
            return code or 0, noted.summary
        case _:
            return 1, f"unexpected {type(error).__name__}"


def _after(
    config: Config,
    noted: Watched,
    begun: datetime,
    code: int,
    message: str,
    say: Say,
    path: Path | None,
) -> None:
    now = datetime.now(UTC)
    last = LastRun(
        command=noted.command,
        reporting_week=noted.week,
        finished_at=now,
        exit_code=code,
        message=message,
        seconds=round((now - begun).total_seconds(), 3),
    )
    with log_again(config, label=noted.week or "-"):
        settings = MonitoringSettings()
        try:
            settings = read_settings(path)
        except CardwatchError as error:
            _said(say, error.message)
        around = Surroundings(LoadedConfig(config), settings, now)

        def measure() -> None:
            write_metrics(run_metrics(last, around.records), settings.metrics, RUN_FILE)

        problems = run_problems(last, noted.summary, noted.facts)
        _whatever_happens(lambda: write_last_run(config.output.directory, last), say)
        _whatever_happens(measure, say)
        _whatever_happens(lambda: _alert(config, settings, problems, RUN_SCOPE, say), say)


def run_problems(last: LastRun, summary: str, facts: str = "") -> list[Problem]:
    """Return what there is to tell of a command that ended: that it failed, or its summary."""
    of_week = f" of {last.reporting_week}" if last.reporting_week else ""
    if last.exit_code:
        title = f"{last.command}{of_week} failed with exit code {last.exit_code}"
        where = f"Runbook: {RUNBOOK}#cardwatchrunfailed"
        text = "\n".join(filter(None, (last.message, facts, where)))
        return [Problem(RUN_SCOPE, "critical", title, text)]
    if not summary:
        return []
    return [Problem("run:done", "info", f"{last.command}{of_week}", summary, is_event=True)]


def after_health_check(
    config: Config, settings: MonitoringSettings, report: HealthReport, say: Say
) -> None:
    """Write a report's metrics, and tell who should know what is not well; never fails.

    Nothing happens where ``monitoring.enabled`` is not set.
    """
    if not config.monitoring.enabled:
        return
    around = Surroundings(LoadedConfig(config), settings, report.checked_at)

    def measure() -> None:
        found = health_metrics(report, free_space(around))
        write_metrics(found, settings.metrics, HEALTH_FILE)

    problems = health_problems(report, read_last_run(config.output.directory))
    _whatever_happens(measure, say)
    _whatever_happens(lambda: _alert(config, settings, problems, HEALTH_SCOPE, say), say)


def health_problems(report: HealthReport, last: LastRun | None) -> list[Problem]:
    """Return what a health check found that is not well.

    That the last command failed is left out: it has told of that itself, or left it to be told.
    """
    told = {"last-run"} if last is not None and last.exit_code else set()
    return [
        Problem(
            f"{HEALTH_SCOPE}{each.name}",
            _SEVERITIES[each.status],
            f"health check {each.name}: {each.status}",
            _in_lines(each),
        )
        for each in report.checks
        if each.status in _SEVERITIES and each.name not in told
    ]


def _in_lines(found: Finding) -> str:
    lines = {
        "Found": found.measured,
        "Expected": found.expected,
        "Next": found.next_step,
        "Runbook": found.runbook,
    }
    return "\n".join(f"{name}: {text}" for name, text in lines.items() if text)


def _alert(
    config: Config,
    settings: MonitoringSettings,
    problems: list[Problem],
    scope: str,
    say: Say,
) -> None:
    for delivery in Alerter(config, settings).tell(problems, scope):
        if delivery.problem:
            _said(say, f"an alert by {delivery.channel} was not sent: {delivery.problem}")


def _whatever_happens(step: Callable[[], None], say: Say) -> None:
    try:
        step()
    except CardwatchError as error:
        _said(say, error.message)
    except Exception as error:
        _said(say, f"unexpected {type(error).__name__}")


def _said(say: Say, text: str) -> None:
    logging.getLogger(LOGGER).warning("monitoring: %s", text, extra={FILE_ONLY: True})
    say(f"Monitoring: {text}")
