"""What the source holds: check a week, list the weeks, or make a sample."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from cardwatch import console
from cardwatch.commands.opening import command_session, wanted_week
from cardwatch.config import Config
from cardwatch.pipeline import check_week
from cardwatch.schema import Checked
from cardwatch.session import last_complete, partial_remark
from cardwatch.sources.base import week_not_available
from cardwatch.sources.sample import SamplePortfolio, write_sample
from cardwatch.week import ReportingWeek
from cardwatch.wording import counted


def validate_command(
    config: Config, wanted: str | None, allow_partial: bool, as_json: bool
) -> None:
    """Check a week's data; scores and writes nothing."""
    choose = wanted_week(config, wanted, allow_partial=allow_partial)
    with command_session(config, "cardwatch validate", choose) as session:
        checked = check_week(session.chosen, config, session.parts())
        remarks = partial_remark(session.chosen, session.today)
    warnings = (*remarks, *checked.warnings, *checked.cache_warnings)
    checked = replace(checked, warnings=warnings)
    if as_json:
        console.write_json(json.dumps(_checked_document(checked), indent=2))
        return
    console.show_checked(checked, config.reporting_week.numbering)


def _checked_document(checked: Checked) -> dict[str, JsonValue]:
    return {
        "reporting_week": checked.week.label,
        "week_start": checked.week.monday.isoformat(),
        "weeks_present": [week.label for week in checked.weeks_present],
        "coverage": {
            name: number
            for name, number in asdict(checked.coverage).items()
            if name not in ("customers_scored", "customers_absent")
        },
        "findings": [asdict(finding) for finding in checked.findings],
        "warnings": list(checked.warnings),
    }


def weeks_command(config: Config, as_json: bool) -> None:
    """List the weeks of the source."""
    with command_session(config, "cardwatch weeks") as session:
        summaries = session.source.weeks()
        complete = last_complete(session.source, session.today)
    if as_json:
        console.write_json(
            json.dumps(
                [
                    {
                        "reporting_week": each.week.label,
                        "week_start": each.week.monday.isoformat(),
                        "rows": each.rows,
                        "customers": each.customers,
                        "spend": float(each.spend),
                        "complete": complete is not None and each.week <= complete,
                    }
                    for each in summaries
                ],
                indent=2,
            )
        )
        return
    console.show_weeks(summaries, complete, config.reporting_week.numbering)


def week_command(config: Config, wanted: str, as_json: bool) -> None:
    """Say whether a week is over and has rows; cheap enough to be asked again and again.

    Raises
    ------
    WeekNotAvailableError
        If it is not over, or the source has no row of it.
    """
    with command_session(config, "cardwatch weeks", wanted_week(config, wanted)) as session:
        week, present = session.chosen, session.source.present()
    numbering = config.reporting_week.numbering
    if week not in present:
        raise week_not_available(week, present, session.source.origin, numbering)
    if as_json:
        console.write_json(json.dumps({"reporting_week": week.label, "present": True}))
    else:
        console.out.print(f"Week {week.display(numbering)} is over and has rows", markup=False)


def sample_command(customers: int, weeks: int, seed: int, folder: Path) -> None:
    """Write a generated portfolio whose last week is the last complete one."""
    last = ReportingWeek.containing(datetime.now(UTC).date()) - 1
    console.use_width()
    portfolio = SamplePortfolio(customers, weeks, seed, last_week=last)
    pieces = range(weeks * len(portfolio.blocks))
    with console.progress(pieces, "cardwatch sample") as observe:

        def piece_written(done: int, total: int) -> None:
            if observe:
                observe(f"{done} of {total}", 0.0)

        written = write_sample(portfolio, folder, piece_written)
    size = sum(path.stat().st_size for path in written) / 1e6
    made, span = counted(customers, "customer"), counted(weeks, "week")
    console.out.print(
        f"{made}, {span} to {last.label} ({last.dates}), "
        f"{len(written)} files, {size:.1f} MB in {folder}"
    )
    console.show_next_steps([["run", "--source", str(folder)]])
