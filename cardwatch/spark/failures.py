"""Spark's errors as one line, without rows or secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cardwatch.engine import EngineError
from cardwatch.errors import SourceError

if TYPE_CHECKING:
    from pyspark.errors import PySparkException


@contextmanager
def naming_failures() -> Iterator[None]:
    """Turn Spark's errors into `EngineError`; it tells the kind, never a row.

    Raises
    ------
    EngineError
        If Spark could not do a job.
    """
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
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
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        raise SourceError(
            "Spark cannot read the data",
            where=origin,
            observed=_condition(error),
            expected="Parquet files that every executor can read, or a table of the catalog",
            next_step="Check data_source.type, data_source.path and data_source.table",
        ) from None


def _condition(error: PySparkException) -> str:
    """Return Spark's name of an error, the inner one where it has a cause; no row, no value."""
    found = re.findall(r"\[([A-Z][A-Z_.0-9]+)\]", str(error))
    return found[-1] if found else error.getCondition() or type(error).__name__
