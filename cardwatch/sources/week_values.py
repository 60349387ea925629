"""Turning delivered weeks and times into Mondays.

Text that names a week is read by `ReportingWeek` alone: its distinct values are few, so they are
read one by one and joined back. Times are many, so the engine reads those. A day outside 1970 to
2199 stands for something else than a day (9999-12-31 for "never") and is not readable as a week.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import duckdb

from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError, SourceError
from cardwatch.sources.quoting import text_literal
from cardwatch.week import Numbering, ReportingWeek

FIRST_DAY, AFTER_LAST_DAY = date(1970, 1, 1), date(2200, 1, 1)
LONGEST_WEEK = 64
"""Characters of the longest text that can name a week."""

MAX_WEEK_TEXTS = 200_000
"""More different texts in the column of weeks mean that it holds no weeks."""

_MIDNIGHT = re.compile(r"(\d{4}-\d{2}-\d{2})[T ]00:00(:00(\.0+)?)?")
_NAMES_WEEK, _NAMES_DAY = re.compile("%[UWV]"), re.compile("%[dxcjaAuw]")
_TRIED_DAYS = (date(2024, 2, 28), date(2025, 11, 19))
_WITH_ZONE = r":[0-9.]+ ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$"
_PATTERN_LENGTH = 30


@dataclass(frozen=True)
class WeekReader:
    """How weeks and times are written in a source.

    Parameters
    ----------
    timezone : str
        IANA name. Times with an offset are converted to it; times without one are in it already.
    numbering : {"guide", "iso"}
        How a bare ``YYYY-WW`` is read.
    date_format : str or None
        strptime format of weeks or times that are text; None for ISO 8601 and week labels.

    Raises
    ------
    ConfigurationError
        If the time zone is unknown.
    """

    timezone: str
    numbering: Numbering
    date_format: str | None = None

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ConfigurationError(
                "There is no such time zone",
                where="portfolio.timezone",
                observed=self.timezone,
                expected="a name such as UTC or Europe/Berlin",
            ) from error

    def monday(self, text: str | None) -> date | None:
        """Return the Monday of the week that a delivered text names; None if it names none.

        Examples
        --------
        >>> WeekReader("UTC", "guide").monday("2025-11-20 00:00:00")
        datetime.date(2025, 11, 17)
        >>> WeekReader("UTC", "guide").monday("20/11/2025") is None
        True
        >>> WeekReader("UTC", "guide", "%d/%m/%Y").monday("20/11/2025")
        datetime.date(2025, 11, 17)
        """
        if text is None:
            return None
        try:
            week = self._parse(text.strip())
        except (ConfigurationError, ValueError, OverflowError):
            return None
        return week.monday if FIRST_DAY <= week.monday < AFTER_LAST_DAY else None

    def _parse(self, text: str) -> ReportingWeek:
        if self.date_format is None:
            midnight = _MIDNIGHT.fullmatch(text)
            return ReportingWeek.parse(midnight[1] if midnight else text, self.numbering)
        return ReportingWeek.containing(_strptime(text, self.date_format))

    def check_format(self) -> None:
        """Check that `date_format` says enough to find a week.

        Raises
        ------
        ConfigurationError
            If a day written in it cannot be read back.
        """
        for day in _TRIED_DAYS if self.date_format else ():
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            written = midnight.strftime(self.date_format or "")
            if self.monday(written) != ReportingWeek.containing(day).monday:
                raise _unusable_format(self.date_format or "")

    def local_time(self, column: str, kind: str, engine: Engine) -> str:
        """Return the SQL of a column's local time as TIMESTAMP, NULL where it cannot be read.

        Parameters
        ----------
        column, kind : str
            The column as an SQL identifier, and its type in the engine.
        """
        zone = text_literal(self.timezone)
        if kind == "TIMESTAMP WITH TIME ZONE":
            return f"{column} AT TIME ZONE {zone}"
        if is_temporal(kind):
            return f"CAST({column} AS TIMESTAMP)"
        text = f"trim(CAST({column} AS VARCHAR))"
        if self.date_format is not None:
            parsed = f"try_strptime({text}, {text_literal(self.date_format)})"
            return f"{parsed} AT TIME ZONE {zone}" if self._has_zone(engine) else parsed
        return (
            f"CASE WHEN {text} NOT LIKE '____-__-__%' THEN NULL"
            f" WHEN regexp_matches({text}, '{_WITH_ZONE}')"
            f" THEN TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE {zone}"
            f" ELSE TRY_CAST({text} AS TIMESTAMP) END"
        )

    def _has_zone(self, engine: Engine) -> bool:
        written = text_literal(self.date_format or "")
        try:
            kind = engine.scalar(f"SELECT typeof(try_strptime('', {written}))")
        except duckdb.Error as error:
            raise _unusable_format(self.date_format or "") from error
        return str(kind) == "TIMESTAMP WITH TIME ZONE"


def is_temporal(kind: str) -> bool:
    """Whether an engine type is a date or a time stamp."""
    return kind == "DATE" or kind.startswith("TIMESTAMP")


def monday_sql(local_time: str) -> str:
    """Return the SQL of the Monday of a local time; NULL for days that stand for something else."""
    return (
        f"CAST(date_trunc('week', CASE WHEN {local_time} >= DATE '{FIRST_DAY}'"
        f" AND {local_time} < DATE '{AFTER_LAST_DAY}' THEN {local_time} END) AS DATE)"
    )


def too_many_weeks(column: str, origin: str) -> SourceError:
    """Return the error of a column with so many different texts that it cannot hold weeks."""
    return SourceError(
        f"The column {column} holds no weeks",
        where=origin,
        observed=f"{MAX_WEEK_TEXTS:,} different values or more",
        next_step="Check data_source.columns and data_source.shape",
    )


def no_weeks(
    rows: int, value: str | None, column: str, origin: str, reader: WeekReader
) -> SourceError:
    """Return the error of data in which not one week can be read, describing a value's form."""
    if not rows:
        return SourceError(
            "There are column names and no rows",
            where=origin,
            next_step="Check that the delivery is complete",
        )
    if value is None:
        return SourceError(
            f"The column {column} is empty in every row",
            where=origin,
            next_step="Check the delivery, or name another column in data_source.columns",
        )
    expected = "2025-46, 2025-W47 or 2025-11-20"
    if column == "transaction_time":
        expected = "2025-11-20T13:45:00, with or without an offset"
    next_step = "Set data_source.date_format, for example to %d/%m/%Y"
    if reader.date_format:
        expected, next_step = f"the format {reader.date_format}", "Correct data_source.date_format"
    return SourceError(
        f"No value of the column {column} can be read as a {column.split('_')[-1]}",
        where=origin,
        observed=f"values of the form '{form_of(value)}'",
        expected=expected,
        next_step=next_step,
    )


def form_of(value: str) -> str:
    """Describe the form of a value without saying it.

    Examples
    --------
    >>> form_of("20/Nov/2025")
    '99/Aaa/9999'
    """
    form = re.sub(r"\d", "9", value[:_PATTERN_LENGTH])
    form = re.sub(r"[^\W\d_]", lambda letter: "A" if letter[0].isupper() else "a", form)
    form = re.sub(r"[^9Aa\s/.,:_+-]", "?", form)
    return form + ("…" if len(value) > _PATTERN_LENGTH else "")


def _strptime(text: str, written: str) -> date:
    if _NAMES_WEEK.search(written) and not _NAMES_DAY.search(written):
        # strptime ignores the number of a week whose day is not named: name its Monday.
        text, written = f"{text} 1", f"{written} %u" if "%V" in written else f"{written} %w"
    return datetime.strptime(text, written).replace(tzinfo=UTC).date()


def _unusable_format(written: str) -> ConfigurationError:
    return ConfigurationError(
        "The date format does not say which day or week is meant",
        where="data_source.date_format",
        observed=written,
        expected="a strptime format such as %d/%m/%Y",
    )
