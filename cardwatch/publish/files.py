"""The sink that writes files into the output folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cardwatch.config import OutputConfig
from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError, PublishError
from cardwatch.manifest import RunManifest, load_manifest
from cardwatch.outputs import INDEX, OutputFile
from cardwatch.publish.archives import file_digest
from cardwatch.publish.base import Pages
from cardwatch.publish.formats import (
    list_document,
    write_list_csv,
    write_list_json,
    write_quarantine,
    write_scores,
)
from cardwatch.publish.lock import Say, output_lock
from cardwatch.publish.operations import FileOperations, NewFile, replace_whole, translated
from cardwatch.publish.retention import retain
from cardwatch.publish.sheet import write_review_sheet
from cardwatch.publish.transaction import FileSet, recover
from cardwatch.schema import Receipt, WeekReport
from cardwatch.week import ReportingWeek

_log = logging.getLogger(__name__)

_LISTS = {
    "csv": (OutputFile.LIST_CSV,),
    "json": (OutputFile.LIST_JSON,),
    "both": (OutputFile.LIST_CSV, OutputFile.LIST_JSON),
}

_WRITERS: dict[OutputFile, Callable[[NewFile, WeekReport, Engine], None]] = {
    OutputFile.LIST_CSV: lambda file, report, _: write_list_csv(file, report),
    OutputFile.LIST_JSON: lambda file, report, _: write_list_json(file, report),
    OutputFile.SCORES: write_scores,
    OutputFile.QUARANTINE: write_quarantine,
    OutputFile.REVIEWS: lambda file, report, _: write_review_sheet(file, report),
}


class FileSink:
    """Writes the list, every score, what was set aside and the manifest as files.

    All of them appear together or not at all; with them, what an earlier run left of the week goes
    into the archive, where it said something else. Then old weeks are packed and old archives
    deleted.

    Parameters
    ----------
    config : OutputConfig
        Folder, format of the list, how long results stay, how long to wait for another run.
    pages : Pages, optional
        What makes the page of the week and the index of all pages; without it there are none.
    operations : FileOperations, optional
        What touches the disk; a test passes one that fails.
    on_wait : callable, optional
        Told when another run holds the folder; logs a warning by default.
    needs_json : bool
        Whether somebody reads the JSON list later, whatever the format.
    """

    name = "files"

    def __init__(
        self,
        config: OutputConfig,
        *,
        pages: Pages | None = None,
        operations: FileOperations | None = None,
        on_wait: Say | None = None,
        needs_json: bool = False,
    ) -> None:
        self._config = config
        self._pages = pages
        self._operations = operations or FileOperations()
        self._on_wait = on_wait or _log.warning
        # The database is given what the JSON says, now or later.
        self._needs_json = needs_json or config.database.enabled

    @property
    def folder(self) -> Path:
        """The output folder."""
        return Path(self._config.directory)

    def planned(self, week: ReportingWeek) -> tuple[Path, ...]:
        """Return the files that writing `week` makes, in the order they are made."""
        pages = (OutputFile.REPORT.of(week),) if self._pages else ()
        index = (INDEX,) if self._pages else ()
        names = (*(kind.of(week) for kind in self._kinds()), *pages, OutputFile.MANIFEST.of(week))
        return tuple(self.folder / name for name in (*names, *index))

    @contextmanager
    def hold(self) -> Iterator[tuple[str, ...]]:
        """Keep the output folder to oneself, and finish first what was interrupted there.

        Yields
        ------
        tuple of str
            One sentence per interrupted week that was finished or undone.

        Raises
        ------
        PublishError
            If the folder cannot be made, or another run holds it for too long.
        """
        with translated(self.folder):
            self._operations.make_folder(self.folder)
        with output_lock(self.folder, self._config.lock_timeout_seconds, self._on_wait):
            yield recover(self.folder, self._operations)

    def write(self, report: WeekReport, engine: Engine, manifest: RunManifest) -> Receipt:
        """Write all files of the run, or leave the folder as it was.

        Raises
        ------
        PublishError
            If the folder cannot be written, is full, or is held by another run.
        """
        with self.hold() as recovered, translated(self.folder):
            digests, said = self._write_set(report, engine, manifest)
            retained = self._retain(report.week, manifest)
            amiss = self._write_index(self._pages) if self._pages else ()
            written = tuple(str(each) for each in self.planned(report.week) if each.is_file())
        return Receipt(self.name, written, digests, (*recovered, *said, *retained, *amiss))

    def write_pages(self, week: ReportingWeek) -> tuple[Path, ...]:
        """Make the page of a published week from its files, and the index.

        Returns
        -------
        tuple of pathlib.Path
            The files that were written.

        Raises
        ------
        ConfigurationError
            If the week's JSON list or manifest is missing or damaged.
        PublishError
            If the folder cannot be written, or is held by another run.
        """
        if self._pages is None:
            raise ValueError("this sink was made without pages")
        with self.hold(), translated(self.folder):
            page = self._pages.published(self.folder, week)
            paths = self.folder / OutputFile.REPORT.of(week), self.folder / INDEX
            replace_whole(paths[0], page, self._operations)
            replace_whole(paths[1], self._pages.index(self.folder), self._operations)
        return paths

    def _kinds(self) -> tuple[OutputFile, ...]:
        is_short = self._needs_json and self._config.format == "csv"
        lists = _LISTS["both" if is_short else self._config.format]
        return (*lists, OutputFile.SCORES, OutputFile.QUARANTINE, OutputFile.REVIEWS)

    def _write_set(
        self, report: WeekReport, engine: Engine, manifest: RunManifest
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        said: tuple[str, ...] = ()
        with FileSet(self.folder, report.week, self._operations) as files:
            for kind in self._kinds():
                with files.create(kind.of(report.week)) as file:
                    _WRITERS[kind](file, report, engine)
            replaced = self._recorded(report.week)
            digests = dict(files.digests)
            del digests[OutputFile.REVIEWS.of(report.week)]  # it is there to be changed
            recorded = manifest.replacing(replaced).with_files(digests, files.sizes)
            if self._pages:
                said = self._add_page(files, self._pages, list_document(report), recorded)
            with files.create(OutputFile.MANIFEST.of(report.week)) as file:
                file.write(recorded.to_json().encode())
            if self._says_something_else(report.week, replaced, files.digests):
                run_id = replaced.run_id if replaced else ""
                files.supersede(run_id, manifest.finished_at.date())
        return files.digests, said

    def _add_page(
        self, files: FileSet, pages: Pages, document: str, manifest: RunManifest
    ) -> tuple[str, ...]:
        """Write the week's page. The list matters more than its page: a failure is only said."""
        try:
            page = pages.under_way(self.folder, files.new, document, manifest)
        except Exception as error:
            _log.warning("the page of the week could not be made", exc_info=True)
            return (f"The report of the week was not made: {type(error).__name__}",)
        with files.create(OutputFile.REPORT.of(manifest.week)) as file:
            file.write(page)
        return ()

    def _says_something_else(
        self, week: ReportingWeek, replaced: RunManifest | None, new: Mapping[str, str]
    ) -> bool:
        """Whether what is there of the week differs from what replaces it, the manifest aside."""
        paths = [self.folder / kind.of(week) for kind in _WRITERS]
        old = {path.name: file_digest(path) for path in paths if path.is_file()}
        if not old and replaced:  # packed meanwhile, or moved away
            old = {name: file.sha256 for name, file in replaced.files.items()}
        return any(new.get(name, digest) != digest for name, digest in old.items())

    def _recorded(self, week: ReportingWeek) -> RunManifest | None:
        """Return the record of the run whose files are about to be replaced."""
        path = self.folder / OutputFile.MANIFEST.of(week)
        try:
            return load_manifest(path) if path.exists() else None
        except ConfigurationError as error:
            _log.warning("the run that is replaced is not known: %s", error.message)
            return None

    def _write_index(self, pages: Pages) -> tuple[str, ...]:
        """Link the pages there are. The results are written: a failure here is only said."""
        try:
            with translated(self.folder):
                replace_whole(self.folder / INDEX, pages.index(self.folder), self._operations)
        except PublishError as error:
            return (f"The index of the reports stays as it was: {error.message}",)
        return ()

    def _retain(self, week: ReportingWeek, manifest: RunManifest) -> tuple[str, ...]:
        """Pack and delete what is old. The results are written: a failure here is only said."""
        try:
            with translated(self.folder):
                done = retain(
                    self.folder,
                    self._config.keep_weeks,
                    self._config.retention_days,
                    manifest.finished_at.date(),
                    spare=week,
                    operations=self._operations,
                )
        except PublishError as error:
            return (f"Older weeks could not be packed, and stay as they are: {error.message}",)
        return done.sentences()
