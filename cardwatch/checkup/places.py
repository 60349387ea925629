"""The places a run depends on: configuration, output folder, engine, source, database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from cardwatch.checkup.files import check_files, published_weeks, read_records
from cardwatch.checkup.inputs import check_inputs
from cardwatch.checkup.results import CheckResult, attempt, failed
from cardwatch.config import Config, LoadedConfig
from cardwatch.errors import CardwatchError, PublishError
from cardwatch.manifest import RunManifest
from cardwatch.outdated import named
from cardwatch.publish.base import Mirror
from cardwatch.publish.lock import output_lock
from cardwatch.publish.operations import translated
from cardwatch.publish.transaction import interrupted
from cardwatch.sources.base import Source
from cardwatch.week import ReportingWeek
from cardwatch.wiring import open_engine, open_inquiry, open_sinks
from cardwatch.wording import counted


def check_up(loaded: LoadedConfig, today: date) -> Iterator[CheckResult]:
    """Check everything, one after the other; nothing is changed.

    Parameters
    ----------
    today : datetime.date
        The day in the portfolio's time zone.
    """
    config = loaded.config
    yield _configuration(loaded)
    folder = config.output.directory
    with ExitStack() as opened:
        free = attempt("output folder", lambda: _folder(folder, opened))
        yield free
        try:
            engine = opened.enter_context(open_engine(config))
            source = open_inquiry(config, engine)
        except CardwatchError as error:
            yield failed("engine and source", error)
            return
        reached = attempt("source", lambda: _source(source))
        yield reached
        weeks = published_weeks(folder)
        if reached.status != "fail":
            yield attempt("weeks", lambda: _weeks(source, weeks, config, today))
        if free.status == "ok":
            records, unread = read_records(folder, weeks)
            yield from check_files(folder, records, unread)
            if reached.status == "ok" and records:
                yield from check_inputs(records, source, config, engine)
            yield from _mirrors(config, records)


def _configuration(loaded: LoadedConfig) -> CheckResult:
    measured = f"{loaded.file or 'built-in defaults'}, environment {loaded.config.environment}"
    return CheckResult("configuration", "ok", measured)


def _folder(folder: Path, opened: ExitStack) -> CheckResult:
    """Hold the folder from here on, so that what is read of it belongs together."""
    name = "output folder"
    if not folder.exists():
        return CheckResult(name, "ok", f"{folder} is not there yet; the first run makes it")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise PublishError(
            "The output folder cannot be read or written",
            where=str(folder),
            next_step="Give this user access to it, or set output.directory to another folder",
        )
    try:
        with translated(folder):
            opened.enter_context(output_lock(folder, 0))
            half_done = interrupted(folder)
    except PublishError as error:
        return CheckResult(name, "warn", error.message, "Look again when that run has finished")
    if half_done:
        labels = ", ".join(path.name[5:12] for path in half_done)
        measured = f"a write of {labels} was interrupted"
        return CheckResult(name, "warn", measured, "The next run finishes or undoes it first")
    return CheckResult(name, "ok", f"{folder} can be written, and no run is using it")


def _source(source: Source) -> CheckResult:
    return CheckResult("source", "ok", source.test_connection().summary)


def _weeks(
    source: Source, published: Sequence[ReportingWeek], config: Config, today: date
) -> CheckResult:
    """Say which weeks the source holds, and whether the last one that is over is there and run."""
    present, last = source.present(), ReportingWeek.containing(today) - 1
    window = last.window(config.feature_engineering.reference_weeks)
    gaps = [week for week in window if week > present[0] and week not in present]
    measured = f"{counted(len(present), 'week')}, {present[0]} to {present[-1]}"
    if gaps:
        measured += f"; no rows in {named(gaps)}"
    if last not in present:
        measured += f"; none of last week, {last.display(config.reporting_week.numbering)}"
        return CheckResult("weeks", "warn", measured, "Look whether the delivery is late")
    if last not in published:
        measured += f"; last week, {last.label}, has not been run"
        advice = f"cardwatch run --reporting-week {last.label}"
        return CheckResult("weeks", "warn", measured, advice)
    advice = "Deliver them, and run the weeks after them again" if gaps else ""
    return CheckResult("weeks", "warn" if gaps else "ok", measured, advice)


def _mirrors(config: Config, records: Sequence[RunManifest]) -> Iterator[CheckResult]:
    """Reach every place besides the folder that results go to, and compare what it holds."""
    try:
        sinks = open_sinks(config)
    except CardwatchError as error:
        yield failed("database", error)
        return
    for sink in sinks:
        if isinstance(sink, Mirror):
            yield from _mirror(sink, records)


def _mirror(sink: Mirror, records: Sequence[RunManifest]) -> Iterator[CheckResult]:
    try:
        held = sink.current_runs()
    except CardwatchError as error:
        yield failed("database", error)
        return
    same = [run for run in records if held.get(run.reporting_week) == run.run_id]
    measured = f"{sink.place}: reached; {counted(len(same), 'week')} as in the output folder"
    yield CheckResult("database", "ok", measured)
    for run in records:
        if run not in same:
            other = held.get(run.reporting_week)
            found = f"{sink.place} holds run {other}" if other else f"{sink.place} does not hold it"
            advice = f"cardwatch publish --reporting-week {run.reporting_week}"
            yield CheckResult("database", "warn", found, advice, run.reporting_week)
