"""Spending that Spark reads: Parquet files anywhere it can reach, or a table of its catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from cardwatch.config import Config
from cardwatch.engine import EngineError
from cardwatch.schema import Delivery, WeekSummary
from cardwatch.sources.base import SourceReport, week_not_available
from cardwatch.sources.columns import ColumnSettings
from cardwatch.sources.parts import AMOUNT_COLUMN, ITEM, WEEK_COLUMN, Part
from cardwatch.sources.week_lookup import WeekLookup
from cardwatch.sources.week_values import MAX_WEEK_TEXTS, WeekReader, no_weeks, too_many_weeks
from cardwatch.spark.engine import SparkEngine
from cardwatch.spark.failures import naming_failures, naming_unreadable
from cardwatch.spark.rows import ID, Reading, counted, delivered, delivered_rows, describe_rows
from cardwatch.week import ReportingWeek

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_MARGIN = timedelta(days=2)
"""No two places on earth are further apart in local time."""
_MANY_TEXTS = 2_000
_FILE = "_metadata.file_name"
"""What Spark says of a row's file."""


@dataclass(frozen=True)
class SparkDelivery(Delivery):
    """A delivery whose rows stay in Spark.

    Attributes
    ----------
    frame : pyspark.sql.DataFrame
        The rows as they lie there, with `ITEM` and `ID`; those of other weeks are left out where
        that needs no reading.
    reading : Reading
        How they are read.
    nothing : pyarrow.Table
        The columns they then have.
    """

    frame: DataFrame = field(kw_only=True, repr=False)
    reading: Reading = field(kw_only=True, repr=False)
    nothing: pa.Table = field(kw_only=True, repr=False)


