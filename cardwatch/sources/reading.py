"""Saying what the engine's complaints about a file mean, without the row it quotes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb

from cardwatch.errors import SourceError

MAX_LINE_BYTES = 2_000_000
"""A longer line is no row of a spending table; the engine's default is the same size."""

_FILE = re.compile(r"^\s*file = (.+)$", re.MULTILINE)
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_COLUMNS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_TOO_LONG = ("Maximum line size", "Parallel CSV Reader currently does not support", "buffer")
_CAUSES = (
    ("unterminated quote", "a quote that is not closed, or not doubled inside a value"),
    ("invalid state", "line ends of two kinds, or a quote in the middle of a value"),
    ("Invalid unicode", "bytes that are not in the file's encoding"),
)


@contextmanager
def reading(origin: str, shown: Callable[[str], str] = str) -> Iterator[None]:
    """Turn the engine's errors while it reads into `SourceError`.

    Parameters
    ----------
    origin : str
        Where the data is, named when the engine names no file.
    shown : callable
        Turns the engine's name of a file into the one for messages.
    """
    try:
        yield
    except (duckdb.Error, OSError) as error:
        # Not chained: the engine quotes the row, which must not reach a traceback or a log.
        raise _explain(error, origin, shown) from None


def _explain(error: Exception, origin: str, shown: Callable[[str], str]) -> SourceError:
    text = str(error)
    where = shown(named[1]) if (named := _FILE.search(text)) else origin
    if line := _LINE.search(text):
        where += f", line {line[1]}"
    if columns := _COLUMNS.search(text):
        return SourceError(
            "A line has another number of columns than the first line",
            where=where,
            observed=columns[2],
            expected=columns[1],
            next_step="Correct the line, or quote the value that holds the separator",
        )
    if any(sign in text for sign in _TOO_LONG):
        return SourceError(
            "A line is too long",
            where=where,
            expected=f"at most {MAX_LINE_BYTES:,} bytes",
            next_step="Check the file's line ends and quotes",
        )
    for sign, cause in _CAUSES:
        if sign in text:
            return SourceError(
                "The file cannot be read as CSV",
                where=where,
                observed=cause,
                next_step="Correct the file, or deliver it again",
            )
    return SourceError(
        "The data cannot be read",
        where=where,
        next_step="Deliver it again if it was replaced, cut short or damaged",
    )
