"""Recording what analysts found of the customers on the lists."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from cardwatch import console
from cardwatch.config import Config
from cardwatch.errors import ConfigurationError
from cardwatch.features.catalog import CATALOG
from cardwatch.history import read_list
from cardwatch.outputs import week_of
from cardwatch.publish.lock import reading
from cardwatch.review.figures import review_report
from cardwatch.review.ledger import read_reviews, standing
from cardwatch.review.verdicts import Review, Verdict
from cardwatch.review_story import Goals, report_document, show_review_report
from cardwatch.reviewing import Recorded, record_one, record_sheet, record_stored
from cardwatch.session import command_log
from cardwatch.week import ReportingWeek
from cardwatch.wording import counted


def set_command(
    config: Config,
    customer: str,
    week: str,
    verdict: str,
    *,
    said: Mapping[str, str],
    reviewer: str | None,
) -> None:
    """Record one verdict, and say what stands now."""
    review = _review(customer, ReportingWeek.parse(week), _verdict(verdict), said, reviewer)
    with command_log(config):
        recorded = record_one(config, review, _say)
    sentence = f"{review.verdict}: {review.verdict.sentence}"
    _tell(f"{console.visible(customer)}, week {review.week}: {sentence}")
    for before in recorded.replaced:
        _tell(f"It stands in the place of {before.verdict}, {before.reviewed_at:%Y-%m-%d %H:%M %Z}")
    _tell_what_is_missing(recorded)


def _verdict(text: str) -> Verdict:
    try:
        return Verdict.read(text)
    except ValueError:
        raise ConfigurationError(
            "There is no such verdict",
            where="--verdict",
            observed=f"{text!r}"[:80],
            expected=", ".join(Verdict),
        ) from None


def _review(
    customer: str,
    week: ReportingWeek,
    verdict: Verdict,
    said: Mapping[str, str],
    reviewer: str | None,
) -> Review:
    try:
        return Review(
            customer_id=customer.encode("utf-8", "replace").decode(),  # a shell may pass any bytes
            reporting_week=week.label,
            verdict=verdict,
            cause=said["cause"],
            action_taken=said["action_taken"],
            note=said["note"],
            reviewer=_who(reviewer),
            reviewed_at=datetime.now(UTC),
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise ConfigurationError(
            "The review cannot be recorded",
            where=f"--{str(first['loc'][0]).replace('_', '-')}",
            observed=first["msg"],
        ) from None


def import_command(config: Config, file: Path, reviewer: str | None) -> None:
    """Record the verdicts of a sheet, and say how many there were."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            "The file cannot be read",
            where=str(file),
            observed=error.strerror or type(error).__name__,
        ) from error
    with command_log(config):
        recorded = record_sheet(
            config, content, str(file), reviewer=_who(reviewer), now=datetime.now(UTC), on_wait=_say
        )
    if not recorded.new and not recorded.known:
        _tell("Nothing recorded: no line of the sheet has a verdict")
        return
    tell_recorded(recorded)


def import_stored_command(config: Config) -> None:
    """Record the verdicts of the database, and say how many there were and which are none."""
    with command_log(config):
        taken = record_stored(config, _say)
    tell_recorded(taken.recorded)
    for remark in taken.remarks:
        _tell(remark)


def report_command(config: Config, weeks: int, as_json: bool) -> None:
    """Say how good the lists were."""
    folder, settings = config.output.directory, config.review
    with reading(folder, config.output.lock_timeout_seconds, _say):
        report = review_report(
            standing(read_reviews(folder)),
            _lists(folder),
            {feature.name: feature.family for feature in CATALOG},
            weeks,
        )
    goals = Goals(settings.goal_hit_rate, settings.goal_acted_rate)
    if as_json:
        console.write_json(json.dumps(report_document(report, goals), indent=2))
        return
    console.use_width()
    show_review_report(report, goals, config.reporting_week.numbering)


def _lists(folder: Path) -> dict[ReportingWeek, list[str]]:
    paths = folder.iterdir() if folder.is_dir() else ()
    weeks = sorted({week for path in paths if (week := week_of(path.name))})
    lists = ((week, read_list(folder, week)) for week in weeks)
    return {week: [each.customer_id for each in found] for week, found in lists if found}


def tell_recorded(recorded: Recorded) -> None:
    """Say what became of several reviews."""
    _tell(
        f"{counted(len(recorded.new), 'verdict')} recorded, "
        f"{len(recorded.replaced):,} of them in the place of an earlier one; "
        f"{recorded.known:,} known already"
    )
    _tell_what_is_missing(recorded)


def _tell_what_is_missing(recorded: Recorded) -> None:
    if count := recorded.without_reasons:
        _tell(
            f"{counted(count, 'verdict')} will teach nothing: the reasons are read from "
            "the JSON list, which is not in the output folder"
        )


def _who(reviewer: str | None) -> str:
    if reviewer and (name := reviewer.strip()):
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, in a container
        raise ConfigurationError(
            "Nobody knows who decided", next_step="Say it with --reviewer"
        ) from None


def _tell(sentence: str) -> None:
    console.use_width()
    console.out.print(sentence, markup=False)


def _say(sentence: str) -> None:
    console.err.print(sentence, markup=False)
