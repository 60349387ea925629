"""Running many weeks in order: those that are not done yet, or that would be others now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter

from cardwatch import console
from cardwatch.backfill import WeekOutcome, document, exit_code
from cardwatch.commands.monitoring import watching
from cardwatch.commands.opening import command_session, held
from cardwatch.commands.room import mind_room
from cardwatch.config import Config, config_hash, public_dict
from cardwatch.errors import CardwatchError, ConfigurationError
from cardwatch.history import read_manifests
from cardwatch.manifest import RunManifest
from cardwatch.outdated import around, reach
from cardwatch.outputs import OutputFile
from cardwatch.pipeline import SCORE_VERSION, check_delivery, publish, run_week
from cardwatch.publish.base import Mirror, Sink
from cardwatch.reviewing import fetch_stored
from cardwatch.session import Session, newest_complete
from cardwatch.settled import missing_files, other_rows, other_scores, other_settings
from cardwatch.week import ReportingWeek
from cardwatch.wiring import open_inquiry, open_sinks
from cardwatch.wording import counted

LATER = "done, unless running earlier weeks moves its cuts"


@dataclass(frozen=True)
class Backfill:
    """What was asked for: the weeks, and how."""

    config: Config
    sinks: Sequence[Sink]
    weeks: tuple[ReportingWeek, ...]
    present: frozenset[ReportingWeek]
    today: date
    force: bool
    dry_run: bool


def backfill_command(
    config: Config,
    first: str,
    last: str | None,
    *,
    force: bool,
    keep_going: bool,
    dry_run: bool,
    as_json: bool,
    monitoring: Path | None = None,
) -> None:
    """Run every week of a range that is not done, oldest first, and tell what became of each."""
    with watching(config, "cardwatch backfill", monitoring, dry_run=dry_run) as noted:
        outcomes = _backfill(config, first, last, force, keep_going, dry_run)
        if as_json:
            console.write_json(json.dumps(document(outcomes, dry_run), indent=2))
        else:
            console.show_outcomes(outcomes, dry_run)
        noted.summary = "; ".join(each.sentence for each in outcomes if each.exit_code)
        if code := exit_code(outcomes):
            raise SystemExit(code)
        noted.summary = f"{counted(len(outcomes), 'week')} done"


def _backfill(
    config: Config,
    first: str,
    last: str | None,
    force: bool,
    keep_going: bool,
    dry_run: bool,
) -> list[WeekOutcome]:
    with command_session(config, "cardwatch backfill") as session:
        weeks = _range(first, last, session)
        present, today = frozenset(session.source.present()), session.today
    job = Backfill(config, open_sinks(config), weeks, present, today, force, dry_run)
    outcomes: list[WeekOutcome] = []
    for week in weeks:
        outcomes.append(_outcome(week, job, outcomes))
        console.show_progress(f"{len(outcomes)} of {len(weeks)}: {outcomes[-1].sentence}")
        if outcomes[-1].exit_code and not keep_going:
            break
    return outcomes + [WeekOutcome(week, "not reached") for week in weeks[len(outcomes) :]]


def _range(first: str, last: str | None, session: Session) -> tuple[ReportingWeek, ...]:
    begin = ReportingWeek.parse(first)
    if last is None or last.strip().lower() == "last":
        end = newest_complete(session.source, session.today)
    else:
        end = ReportingWeek.parse(last)
    if begin > end:
        raise ConfigurationError(
            "The first week is after the last one", observed=f"--from {begin} --to {end}"
        )
    return tuple(begin.until(end))


def _outcome(week: ReportingWeek, job: Backfill, before: Sequence[WeekOutcome]) -> WeekOutcome:
    if not week.is_over(job.today):
        return WeekOutcome(week, "not over", f"its last day is {week.sunday.isoformat()}")
    if week not in job.present:
        return WeekOutcome(week, "no data", "the source has no row of it")
    begun = perf_counter()
    try:
        outcome = _attempt(week, job)
    except CardwatchError as error:
        outcome = WeekOutcome(week, "failed", error.message, exit_code=error.exit_code)
    if job.dry_run and outcome.action == "skipped" and _may_move(week, before, job):
        outcome = replace(outcome, why=LATER)
    return replace(outcome, seconds=round(perf_counter() - begun, 3))


def _may_move(week: ReportingWeek, before: Sequence[WeekOutcome], job: Backfill) -> bool:
    far = reach(job.config.feature_engineering.reference_weeks)
    return any(each.action == "run" and week - each.week <= far for each in before)


def _attempt(week: ReportingWeek, job: Backfill) -> WeekOutcome:
    """Open a session of the week's own, and run it if there is a reason to."""
    title = f"{week} ({week - job.weeks[0] + 1} of {len(job.weeks)})"
    with (
        command_session(job.config, title, lambda *_: week) as session,
        held(job.sinks, job.config, job.dry_run),
    ):
        record, published = _recorded(week, job.config)
        why = "forced" if job.force else _reason(record, published, session)
        if why or record is None:
            return _run(session, job, why)
        return _mirrored(record, job)


