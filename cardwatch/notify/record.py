"""What was told to whom of a week: ``notices_YYYY-WW.json`` beside the manifest.

It is written before the text of a message is handed over, so that whatever happens afterwards, the
same message is not handed over to the same receiver a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from cardwatch.errors import NotifyError
from cardwatch.notify.base import Status
from cardwatch.notify.message import Kind
from cardwatch.week import ReportingWeek
from cardwatch.whole_files import write_whole

NAME = "notices_{label}.json"
LOCK_NAME = ".notices.lock"


class Entry(BaseModel):
    """What one receiver was told last, of one kind.

    Attributes
    ----------
    channel, receiver : str
        ``email`` and an address; ``chat`` and a digest of the webhook's address.
    key : str
        Which list (the SHA-256 of its JSON), or which failure.
    run_id : str
        The run that was told of.
    status, at
        What became of the last try, and when it was.
    told_key : str
        The `key` of what the receiver has, or may have; empty where that is nothing.
    problem : str
        What was in the way; empty where it was taken.
    """

    model_config = ConfigDict(extra="ignore")

    kind: Kind
    channel: str
    receiver: str
    key: str
    run_id: str
    status: Status
    at: AwareDatetime
    problem: str = ""
    told_key: str = ""


class Record(BaseModel):
    """All entries of a week, in the order in which they were first made."""

    model_config = ConfigDict(extra="ignore")

    notices_version: Literal[1] = 1
    reporting_week: str
    notices: list[Entry] = []

    def find(self, kind: str, channel: str, receiver: str) -> Entry | None:
        """Return what a receiver was told last, of a kind."""
        wanted = (kind, channel, receiver)
        found = (each for each in self.notices if _place(each) == wanted)
        return next(found, None)

    def put(self, entry: Entry) -> None:
        """Record what a receiver was told, in the place of what it was told before."""
        for position, each in enumerate(self.notices):
            if _place(each) == _place(entry):
                self.notices[position] = entry
                return
        self.notices.append(entry)

    def forget(self, kind: str) -> None:
        """Drop all entries of a kind."""
        self.notices = [each for each in self.notices if each.kind != kind]


def _place(entry: Entry) -> tuple[str, str, str]:
    return entry.kind, entry.channel, entry.receiver


def record_path(folder: Path, week: ReportingWeek) -> Path:
    """Return where the record of a week is."""
    return folder / NAME.format(label=week.label)


def read_record(folder: Path, week: ReportingWeek) -> Record:
    """Return the record of a week, an empty one where there is none.

    Raises
    ------
    NotifyError
        If it cannot be read: then nobody knows who was told.
    """
    path = record_path(folder, week)
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Record(reporting_week=week.label)
    except (OSError, ValidationError) as error:
        raise NotifyError(
            "The record of who was told cannot be read",
            where=str(path),
            observed=getattr(error, "strerror", None) or "content that Cardwatch did not write",
            next_step="Restore it; or delete it, and who was told already is told once more",
        ) from error


def write_record(folder: Path, week: ReportingWeek, record: Record) -> None:
    """Write the record of a week by rename.

    Raises
    ------
    PublishError
        If it cannot be written.
    """
    write_whole(record_path(folder, week), record.model_dump_json(indent=2) + "\n")


@contextmanager
def telling(folder: Path, timeout_seconds: float) -> Iterator[None]:
    """Be the only process that tells what is in a folder.

    Raises
    ------
    NotifyError
        If another one is at it for too long, or the folder cannot be written.
    """
    lock = FileLock(folder.resolve() / LOCK_NAME)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=timeout_seconds)
    except Timeout as error:
        raise NotifyError(
            "Another process is sending notices",
            where=str(folder),
            next_step="Try again when it has finished",
        ) from error
    except OSError as error:
        raise NotifyError(
            "What is sent could not be recorded, so nothing was sent",
            where=str(folder),
            observed=error.strerror or type(error).__name__,
        ) from error
    try:
        yield
    finally:
        lock.release()
