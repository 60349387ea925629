"""Whether what runs have left in the output folder is whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cardwatch.checkup.results import CheckResult, failed
from cardwatch.errors import ConfigurationError
from cardwatch.manifest import RunManifest, load_manifest
from cardwatch.outdated import named
from cardwatch.outputs import OutputFile, week_of
from cardwatch.publish.archives import file_digest, packed, stored_digests
from cardwatch.week import ReportingWeek

DAMAGED = 6
"""Exit code of results that are not whole: that of `PublishError`."""


def published_weeks(folder: Path) -> tuple[ReportingWeek, ...]:
    """Return the weeks of which the folder holds any file, oldest first."""
    if not folder.is_dir():
        return ()
    weeks = {week_of(path.name) for path in folder.iterdir()}
    return tuple(sorted(week for week in weeks if week is not None))


def read_records(
    folder: Path, weeks: Sequence[ReportingWeek]
) -> tuple[tuple[RunManifest, ...], tuple[CheckResult, ...]]:
    """Return the manifests of these weeks, and a failed check for each that cannot be read."""
    records, unread = [], []
    for week in weeks:
        try:
            record = load_manifest(folder / OutputFile.MANIFEST.of(week))
        except ConfigurationError as error:
            unread.append(replace(failed("files", error, week), exit_code=DAMAGED))
            continue
        records.append(record)
    return tuple(records), tuple(unread)


def check_files(
    folder: Path, records: Sequence[RunManifest], unread: Sequence[CheckResult]
) -> Iterator[CheckResult]:
    """Compare every file with the digest in its run's manifest, packed ones too.

    A week of which neither a file nor an archive is left was deleted when its days were over.
    """
    bad, states = list(unread), dict[str, list[ReportingWeek]]()
    for record in records:
        there = [name for name in record.files if (folder / name).is_file()]
        if problem := _problem(record, folder, there):
            bad.append(problem)
            continue
        gone = "packed, whole" if packed(folder, record.week) else "deleted in time, record kept"
        states.setdefault("whole" if there else gone, []).append(record.week)
    found = "; ".join(f"{named(weeks)} {state}" for state, weeks in states.items())
    yield CheckResult("files", "ok", found or "no week is published and whole")
    yield from sorted(bad, key=lambda each: each.week)


def _problem(record: RunManifest, folder: Path, there: Sequence[str]) -> CheckResult | None:
    recorded = {name: file.sha256 for name, file in record.files.items()}
    if not there:
        archives = packed(folder, record.week)
        stored = [stored_digests(path) for path in archives]
        if not archives or any(recorded.items() <= each.items() for each in stored):
            return None
        return _bad(record, f"{archives[-1].name} does not hold what the run wrote")
    missing = [name for name in recorded if name not in there]
    if missing:
        return _bad(record, f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    altered = [name for name in there if file_digest(folder / name) != recorded[name]]
    if altered:
        return _bad(record, f"{', '.join(altered)}: other content than the run wrote")
    return None


def _bad(record: RunManifest, measured: str) -> CheckResult:
    label = record.reporting_week
    advice = f"Restore it, or cardwatch run --reporting-week {label}"
    return CheckResult("files", "fail", measured, advice, label, DAMAGED)
