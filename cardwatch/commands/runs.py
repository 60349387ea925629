"""Scoring a week: run it, or derive a recorded list again."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cardwatch import console
from cardwatch.commands.monitoring import watching
from cardwatch.commands.notices import (
    Attempt,
    attempt_of,
    log_told,
    show_told,
    teller_of_run,
    telling_of_failure,
)
from cardwatch.commands.opening import command_session, held, wanted_week
from cardwatch.commands.room import mind_room
from cardwatch.config import Config, restore_config
from cardwatch.errors import PublishError
from cardwatch.history import read_history
from cardwatch.manifest import RunManifest, load_manifest
from cardwatch.monitoring.watching import Watched
from cardwatch.news import read_news
from cardwatch.outdated import remedy
from cardwatch.outputs import OutputFile
from cardwatch.pipeline import RunResult, notify, publish, run_week
from cardwatch.publish.base import Sink
from cardwatch.publish.formats import list_document
from cardwatch.reproduction import differences, same_files
from cardwatch.review_story import show_learning
from cardwatch.reviewing import fetch_stored
from cardwatch.schema import Receipt
from cardwatch.session import day_of, partial_remark
from cardwatch.wiring import open_sinks
from cardwatch.wording import counted

Options = Mapping[str, object]
"""Options of a command line by name, None where one was not given."""


@dataclass(frozen=True)
class RunRequest:
    """What is asked of a run.

    Attributes
    ----------
    wanted : str or None
        The week, as it was typed.
    no_notify : bool
        Whether the readers of the list are left alone; a dry run tells nobody anyway.
    given : mapping of str to object
        Options that a command to try next must be given as well.
    """

    wanted: str | None
    dry_run: bool
    allow_partial: bool
    no_notify: bool
    as_json: bool
    given: Options

    @property
    def is_told(self) -> bool:
        """Whether the readers of the list hear of the run."""
        return not (self.no_notify or self.dry_run)


def run_command(config: Config, request: RunRequest, monitoring: Path | None) -> None:
    """Score a week and publish it, or say what that would do; watched, where that is turned on."""
    name = "cardwatch run"
    with watching(config, name, monitoring, dry_run=request.dry_run) as noted:
        attempt = attempt_of(config, name, request.wanted)
        with telling_of_failure(config, attempt, noted, monitoring, request.is_told):
            _run(config, request, noted, attempt)


def _run(config: Config, request: RunRequest, noted: Watched, attempt: Attempt) -> None:
    sinks = open_sinks(config)
    choose = wanted_week(
        config, request.wanted, allow_partial=request.allow_partial, again="python main.py "
    )
    result: RunResult | None = None
    receipts: list[Receipt] = []
    told: tuple[str, ...] = ()
    try:
        with command_session(config, attempt.command, choose, attempt.run_id, scores=True) as s:
            console.show_remarks(fetch_stored(config, dry_run=request.dry_run))
            parts, week = replace(s.parts(), mind=partial(mind_room, s)), s.chosen
            noted.week, attempt.week, attempt.session = week.label, week, s
            with held(sinks, config, request.dry_run):
                result = run_week(week, config, parts, partial_remark(week, s.today))
                if not request.dry_run:
                    for receipt in publish(result, s.manifest(result), parts, sinks):
                        receipts.append(receipt)
            attempt.has_list = True
            if not request.dry_run:
                teller = teller_of_run(config, week, request.is_told)
                told = log_told(notify(lambda: read_news(config, week), parts, teller.tell))
    except PublishError:
        if result is not None and receipts:  # the files are written: show the list that is in them
            _show_run(result, receipts, sinks, request)
        raise
    noted.summary = f"{counted(len(result.report.ranking.listed), 'customer')} listed"
    _show_run(result, receipts, sinks, request)
    show_told(told)
    if not (request.dry_run or request.as_json):
        console.show_next_steps(_next_steps(result, config, request.given))


def _show_run(
    result: RunResult, receipts: list[Receipt], sinks: list[Sink], request: RunRequest
) -> None:
    if request.as_json:
        console.write_json(list_document(result.report))
        return
    console.show_list(result.report)
    console.show_coverage(result.report)
    show_learning(result.report.learning)
    console.show_notes(result.warnings)
    if request.dry_run:
        planned = [str(path) for sink in sinks for path in sink.planned(result.week)]
        console.show_dry_run(result.report, result.history, result.checked, planned)
    else:
        console.show_written(receipts)


def _next_steps(result: RunResult, config: Config, given: Options) -> list[list[str]]:
    """Return commands to try next, as words; they reach the same data and the same results."""
    week, before = result.week.label, (result.week - 1).label
    listed = result.report.ranking.listed
    steps = [[*remedy(result.outdated), *_typed(given)]] if result.outdated else []
    if listed:
        name = listed[0].customer_id
        words = ["--", name] if name.startswith("-") else [name]
        steps.append(["explain", "--reporting-week", week, *_typed(given), *words])
    if any(each.week.label == before and each.listed for each in result.history.weeks):
        steps.append(["compare", before, week, *_typed(given, "--config", "--output-dir")])
    elif before in {each.label for each in result.checked.weeks_present}:
        steps.append(["run", "--reporting-week", before, *_typed(given)])
    manifest = config.output.directory / OutputFile.MANIFEST.of(result.week)
    return [*steps, ["reproduce", str(manifest)]]


def _typed(given: Options, *names: str) -> list[str]:
    """Return the options that were given, of those named or of all, as words."""
    return [
        word
        for name, value in given.items()
        if value is not None and name in (names or given)
        for word in (name, str(value))
    ]


def reproduce_command(path: Path, source: str | None) -> None:
    """Run a recorded week again in a folder of its own, and compare."""
    recorded = load_manifest(path)
    with tempfile.TemporaryDirectory(prefix="cardwatch-reproduce-") as folder:
        config = _recorded_config(recorded, source, Path(folder))
        with command_session(config, "cardwatch reproduce", lambda *_: recorded.week) as session:
            parts = replace(
                session.parts(),
                history=lambda week: read_history(path.parent, week),
                published=lambda week: (),
            )
            remarks = partial_remark(recorded.week, day_of(recorded.started_at, config))
            result = run_week(recorded.week, config, parts, remarks)
            list(publish(result, session.manifest(result), parts, open_sinks(config)))
        fresh = load_manifest(Path(folder) / OutputFile.MANIFEST.of(recorded.week))
    changed = differences(recorded, fresh)
    for sentence in changed:
        console.out.print(f"changed: {sentence}", markup=False)
    if not same_files(recorded, fresh):
        raise SystemExit(1)
    named = recorded.week.display(config.reporting_week.numbering)
    console.out.print(f"identical: week {named}, {len(fresh.files)} files")


def _recorded_config(recorded: RunManifest, source: str | None, folder: Path) -> Config:
    """Return the recorded configuration, writing elsewhere; secrets come from the environment."""
    settings: dict[str, Any] = json.loads(json.dumps(recorded.configuration))
    settings["output"]["directory"] = str(folder)
    settings["logging"]["file"] = None
    settings["report"] = {"enabled": False}  # a page says when it was made
    database = settings["output"].get("database", {})
    if database.get("enabled"):  # the list was then written as JSON too
        database["enabled"], csv = False, settings["output"]["format"] == "csv"
        settings["output"]["format"] = "both" if csv else settings["output"]["format"]
    if source is not None:
        settings["data_source"]["path"] = source
    return restore_config(settings)
