"""All of a run's files, or none: staged beside the old ones, then swapped in behind a marker.

A write goes through a hidden folder ``.run_YYYY-WW.tmp`` in the output folder::

    new/…          1. every new file, on disk, with its digest
    archive/…      2. what the run before left of that week, packed, where it says something else
    old/…          3. hard links to the files of that week that are there now
    commit.json    4. by rename: the decision. Before it nothing in the output folder has changed
                   5. the archive is renamed into its place, then each new file, in the order it was
                      made, so the manifest comes last; files of the week that the run did not write
                      again are deleted
                   6. the marker goes, then the hidden folder

An error after 4 turns the marker into ``rollback.json`` and puts the old files back. After the
process was killed, `recover` finishes what the marker says: forward with ``commit.json``, back with
``rollback.json``; without a marker it deletes the hidden folder. Each of its steps may be repeated.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from cardwatch.errors import PublishError
from cardwatch.outputs import LABEL, week_of
from cardwatch.publish.archives import ARCHIVE, superseded_name, week_label_of, write_archive
from cardwatch.publish.operations import FileOperations, NewFile, translated
from cardwatch.week import ReportingWeek

_STAGING = re.compile(rf"\.run_{LABEL}\.tmp")
_NEW, _OLD = "new", "old"
_COMMIT, _ROLLBACK, _DRAFT = "commit.json", "rollback.json", "draft.json"


@dataclass(frozen=True)
class _Plan:
    """What a commit does: names to put in place, in order, names to delete, names there before.

    `archive` are names of archives that go into the archive folder.
    """

    put: tuple[str, ...]
    delete: tuple[str, ...]
    before: tuple[str, ...]
    archive: tuple[str, ...] = ()

    @property
    def to_undo(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.put, *self.delete)))


class FileSet:
    """The files of one run, written together.

    Parameters
    ----------
    folder : pathlib.Path
        The output folder; it exists, is locked, and `recover` was called on it.
    week : ReportingWeek
        The week all files belong to. Files of that week that are not written again are deleted.
    operations : FileOperations
        What touches the disk.

    Examples
    --------
    >>> import tempfile
    >>> week = ReportingWeek.parse("2025-46")
    >>> with tempfile.TemporaryDirectory() as name:
    ...     with FileSet(Path(name), week, FileOperations()) as files:
    ...         with files.create("run_2025-46.json") as file:
    ...             _ = file.write(b"{}")
    ...     [path.name for path in Path(name).iterdir()]
    ['run_2025-46.json']
    """

    def __init__(self, folder: Path, week: ReportingWeek, operations: FileOperations) -> None:
        self.digests: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self._folder = folder
        self._week = week
        self._operations = operations
        self._staging = folder / f".run_{week.label}.tmp"
        self._archive: tuple[str, ...] = ()

    @property
    def new(self) -> Path:
        """The hidden folder with the files of the set that were written so far."""
        return self._staging / _NEW

    @contextmanager
    def create(self, name: str) -> Iterator[NewFile]:
        """Write one file of the set; it appears in the output folder with all the others."""
        if week_of(name) != self._week:
            raise ValueError(f"{name} is not a file of {self._week.label}")
        with NewFile(self.new / name, self._operations) as file:
            yield file
            file.finish()
            self.digests[name] = file.sha256
            self.sizes[name] = file.bytes

    def supersede(self, run_id: str, day: date) -> None:
        """Pack what is there of the week, left by `run_id`, into an archive of this `day`.

        The archive appears with the set, or not at all.
        """
        present = [self._folder / name for name in self._present()]
        name = superseded_name(self._folder, self._week, day, run_id)
        for place in (self._folder, self._staging):
            self._operations.make_folder(place / ARCHIVE)
        write_archive(self._staging / ARCHIVE / name, self._week, present, self._operations)
        self._archive = (name,)

    def __enter__(self) -> FileSet:
        try:
            for name in (_NEW, _OLD):
                self._operations.make_folder(self._staging / name)
        except OSError:
            self._discard()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            self._commit()
        except BaseException:
            self._undo()
            raise
        self._discard()

    def _commit(self) -> None:
        plan = self._plan()
        for name in plan.before:
            self._operations.keep(self._folder / name, self._staging / _OLD / name)
        for name in (_NEW, _OLD):
            self._operations.sync_folder(self._staging / name)
        with NewFile(self._staging / _DRAFT, self._operations) as draft:
            draft.write(json.dumps(asdict(plan)).encode())
            draft.finish()
        self._operations.replace(self._staging / _DRAFT, self._staging / _COMMIT)
        self._operations.sync_folder(self._staging)
        _roll_forward(self._folder, self._staging, plan, self._operations)

    def _plan(self) -> _Plan:
        present, put = self._present(), tuple(self.digests)
        stale = tuple(name for name in present if name not in put)
        return _Plan(put=put, delete=stale, before=present, archive=self._archive)

    def _present(self) -> tuple[str, ...]:
        """Return the names of the week's files that are there now."""
        present = sorted(p.name for p in self._folder.iterdir() if week_of(p.name) == self._week)
        for name in present:
            if (self._folder / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, "a folder of that name", str(name))
        return tuple(present)

    def _undo(self) -> None:
        if not (self._staging / _COMMIT).exists():
            self._discard()
            return
        try:
            self._operations.replace(self._staging / _COMMIT, self._staging / _ROLLBACK)
            _roll_back(self._folder, self._staging, self._operations)
        except OSError as error:
            raise PublishError(
                "Publishing stopped half-way and could not be undone",
                where=str(self._folder),
                observed=error.strerror or type(error).__name__,
                next_step="The next run, or `cardwatch compare`, finishes or undoes it first; "
                "until then do not read the files of this week",
            ) from error
        self._discard()

    def _discard(self) -> None:
        # The outcome stands by now; what cannot be deleted is found and deleted by the next write.
        with suppress(OSError, PublishError):
            _clear(self._staging, self._operations)


