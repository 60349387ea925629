"""Each thing that can be wrong with a database, provoked at a real server."""

from __future__ import annotations

import os
import re
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import psycopg
import pytest
import sqlalchemy
from postgres import Database, Server
from tcp_proxy import CuttingProxy, listener
from tls_proxy import TlsProxy

from cardwatch.database.address import DatabaseAddress
from cardwatch.database.connection import connect, session_parameters
from cardwatch.database.faults import translated
from cardwatch.errors import CardwatchError, PublishError, SourceError
from demo.postgres_server import PASSWORD, PostgresServer

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


@pytest.fixture(scope="module")
def plain_server() -> Iterator[PostgresServer]:
    """A server on this machine that offers no TLS."""
    with PostgresServer() as server:
        yield server


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
def test_no_such_table(database: Database, run: Run) -> None:
    error = fault(database.url, run, "SELECT * FROM card_transactions")
    assert "There is no table card_transactions" in error.message
    assert not error.retryable


@EVERY_DRIVER
def test_column_missing(database: Database, run: Run) -> None:
    database.execute("CREATE TABLE weekly (customer_id text)")
    error = fault(database.url, run, 'SELECT "mcc" FROM weekly')
    assert "There is no column mcc" in error.message
    assert "data_source.columns" in error.message


@EVERY_DRIVER
def test_no_privilege(database: Database, run: Run) -> None:
    database.execute("CREATE TABLE weekly (customer_id text)")
    with database.role() as login:
        error = fault(database.url_as(*login), run, "SELECT * FROM weekly")
    assert f"The user {login[0]} has no privilege for weekly" in error.message
    assert "GRANT SELECT" in error.message
    assert not error.retryable


@EVERY_DRIVER
def test_a_schema_without_usage_is_a_privilege_too(database: Database, run: Run) -> None:
    database.execute("CREATE SCHEMA vault; CREATE TABLE vault.weekly (customer_id text)")
    with database.role() as login:
        error = fault(database.url_as(*login), run, "SELECT * FROM vault.weekly")
    assert "has no privilege for vault" in error.message


@EVERY_DRIVER
def test_a_table_in_a_schema_that_is_not_there(database: Database, run: Run) -> None:
    error = fault(database.url, run, "SELECT * FROM vault.weekly")
    assert "There is no table vault.weekly" in error.message


@EVERY_DRIVER
def test_a_statement_that_takes_too_long(database: Database, run: Run) -> None:
    error = fault(database.url, run, "SELECT pg_sleep(20)", 0.2)
    assert "took too long for one statement" in error.message
    assert "statement_timeout_seconds" in error.message
    assert not error.retryable


@EVERY_DRIVER
def test_writing_is_refused_by_the_server_where_only_reading_is_meant(
    database: Database, run: Run
) -> None:
    error = fault(database.url, run, "CREATE TABLE weekly AS SELECT 1")
    assert "takes no writing" in error.message


@EVERY_DRIVER
def test_a_statement_that_is_not_sql(database: Database, run: Run) -> None:
    assert "does not understand" in fault(database.url, run, "SELECT FROM WHERE").message


@EVERY_DRIVER
def test_a_value_of_a_row_is_never_in_the_message(database: Database, run: Run) -> None:
    database.execute("CREATE TABLE weekly AS SELECT 'customer-4711' AS amount")
    error = fault(database.url, run, "SELECT amount::numeric FROM weekly")
    assert "does not fit the type" in error.message
    assert "4711" not in "".join(traceback.format_exception(error))


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
@pytest.mark.parametrize("sslmode", ["require", "verify-full"])
def test_encryption_that_the_server_does_not_offer(
    plain_server: PostgresServer, run: Run, sslmode: str
) -> None:
    error = fault(plain_server.url(), run, sslmode=sslmode)
    assert "offers no encryption (TLS), and it is required" in error.message
    assert not error.retryable


@EVERY_DRIVER
def test_a_certificate_that_nobody_trusts(
    plain_server: PostgresServer, run: Run, tmp_path: Path
) -> None:
    with TlsProxy(plain_server.port, "127.0.0.1") as proxy, TlsProxy(1, "127.0.0.1") as other:
        root = other.write_root(tmp_path / "other.pem")
        url = f"{through(plain_server, proxy.port)}?sslrootcert={root}&sslmode=verify-ca"
        error = fault(url, run)
    assert "certificate is not trusted" in error.message


@EVERY_DRIVER
def test_a_certificate_for_another_host(
    plain_server: PostgresServer, run: Run, tmp_path: Path
) -> None:
    with TlsProxy(plain_server.port, "db.bank.com") as proxy:
        root = proxy.write_root(tmp_path / "root.pem")
        url = f"{through(plain_server, proxy.port)}?sslrootcert={root}&sslmode=verify-full"
        error = fault(url, run)
    assert "certificate is for another host name" in error.message


