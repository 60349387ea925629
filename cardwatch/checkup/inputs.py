"""Whether published lists still rest on the rows and the recorded scores that are there now.

The source is asked first what it says of its content. Only where that has changed are rows read,
and then those of all weeks at once: a week's digest does not depend on which week is scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cardwatch.checkup.results import CheckResult, failed
from cardwatch.config import Config, public_dict
from cardwatch.contract import check_contract
from cardwatch.engine import Engine
from cardwatch.errors import CardwatchError
from cardwatch.manifest import RunManifest
from cardwatch.outdated import OutdatedList, ScoreRecord, WindowRows, named, outdated_lists, remedy
from cardwatch.schema import Delivery
from cardwatch.sources.base import Source
from cardwatch.week import ReportingWeek
from cardwatch.wording import counted

MOST_WEEKS = 100
"""Weeks looked at, at most; older lists are left out."""


def check_inputs(
    records: Sequence[RunManifest], source: Source, config: Config, engine: Engine
) -> Iterator[CheckResult]:
    """Compare what the lists in the folder were made of with what is there now."""
    folder = config.output.directory
    newest = max(run.week for run in records)
    lists = [
        run
        for run in records
        if any((folder / name).is_file() for name in run.files)
        and newest - run.window[0] < MOST_WEEKS
    ]
    if not lists:
        return
    try:
        rows, how = _rows_now(lists, source, config, engine)
    except CardwatchError as error:
        yield failed("input", error)
        return
    scores = {run.week: ScoreRecord.of(run) for run in records}
    changed = outdated_lists(lists, rows, scores)
    same = [run.week for run in lists if run.week not in {each.week for each in changed}]
    measured = f"unchanged for {counted(len(same), 'list')}: {how}"
    yield CheckResult("input", "ok", measured)
    for each in changed:
        advice = f"cardwatch {' '.join(remedy([each]))}"
        yield CheckResult("input", "warn", _what_changed(each), advice, each.week.label)


def _what_changed(each: OutdatedList) -> str:
    changed = [f"the rows of {named(each.rows)}"] if each.rows else []
    changed += ["the recorded scores that its cuts rest on"] if each.scores else []
    return f"{' and '.join(changed)} changed since it was published"


def _rows_now(
    lists: Sequence[RunManifest], source: Source, config: Config, engine: Engine
) -> tuple[WindowRows, str]:
    """Return what is known of the weeks' rows now, and how it was found out."""
    nothing = WindowRows((), {}, {})
    present = set(source.present())
    last = max((run.week for run in lists if run.week in present), default=None)
    if last is None:
        return nothing, "the source holds no row of their weeks, so it was not asked"
    first = min(run.window[0] for run in lists)
    delivery = source.read(last, max(last - first, 0))
    if all(_same_content(run, delivery) for run in lists):
        delivery.release()
        return nothing, "the source says so"
    rules = config.contract.model_copy(update={"on_unusable": "warn"})
    checked = check_contract(delivery, rules, engine, currency=config.portfolio.currency)
    rows = WindowRows(_window(delivery), checked.input_weeks, public_dict(config))
    others = [run for run in lists if not rows.compares_with(run)]
    aside = (
        f"; {counted(len(others), 'list')} read with other settings left aside" if others else ""
    )
    return rows, f"{counted(len(rows.weeks), 'week')} were read again{aside}"


def _same_content(run: RunManifest, delivery: Delivery) -> bool:
    """Whether the source says that every week of the run's window is what the run read."""
    window = set(_window(delivery))
    if not run.source_keys or not window.issuperset(run.window):
        return False
    keys = {week.label: delivery.content_key(week) for week in run.window}
    return None not in keys.values() and keys == run.source_keys


def _window(delivery: Delivery) -> tuple[ReportingWeek, ...]:
    return (*delivery.reference_weeks, delivery.week)
