"""Opening a session for a command: its week, its progress display, its log."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import TextIO

from cardwatch import console
from cardwatch.config import Config
from cardwatch.history import read_manifests
from cardwatch.manifest import RunManifest
from cardwatch.pipeline import STEPS
from cardwatch.publish.base import Sink
from cardwatch.publish.database_files import recorded_weeks
from cardwatch.publish.lock import reading
from cardwatch.session import Choice, Session, choose_week, due, open_session, week_named
from cardwatch.sources.base import Source
from cardwatch.time_left import Pace
from cardwatch.week import ReportingWeek


@contextmanager
def command_session(
    config: Config,
    title: str,
    choose: Choice | None = None,
    run_id: str | None = None,
    *,
    scores: bool = False,
) -> Iterator[Session]:
    """Open a session that shows progress on a terminal and log lines elsewhere.

    One that `scores` a week goes through every step, so that its time left can be told.
    """
    console.use_width()
    pace = Pace.of(last_runs(config), STEPS) if scores else None
    with console.progress(STEPS, title, pace) as observer:
        quiet = observer is not None and config.logging.level != "DEBUG"
        with (
            _log_stream(quiet) as stream,
            open_session(
                config, choose, observer=observer, stream=stream, run_id=run_id
            ) as session,
        ):
            yield session


def last_runs(config: Config) -> tuple[RunManifest, ...]:
    """Return the manifests of the newest two weeks in the output folder."""
    folder = config.output.directory
    return read_manifests(folder, recorded_weeks(folder)[-2:] if folder.is_dir() else ())


def wanted_week(
    config: Config, text: str | None, *, allow_partial: bool | None = None, again: str = ""
) -> Choice:
    """Return what chooses the week of a command; the last complete one is said aloud.

    See `choose_week` for `allow_partial` and `again`.
    """

    def choose(source: Source, today: date) -> ReportingWeek:
        week = choose_week(text, source, today, config, allow_partial=allow_partial, again=again)
        if week_named(text, today) is None:
            console.err.print(_chosen(week, due(today), config), soft_wrap=True)
        return week

    return choose


def _chosen(week: ReportingWeek, awaited: ReportingWeek, config: Config) -> str:
    """Say which week is the last one, and that a later one should be there by now."""
    numbering = config.reporting_week.numbering
    if week >= awaited:
        return f"The last complete week is {week.display(numbering)}"
    return (
        f"The last complete week in the source is {week.display(numbering)};"
        f" {awaited.display(numbering)} is over and not there"
    )


@contextmanager
def held(sinks: Sequence[Sink], config: Config, dry_run: bool) -> Iterator[None]:
    """Hold every place that results go to for the whole run; a dry run only reads the folder."""
    with ExitStack() as places:
        if dry_run:
            places.enter_context(reading(config.output.directory))
        for sink in () if dry_run else sinks:
            for sentence in places.enter_context(sink.hold()):
                console.err.print(sentence, markup=False)
        yield


@contextmanager
def _log_stream(quiet: bool) -> Iterator[TextIO | None]:
    """On a terminal the progress display stands in for the log lines; the log file has them."""
    if not quiet:
        yield None
        return
    with Path(os.devnull).open("w", encoding="utf-8") as stream:
        yield stream
