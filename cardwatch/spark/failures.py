"""Spark's errors as one line, without rows or secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from cardwatch.engine import EngineError
from cardwatch.errors import SourceError


@contextmanager
def naming_failures() -> Iterator[None]:
    """Turn Spark's errors into `EngineError`; it tells the kind, never a row.

    Raises
    ------
    EngineError
        If Spark could not do a job.
    """
    try:
        yield
    except Exception as error:
        if not is_of_spark(error):
            raise
        raise EngineError(
            "Spark could not finish a step",
            observed=_condition(error),
            next_step="The logs of Spark's driver and executors tell the cause",
        ) from error


@contextmanager
def naming_unreadable(origin: str) -> Iterator[None]:
    """Turn Spark's errors while it reads a source into `SourceError`.

    Raises
    ------
    SourceError
        If Spark cannot read what the configuration names.
    """
    try:
        yield
    except Exception as error:
        if not is_of_spark(error):
            raise
        raise SourceError(
            "Spark cannot read the data",
            where=origin,
            observed=_condition(error),
            expected="Parquet files that every executor can read, or a table of the catalog",
            next_step="Check data_source.type, data_source.path and data_source.table",
        ) from None


def is_of_spark(error: Exception) -> bool:
    """Whether Spark raised an error, or Java one that Spark does not translate."""
    return type(error).__module__.partition(".")[0] in ("pyspark", "py4j")


def _condition(error: Exception) -> str:
    """Return Spark's or Java's name of an error, the inner one of several; no row, no value."""
    found = re.findall(r"\[([A-Z][A-Z_.0-9]+)\]", str(error))
    if found:
        return str(found[-1])
    named = re.search(r": ((?:[a-z]\w*\.)+[A-Z]\w*)", str(error))
    return named[1] if named else type(error).__name__
