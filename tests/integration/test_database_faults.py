"""Each thing that can be wrong with a server or a login, provoked at a real one."""

from __future__ import annotations

import os
import re
import signal
from contextlib import closing
from time import monotonic

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import psycopg
import pytest
from database_drivers import (
    EVERY_DRIVER,
    Run,
    fault,
    through_adbc,
    through_psycopg,
    through_sqlalchemy,
)
from postgres import Database, Server
from tcp_proxy import CuttingProxy, listener

from cardwatch.database.address import DatabaseAddress
from cardwatch.database.faults import translated
from cardwatch.errors import SourceError
from demo.postgres_server import PASSWORD, PostgresServer


@EVERY_DRIVER
def test_no_server(run: Run) -> None:
    with listener(b"") as port:
        pass  # free again
    error = fault(f"postgresql://reader:hunter2@127.0.0.1:{port}/cards", run)
    assert "No database server answers" in error.message
    assert error.retryable


@EVERY_DRIVER
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not a PostgreSQL server"),
        (b"SSH-2.0-OpenSSH\r\n", "Check the port and sslmode"),
    ],
)
def test_wrong_port_where_something_else_answers(run: Run, answer: bytes, said: str) -> None:
    with listener(answer) as port:
        error = fault(f"postgresql://reader:hunter2@127.0.0.1:{port}/cards?sslmode=require", run)
    assert said in error.message
    assert not error.retryable


@EVERY_DRIVER
def test_wrong_port_where_something_else_answers_in_the_clear(run: Run) -> None:
    with listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        error = fault(f"postgresql://reader:hunter2@127.0.0.1:{port}/cards?sslmode=disable", run)
    assert "not a PostgreSQL server" in error.message


@EVERY_DRIVER
def test_wrong_port_where_the_connection_is_closed_at_once(run: Run) -> None:
    with listener(b"") as port:
        error = fault(f"postgresql://reader:hunter2@127.0.0.1:{port}/cards?sslmode=disable", run)
    assert "closed the connection before a session stood" in error.message


@pytest.mark.parametrize(
    "run",
    [
        through_psycopg,
        pytest.param(through_adbc, marks=pytest.mark.system),
        pytest.param(through_sqlalchemy, marks=pytest.mark.system),
    ],
)
@pytest.mark.system
def test_wrong_port_where_nothing_ever_answers(run: Run) -> None:
    with listener(None) as port:
        error = fault(f"postgresql://reader:hunter2@127.0.0.1:{port}/cards", run)
    assert "did not answer in time" in error.message
    assert error.retryable


@EVERY_DRIVER
def test_wrong_password(database: Database, run: Run) -> None:
    with database.role() as (user, _):
        error = fault(database.url_as(user, "hunter2"), run)
        assert f"refused the password of user {user}" in error.message
    assert not error.retryable


@EVERY_DRIVER
def test_no_such_user(database: Database, run: Run) -> None:
    error = fault(database.url_as("nobody_at_all", "hunter2"), run)
    assert "refused the password of user nobody_at_all" in error.message
    assert "may also not exist" in error.message


@EVERY_DRIVER
def test_no_password(database: Database, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    address = DatabaseAddress.parse(re.sub(r"//.*@", "//reader@", database.url))
    with pytest.raises(SourceError, match="wants a password"), translated(address, SourceError):
        run(address)


@EVERY_DRIVER
def test_no_such_database(postgres: Server, run: Run) -> None:
    error = fault(postgres.url_of("no_such_cards"), run)
    assert "has no such database (database no_such_cards on " in error.message


@EVERY_DRIVER
def test_no_privilege_to_connect(database: Database, run: Run) -> None:
    database.execute(f"REVOKE CONNECT ON DATABASE {database.name} FROM PUBLIC")
    with database.role() as login:
        error = fault(database.url_as(*login), run)
    assert "may not connect to this database" in error.message


@EVERY_DRIVER
def test_too_many_connections(database: Database, run: Run) -> None:
    with database.role() as login:
        database.execute(f"ALTER ROLE {login[0]} CONNECTION LIMIT 0")
        error = fault(database.url_as(*login), run)
    assert "too many connections" in error.message
    assert error.retryable


@EVERY_DRIVER
def test_a_user_that_may_not_log_in(database: Database, run: Run) -> None:
    with database.role() as login:
        database.execute(f"ALTER ROLE {login[0]} NOLOGIN")
        error = fault(database.url_as(*login), run)
    assert "may not log in" in error.message


@EVERY_DRIVER
def test_a_host_that_dns_does_not_know(run: Run) -> None:
    error = fault("postgresql://reader:hunter2@no-such-host.invalid/cards", run)
    assert re.search("no machine of that name|name service did not answer", error.message)


@EVERY_DRIVER
def test_a_server_that_is_stopped(own_server: PostgresServer, run: Run) -> None:
    own_server.stop()
    error = fault(own_server.url(), run)
    assert "No database server answers" in error.message


@EVERY_DRIVER
def test_a_server_that_is_shutting_down(own_server: PostgresServer, run: Run) -> None:
    with psycopg.connect(own_server.url()) as held:
        os.kill(own_server.pid, signal.SIGTERM)  # it waits for the sessions there are
        until = monotonic() + 10
        while monotonic() < until:
            try:
                psycopg.connect(own_server.url()).close()
            except psycopg.OperationalError:
                break
        error = fault(own_server.url(), run)
        held.close()
    assert "starting up or shutting down" in error.message
    assert error.retryable


@pytest.mark.parametrize("run", [through_psycopg, through_adbc])
@pytest.mark.parametrize("after_bytes", [0, 1, 9, 200, 1_000_000])
def test_a_connection_that_is_cut(database: Database, run: Run, after_bytes: int) -> None:
    port = int(database.url.rpartition(":")[2].partition("/")[0])
    with CuttingProxy(port, after_bytes=after_bytes) as proxy:
        url = database.url.replace(f":{port}/", f":{proxy.port}/")
        error = fault(
            f"{url}?sslmode=disable",
            run,
            "SELECT repeat('x', 1000) AS x FROM generate_series(1, 20000)",
        )
        assert proxy.cut == 1
        assert proxy.forwarded["to_client"] == after_bytes
    assert re.search("closed the connection before|connection to the database broke", error.message)
    assert error.retryable


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_stopped_while_its_rows_flow_into_arrow(
    own_server: PostgresServer, signal_: signal.Signals
) -> None:
    error = fault(own_server.url(), stream_until_stopped, own_server, signal_, False)
    assert re.search("shut down|connection to the database broke", error.message)
    assert error.retryable


def test_a_server_stopped_while_its_rows_flow_into_the_engine(own_server: PostgresServer) -> None:
    error = fault(own_server.url(), stream_until_stopped, own_server, signal.SIGQUIT, True)
    assert re.search("shut down|connection to the database broke", error.message)
    assert error.retryable


def stream_until_stopped(
    address: DatabaseAddress, server: PostgresServer, signal_: signal.Signals, in_engine: bool
) -> None:
    with closing(adbc.connect(address.uri())) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT repeat('x', 1000) AS x FROM generate_series(1, 300000)")
        rows = cursor.fetch_record_batch()
        first = rows.read_next_batch()
        assert first.num_rows
        server.stop(signal_)
        if in_engine:
            duckdb.connect().execute("CREATE TABLE weekly AS SELECT * FROM rows")
        else:
            rows.read_all()


def test_the_password_of_the_server_is_one_that_has_to_be_encoded() -> None:
    assert set("@/ ") <= set(PASSWORD)