class SparkSource:
    """See `cardwatch.sources.base.Source`.

    Parameters
    ----------
    config : Config
        ``data_source``: ``files`` names Parquet files by a path or URL that every executor can
        read, ``table`` a table of the session's catalog.
    """

    def __init__(self, config: Config, engine: SparkEngine) -> None:
        source = config.data_source
        self._engine = engine
        self._in_files = source.type == "files"
        self._place = source.path if self._in_files else source.table
        self._settings = ColumnSettings(
            source.shape, {str(ours): theirs for ours, theirs in source.columns.items()}
        )
        numbering = config.reporting_week.numbering
        self._reader = WeekReader(config.portfolio.timezone, numbering, source.date_format)
        self._reader.check_format()
        self._opened: tuple[DataFrame, Part] | None = None
        self._counts: Mapping[date | None, int] | None = None
        self._texts: dict[str, date] = {}

    @property
    def origin(self) -> str:
        """What the data is called in messages."""
        return self._place

    def test_connection(self) -> SourceReport:
        """Reach the data, and say what is there."""
        frame, part = self._open()
        counts = self._counted()
        files = len(frame.inputFiles()) if self._in_files else 0
        kind = f"Parquet file{'s' if files > 1 else ''}" if files else "table of Spark's catalog"
        return SourceReport(
            origin=self._place,
            kind=kind,
            items=files or 1,
            shape=part.shape,
            columns={ours: column.name for ours, column in part.columns.items()},
            weeks=self.present(),
            rows=sum(counts.values()),
            unreadable_rows=counts.get(None, 0),
            numbering=self._reader.numbering,
        )

    def present(self) -> tuple[ReportingWeek, ...]:
        """Return the weeks that have rows, oldest first."""
        days = sorted(day for day in self._counted() if day is not None)
        return tuple(map(ReportingWeek, days))

    def weeks(self) -> list[WeekSummary]:
        """Return rows, customers and net spend of each week present, oldest first."""
        from pyspark.sql import functions as f

        amount = AMOUNT_COLUMN[self._open()[1].shape]
        spend = f.sum(f.expr(f"try_cast({amount} AS DECIMAL(18, 2))"))
        rows = self._delivered(self.present()).where("week_start IS NOT NULL")
        with naming_failures():
            found = (
                rows.groupBy("week_start")
                .agg(f.count(f.lit(1)), f.count_distinct(f.col("customer_id")), spend)
                .orderBy("week_start")
                .collect()
            )
        return [
            WeekSummary(ReportingWeek(monday), count, customers, spent or Decimal("0.00"))
            for monday, count, customers, spent in found
        ]

    def read(self, week: ReportingWeek, reference_weeks: int) -> Delivery:
        """Return the rows of one week and of the weeks before it, as they lie in Spark."""
        present, references = self.present(), week.window(reference_weeks)
        if week not in present:
            raise week_not_available(week, present, self._place, self._reader.numbering)
        part, counts, window = self._open()[1], self._counted(), (*references, week)
        return SparkDelivery(
            week=week,
            reference_weeks=references,
            shape=part.shape,
            select=_not_here,
            content_key=lambda each: None,
            origin=self._place,
            extra_columns=tuple(part.extras),
            rows=sum(counts.get(each.monday, 0) for each in window),
            frame=self._of_weeks(window),
            reading=self._reading(window),
            nothing=self._nothing(),
        )

    def _open(self) -> tuple[DataFrame, Part]:
        """Return the rows as they are, with `ITEM`, and how they are read."""
        if self._opened is None:
            from pyspark.sql import functions as f

            session = self._engine.session
            with naming_unreadable(self._place):
                frame = (
                    session.read.parquet(self._place).withColumn(ITEM, f.col(_FILE))
                    if self._in_files
                    else session.table(self._place).withColumn(ITEM, f.lit(self._place))
                )
                like = frame.limit(0).toArrow()
            part = describe_rows(self._engine, like, self._settings, self._reader, self._place)
            self._opened = frame, part
        return self._opened

    def _counted(self) -> Mapping[date | None, int]:
        """Return the rows of each week, those of no known one under None.

        Raises
        ------
        SourceError
            If no week can be read.
        """
        if self._counts is not None:
            return self._counts
        from pyspark.sql import functions as f

        frame, part = self._open()
        work = partial(counted, reading=Reading(part, self._reader))
        with naming_unreadable(self._place):
            found = (
                frame.select(f.col(_quoted(part.week.name)), f.lit("").alias(ITEM))
                .mapInArrow(work, "monday date, week_text string, row_count bigint")
                .groupBy("monday", "week_text")
                .agg(f.sum("row_count"))
                .limit(MAX_WEEK_TEXTS)
                .collect()
            )
        if len(found) == MAX_WEEK_TEXTS:
            raise too_many_weeks(WEEK_COLUMN[part.shape], self._place)
        counts: dict[date | None, int] = {}
        for monday, text, rows in found:
            counts[monday] = counts.get(monday, 0) + rows
            if monday is not None and text is not None:
                self._texts[text] = monday
        if not counts.keys() - {None}:
            value = min((text for _, text, _ in found if text is not None), default=None)
            column = WEEK_COLUMN[part.shape]
            raise no_weeks(sum(counts.values()), value, column, self._place, self._reader)
        self._counts = counts
        return counts

    def _delivered(self, weeks: Sequence[ReportingWeek]) -> DataFrame:
        """Return the rows of some weeks as a `Delivery` has them."""
        nothing = self._nothing()
        schema = self._engine.given(nothing).schema
        work = partial(delivered, reading=self._reading(weeks), schema=nothing.schema)
        return self._open()[0].mapInArrow(work, schema)

    def _reading(self, weeks: Sequence[ReportingWeek]) -> Reading:
        return Reading(self._open()[1], self._reader, tuple(each.monday for each in weeks))

    def _nothing(self) -> pa.Table:
        """Return the columns of a `Delivery` of this source."""
        lookup = WeekLookup(self._engine, self._reader)
        lookup.learn(())
        like = self._open()[0].limit(0).toArrow()
        return delivered_rows(self._engine, lookup, self._reading(()), like)

    def _of_weeks(self, weeks: Sequence[ReportingWeek]) -> DataFrame:
        """Return the rows as they are, without those that surely belong to other weeks."""
        from pyspark.sql import functions as f
        from pyspark.sql import types as t

        frame, part = self._open()
        column, kind = f.col(_quoted(part.week.name)), frame.schema[part.week.name].dataType
        if isinstance(kind, t.DateType | t.TimestampType | t.TimestampNTZType):
            first, last = (each.monday for each in (weeks[0], weeks[-1]))
            since, until = f.lit(first - _MARGIN), f.lit(last + timedelta(days=7) + _MARGIN)
            frame = frame.where(f.coalesce((column >= since) & (column < until), f.lit(True)))
        elif isinstance(kind, t.StringType) and self._texts:
            mondays = {each.monday for each in weeks}
            others = sorted(text for text, monday in self._texts.items() if monday not in mondays)
            if 0 < len(others) <= _MANY_TEXTS:
                frame = frame.where(f.coalesce(~column.isin(others), f.lit(True)))
        return frame.withColumn(ID, _id(frame, part.columns["customer_id"].name))


def _id(frame: DataFrame, name: str) -> Column:
    """Return a customer id as text; whole numbers held as fractions lose their ``.0``."""
    from pyspark.sql import functions as f
    from pyspark.sql import types as t

    column = f.col(_quoted(name))
    if not isinstance(frame.schema[name].dataType, t.DoubleType | t.FloatType):
        return column.cast("string")
    is_whole = (column == f.floor(column)) & (f.abs(column) < f.lit(1e18))
    whole = f.when(is_whole, column).cast("bigint").cast("string")
    return f.coalesce(whole, column.cast("string"))


def _not_here(weeks: Sequence[ReportingWeek]) -> str:
    raise EngineError("The delivered rows are in Spark, not in the driver's engine")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
