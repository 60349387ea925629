"""One process at a time in an output folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from cardwatch.errors import PublishError
from cardwatch.publish.operations import translated
from cardwatch.publish.transaction import interrupted, recover

LOCK_NAME = ".cardwatch.lock"

Say = Callable[[str], None]


@contextmanager
def output_lock(folder: Path, timeout_seconds: float, on_wait: Say | None = None) -> Iterator[None]:
    """Hold an output folder for oneself; the same thread may hold it more than once.

    The lock is the operating system's, on the file ``.cardwatch.lock``: it goes with the process
    that held it, however that ended, and the empty file stays.

    Parameters
    ----------
    folder : pathlib.Path
        The output folder, which exists.
    timeout_seconds : float
        How long to wait for another run, 0 for not at all.
    on_wait : callable, optional
        Told, in one sentence, when there is somebody to wait for.

    Raises
    ------
    PublishError
        If another run still holds the folder then, or the lock cannot be made there.
    """
    lock = FileLock(folder.resolve() / LOCK_NAME, is_singleton=True)
    with translated(folder):
        _acquire(lock, folder, timeout_seconds, on_wait)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, folder: Path, timeout_seconds: float, on_wait: Say | None) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if on_wait and timeout_seconds > 0:
            on_wait(f"Another run is using {folder}; waiting up to {timeout_seconds:g} seconds")
        try:
            lock.acquire(timeout=timeout_seconds)
        except Timeout as error:
            raise PublishError(
                "Another run is using the output folder",
                where=str(folder),
                observed=f"it still held the folder after {timeout_seconds:g} seconds",
                next_step="Run again when it has finished, raise output.lock_timeout_seconds, or "
                "choose another folder with --output-dir",
            ) from error


@contextmanager
def reading(
    folder: Path, timeout_seconds: float = 60, on_wait: Say | None = None
) -> Iterator[None]:
    """Hold an output folder still while it is read, after finishing what was interrupted there.

    A folder that this user may not write is read as it is; nobody can be told to keep off it.

    Raises
    ------
    PublishError
        If another run holds the folder too long, an interrupted write cannot be finished, or the
        reader may not look into the folder.
    """
    with translated(folder):
        if not folder.is_dir():
            yield
        elif os.access(folder, os.W_OK):
            with output_lock(folder, timeout_seconds, on_wait):
                recover(folder)
                yield
        else:
            _refuse_half_written(folder)
            yield


def _refuse_half_written(folder: Path) -> None:
    if interrupted(folder):
        raise PublishError(
            "A write to the output folder is under way or was interrupted",
            where=str(folder),
            next_step="Try again shortly; if it stays so, a user who may write there should run "
            "`cardwatch compare` or the week again, which finishes it",
        )
