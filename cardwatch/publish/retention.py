"""How long results stay: the newest weeks as they are, older ones packed, then deleted.

The time of an archive runs from the day in its name (`archives`), be it a packed week or a list
that was superseded. Manifests are never packed away or deleted: later weeks need them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cardwatch.outputs import OutputFile, week_of
from cardwatch.publish.archives import (
    ARCHIVE,
    archives,
    holds,
    packed,
    packed_name,
    week_label_of,
    write_archive,
)
from cardwatch.publish.operations import FileOperations
from cardwatch.week import ReportingWeek


@dataclass(frozen=True)
class Retained:
    """What was packed (weeks) and deleted (names of archives)."""

    packed: tuple[ReportingWeek, ...] = ()
    deleted: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """Say it for a person."""
        said = []
        if self.packed:
            said.append(f"Packed into {ARCHIVE}/: {', '.join(map(str, self.packed))}")
        if self.deleted:
            said.append(f"Deleted from {ARCHIVE}/: {', '.join(self.deleted)}")
        return tuple(said)


def retain(
    folder: Path,
    keep_weeks: int,
    retention_days: int,
    today: date,
    *,
    spare: ReportingWeek | None = None,
    operations: FileOperations | None = None,
) -> Retained:
    """Pack the weeks that are no longer among the newest and delete archives past their time.

    Parameters
    ----------
    folder : pathlib.Path
        The output folder, locked.
    keep_weeks : int
        How many of the newest weeks with results stay as they are.
    retention_days : int
        Days between packing and deleting.
    today : datetime.date
        The day that counts as today.
    spare : ReportingWeek, optional
        A week that stays whatever its age: the one just written.
    operations : FileOperations, optional
        What touches the disk.

    Raises
    ------
    OSError
        If the disk refuses; nothing is deleted that was not packed before.
    """
    operations = operations or FileOperations()
    _delete_unfinished(folder / ARCHIVE, operations)
    weeks = _weeks_with_results(folder)
    old = [week for week in sorted(weeks)[:-keep_weeks] if week != spare]
    for week in old:
        _pack(folder, week, weeks[week], today, operations)
    expired = [each for each in archives(folder) if (today - each.day).days >= retention_days]
    for archive in expired:
        operations.remove(archive.path)
    return Retained(tuple(old), tuple(archive.path.name for archive in expired))


def _weeks_with_results(folder: Path) -> dict[ReportingWeek, list[Path]]:
    weeks: dict[ReportingWeek, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        week = week_of(path.name)
        if week is None or path.name == OutputFile.MANIFEST.of(week):
            continue
        if path.is_file() and not path.is_symlink():
            weeks.setdefault(week, []).append(path)
    return weeks


def _pack(
    folder: Path, week: ReportingWeek, files: list[Path], today: date, operations: FileOperations
) -> None:
    if not any(holds(path, files) for path in packed(folder, week)):
        operations.make_folder(folder / ARCHIVE)
        target = folder / ARCHIVE / packed_name(folder, week, today)
        write_archive(target, week, files, operations)
    for path in files:
        operations.remove(path)
    operations.sync_folder(folder)


def _delete_unfinished(archive: Path, operations: FileOperations) -> None:
    if archive.is_dir():
        for path in sorted(archive.iterdir()):
            if path.suffix == ".tmp" and week_label_of(path.name) and path.is_file():
                operations.remove(path)
