"""Metrics for Prometheus: a textfile for node_exporter, or a push to a gateway.

No label ever holds a customer. Names end in their units, as Prometheus has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    exposition,
    pushadd_to_gateway,
    write_to_textfile,
)

import cardwatch
from cardwatch.errors import CardwatchError, PublishError
from cardwatch.manifest import RunManifest
from cardwatch.monitoring.drift import score_drift
from cardwatch.monitoring.findings import HealthReport
from cardwatch.monitoring.last_run import LastRun
from cardwatch.monitoring.run_checks import rows_ratio
from cardwatch.monitoring.settings import MetricsSettings
from cardwatch.pipeline import SCORE_VERSION

RUN_FILE = "cardwatch.prom"
HEALTH_FILE = "cardwatch_health.prom"
STATUS_VALUES = {"ok": 0, "warn": 1, "fail": 2, "unknown": 3}


def run_metrics(last: LastRun, records: Sequence[RunManifest]) -> CollectorRegistry:
    """Return what is known after a run, one that failed too.

    Parameters
    ----------
    last : LastRun
        How it ended.
    records : sequence of RunManifest
        What the runs have recorded, oldest week first.
    """
    made = _Metrics()
    made.add(
        "build_info", "The program that ran", 1, version=cardwatch.__version__,
        score_version=SCORE_VERSION,
    )  # fmt: skip
    ended = last.finished_at.timestamp()
    made.add("last_run_timestamp_seconds", "When the last run ended", ended)
    made.add("last_run_success", "Whether it ended well", int(last.exit_code == 0))
    made.add("last_run_exit_code", "Its exit code", last.exit_code)
    if not records:
        return made.registry
    finished = max(run.finished_at for run in records)
    made.add("last_success_timestamp_seconds", "When a run last ended well", finished.timestamp())
    newest = records[-1]
    monday = datetime.combine(newest.week_start, time(0), UTC)
    made.add(
        "reporting_week_start_timestamp_seconds",
        "Monday of the newest week with a list",
        monday.timestamp(),
    )
    _of_newest(made, newest)
    drift = score_drift(newest, records)
    if drift is not None:
        made.add("score_drift_psi", "Drift of the scores, population stability index", drift)
    ratio = rows_ratio(records)
    if ratio is not None:
        made.add("rows_ratio", "Rows of the newest week over the median before", ratio)
    return made.registry


def _of_newest(made: _Metrics, run: RunManifest) -> None:
    for step, seconds in run.seconds.items():
        made.add(
            "run_duration_seconds", "Duration of the steps of the last run", seconds, step=step
        )
    counts = run.counts
    rows = "Rows of the window, by what became of them"
    made.add("rows", rows, counts.rows_accepted, state="accepted", reason="")
    made.add("rows", rows, counts.rows_quarantined, state="quarantined", reason="")
    for reason, number in counts.rows_by_reason.items():
        made.add("rows", rows, number, state="found", reason=reason)
    people = "Customers of the newest week"
    made.add("customers", people, counts.customers_scored, state="scored")
    made.add("customers", people, sum(counts.customers_unscored.values()), state="unscored")
    for category, number in run.categories.items():
        made.add("anomalies", "Customers by risk category", number, risk_category=category)


def health_metrics(report: HealthReport, free_bytes: dict[str, int]) -> CollectorRegistry:
    """Return what a health check found; `free_bytes` by place."""
    made = _Metrics()
    made.add(
        "health_timestamp_seconds", "When the health was checked", report.checked_at.timestamp()
    )
    for each in report.findings:
        made.add(
            "health_status",
            "What each check found: 0 ok, 1 warn, 2 fail, 3 unknown",
            STATUS_VALUES[each.status],
            check=each.name,
        )
    for place, free in free_bytes.items():
        made.add("disk_free_bytes", "Free space where results and logs go", free, place=place)
    return made.registry


def write_metrics(registry: CollectorRegistry, settings: MetricsSettings, name: str) -> None:
    """Write metrics where they are wanted: by rename, and to the gateway.

    Raises
    ------
    PublishError
        If the folder cannot be written, or the gateway does not take them.
    """
    problems = [
        problem
        for problem in (
            _write(registry, settings.textfile_directory, name),
            _push(registry, settings, name),
        )
        if problem
    ]
    if problems:
        raise problems[0]


def _write(registry: CollectorRegistry, folder: Path | None, name: str) -> CardwatchError | None:
    if folder is None:
        return None
    try:
        write_to_textfile(str(folder / name), registry)
    except OSError as error:
        return PublishError(
            "The metrics cannot be written",
            where=str(folder / name),
            observed=error.strerror or type(error).__name__,
            next_step="Make metrics.textfile_directory a folder that this user may write",
        )
    return None


def _push(
    registry: CollectorRegistry, settings: MetricsSettings, name: str
) -> CardwatchError | None:
    if not settings.pushgateway:
        return None
    job = name.removesuffix(".prom")
    try:
        pushadd_to_gateway(
            settings.pushgateway, job=job, registry=registry, timeout=settings.timeout_seconds
        )
    except (OSError, ValueError) as error:
        return PublishError(
            "The Pushgateway did not take the metrics",
            where="metrics.pushgateway",
            observed=getattr(error, "reason", None) and str(error.args[0]) or type(error).__name__,
            next_step="Look whether it runs at that address",
        )
    return None


def as_text(registry: CollectorRegistry) -> str:
    """Return metrics in Prometheus' text format."""
    return exposition.generate_latest(registry).decode()


class _Metrics:
    """Gauges made as they are met, all of them called ``cardwatch_…``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}

    def add(self, name: str, meaning: str, value: float, **labels: str) -> None:
        if name not in self._gauges:
            self._gauges[name] = Gauge(
                f"cardwatch_{name}", meaning, list(labels), registry=self.registry
            )
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(value)
