"""Archives of a week's files: what they are called, how they are written, checked and read back.

``archive/week_YYYY-WW.packed-YYYY-MM-DD.tar.gz`` holds a week that is no longer among the newest,
``archive/week_YYYY-WW.superseded-YYYY-MM-DD.RUN.tar.gz`` what the named run had left of a week that
a later run replaced. The date is the day of packing, from which an archive's time runs.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import chain, count
from pathlib import Path
from typing import IO

from cardwatch.outputs import LABEL, week_of
from cardwatch.publish.operations import FileOperations, NewFile
from cardwatch.week import ReportingWeek

ARCHIVE = "archive"
_READ_BYTES = 1 << 20
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_NAME = re.compile(
    rf"week_({LABEL})\.(?:packed-(?P<packed>{_DAY})(?:-(?P<number>[0-9]+))?"
    rf"|superseded-(?P<superseded>{_DAY})\.(?P<run>[0-9A-Za-z-]+))\.tar\.gz"
)
_LONGEST_RUN_ID = 64
_DAMAGED = (EOFError, tarfile.TarError, zlib.error)


@dataclass(frozen=True)
class Archive:
    """An archive in the folder; `run_id` is empty unless it holds a superseded list."""

    path: Path
    label: str
    day: date
    run_id: str
    number: int


def archives(folder: Path) -> list[Archive]:
    """Return the archives of an output folder, oldest first."""
    place = folder / ARCHIVE
    if not place.is_dir():
        return []
    found = [named for path in place.iterdir() if path.is_file() and (named := _named(path))]
    return sorted(found, key=lambda each: (each.day, each.run_id, each.number, each.label))


def packed(folder: Path, week: ReportingWeek) -> tuple[Path, ...]:
    """Return the archives of a week that was packed, oldest first."""
    return tuple(a.path for a in archives(folder) if a.label == week.label and not a.run_id)


def superseded(folder: Path, week: ReportingWeek) -> tuple[Archive, ...]:
    """Return the archives of a week's replaced lists, oldest first."""
    return tuple(a for a in archives(folder) if a.label == week.label and a.run_id)


def packed_name(folder: Path, week: ReportingWeek, day: date) -> str:
    """Return a name that is free for a packed week."""
    return _free(folder / ARCHIVE, f"week_{week.label}.packed-{day.isoformat()}")


def superseded_name(folder: Path, week: ReportingWeek, day: date, run_id: str) -> str:
    """Return a name that is free for what a run left of a week."""
    shown = re.sub(r"[^0-9A-Za-z]", "-", run_id)[:_LONGEST_RUN_ID] or "unknown"
    return _free(folder / ARCHIVE, f"week_{week.label}.superseded-{day.isoformat()}.{shown}")


def week_label_of(name: str) -> str | None:
    """Return the label in an archive's name, finished or not; None for any other name."""
    named = _named(Path(name.removesuffix(".tmp")))
    return named.label if named else None


def write_archive(
    target: Path, week: ReportingWeek, files: Sequence[Path], operations: FileOperations
) -> None:
    """Write an archive by rename, after reading it back."""
    draft = target.with_name(f"{target.name}.tmp")
    with NewFile(draft, operations) as file:
        _write_members(file, week, files)
        file.finish()
    if not holds(draft, files):
        raise OSError(errno.EIO, "the archive does not read back as written", str(target))
    operations.replace(draft, target)
    operations.sync_folder(target.parent)


def holds(archive: Path, files: Sequence[Path]) -> bool:
    """Whether an archive can be read whole and has these files with these bytes."""
    stored = stored_digests(archive)
    return bool(stored) and all(stored.get(path.name) == file_digest(path) for path in files)


def stored_digests(archive: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in an archive; none where it cannot be read whole."""
    try:
        return dict(_member_digests(archive))
    except (OSError, *_DAMAGED):
        return {}


def unpack(archive: Archive, into: Path) -> None:
    """Write the week's files in an archive into a folder; nothing else in it is looked at.

    Raises
    ------
    OSError
        If the archive cannot be read.
    """
    try:
        with tarfile.open(archive.path, "r:gz") as tar:
            for member in tar:
                week, content = week_of(member.name), tar.extractfile(member)
                if content is not None and week is not None and week.label == archive.label:
                    with (into / member.name).open("wb") as file:
                        while chunk := content.read(_READ_BYTES):
                            file.write(chunk)
    except _DAMAGED as error:
        raise OSError(errno.EIO, "the archive is damaged", str(archive.path)) from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return _digest(file)


def _named(path: Path) -> Archive | None:
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    try:
        day = date.fromisoformat(match["packed"] or match["superseded"])
    except ValueError:
        return None
    return Archive(path, match[1], day, match["run"] or "", int(match["number"] or 1))


def _free(archive: Path, stem: str) -> str:
    names = chain([f"{stem}.tar.gz"], (f"{stem}-{number}.tar.gz" for number in count(2)))
    return next(name for name in names if not (archive / name).exists())


def _write_members(file: NewFile, week: ReportingWeek, files: Sequence[Path]) -> None:
    monday = datetime.combine(week.monday, time(), tzinfo=UTC)
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in files:
            member = tarfile.TarInfo(path.name)
            member.size = path.stat().st_size
            member.mtime = int(monday.timestamp())
            with path.open("rb") as content:
                tar.addfile(member, content)


def _member_digests(archive: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                yield member.name, _digest(content)


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_READ_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
