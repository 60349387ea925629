"""One invocation: the clock, the run id, the log and the objects of a run, opened and closed."""

from __future__ import annotations

import logging
import platform
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import TextIO
from zoneinfo import ZoneInfo

import cardwatch
from cardwatch.config import Config, config_hash, public_dict, secret_values
from cardwatch.engine import Engine
from cardwatch.errors import CardwatchError, ConfigurationError, WeekNotAvailableError
from cardwatch.logs import FILE_ONLY, LOGGER, setup_logging
from cardwatch.manifest import RunManifest, record_run
from cardwatch.pipeline import SCORE_VERSION, Parts, RunResult
from cardwatch.sources.base import Source
from cardwatch.week import ReportingWeek
from cardwatch.wiring import open_engine, open_parts, open_source

VERSIONED = ("duckdb", "numpy", "pyarrow", "scikit-learn")
"""Libraries whose version may change a figure in its last digit, or the bytes of a file."""

Observer = Callable[[str, float | None], None]
"""Told a step's name when it begins (None), and again with its seconds when it ends."""

Choice = Callable[[Source, date], ReportingWeek]
"""Chooses the week of a command, given the source and today in the portfolio's time zone."""


@dataclass
class StepTimer:
    """Measures the steps of a run, logs each, and tells an observer."""

    observer: Observer = lambda name, seconds: None
    seconds: dict[str, float] = field(default_factory=dict)
    latest: str = "start"
    """The step that is under way, or was last."""

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure one step."""
        self.latest = name
        self.observer(name, None)
        begun = perf_counter()
        yield
        self.seconds[name] = round(perf_counter() - begun, 3)
        logging.getLogger(LOGGER).info("step %s took %.2f s", name, self.seconds[name])
        self.observer(name, self.seconds[name])


@dataclass(frozen=True)
class Session:
    """What one command works with; `today` is the day in the portfolio's time zone."""

    config: Config
    run_id: str
    started_at: datetime
    today: date
    engine: Engine
    source: Source
    timer: StepTimer
    week: ReportingWeek | None = None

    @property
    def chosen(self) -> ReportingWeek:
        """The week this command is about; only for commands that are about one."""
        if self.week is None:
            raise LookupError("this session was opened without a week")
        return self.week

    def parts(self) -> Parts:
        """Return the objects of a run."""
        return open_parts(self.config, self.engine, self.source, self.timer)

    def manifest(self, result: RunResult) -> RunManifest:
        """Return the record of a scored week, ready for the sinks."""
        return record_run(
            result.report,
            result.checked,
            result.scored,
            run_id=self.run_id,
            environment=self.config.environment,
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
            seconds=self.timer.seconds,
            configuration=public_dict(self.config),
            configuration_hash=config_hash(self.config),
            seed=self.config.model.random_state,
            versions=installed_versions(),
            score_version=SCORE_VERSION,
            history=result.history_used,
            warnings=(*result.report.notes, *result.warnings),
        )


@contextmanager
def open_session(
    config: Config,
    choose: Choice | None = None,
    *,
    observer: Observer | None = None,
    stream: TextIO | None = None,
    run_id: str | None = None,
) -> Iterator[Session]:
    """Open the engine, the source and the log of one command, and close them again.

    Parameters
    ----------
    choose : callable, optional
        See `Choice`; each line of the log then carries the week's label.
    observer : callable, optional
        See `Observer`.
    stream : typing.TextIO, optional
        Where log lines for people go; standard error if left out.
    run_id : str, optional
        The id of the run, where it was made already.
    """
    started_at = datetime.now(UTC)
    today = day_of(started_at, config)
    run_id = run_id or new_run_id()
    timer = StepTimer(observer) if observer else StepTimer()
    with ExitStack() as opened:
        with command_log(config, run_id, stream=stream):
            engine = opened.enter_context(open_engine(config))
            source = open_source(config, engine)
            week = choose(source, today) if choose else None
        with command_log(config, run_id, week.label if week else "-", stream):
            yield Session(config, run_id, started_at, today, engine, source, timer, week)


