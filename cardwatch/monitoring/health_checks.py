"""The health check: every check at once, each cut off by its time-out, one report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

from cardwatch.errors import CardwatchError
from cardwatch.monitoring.database_checks import (
    check_certificate,
    check_credentials,
    check_database,
    check_published_table,
)
from cardwatch.monitoring.findings import Finding, HealthReport
from cardwatch.monitoring.place_checks import (
    check_cache,
    check_clock,
    check_configuration,
    check_disk,
    check_memory,
    check_source,
)
from cardwatch.monitoring.run_checks import (
    check_coverage,
    check_drift,
    check_last_run,
    check_latest_week,
    check_log_errors,
    check_outputs,
)
from cardwatch.monitoring.surroundings import Surroundings

Check = Callable[[Surroundings], Finding]

CHECKS: Mapping[str, Check] = {
    "configuration": check_configuration,
    "source": check_source,
    "latest-week": check_latest_week,
    "last-run": check_last_run,
    "outputs": check_outputs,
    "published-table": check_published_table,
    "database": check_database,
    "disk": check_disk,
    "memory": check_memory,
    "cache": check_cache,
    "log-errors": check_log_errors,
    "drift": check_drift,
    "coverage": check_coverage,
    "clock": check_clock,
    "certificate": check_certificate,
    "credentials": check_credentials,
}
"""Every check by its name; the runbook has a section for each."""


def check_health(around: Surroundings, checks: Mapping[str, Check] = CHECKS) -> HealthReport:
    """Make every check, all at once; none takes longer than ``health.timeout_seconds``.

    A check that does not answer in time fails, and is left behind: its thread does not keep the
    process from ending.
    """
    limit = around.settings.health.timeout_seconds
    attempts = [_Attempt(name, check, around) for name, check in checks.items()]
    until = monotonic() + limit
    for attempt in attempts:
        attempt.start()
    for attempt in attempts:
        attempt.join(max(0.0, until - monotonic()))
    found = [attempt.finding or _too_slow(attempt.check, limit) for attempt in attempts]
    return HealthReport.of(around.now, around.config.environment, found)


def unreadable_configuration(error: CardwatchError) -> HealthReport:
    """Return the report of an installation whose configuration cannot be read."""
    found = Finding(
        "configuration", "fail", error.message, "settings that can be read", error.next_step
    )
    rest = (
        Finding(name, "unknown", "the configuration cannot be read", "")
        for name in CHECKS
        if name != "configuration"
    )
    return HealthReport.of(datetime.now(UTC), "unknown", (found, *rest))


class _Attempt(threading.Thread):
    """One check in a thread of its own, which may be left behind."""

    def __init__(self, name: str, check: Check, around: Surroundings) -> None:
        super().__init__(name=f"health check {name}", daemon=True)
        self.check = name
        self._make = check
        self._around = around
        self.finding: Finding | None = None

    def run(self) -> None:
        begun = monotonic()
        try:
            found = self._make(self._around)
        except CardwatchError as error:
            found = Finding(self.check, "fail", error.message, "", error.next_step)
        except Exception as error:
            found = Finding(
                self.check,
                "fail",
                f"the check itself failed ({type(error).__name__})",
                "a check that ends",
                "Run cardwatch doctor, and report this",
            )
        self.finding = replace(found, seconds=round(monotonic() - begun, 3))


def _too_slow(name: str, limit: float) -> Finding:
    return Finding(
        name,
        "fail",
        f"no answer within {limit:g} seconds",
        "an answer in time",
        "Look what hangs: the database, the network or the disk",
        limit,
    )