def interrupted(folder: Path) -> tuple[Path, ...]:
    """Return the hidden folders that writes under way, or killed, have left in `folder`."""
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return ()
    return tuple(path for path in entries if _STAGING.fullmatch(path.name))


def recover(folder: Path, operations: FileOperations | None = None) -> tuple[str, ...]:
    """Finish or undo what killed processes left half done in `folder`, which must be locked.

    Returns
    -------
    tuple of str
        One sentence per week that was finished or undone.

    Raises
    ------
    PublishError
        If a marker is not one of Cardwatch's own, or the disk refuses.
    """
    operations = operations or FileOperations()
    with translated(folder):
        return tuple(_recover_one(folder, staging, operations) for staging in interrupted(folder))


def _recover_one(folder: Path, staging: Path, operations: FileOperations) -> str:
    if staging.is_symlink() or not staging.is_dir():
        raise _unexpected(staging)
    label = staging.name.removeprefix(".run_").removesuffix(".tmp")
    outcome = "was undone: the earlier files of the week stand"
    if (staging / _COMMIT).exists():
        plan = _read_plan(staging / _COMMIT)
        _roll_forward(folder, staging, plan, operations)
        outcome = "was finished: its files are in place"
    elif (staging / _ROLLBACK).exists():
        _roll_back(folder, staging, operations)
    _clear(staging, operations)
    return f"An interrupted write of week {label} {outcome}"


def _roll_forward(folder: Path, staging: Path, plan: _Plan, operations: FileOperations) -> None:
    for name in plan.archive:
        packed = staging / ARCHIVE / name
        if _is_there(packed):
            operations.make_folder(folder / ARCHIVE)
            operations.replace(packed, folder / ARCHIVE / name)
            operations.sync_folder(folder / ARCHIVE)
    for name in plan.delete:
        operations.remove(folder / name)
    for name in plan.put:
        new = staging / _NEW / name
        if _is_there(new):
            operations.replace(new, folder / name)
    operations.sync_folder(folder)


def _roll_back(folder: Path, staging: Path, operations: FileOperations) -> None:
    plan = _read_plan(staging / _ROLLBACK)
    for name in plan.to_undo:
        old = staging / _OLD / name
        if name not in plan.before:
            operations.remove(folder / name)
        elif _is_there(old):
            operations.replace(old, folder / name)
    for name in plan.archive if (folder / ARCHIVE).is_dir() else ():
        operations.remove(folder / ARCHIVE / name)
    operations.sync_folder(folder)


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _read_plan(marker: Path) -> _Plan:
    """Read a marker, trusting only names that Cardwatch gives to files of that very week."""
    label = marker.parent.name.removeprefix(".run_").removesuffix(".tmp")
    try:
        content = json.loads(marker.read_bytes())
        plan = _Plan(**{key: tuple(map(str, names)) for key, names in content.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise _unexpected(marker) from error
    labels = [_label_of(name) for name in (*plan.put, *plan.delete, *plan.before)]
    labels += [week_label_of(name) for name in plan.archive]
    if any(each != label for each in labels):
        raise _unexpected(marker)
    return plan


def _label_of(name: str) -> str | None:
    week = week_of(name)
    return week.label if week else None


def _clear(staging: Path, operations: FileOperations) -> None:
    """Delete a hidden folder: its markers first, then only what a write puts there."""
    for marker in (_COMMIT, _ROLLBACK, _DRAFT):
        if (staging / marker).exists():
            operations.remove(staging / marker)
    for inner, label_of in ((_NEW, _label_of), (_OLD, _label_of), (ARCHIVE, week_label_of)):
        if (staging / inner).is_dir():
            _empty(staging / inner, label_of, operations)
    if any(staging.iterdir()):
        raise _unexpected(staging)
    operations.remove_folder(staging)


def _empty(folder: Path, label_of: Callable[[str], str | None], operations: FileOperations) -> None:
    for path in sorted(folder.iterdir()):
        if label_of(path.name) is None or path.is_dir():
            raise _unexpected(path)
        operations.remove(path)
    operations.remove_folder(folder)


def _unexpected(path: Path) -> PublishError:
    return PublishError(
        "Something that Cardwatch did not make stands where an interrupted run is recovered",
        where=str(path),
        next_step="Look at it and move it away; then run again",
    )
