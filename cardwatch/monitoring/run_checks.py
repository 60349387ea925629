"""Health checks of what the runs have left: whether on time, whole, and like those before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from cardwatch.checkup.files import check_files, published_weeks, read_records
from cardwatch.drift import drift_of
from cardwatch.manifest import RunManifest
from cardwatch.monitoring.findings import Finding, Status
from cardwatch.monitoring.last_run import read_last_run
from cardwatch.monitoring.surroundings import Surroundings, last_due
from cardwatch.schema import Drift
from cardwatch.wiring import open_engine, open_inquiry

_LEVEL = re.compile(r"^(\S+) (ERROR|CRITICAL) ")
_TAIL_BYTES = 5_000_000
"""As much of the log is looked at, from its end."""
_WINDOW = 6


def check_latest_week(around: Surroundings) -> Finding:
    """Whether the last week that is over is in the source, with about the usual rows."""
    name, week = "latest-week", around.last_week
    low = around.settings.health.volume_warn_ratio
    expected = f"week {week} in the source, with {low:g} to {1 / low:.2f} times the usual rows"
    with open_engine(around.config) as engine:
        present = open_inquiry(around.config, engine).present()
    if week not in present:
        measured = f"the newest week is {present[-1]}" if present else "the source holds no week"
        step = "Look whether the delivery is late; `cardwatch weeks` lists what is there"
        return Finding(name, "warn", measured, expected, step)
    newest = around.newest
    if newest is None or newest.week != week:
        return Finding(name, "ok", f"week {week} is there, and not yet run", expected)
    ratio = rows_ratio(around.records)
    if ratio is None:
        return Finding(name, "ok", f"week {week} is there; none to compare it with", expected)
    measured = f"week {week} is there, with {ratio:.2f} times the usual rows"
    if low <= ratio <= 1 / low:
        return Finding(name, "ok", measured, expected)
    step = "Ask who delivers the rows whether some are missing or came twice"
    return Finding(name, "warn", measured, expected, step)


def rows_ratio(records: Iterable[RunManifest]) -> float | None:
    """Return the rows of the newest week over the median of up to six weeks before it."""
    runs = list(records)[-_WINDOW - 1 :]
    if len(runs) < 2:
        return None
    usual = median([run.counts.rows_scored_week for run in runs[:-1]])
    return runs[-1].counts.rows_scored_week / usual if usual else None


def check_last_run(around: Surroundings) -> Finding:
    """Whether the run that was due has finished, and the last one ended well."""
    name, schedule = "last-run", around.settings.schedule
    due = last_due(schedule, around.now)
    if around.now - due < timedelta(hours=schedule.grace_hours):
        due -= timedelta(weeks=1)  # that one may still be running
    expected = f"a run that finished since {_moment(due)}"
    step = f"cardwatch run --reporting-week {around.last_week}"
    last = read_last_run(around.config.output.directory)
    if last is not None and last.exit_code:
        measured = f"{last.command} ended with exit code {last.exit_code}: {last.message}"
        return Finding(name, "fail", measured, expected, step)
    finished = max((run.finished_at for run in around.records), default=None)
    if finished is None:
        return Finding(name, "fail", "no run has left a record", expected, step)
    measured = f"the last one finished {_moment(finished)}"
    status: Status = "ok" if finished >= due else "fail"
    return Finding(name, status, measured, expected, "" if status == "ok" else step)


def check_outputs(around: Surroundings) -> Finding:
    """Whether every file is there and as its run wrote it."""
    name, expected = "outputs", "every file whole, as its manifest says"
    folder = around.config.output.directory
    records, unread = read_records(folder, published_weeks(folder))
    found = list(check_files(folder, records, unread))
    bad = [each for each in found if each.status != "ok"]
    if not records and not unread:
        return Finding(name, "unknown", f"no results in {folder}", expected)
    if not bad:
        return Finding(name, "ok", found[0].measured, expected)
    measured = "; ".join(f"{each.week}: {each.measured}" for each in bad)
    return Finding(name, "fail", measured, expected, bad[0].advice)


def check_drift(around: Surroundings) -> Finding:
    """Whether the newest scores and features are spread like those of six weeks before (PSI)."""
    name, limits, usual = "drift", around.settings.health, around.config.drift
    warn = limits.drift_warn_psi or usual.moved_psi
    fail = limits.drift_fail_psi or usual.shifted_psi
    expected = f"PSI up to {warn:g}, or what chance alone explains"
    newest = around.newest
    drift = drift_of(newest, around.records) if newest else Drift()
    if newest is None or drift.scores is None:
        return Finding(name, "unknown", "no earlier week to compare scores with", expected)
    measured = f"PSI {drift.scores.psi:.3f} of the scores of {newest.reporting_week}"
    if drift.features:
        farthest = drift.features[0]
        measured += f", {farthest.psi:.3f} of the farthest feature ({farthest.words})"
    judged = drift.scores_judged(warn, fail)
    if judged == "usual" and not drift.features_over(warn):
        return Finding(name, "ok", measured, expected)
    status: Status = "fail" if judged == "shifted" else "warn"
    step = "Compare the week with the one before: cardwatch compare, and look at the data"
    return Finding(name, status, measured, expected, step)


def check_coverage(around: Surroundings) -> Finding:
    """Whether nearly all rows were accepted, and nearly all customers scored."""
    name, limits = "coverage", around.settings.health
    expected = (
        f"up to {limits.quarantine_warn_share:.1%} of rows set aside,"
        f" at least {limits.coverage_warn_share:.0%} of customers scored"
    )
    newest = around.newest
    if newest is None:
        return Finding(name, "unknown", "no run has left a record", expected)
    counts = newest.counts
    aside = counts.rows_quarantined / counts.rows_in if counts.rows_in else 0.0
    scored = counts.customers_scored / counts.customers_in if counts.customers_in else 1.0
    measured = (
        f"{newest.reporting_week}: {aside:.2%} of {counts.rows_in:,} rows set aside,"
        f" {scored:.1%} of {counts.customers_in:,} customers scored"
    )
    step = f"See quarantine_{newest.reporting_week}.csv and cardwatch validate"
    if aside > limits.quarantine_fail_share:
        return Finding(name, "fail", measured, expected, step)
    if aside > limits.quarantine_warn_share or scored < limits.coverage_warn_share:
        return Finding(name, "warn", measured, expected, step)
    return Finding(name, "ok", measured, expected)


def check_log_errors(around: Surroundings) -> Finding:
    """Whether errors were logged since the last run ended."""
    name, path = "log-errors", around.config.logging.file
    expected = "no error in the log since the last run"
    if path is None or not path.is_file():
        return Finding(name, "unknown", "there is no log file", expected)
    last = read_last_run(around.config.output.directory)
    ends = [run.finished_at for run in around.records] + ([last.finished_at] if last else [])
    since = max(ends, default=None)
    errors = [
        moment
        for moment in map(_time_of_error, _tail(path))
        if moment and (since is None or moment > since)
    ]
    if not errors:
        return Finding(name, "ok", f"none in {path}", expected)
    measured = f"{len(errors):,} in {path}, the last one {_moment(errors[-1])}"
    return Finding(name, "warn", measured, expected, f"Read the end of {path}")


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace").splitlines()


def _time_of_error(line: str) -> datetime | None:
    """Return when a line of the log was written where it tells of an error."""
    try:
        if line.startswith("{"):
            entry = json.loads(line)
            found = entry["time"] if entry["level"] in ("ERROR", "CRITICAL") else ""
        else:
            match = _LEVEL.match(line)
            found = match[1] if match else ""
        return datetime.fromisoformat(found) if found else None
    except (ValueError, KeyError, TypeError):
        return None


def _moment(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M %Z")