def installed_versions() -> dict[str, str]:
    """Return the versions that can change a result: Cardwatch, Python and `VERSIONED`."""
    found = {"cardwatch": cardwatch.__version__, "python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def new_run_id() -> str:
    """Return an id that no other run has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@contextmanager
def command_log(
    config: Config, run_id: str = "-", label: str = "-", stream: TextIO | None = None
) -> Iterator[None]:
    """Log what happens inside, an error that ends it included; the command line says that one."""
    hidden, told = secret_values(config), {FILE_ONLY: True}
    with setup_logging(config.logging, run_id, label, secrets=hidden, stream=stream) as logger:
        try:
            yield
        except CardwatchError as error:
            logger.error("%s: %s", type(error).__name__, error.message, extra=told)
            raise
        except Exception as error:
            logger.error("unexpected %s", type(error).__name__, extra=told)
            raise


@contextmanager
def log_again(config: Config, run_id: str = "-", label: str = "-") -> Iterator[None]:
    """Log what follows a command, whose log has ended; go without where none can be opened."""
    with ExitStack() as opened:
        with suppress(ConfigurationError):
            opened.enter_context(command_log(config, run_id, label))
        yield


def day_of(moment: datetime, config: Config) -> date:
    """Return the day of a moment in the portfolio's time zone."""
    return moment.astimezone(ZoneInfo(config.portfolio.timezone)).date()


def choose_week(
    wanted: str | None,
    source: Source,
    session_day: date,
    config: Config,
    *,
    allow_partial: bool | None = None,
    again: str = "",
) -> ReportingWeek:
    """Return the week to score: the wanted one, or the last complete one in the source.

    With ``due`` it is the week before today's, whether it is in the source or not: what a schedule
    asks for, so that a feed that is late is an error and not last week's list once more.

    Parameters
    ----------
    wanted : str or None
        A label, a date, ``due``, ``last``, or None for ``last``. A bare label is the guide's, like
        those in file names, whatever the numbering of the source.
    session_day : datetime.date
        Today, in the portfolio's time zone.
    allow_partial : bool or None
        Whether a week that is not over will do; None where a command has no option for it.
    again : str
        What the next step is advised with, before ``--reporting-week``.

    Raises
    ------
    WeekNotAvailableError
        If the week is not over (unless `allow_partial`), or nothing complete is in the source.
    """
    week = week_named(wanted, session_day)
    if week is None:
        return newest_complete(source, session_day)
    if not week.is_over(session_day) and not allow_partial:
        has_begun = week.monday <= session_day
        steps = _complete(source, session_day, config, again)
        if allow_partial is not None and has_begun:
            steps.append("--allow-partial takes this one as it is")
        shown = week.display(config.reporting_week.numbering)
        state = "is not over" if has_begun else "has not begun"
        raise WeekNotAvailableError(
            f"Week {shown} {state}: today is {session_day.isoformat()}",
            next_step="; ".join(steps),
        )
    return week


def week_named(wanted: str | None, today: date) -> ReportingWeek | None:
    """Return the week of a label or a date, or the one due; None for the last of the source.

    Raises
    ------
    ConfigurationError
        If the wanted week cannot be read.
    """
    if wanted is None or (word := wanted.strip().lower()) == "last":
        return None
    return due(today) if word == "due" else ReportingWeek.parse(wanted)


def due(today: date) -> ReportingWeek:
    """Return the last complete week of the calendar."""
    return ReportingWeek.containing(today) - 1


def last_complete(source: Source, today: date) -> ReportingWeek | None:
    """Return the newest week of the source that is over; None where there is none."""
    return max((week for week in source.present() if week.is_over(today)), default=None)


def newest_complete(source: Source, today: date) -> ReportingWeek:
    """Return the newest week of the source that is over.

    Raises
    ------
    WeekNotAvailableError
        If none is.
    """
    complete = last_complete(source, today)
    if complete is None:
        raise WeekNotAvailableError(
            "The source holds no complete week",
            where=source.origin,
            next_step="`cardwatch weeks` lists what it holds",
        )
    return complete


def _complete(source: Source, today: date, config: Config, again: str) -> list[str]:
    """Return how to ask for the last complete week; nothing where there is none."""
    complete = last_complete(source, today)
    if complete is None:
        return []
    shown = complete.display(config.reporting_week.numbering)
    return [f"The last complete week is {shown}: {again}--reporting-week {complete.label}"]


def partial_remark(week: ReportingWeek, today: date) -> tuple[str, ...]:
    """Return what readers of a list must know where the scored week is not over."""
    if week.is_over(today):
        return ()
    return (
        f"The scored week was not over when it was scored, on {today.isoformat()}: "
        "its figures are those of the days so far.",
    )
