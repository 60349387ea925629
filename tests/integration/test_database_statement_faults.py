"""Statements that a server refuses, and what a session may do."""

from __future__ import annotations

import traceback

import duckdb
import psycopg
import pytest
from database_drivers import EVERY_DRIVER, Run, fault, through_psycopg, through_sqlalchemy
from postgres import Database

from cardwatch.database.address import DatabaseAddress
from cardwatch.database.connection import connect
from cardwatch.database.faults import translated
from cardwatch.errors import PublishError, SourceError


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
