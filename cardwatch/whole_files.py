"""Files that are replaced whole: a reader sees the old one or the new one."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from cardwatch.errors import PublishError


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a small text file by rename, its folder too where there is none.

    Raises
    ------
    PublishError
        If it cannot be written; what was there before still stands.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise PublishError(
            "A file cannot be written",
            where=str(path),
            observed=error.strerror or type(error).__name__,
            next_step="Give this user access to the folder, or name another one",
        ) from error
