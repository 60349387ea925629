"""Weekly roll-ups kept on disk by content, so that a run reads only what is new.

One Parquet file per week and key, with a JSON file beside it that holds the key and the SHA-256 of
the Parquet bytes. An entry that does not match both, or has other columns, is never used. No fault
of the cache fails a run: it costs a sentence and the time to read the week from its source.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cardwatch.week import ReportingWeek

KEEP_FILES = 60
"""Roll-ups kept, most recently used first; a run of the default window uses 12."""
_OWN_NAME = re.compile(r"\d{4}-\d{2}-[0-9a-f]{16}\.parquet")
_PART_NAME = re.compile(r"\d{4}-\d{2}-[0-9a-f]{16}\.(parquet|json)\.\d+\.part")


@dataclass(frozen=True)
class CacheEntry:
    """What a look into the cache gave: a verified private copy, or none and perhaps why."""

    path: Path | None
    warning: str = ""


class RollupCache:
    """A folder of weekly roll-ups.

    Parameters
    ----------
    folder : pathlib.Path
        Made when the first roll-up is stored. It may be deleted at any time.
    keep : int
        Roll-ups kept; those not used for longest go first.
    """

    def __init__(self, folder: Path, keep: int = KEEP_FILES) -> None:
        self.folder = folder
        self.keep = keep

    def fetch(
        self, week: ReportingWeek, key: str, columns: Mapping[str, str], into: Path
    ) -> CacheEntry:
        """Return a private copy in `into` of the roll-up stored under `key`.

        Parameters
        ----------
        key : str
            64 hexadecimal digits that change with anything the roll-up depends on.
        columns : mapping
            Column names and Arrow types (as text) that the roll-up must have, in order.
        into : pathlib.Path
            A folder of the run's own, so that nothing changes between the check and the use.
        """
        path = self._path(week, key)
        try:
            if not path.exists() and not path.with_suffix(".json").exists():
                return CacheEntry(None)
            sealed = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            content = path.read_bytes()
            (into / path.name).write_bytes(content)
        except (OSError, ValueError) as error:
            return _rebuilt(week, f"cannot be read ({type(error).__name__})")
        if sealed != _seal(key, content):
            return _rebuilt(week, "was changed, cut short or made by something else")
        if not _has_columns(content, columns):
            return _rebuilt(week, "has other columns")
        with suppress(OSError):
            os.utime(path)
        return CacheEntry(into / path.name)

    def store(self, week: ReportingWeek, key: str, made: Path) -> str:
        """Keep the Parquet file `made` under `key`; return a warning where that fails."""
        path = self._path(week, key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            content = made.read_bytes()
            _replace(path, content)
            _replace(path.with_suffix(".json"), json.dumps(_seal(key, content)).encode())
        except OSError as error:
            reason = error.strerror or type(error).__name__
            return f"The roll-up of week {week.label} was not cached in {self.folder}: {reason}."
        except BaseException:  # stopped: half an entry would be taken for a damaged one
            for half in (path, path.with_suffix(".json")):
                half.unlink(missing_ok=True)
            raise
        return ""

    def prune(self) -> None:
        """Delete the roll-ups that were not used for longest, beyond those kept."""
        with suppress(OSError):
            found = list(self.folder.iterdir())
            own = [path for path in found if _OWN_NAME.fullmatch(path.name)]
            own.sort(key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
            parts = [path for path in found if _PART_NAME.fullmatch(path.name)]
            stale = [part for part in parts if own and _is_older(part, own[0])]
            for path in (*own[self.keep :], *stale):
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)

    def _path(self, week: ReportingWeek, key: str) -> Path:
        return self.folder / f"{week.label}-{key[:16]}.parquet"


def _rebuilt(week: ReportingWeek, fault: str) -> CacheEntry:
    return CacheEntry(None, f"The cached roll-up of week {week.label} {fault}; it is made anew.")


def _seal(key: str, content: bytes) -> dict[str, str]:
    return {"key": key, "sha256": sha256(content).hexdigest()}


def _has_columns(content: bytes, columns: Mapping[str, str]) -> bool:
    try:
        schema = pq.read_schema(pa.BufferReader(content))
    except (pa.ArrowException, OSError):
        return False
    return [(field.name, str(field.type)) for field in schema] == list(columns.items())


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _is_older(part: Path, newest: Path) -> bool:
    hour = 3_600_000_000_000
    return part.stat().st_mtime_ns < newest.stat().st_mtime_ns - hour
