"""Files that only grow, in the output folder: written whole, by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cardwatch.publish.lock import Say, output_lock
from cardwatch.publish.operations import FileOperations, NewFile, translated
from cardwatch.publish.transaction import recover


class LedgerFolder:
    """An output folder that is held, in which whole files are put in place of older ones."""

    def __init__(self, folder: Path, operations: FileOperations) -> None:
        self.folder = folder
        self._operations = operations

    def put(self, name: str, content: bytes) -> None:
        """Write a file beside the old one, bring it to the disk, and rename it into place.

        Raises
        ------
        PublishError
            If the disk refuses; the old file then stands.
        """
        draft = self.folder / f".{name}.tmp"
        with translated(self.folder):
            self._operations.remove(draft)
            with NewFile(draft, self._operations) as file:
                file.write(content)
                file.finish()
            self._operations.replace(draft, self.folder / name)
            self._operations.sync_folder(self.folder)


@contextmanager
def holding_ledgers(
    folder: Path,
    lock_timeout_seconds: float,
    *,
    operations: FileOperations | None = None,
    on_wait: Say | None = None,
) -> Iterator[LedgerFolder]:
    """Hold an output folder, made where there is none, to read its ledgers and add to them.

    Raises
    ------
    PublishError
        If another run holds the folder for too long, or it cannot be made.
    """
    operations = operations or FileOperations()
    with translated(folder):
        operations.make_folder(folder)
    with output_lock(folder, lock_timeout_seconds, on_wait):
        recover(folder, operations)
        yield LedgerFolder(folder, operations)
