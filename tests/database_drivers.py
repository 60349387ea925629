"""One statement through every driver, and the fault it must end in."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import closing

import adbc_driver_postgresql.dbapi as adbc
import pytest
import sqlalchemy

from cardwatch.database.address import DatabaseAddress
from cardwatch.database.connection import connect, session_parameters
from cardwatch.database.faults import translated
from cardwatch.errors import CardwatchError, SourceError

Run = Callable[..., None]


def through_psycopg(
    address: DatabaseAddress, statement: str = "SELECT 1", limit: float = 5
) -> None:
    with connect(address, read_only=True, connect_timeout=2, statement_timeout=limit) as connection:
        connection.execute(statement.encode())


def through_adbc(address: DatabaseAddress, statement: str = "SELECT 1", limit: float = 5) -> None:
    parameters = session_parameters(read_only=True, connect_timeout=2, statement_timeout=limit)
    with (
        closing(adbc.connect(address.uri(**parameters))) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute(statement)
        cursor.fetch_arrow_table()


def through_sqlalchemy(
    address: DatabaseAddress, statement: str = "SELECT 1", limit: float = 5
) -> None:
    parameters = session_parameters(read_only=True, connect_timeout=2, statement_timeout=limit)
    engine = sqlalchemy.create_engine(
        address.sqlalchemy_url, connect_args=dict(parameters), poolclass=sqlalchemy.NullPool
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(statement))


EVERY_DRIVER = pytest.mark.parametrize(
    "run",
    [
        through_psycopg,
        through_adbc,
        pytest.param(through_sqlalchemy, marks=pytest.mark.system),
    ],
)


def fault(url: str, run: Run, *arguments: object, sslmode: str | None = None) -> CardwatchError:
    """Return the translated error of what must fail; the password is nowhere in it."""
    address = DatabaseAddress.parse(url, sslmode=sslmode)
    with pytest.raises(SourceError) as caught, translated(address, SourceError, table="weekly"):
        run(address, *arguments)
    shown = "".join(traceback.format_exception(caught.value))
    assert address.password not in shown
    assert "\n" not in caught.value.message
    assert "://" not in caught.value.message
    assert address.origin in caught.value.message
    assert caught.value.next_step
    return caught.value
