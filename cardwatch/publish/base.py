"""What a sink is: a reader of the week's report that leaves results somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

from cardwatch.engine import Engine
from cardwatch.manifest import RunManifest
from cardwatch.schema import Receipt, WeekReport
from cardwatch.week import ReportingWeek


class Sink(Protocol):
    """Writes the results of one run, all or nothing, and safely again.

    Writing the same report twice leaves what writing it once does. After an error the place holds
    what it held before.
    """

    name: str

    def planned(self, week: ReportingWeek) -> tuple[Path, ...]:
        """Return the files that writing `week` makes; empty for a sink that makes none."""
        ...

    def hold(self) -> AbstractContextManager[tuple[str, ...]]:
        """Keep the place to oneself for a run, so that two runs never interleave.

        Yields sentences on what was found interrupted there and was finished or undone.

        Raises
        ------
        PublishError
            If another run holds it for too long, or it cannot be reached.
        """
        ...

    def write(self, report: WeekReport, engine: Engine, manifest: RunManifest) -> Receipt:
        """Write the report, every customer's score and what was set aside.

        Parameters
        ----------
        report : WeekReport
            The list and the numbers around it.
        engine : Engine
            Holds the tables ``customer``, ``ranked`` and ``quarantine``.
        manifest : RunManifest
            The record of the run, which the sink completes with what it wrote.

        Raises
        ------
        PublishError
            If the results could not be written whole.
        """
        ...


class Pages(Protocol):
    """Makes pages for people of what a week's files say; nobody else is writing to the folder."""

    def published(self, folder: Path, week: ReportingWeek) -> bytes:
        """Return the page of a week whose files are in the output folder.

        Raises
        ------
        ConfigurationError
            If its JSON list or its manifest is missing or damaged.
        """
        ...

    def under_way(self, folder: Path, files: Path, document: str, manifest: RunManifest) -> bytes:
        """Return the page of a week that is being published.

        Parameters
        ----------
        folder : pathlib.Path
            The output folder, with the earlier weeks.
        files : pathlib.Path
            Where the week's scores and quarantine are for now.
        document : str
            Its JSON list.
        manifest : RunManifest
            The record of its run.
        """
        ...

    def index(self, folder: Path) -> bytes:
        """Return the page that links the pages of all weeks in an output folder."""
        ...


@runtime_checkable
class Mirror(Protocol):
    """A sink that holds what the week's files say, can tell whose it is, and can be sent it later.

    Methods raise `PublishError` where the place cannot be reached or written.
    """

    @property
    def place(self) -> str:
        """The place, for people."""
        ...

    def current_runs(self) -> Mapping[str, str]:
        """Return the id of the run whose results are there, by the label of their week."""
        ...

    def publish(self, week: ReportingWeek) -> Receipt:
        """Replace the week's results by those that its files hold."""
        ...
