"""Writing names and texts into SQL, where a statement is handed on and cannot take parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date


def text_literal(text: str) -> str:
    """Return a text as an SQL literal.

    Examples
    --------
    >>> print(text_literal("it's"))
    'it''s'
    """
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as an SQL identifier.

    Examples
    --------
    >>> print(identifier('a "b" c'))
    "a ""b"" c"
    """
    return '"' + name.replace('"', '""') + '"'


def path_list(paths: Iterable[str]) -> str:
    """Return paths as an SQL list in which ``*``, ``?`` and ``[`` mean themselves.

    Examples
    --------
    >>> print(path_list(["/data/week[1].csv"]))
    ['/data/week[[]1].csv']
    """
    exact = (re.sub(r"([*?\[])", r"[\1]", path) for path in paths)
    return "[" + ", ".join(text_literal(path) for path in exact) + "]"


def date_list(days: Iterable[date]) -> str:
    """Return days as the inside of an SQL ``IN (…)``; a NULL where there are none."""
    return ", ".join(f"DATE '{day.isoformat()}'" for day in sorted(set(days))) or "NULL"
