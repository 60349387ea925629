"""Finding the files of a path: one file, a folder, a glob, or a hive-partitioned folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from cardwatch.errors import SourceError
from cardwatch.outputs import week_of

Kind = Literal["csv", "parquet"]

_SUFFIXES: dict[str, Kind] = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".tsv.gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class DataFile:
    """One file of a source.

    Attributes
    ----------
    path : pathlib.Path
        Absolute, as the engine opens it.
    name : str
        Its path below the root, with forward slashes: the row's `source_file`.
    shown : str
        Its path as the user would write it, for messages.
    size : int
        Bytes.
    """

    path: Path
    name: str
    shown: str
    kind: Kind
    size: int
    mtime_ns: int

    @property
    def state(self) -> tuple[str, int, int]:
        """Path, size and time of change: equal as long as the file was not replaced."""
        return (str(self.path), self.size, self.mtime_ns)

    @property
    def partition(self) -> dict[str, str | None]:
        """The ``key=value`` folders it lies in."""
        return hive_values(self.path)


def find_files(path: Path) -> tuple[DataFile, ...]:
    """Return the data files of a path, sorted by name.

    Files and folders whose names begin with ``_`` or ``.`` are left out, and so are the results of
    runs, by their names, unless `path` itself names one.

    Raises
    ------
    SourceError
        If nothing is there, a folder cannot be listed, or CSV and Parquet are mixed.
    """
    with _naming(path):
        is_folder, is_there = path.is_dir(), path.exists()
    if is_folder:
        found = _described(_walk(path), path)
    elif is_there:
        found = _described([path], path.parent)
    elif glob.has_magic(str(path)):
        root = _root_of_glob(path)
        found = _described(_matches(path, root), root)
    else:
        raise SourceError(
            "There is no such file or folder",
            where=str(path),
            next_step="Run `cardwatch sample` to make sample data, or set data_source.path",
        )
    if not found:
        raise SourceError(
            "There are no data files",
            where=str(path),
            expected="files named *.csv, *.csv.gz or *.parquet",
            next_step="Run `cardwatch sample` to make sample data, or set data_source.path",
        )
    _check_one_kind(found)
    return tuple(sorted(found, key=lambda file: file.name))


def hive_values(path: Path) -> dict[str, str | None]:
    """Return keys and values of the ``key=value`` folders in a path.

    Examples
    --------
    >>> hive_values(Path("/data/reporting_week=2025-46/mcc=5411/part-0.parquet"))
    {'reporting_week': '2025-46', 'mcc': '5411'}
    """
    pairs = [part.split("=") for part in path.parts[:-1] if part.count("=") == 1]
    return {key: None if value == _HIVE_NULL else unquote(value) for key, value in pairs if key}


def _walk(folder: Path, seen: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    with _naming(folder):
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    here = (status.st_dev, status.st_ino)
    if here in seen:  # a link back to a folder that holds it
        return
    for entry in entries:
        if _is_passed_over(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), seen | {here})
        elif _kind_by_name(entry.name):
            yield Path(entry.path)


def _matches(pattern: Path, root: Path) -> Iterator[Path]:
    for path in sorted(root.glob(str(pattern.relative_to(root)))):
        if any(_is_passed_over(part) for part in path.relative_to(root).parts):
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def _is_passed_over(name: str) -> bool:
    return name.startswith(("_", ".")) or week_of(name) is not None


def _root_of_glob(pattern: Path) -> Path:
    fixed: list[str] = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed)


def _described(paths: Iterable[Path], root: Path) -> list[DataFile]:
    return [_describe(path, root) for path in dict.fromkeys(paths)]


def _describe(path: Path, root: Path) -> DataFile:
    with _naming(path):
        status = path.stat()
        if not path.is_file():
            raise SourceError("This is neither a file nor a folder", where=str(path))
        str(path).encode()
        kind = _kind_by_name(path.name) or _kind_by_content(path)
    return DataFile(
        path=path.absolute(),
        name=path.relative_to(root).as_posix(),
        shown=str(path),
        kind=kind,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
    )


def _kind_by_name(name: str) -> Kind | None:
    lower = name.lower()
    return next((kind for end, kind in _SUFFIXES.items() if lower.endswith(end)), None)


def _kind_by_content(path: Path) -> Kind:
    with path.open("rb") as stream:
        return "parquet" if stream.read(4) == b"PAR1" else "csv"


def _check_one_kind(files: list[DataFile]) -> None:
    by_kind = {file.kind: file.shown for file in files}
    if len(by_kind) > 1:
        raise SourceError(
            "CSV and Parquet files are mixed",
            observed=f"{by_kind['csv']} and {by_kind['parquet']}",
            expected="files of one kind",
            next_step="Move one kind away, or set data_source.path to a glob such as data/*.csv",
        )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a `SourceError` that names the path."""
    try:
        yield
    except OSError as error:
        raise unreadable_file(str(path), error) from error
    except UnicodeEncodeError as error:
        raise SourceError(
            "A file name is not valid text", where=ascii(str(path)), next_step="Rename the file"
        ) from error


def unreadable_file(shown: str, error: OSError) -> SourceError:
    """Return the error of a file or folder that the system does not let us read."""
    denied = isinstance(error, PermissionError)
    return SourceError(
        "The file or folder cannot be read",
        where=shown,
        observed=(error.strerror or type(error).__name__).lower(),
        next_step="Give the account that runs Cardwatch read access to it" if denied else "",
    )