def _recorded(
    week: ReportingWeek, config: Config
) -> tuple[RunManifest | None, tuple[RunManifest, ...]]:
    weeks = around(week, config.feature_engineering.reference_weeks)
    published = read_manifests(config.output.directory, weeks)
    return next((run for run in published if run.week == week), None), published


def _reason(record: RunManifest | None, published: Sequence[RunManifest], session: Session) -> str:
    """Say why the week is to be run, the cheapest question first; empty where it is done."""
    config, week = session.config, session.chosen
    folder = config.output.directory
    if record is None:
        damaged = (folder / OutputFile.MANIFEST.of(week)).exists()
        return "its record is damaged" if damaged else "not run yet"
    if changed := other_settings(record, public_dict(config), config_hash(config), SCORE_VERSION):
        return changed
    if missing_files(record, folder):
        return "files are gone"
    if other_scores(record, published):
        return "its cuts rest on other recorded scores now"
    source = open_inquiry(config, session.engine)
    delivery = source.read(week, config.feature_engineering.reference_weeks)
    return other_rows(
        record, delivery, lambda delivered: check_delivery(delivered, config, session.parts())
    )


def _run(session: Session, job: Backfill, why: str) -> WeekOutcome:
    week = session.chosen
    parts = replace(session.parts(), mind=partial(mind_room, session))
    if job.dry_run:
        return WeekOutcome(week, "run", why)
    console.show_remarks(fetch_stored(job.config, dry_run=False))
    result = run_week(week, job.config, parts)
    # Lists that this very command comes to next are no news.
    ahead = [each for each in result.outdated if not week < each.week <= job.weeks[-1]]
    result = replace(result, outdated=tuple(ahead))
    list(publish(result, session.manifest(result), parts, job.sinks))
    return WeekOutcome(
        week,
        "run",
        why,
        listed=len(result.report.ranking.listed),
        run_id=session.run_id,
        warnings=result.warnings,
    )


def _mirrored(record: RunManifest, job: Backfill) -> WeekOutcome:
    """Send a week that is done to the places that do not hold it; the files are left alone."""
    done = WeekOutcome(
        record.week, "skipped", "done", listed=record.counts.listed, run_id=record.run_id
    )
    lacking = [
        sink
        for sink in job.sinks
        if isinstance(sink, Mirror)
        and sink.current_runs().get(record.reporting_week) != record.run_id
    ]
    if not lacking:
        return done
    places = " and ".join(sink.place for sink in lacking)
    if not (job.config.output.directory / OutputFile.LIST_JSON.of(record.week)).is_file():
        return replace(done, why=f"done; {places} lacks it, and its JSON list is packed or gone")
    for sink in () if job.dry_run else lacking:
        sink.publish(record.week)
    return replace(done, action="published", why=f"done, but {places} did not hold it")