@EVERY_DRIVER
def test_a_root_certificate_that_is_not_there(plain_server: PostgresServer, run: Run) -> None:
    with TlsProxy(plain_server.port, "127.0.0.1") as proxy:
        url = f"{through(plain_server, proxy.port)}?sslrootcert=/nowhere/ca.pem&sslmode=verify-ca"
        error = fault(url, run)
    assert "checked against cannot be read" in error.message


@EVERY_DRIVER
@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_an_encrypted_connection_stands(
    plain_server: PostgresServer, run: Run, tmp_path: Path, sslmode: str
) -> None:
    with TlsProxy(plain_server.port, "127.0.0.1") as proxy:
        root = proxy.write_root(tmp_path / "root.pem")
        url = f"{through(plain_server, proxy.port)}?sslrootcert={root}"
        run(DatabaseAddress.parse(url, sslmode=sslmode))
        assert proxy.encrypted >= 1  # ADBC makes one connection more


@EVERY_DRIVER
def test_a_server_that_is_stopped(own_server: PostgresServer, run: Run) -> None:
    own_server.stop()
    error = fault(own_server.url(), run)
    assert "No database server answers" in error.message


@pytest.mark.parametrize("run", [through_psycopg, through_sqlalchemy])
@pytest.mark.parametrize(
    ("sqlstate", "said", "again"),
    [
        ("53100", "The server's disk is full", False),
        ("53200", "ran out of memory", True),
        ("40001", "Another session was in the way", True),
        ("P0001", "SQLSTATE P0001", False),
    ],
)
def test_a_fault_that_the_server_raises_itself(
    database: Database, run: Run, sqlstate: str, said: str, again: bool
) -> None:
    body = f"BEGIN RAISE EXCEPTION 'customer 4711' USING ERRCODE = '{sqlstate}'; END"
    error = fault(database.url, run, f"DO $${body}$$")
    assert said in error.message
    assert "4711" not in "".join(traceback.format_exception(error))
    assert error.retryable is again


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


def test_a_standby_takes_no_writing(database: Database) -> None:
    address = DatabaseAddress.parse(
        f"{database.url}?options=-c%20default_transaction_read_only%3Don"
    )
    with (
        pytest.raises(PublishError, match="takes no writing: it is a standby"),
        translated(address, PublishError),
        connect(address, read_only=False, connect_timeout=2, statement_timeout=5) as connection,
    ):
        connection.execute("CREATE TABLE weekly (customer_id text)")


def test_a_deadlock_may_be_tried_again(database: Database) -> None:
    database.execute("CREATE TABLE a (); CREATE TABLE b ()")
    address = DatabaseAddress.parse(database.url)
    with database.connect() as other, pytest.raises(PublishError) as caught:
        other.execute("LOCK TABLE a")
        with translated(address, PublishError), database.connect() as connection:
            connection.execute("SET LOCAL lock_timeout = '100ms'; LOCK TABLE b")
            connection.execute("LOCK TABLE a")
    assert caught.value.retryable
    assert "Another session" in caught.value.message


def test_errors_of_other_kinds_pass(database: Database) -> None:
    address = DatabaseAddress.parse(database.url)
    for error in (FileNotFoundError(2, "no such file"), KeyError("x"), duckdb.Error("x")):
        with pytest.raises(type(error)), translated(address, SourceError):
            raise error


def test_the_session_is_read_only_in_utc_and_named(database: Database) -> None:
    address = DatabaseAddress.parse(database.url)
    with connect(address, read_only=True, connect_timeout=2, statement_timeout=1.5) as connection:
        found = connection.execute(
            "SELECT current_setting('default_transaction_read_only'), current_setting('TimeZone'),"
            " current_setting('statement_timeout'), current_setting('application_name')"
        ).fetchone()
    assert found == ("on", "UTC", "1500ms", "cardwatch")


def test_a_writing_session_may_write(database: Database) -> None:
    address = DatabaseAddress.parse(database.url)
    with connect(address, read_only=False, connect_timeout=2, statement_timeout=5) as connection:
        connection.execute("CREATE TABLE weekly (customer_id text)")
    with psycopg.connect(database.url) as again:
        assert again.execute("SELECT count(*) FROM weekly").fetchone() == (0,)


def through(server: PostgresServer, port: int) -> str:
    return server.url().replace(f":{server.port}/", f":{port}/")


def test_the_password_of_the_server_is_one_that_has_to_be_encoded() -> None:
    assert set("@/ ") <= set(PASSWORD)
