"""Values as database drivers hand them to Python, written as the engine reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from cardwatch.errors import SourceError
from cardwatch.sources.week_values import AFTER_LAST_DAY, FIRST_DAY

_QUARTER = timedelta(minutes=15)
_MARGIN = timedelta(days=2)
"""No two places on earth are further apart in local time."""
_EXACT_FLOATS = 1e15


def as_text(value: Any) -> str | None:
    """Write a value as text: numbers by their digits, times as ISO 8601 has them.

    Examples
    --------
    >>> as_text(Decimal("12.30")), as_text(7.0), as_text(True), as_text(datetime(2025, 11, 20))
    ('12.30', '7', 'true', '2025-11-20 00:00:00')
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        is_whole = abs(value) < _EXACT_FLOATS and value == int(value)
        return str(int(value)) if is_whole else repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode(errors="replace")
    return str(value)


def as_array(values: Sequence[Any], kind: pa.DataType, column: str, origin: str) -> pa.Array:
    """Return values as an Arrow array of text or of times.

    Raises
    ------
    SourceError
        If they are no such times.
    """
    if pa.types.is_string(kind):
        return pa.array([as_text(value) for value in values], kind)
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        # Not chained: the message quotes the value.
        raise SourceError(
            f"The column {column} holds values of another type than the table declares",
            where=origin,
            expected=str(kind),
            next_step="Cast it to text in data_source.query",
        ) from None


def binned(value: date | datetime | None) -> date | datetime | None:
    """Return the quarter of an hour of UTC that a time falls in, or the day of one without a zone.

    None for what stands for something else than a day.
    """
    if value is None or not FIRST_DAY - _MARGIN <= _day(value) < AFTER_LAST_DAY + _MARGIN:
        return None
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        return value.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = value.astimezone(UTC)
    begin = moment.replace(minute=0, second=0, microsecond=0)
    return begin + (moment - begin) // _QUARTER * _QUARTER


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value
