"""Every customer's score written by the executors: Parquet files, or a table through JDBC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cardwatch.engine import Engine, EngineError
from cardwatch.errors import PublishError
from cardwatch.manifest import RunManifest
from cardwatch.publish.formats import scores_query
from cardwatch.schema import Receipt, WeekReport
from cardwatch.spark.engine import SparkEngine
from cardwatch.spark.failures import naming_failures
from cardwatch.week import ReportingWeek

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

JDBC = "jdbc:"
DRIVERS = {
    "mysql": "com.mysql.cj.jdbc.Driver",
    "oracle": "oracle.jdbc.OracleDriver",
    "postgresql": "org.postgresql.Driver",
    "sqlserver": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
}
"""By the kind of database: one that ``spark.jars`` brings is found by its name alone."""


class SparkScores:
    """See `Sink`. A week is a folder, or a table, of its own, which is replaced as a whole.

    Parameters
    ----------
    place : str
        A folder that every executor can write, or a JDBC URL with its credentials.
    """

    name = "spark"

    def __init__(self, place: str) -> None:
        self._place = place

    def planned(self, week: ReportingWeek) -> tuple[Path, ...]:
        """Return nothing: what executors write is not on this machine."""
        return ()

    @contextmanager
    def hold(self) -> Iterator[tuple[str, ...]]:
        """Yield at once: the output folder is held, and its weeks are written by one run alone."""
        yield ()

    def write(self, report: WeekReport, engine: Engine, manifest: RunManifest) -> Receipt:
        """Write the scores of all customers."""
        if not isinstance(engine, SparkEngine):
            raise TypeError("executors write what is in Spark")
        frame = engine.frame(scores_query(report), week_start=report.week.monday)
        place = self._shown(report.week)
        try:
            with naming_failures():
                self._write(frame, report.week)
        except EngineError as error:
            raise PublishError(
                "The executors could not write the scores",
                where=place,
                observed=error.observed,
                next_step="Check engine.spark.scores, and that executors may write there",
            ) from error
        return Receipt(self.name, (place,))

    def _write(self, frame: DataFrame, week: ReportingWeek) -> None:
        if self._place.startswith(JDBC):
            kind = self._place.removeprefix(JDBC).partition(":")[0]
            options = {"url": self._place, "dbtable": _table(week)}
            options |= {"driver": DRIVERS[kind]} if kind in DRIVERS else {}
            frame.write.format("jdbc").options(**options).mode("overwrite").save()
        else:
            frame.write.mode("overwrite").parquet(self._folder(week))

    def _folder(self, week: ReportingWeek) -> str:
        return f"{self._place.rstrip('/')}/scores_{week.label}.parquet"

    def _shown(self, week: ReportingWeek) -> str:
        """Return where a week goes, without a secret."""
        if not self._place.startswith(JDBC):
            return self._folder(week)
        server = urlsplit(self._place.removeprefix(JDBC))
        return f"{server.scheme}://{server.hostname}{server.path}: {_table(week)}"


def _table(week: ReportingWeek) -> str:
    return f"anomaly_scores_{week.label.replace('-', '_')}"
