"""Trying again, at a real server: what may pass by itself is tried, and nothing else."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

import psycopg
import pytest
from postgres import Database
from tcp_proxy import CuttingProxy

from cardwatch.database.address import DatabaseAddress
from cardwatch.database.connection import connect
from cardwatch.database.faults import translated
from cardwatch.database.retry import retrying
from cardwatch.errors import SourceError
from demo.postgres_server import PostgresServer


def read(address: DatabaseAddress, statement: str = "SELECT count(*) FROM weekly") -> object:
    with connect(address, read_only=True, connect_timeout=5, statement_timeout=5) as connection:
        found = connection.execute(statement.encode()).fetchone()
    return found and found[0]


class Waits:
    """Waits that take no time, and what is done in each of them."""

    def __init__(self, *actions: Callable[[], None]) -> None:
        self.seconds: list[float] = []
        self._actions = list(actions)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if self._actions:
            self._actions.pop(0)()


def test_a_server_that_comes_up_late_is_waited_for(own_server: PostgresServer) -> None:
    address = DatabaseAddress.parse(own_server.url())
    own_server.stop()
    waits = Waits(lambda: None, own_server.start)
    assert retrying(4, sleep=waits)(read, address, "SELECT 7") == 7
    assert len(waits.seconds) == 2


def test_a_server_that_stops_in_the_middle_is_read_again(own_server: PostgresServer) -> None:
    address = DatabaseAddress.parse(own_server.url())
    own_server.psql("--command=CREATE TABLE weekly AS SELECT generate_series(1, 3)")
    attempts: list[int] = []

    def stopped_at_first() -> object:
        attempts.append(1)
        with connect(address, read_only=True, connect_timeout=5, statement_timeout=5) as session:
            if len(attempts) == 1:
                own_server.stop(signal.SIGINT)
            found = session.execute("SELECT count(*) FROM weekly").fetchone()
        return found and found[0]

    waits = Waits(own_server.start)
    assert retrying(4, sleep=waits)(stopped_at_first) == 3
    assert len(attempts) == 2


def test_a_connection_that_breaks_twice_is_made_again(database: Database) -> None:
    database.execute("CREATE TABLE weekly AS SELECT generate_series(1, 3)")
    port = int(database.url.rpartition(":")[2].partition("/")[0])
    with CuttingProxy(port, after_bytes=300, cuts=2) as proxy:
        url = f"{database.url.replace(f':{port}/', f':{proxy.port}/')}?sslmode=disable"
        waits = Waits()
        assert retrying(4, sleep=waits)(read, DatabaseAddress.parse(url)) == 3
        assert (proxy.cut, proxy.connections, len(waits.seconds)) == (2, 3, 2)


def test_the_last_error_is_told_once_the_attempts_are_used_up(own_server: PostgresServer) -> None:
    address = DatabaseAddress.parse(own_server.url())
    own_server.stop()
    waits = Waits()
    with (
        pytest.raises(SourceError, match="No database server answers") as caught,
        translated(address, SourceError),
    ):
        retrying(3, sleep=waits)(read, address)
    assert len(waits.seconds) == 2
    assert caught.value.retryable


def test_a_wrong_password_is_tried_once(database: Database) -> None:
    waits = Waits()
    with database.role() as (user, _), pytest.raises(psycopg.OperationalError):
        retrying(9, sleep=waits)(read, DatabaseAddress.parse(database.url_as(user, "hunter2")))
    assert waits.seconds == []


@pytest.mark.parametrize("statement", ["SELECT 1 FROM nowhere", "SELECT FROM WHERE", "SELECT 1/0"])
def test_a_statement_that_cannot_work_is_tried_once(database: Database, statement: str) -> None:
    waits = Waits()
    with pytest.raises(psycopg.Error):
        retrying(9, sleep=waits)(read, DatabaseAddress.parse(database.url), statement)
    assert waits.seconds == []


def test_an_error_of_our_own_or_of_python_is_tried_once() -> None:
    for error in (SourceError("x"), KeyError("x"), FileNotFoundError(2, "x")):
        waits = Waits()
        with pytest.raises(type(error)):
            retrying(9, sleep=waits)(_raise, error)
        assert waits.seconds == []


def test_an_error_that_was_translated_is_tried_again_like_the_drivers_own(
    own_server: PostgresServer,
) -> None:
    address = DatabaseAddress.parse(own_server.url())
    own_server.stop()
    waits = Waits()

    def translated_read() -> None:
        with translated(address, SourceError):
            read(address)

    with pytest.raises(SourceError):
        retrying(2, sleep=waits)(translated_read)
    assert len(waits.seconds) == 1


def test_the_waits_grow_and_are_never_quite_the_same(caplog: pytest.LogCaptureFixture) -> None:
    runs = []
    for _ in range(2):
        waits = Waits()
        with caplog.at_level(logging.WARNING), pytest.raises(ConnectionError):
            retrying(8, sleep=waits)(_raise, ConnectionResetError())
        runs.append(waits.seconds)
    first, second = runs
    assert first != second
    for seconds in runs:
        assert len(seconds) == 7
        assert 0.5 <= seconds[0] <= 0.75
        assert 4 <= seconds[3] <= 4.25
        assert max(seconds) <= 20
    assert "attempt 2 of 8 in 0." in caplog.text


def _raise(error: Exception) -> None:
    raise error
