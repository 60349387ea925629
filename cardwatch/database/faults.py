"""The one place where errors of database drivers become one line and a next step.

Drivers quote rows, statements and connection strings in their errors. None of that is repeated:
SQLSTATE, the names of tables and columns, and before a session stands the server's own line, with
the password masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

from cardwatch.database.address import DatabaseAddress
from cardwatch.database.causes import (
    CONNECT_TIMEOUT,
    CONNECTION_LOST,
    NO_SERVER,
    Cause,
    cause_of,
)
from cardwatch.errors import CardwatchError, PublishError

_READERS = ("_duckdb", "pyarrow")
_DRIVERS = ("psycopg", "adbc_driver_manager", "sqlalchemy", "sqlite3", "pyodbc")
_STREAMED = re.compile(r"\[libpq\]|\b(?:psycopg|adbc_driver_manager)\b")
_CONNECTING = re.compile(r"connection failed|failed to connect|connection to server", re.IGNORECASE)
_QUOTED = re.compile(r"[\"«»„“]\s*([^\"«»„“”]+?)\s*[\"«»“”]")
_IN_APOSTROPHES = re.compile(r"(?<!\w)'([^']+)'(?!\w)")
_UNQUOTED = re.compile(r"(?:column|table|relation|schema):? (\S+?)(?: does not exist|$)", re.M)
_LONGEST = 200
_OF_NETWORK: Mapping[type[BaseException], Cause] = {
    ConnectionRefusedError: NO_SERVER,
    ConnectionResetError: CONNECTION_LOST,
    ConnectionAbortedError: CONNECTION_LOST,
    BrokenPipeError: CONNECTION_LOST,
    TimeoutError: CONNECT_TIMEOUT,
}


def is_database_error(error: BaseException) -> bool:
    """Whether an error comes from a database driver, or from a network connection."""
    if type(error) in _OF_NETWORK:
        return True
    roots = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if not roots.isdisjoint(_DRIVERS):
        return True
    # A stream that a driver broke off reaches its reader as that reader's error, with the text.
    is_readers = (
        isinstance(error, OSError) and error.errno is None or not roots.isdisjoint(_READERS)
    )
    return is_readers and bool(_STREAMED.search(str(error)))


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: a lost connection, a restarting server, a deadlock.

    A wrong password, a name that DNS does not know, a certificate, a missing table or privilege
    stay as they are.
    """
    if isinstance(error, CardwatchError):
        return bool(vars(error).get("retryable", False))
    if not is_database_error(error):
        return False
    cause = _cause(error)
    return cause is not None and cause.is_transient


@contextmanager
def translated(
    address: DatabaseAddress, error_class: type[CardwatchError], *, table: str = ""
) -> Iterator[None]:
    """Turn errors of drivers into `error_class`, and let all others pass.

    Parameters
    ----------
    address : DatabaseAddress
        The database; its origin is the place of the error.
    error_class : type
        `SourceError` or `PublishError`. The raised error's ``retryable`` says whether trying again
        may help.
    table : str
        The table in use, for errors that do not name one.
    """
    try:
        yield
    except Exception as error:
        if not is_database_error(error):
            raise
        # The driver's error may quote a row or the connection string: it is not chained.
        raise _translation(error, address, error_class, table) from None


def _translation(
    error: Exception, address: DatabaseAddress, error_class: type[CardwatchError], table: str
) -> CardwatchError:
    cause = _cause(error)
    text = _masked(_text(error), address)
    if cause is None:
        made = _unrecognised(error, address, error_class, text)
    else:
        is_writing = issubclass(error_class, PublishError)
        named = _named(text) or table or "of that name"
        made = error_class(
            cause.what.format(user=address.user or "of this machine", named=named),
            where=address.origin,
            next_step=is_writing and cause.when_writing or cause.next_step,
        )
    made.retryable = cause is not None and cause.is_transient
    return made


def _unrecognised(
    error: Exception, address: DatabaseAddress, error_class: type[CardwatchError], text: str
) -> CardwatchError:
    sqlstate = _sqlstate(error)
    if sqlstate:
        return error_class(
            "The database refused a statement",
            where=address.origin,
            observed=f"SQLSTATE {sqlstate}",
            next_step="The server's log has the statement and the reason",
        )
    # The server's own words come from before a session stands, when there are no rows to quote.
    words = _first_line(text) if _CONNECTING.search(text) else ""
    return error_class(
        "The database cannot be used",
        where=address.origin,
        observed=words or type(_driver_error(error)).__name__,
        next_step="psql with the same connection string shows whether this machine can connect",
    )


def _cause(error: BaseException) -> Cause | None:
    return _OF_NETWORK.get(type(error)) or cause_of(_sqlstate(error), _text(error))


def _driver_error(error: BaseException) -> BaseException:
    """Return the driver's own error where SQLAlchemy wraps it."""
    inner = getattr(error, "orig", None)
    return inner if isinstance(inner, BaseException) else error


def _sqlstate(error: BaseException) -> str:
    inner = _driver_error(error)
    found = getattr(inner, "sqlstate", None)
    if not found and type(inner).__module__.startswith("pyodbc") and inner.args:
        found = inner.args[0]
    return str(found) if found and re.fullmatch(r"[0-9A-Z]{5}", str(found)) else ""


def _text(error: BaseException) -> str:
    inner = _driver_error(error)
    # Several drivers give a number or a SQLSTATE, then the text.
    if len(inner.args) == 2 and isinstance(inner.args[1], str):
        return inner.args[1]
    return str(inner)


def _masked(text: str, address: DatabaseAddress) -> str:
    password = address.password
    forms = {password, quote(password, safe=""), quote(password), quote_plus(password)} - {""}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def _named(text: str) -> str:
    first = _first_line(text)
    found = _QUOTED.search(first) or _UNQUOTED.search(first) or _IN_APOSTROPHES.search(first)
    return found[1] if found else ""


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
