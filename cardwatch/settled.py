"""Whether a published week is what running it now would give, and if not, why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from cardwatch.fingerprints import overall_fingerprint
from cardwatch.manifest import RunManifest
from cardwatch.outdated import ScoreRecord, WindowRows, named, outdated_lists
from cardwatch.publish.archives import packed
from cardwatch.reproduction import changed_settings
from cardwatch.schema import Checked, Delivery

_NAMED = 3


def other_settings(
    record: RunManifest,
    configuration: Mapping[str, JsonValue],
    configuration_hash: str,
    score_version: str,
) -> str:
    """Say which settings, or what of the method, are not those of a run; empty where none."""
    if record.score_version != score_version:
        return "the scoring is another one now"
    if record.configuration_hash == configuration_hash:
        return ""
    keys = sorted(changed_settings(record.configuration, configuration))
    shown = ", ".join(keys[:_NAMED]) + (", …" if len(keys) > _NAMED else "")
    return f"settings changed: {shown}" if keys else "the settings changed"


def missing_files(record: RunManifest, folder: Path) -> tuple[str, ...]:
    """Return the files of a run that are neither in the folder nor packed."""
    if packed(folder, record.week):
        return ()
    return tuple(name for name in record.files if not (folder / name).is_file())


def other_scores(record: RunManifest, published: Sequence[RunManifest]) -> bool:
    """Whether the run's cuts would rest on other recorded scores now.

    `published` are the records of the weeks around it, its own included or not.
    """
    scores = {run.week: ScoreRecord.of(run) for run in published}
    return bool(outdated_lists([record], WindowRows((), {}, {}), scores))


def same_content(record: RunManifest, delivery: Delivery) -> bool:
    """Whether the source says that the content of every week is what the run read."""
    window = (*delivery.reference_weeks, delivery.week)
    keys = {week.label: delivery.content_key(week) for week in window}
    return None not in keys.values() and keys == record.source_keys


def other_rows(
    record: RunManifest, delivery: Delivery, check: Callable[[Delivery], Checked]
) -> str:
    """Say which rows are not those that a run read; empty where all are.

    What the source says of its content is asked first; only where that differs are rows read. Weeks
    that the source has since dropped at its old end are no change: a run could only know less.
    """
    if same_content(record, delivery):
        delivery.release()
        return ""
    checked = check(delivery)
    window, now = (*delivery.reference_weeks, delivery.week), checked.input_weeks
    if changed := WindowRows(window, now, record.configuration).changed_since(record):
        return f"the rows of {named(changed)} changed"
    all_there = now.keys() == record.input_weeks.keys()
    if all_there and _overall(checked) != record.input_fingerprint:
        return "the rows whose week cannot be read changed"
    return ""


def _overall(checked: Checked) -> str:
    return overall_fingerprint(checked.input_weeks, checked.stray_fingerprint)
