"""Metrics for Prometheus: a textfile for node_exporter, or a push to a gateway.

Names end in their units, as Prometheus has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway, write_to_textfile

import cardwatch
from cardwatch.config import DriftConfig
from cardwatch.contract.rules import RULES, Action
from cardwatch.drift import drift_of
from cardwatch.errors import CardwatchError, PublishError
from cardwatch.manifest import RunManifest
from cardwatch.monitoring.findings import HealthReport
from cardwatch.monitoring.last_run import LastRun
from cardwatch.monitoring.run_checks import rows_ratio
from cardwatch.monitoring.settings import MetricsSettings
from cardwatch.pipeline import SCORE_VERSION
from cardwatch.schema import Drift

RUN_FILE = "cardwatch.prom"
HEALTH_FILE = "cardwatch_health.prom"
STATUS_VALUES = {"ok": 0, "warn": 1, "fail": 2, "unknown": 3}
DRIFT_VALUES = {"usual": 0, "moved": 1, "shifted": 2}
PREFIX = "cardwatch_"
_SETS_ASIDE = tuple(
    code.name
    for code, rule in RULES.items()
    if rule.action in (Action.QUARANTINE_ROW, Action.QUARANTINE_CUSTOMER)
)


class Metric(NamedTuple):
    """A gauge: its name without the prefix, what it is, and its labels."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole name with the labels, as documentation has it."""
        return PREFIX + self.name + (f"{{{','.join(self.labels)}}}" if self.labels else "")


CATALOG = (
    Metric("build_info", "1, with the versions of what ran", ("version", "score_version")),
    Metric("last_run_timestamp_seconds", "when the last run ended"),
    Metric("last_run_success", "1 where it ended well, else 0"),
    Metric("last_run_exit_code", "its exit code"),
    Metric("last_success_timestamp_seconds", "when a run last ended well"),
    Metric("reporting_week_start_timestamp_seconds", "Monday of the newest week with a list"),
    Metric("run_duration_seconds", "duration of each step of the newest week's run", ("step",)),
    Metric(
        "rows",
        "rows of the newest week's window, each counted once: `accepted`, or `quarantined` and why",
        ("state", "reason"),
    ),
    Metric("customers", "customers of the newest week: `scored`, `unscored`", ("state",)),
    Metric("anomalies", "customers of the newest week by risk category", ("risk_category",)),
    Metric("score_drift_psi", "drift of the newest week's scores, population stability index"),
    Metric(
        "feature_drift_psi",
        "drift of each feature of the newest week, population stability index",
        ("feature",),
    ),
    Metric(
        "score_drift_status",
        "what the notes of the newest week say of its scores: 0 as usual, 1 moved, 2 shifted",
    ),
    Metric("features_moved", "features of which they say that they moved"),
    Metric("rows_ratio", "rows of the newest week over the median of up to six before"),
    Metric("health_status", "0 ok, 1 warn, 2 fail, 3 unknown", ("check",)),
    Metric("health_timestamp_seconds", "when the health was checked"),
    Metric("disk_free_bytes", "free space where results, logs and the cache go", ("place",)),
)
"""Every metric. No label ever holds a customer."""


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
    made.set("build_info", 1, cardwatch.__version__, SCORE_VERSION)
    made.set("last_run_timestamp_seconds", last.finished_at.timestamp())
    made.set("last_run_success", int(last.exit_code == 0))
    made.set("last_run_exit_code", last.exit_code)
    if records:
        finished = max(run.finished_at for run in records)
        made.set("last_success_timestamp_seconds", finished.timestamp())
        _set_newest(made, records[-1])
        _set_drift(made, drift_of(records[-1], records), records[-1].drift_limits)
        made.set("rows_ratio", rows_ratio(records))
    return made.registry


def _set_drift(made: _Metrics, drift: Drift, limits: DriftConfig) -> None:
    made.set("score_drift_psi", drift.scores.psi if drift.scores else None)
    judged = drift.scores_judged(limits.moved_psi, limits.shifted_psi)
    made.set("score_drift_status", DRIFT_VALUES[judged] if judged else None)
    made.set("features_moved", len(drift.features_over(limits.moved_psi)))
    for shift in drift.features:
        made.set("feature_drift_psi", shift.psi, shift.feature)


def _set_newest(made: _Metrics, run: RunManifest) -> None:
    monday = datetime.combine(run.week_start, time(0), UTC)
    made.set("reporting_week_start_timestamp_seconds", monday.timestamp())
    for step, seconds in run.seconds.items():
        made.set("run_duration_seconds", seconds, step)
    counts = run.counts
    made.set("rows", counts.rows_accepted, "accepted", "")
    for reason in _SETS_ASIDE:
        made.set("rows", counts.rows_by_reason.get(reason, 0), "quarantined", reason)
    made.set("customers", counts.customers_scored, "scored")
    made.set("customers", sum(counts.customers_unscored.values()), "unscored")
    for category, number in run.categories.items():
        made.set("anomalies", number, category)


def health_metrics(report: HealthReport, free_bytes: Mapping[str, int]) -> CollectorRegistry:
    """Return what a health check found; `free_bytes` by place."""
    made = _Metrics()
    made.set("health_timestamp_seconds", report.checked_at.timestamp())
    for each in report.checks:
        made.set("health_status", STATUS_VALUES[each.status], each.name)
    for place, free in free_bytes.items():
        made.set("disk_free_bytes", free, place)
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
            observed=str(getattr(error, "reason", "")) or type(error).__name__,
            next_step="Look whether it runs at that address",
        )
    return None


class _Metrics:
    """The gauges of the catalogue that have a value, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._catalog = {metric.name: metric for metric in CATALOG}
        self._gauges: dict[str, Gauge] = {}

    def set(self, name: str, value: float | None, *labels: str) -> None:
        """Set a gauge; None is a value that is not known, which is left out."""
        if value is None:
            return
        if name not in self._gauges:
            metric = self._catalog[name]
            self._gauges[name] = Gauge(
                PREFIX + name, metric.meaning, metric.labels, registry=self.registry
            )
        gauge = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)
