"""The few things Cardwatch does to the file system, in one place, and what their errors mean.

Every change to the output folder goes through `FileOperations`, so that a test can make the n-th
one fail, or end the process there, for every n.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cardwatch.errors import PublishError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})
_COPY_BYTES = 1 << 20


class FileOperations:
    """Changes to files and folders. Each calls `before` first; what it did is on disk afterwards.

    A rename is on disk once its folder was synced (`sync_folder`).
    """

    def before(self, operation: str, path: Path) -> None:
        """Run before each operation; the seam where a test injects a fault."""

    def to_disk(self, descriptor: int) -> None:
        """Wait until the disk has what was written; tests of the order of things do without."""
        os.fsync(descriptor)

    def make_folder(self, path: Path) -> None:
        """Make a folder and those above it; one that exists is fine."""
        self.before("make_folder", path)
        path.mkdir(parents=True, exist_ok=True)

    def create(self, path: Path) -> IO[bytes]:
        """Open a file that must not exist yet for writing."""
        self.before("create", path)
        return path.open("xb")

    def write(self, handle: IO[bytes], path: Path, data: ReadableBuffer) -> int:
        """Write bytes to a file opened by `create`."""
        self.before("write", path)
        return handle.write(data)

    def finish(self, handle: IO[bytes], path: Path) -> None:
        """Bring a file's content to the disk and close it."""
        self.before("finish", path)
        handle.flush()
        self.to_disk(handle.fileno())
        handle.close()

    def keep(self, source: Path, target: Path) -> None:
        """Make `source` available as `target` too: a hard link, or a copy where there are none."""
        self.before("keep", target)
        try:
            target.hardlink_to(source)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._copy(source, target)

    def _copy(self, source: Path, target: Path) -> None:
        with source.open("rb") as original, target.open("xb") as copy:
            shutil.copyfileobj(original, copy, _COPY_BYTES)
            copy.flush()
            self.to_disk(copy.fileno())

    def replace(self, source: Path, target: Path) -> None:
        """Rename `source` to `target` in one step, replacing what was there."""
        self.before("replace", target)
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Delete a file; one that is not there is fine."""
        self.before("remove", path)
        path.unlink(missing_ok=True)

    def remove_folder(self, path: Path) -> None:
        """Delete an empty folder."""
        self.before("remove_folder", path)
        path.rmdir()

    def sync_folder(self, path: Path) -> None:
        """Bring a folder's entries, that is renames and deletions in it, to the disk."""
        self.before("sync_folder", path)
        if os.name != "posix":
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            self.to_disk(descriptor)
        finally:
            os.close(descriptor)


class NewFile(io.RawIOBase):
    """A file being written through `FileOperations`, with its size and digest as it grows.

    Parameters
    ----------
    path : pathlib.Path
        A file that does not exist yet.
    operations : FileOperations
        What writes it.
    """

    def __init__(self, path: Path, operations: FileOperations) -> None:
        self._path = path
        self._operations = operations
        self._digest = hashlib.sha256()
        self.bytes = 0
        self._handle = operations.create(path)

    @property
    def sha256(self) -> str:
        """Digest of what was written so far, in hexadecimal."""
        return self._digest.hexdigest()

    def writable(self) -> bool:
        """Tell writers that they may write."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of `data`."""
        self._digest.update(data)
        count = self._operations.write(self._handle, self._path, data)
        self.bytes += count
        return count

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.bytes

    def finish(self) -> None:
        """Bring the content to the disk and close the file."""
        self._operations.finish(self._handle, self._path)

    def close(self) -> None:
        """Close the file; one that was not finished is given up, whatever the disk says."""
        with suppress(OSError):
            self._handle.close()
        super().close()


def replace_whole(path: Path, content: bytes, operations: FileOperations) -> None:
    """Write a file by rename: a reader sees what was there before, or all of `content`."""
    draft = path.with_name(f".{path.name}.tmp")
    operations.remove(draft)  # of a process that was killed
    with NewFile(draft, operations) as file:
        file.write(content)
        file.finish()
    operations.replace(draft, path)
    operations.sync_folder(path.parent)


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Turn errors of the file system into one clear line about the output folder.

    Raises
    ------
    PublishError
        Naming the folder, what the system said, and what to do.
    """
    try:
        yield
    except OSError as error:
        raise _publish_error(error, folder) from error


def _publish_error(error: OSError, folder: Path) -> PublishError:
    place = str(error.filename2 or error.filename or folder)
    observed = error.strerror or type(error).__name__
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            what = "The disk is full, so the results were not written"
            step = "Free some space, or set output.directory to another disk; then run again"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            what = "The output folder cannot be read or written"
            step = "Give this user access to it, or set output.directory to another folder"
        case errno.ENOTDIR | errno.EEXIST:
            what = "A file stands where a folder for the results should be"
            step = "Move it away, or set output.directory to another folder"
        case errno.EISDIR:
            what = "A folder stands where a file of the results should be"
            step = "Move it away; then run again"
        case _:
            what = "The results could not be written"
            step = "Check the disk that holds output.directory; then run again"
    return PublishError(what, where=place, observed=observed, next_step=step)
