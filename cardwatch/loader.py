"""The configured source under the name the deployment guide calls."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import TracebackType

import typer

from cardwatch.config import Config, load_config
from cardwatch.engine import Engine
from cardwatch.errors import CardwatchError
from cardwatch.schema import Delivery, WeekSummary
from cardwatch.sources.base import Source, SourceReport
from cardwatch.week import ReportingWeek
from cardwatch.wiring import open_engine, open_source


class DataLoader:
    """Reads whatever source is configured.

    Parameters
    ----------
    config : Config, optional
        Loaded as the command line loads it if left out.
    open_with : callable, optional
        Makes the source from the configuration and an engine; another one serves tests.

    Raises
    ------
    ConfigurationError
        If the configuration cannot be loaded.
    """

    def __init__(
        self,
        config: Config | None = None,
        open_with: Callable[[Config, Engine], Source] = open_source,
    ) -> None:
        self._config = load_config() if config is None else config
        self._open_with = open_with
        self._opened: tuple[Engine, Source] | None = None
        self._closing: Callable[[], object] = lambda: None

    @property
    def engine(self) -> Engine:
        """The engine that runs what `Delivery.select` returns; started when first asked for."""
        return self._open()[0]

    def test_connection(self) -> SourceReport:
        """Reach the source, say on standard output what is there, and return it.

        Raises
        ------
        CardwatchError
            What is wrong and what to do, in one line.
        """
        try:
            report = self._open()[1].test_connection()
        except CardwatchError as error:
            # Whoever calls this from `python -c` is to see the line, and not the way to it.
            raise error.with_traceback(None) from None
        typer.echo(report.summary)
        return report

    def weeks(self) -> list[WeekSummary]:
        """Return rows, customers and net spend of each week present, oldest first."""
        return self._open()[1].weeks()

    def read(self, week: ReportingWeek | str, reference_weeks: int | None = None) -> Delivery:
        """Return the rows of a week and of its reference weeks.

        Parameters
        ----------
        week : ReportingWeek or str
            A week, or a label or date as the command line takes it.
        reference_weeks : int, optional
            How many weeks before it; ``feature_engineering.reference_weeks`` if left out.

        Returns
        -------
        Delivery
            Its SQL runs in `engine`, until the loader is closed.
        """
        if isinstance(week, str):
            week = ReportingWeek.parse(week)
        count = reference_weeks
        if count is None:
            count = self._config.feature_engineering.reference_weeks
        return self._open()[1].read(week, count)

    def close(self) -> None:
        """Stop the engine and delete what it spilled; also done when the loader goes."""
        self._opened = None
        self._closing()

    def _open(self) -> tuple[Engine, Source]:
        if self._opened is None:
            engine = open_engine(self._config)
            self._closing = weakref.finalize(self, engine.close)
            self._opened = (engine, self._open_with(self._config, engine))
        return self._opened

    def __enter__(self) -> DataLoader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
