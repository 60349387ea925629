"""What others do to a table while it is read: one clear error, or the same rows after all."""

from __future__ import annotations

from functools import partial

import pytest
from database_tables import load
from faulty_reads import (
    REFERENCES,
    messages_of,
    port_of,
    read,
    said,
    statements_of,
    url_through,
    waiting,
    weekly,
)
from postgres import Database
from two_runs import session
from wire_proxy import MessageProxy, cut, do

from cardwatch.engine import Engine
from cardwatch.errors import SourceError

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("impatient")]


def test_a_privilege_that_is_revoked_on_the_way_is_said(
    read_table: Database, engine: Engine
) -> None:
    messages = messages_of(read_table, engine)
    grant = "SELECT ON TABLE card_transactions"
    with read_table.role(grant) as user:
        asked = statements_of(messages, 'parse SELECT * FROM "card', "parse COPY (SELECT DIST")
        for at in (*asked, statements_of(messages, 'parse COPY (SELECT "c0"')[-1]):
            revoke = do(partial(read_table.execute, f"REVOKE {grant} FROM {user[0]}"))
            with (
                MessageProxy(port_of(read_table), at, revoke) as proxy,
                pytest.raises(SourceError, match="has no privilege for card_transactions") as error,
            ):
                read(url_through(proxy, read_table, user), engine, attempts=5)
            said(error.value)
            assert not error.value.retryable
            read_table.execute(f"GRANT {grant} TO {user[0]}")


def test_a_table_that_is_renamed_on_the_way_is_said(database: Database, engine: Engine) -> None:
    load(database, weekly(2))
    at = statements_of(messages_of(database, engine), 'parse SELECT * FROM "card')[0]
    rename = partial(database.execute, "ALTER TABLE card_transactions RENAME TO replaced")
    with (
        MessageProxy(port_of(database), at, do(rename)) as proxy,
        pytest.raises(SourceError, match="There is no table card_transactions") as raised,
    ):
        read(url_through(proxy, database), engine)
    said(raised.value)


def test_rows_committed_at_any_moment_are_all_read_or_none(
    database: Database, engine: Engine
) -> None:
    load(database, weekly(5))
    messages = messages_of(database, engine)
    amended: list[int] = []

    def amend() -> None:
        amended.append(len(amended))
        database.execute(f"UPDATE card_transactions SET transaction_count = '{len(amended)}'")

    seen = set()
    places = statements_of(messages, "parse", "execute")
    for at in places:
        with MessageProxy(port_of(database), at, do(amend)) as proxy:
            rows = read(url_through(proxy, database), engine)
        counts = {int(row["transaction_count"]) for row in rows}
        assert counts in ({len(amended)}, {max(len(amended) - 1, 1)}), messages[at - 1]
        assert len(rows) == weekly(5).num_rows
        seen.add(len(amended) - min(counts))
    assert seen == {0, 1}


def test_rows_committed_between_two_attempts_are_read_by_the_second(
    database: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(database, weekly(5))
    at = statements_of(messages_of(database, engine, has_cache=False), "execute")[-1]
    waiting(
        monkeypatch,
        lambda: database.execute(
            "INSERT INTO card_transactions SELECT 'SECRET-NEW', reporting_week, '5411', '7', '1'"
            " FROM card_transactions WHERE customer_id = 'SECRET-0'"
        ),
    )
    with MessageProxy(port_of(database), at, cut, "after") as proxy:
        rows = read(url_through(proxy, database), engine, has_cache=False, attempts=2)
    assert len(rows) == weekly(5).num_rows + REFERENCES + 1
    assert rows == read(database.url, engine, has_cache=False)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_table_that_is_locked_takes_no_longer_than_the_time_out(
    read_table: Database, engine: Engine, attempts: int
) -> None:
    with (
        session(read_table, "LOCK TABLE card_transactions IN ACCESS EXCLUSIVE MODE"),
        pytest.raises(SourceError, match="took too long for one statement") as raised,
    ):
        read(read_table.url, engine, statement_timeout_seconds=0.2, attempts=attempts)
    assert not raised.value.retryable
    said(raised.value)


def test_an_administrator_who_ends_the_session_is_told_of_or_made_up_for(
    read_table: Database, engine: Engine
) -> None:
    whole = read(read_table.url, engine)
    at = statements_of(messages_of(read_table, engine), 'parse COPY (SELECT "c0"')[-1]
    with (
        MessageProxy(port_of(read_table), at, do(read_table.end_sessions)) as proxy,
        pytest.raises(SourceError, match="administrator ended the connection") as raised,
    ):
        read(url_through(proxy, read_table), engine)
    said(raised.value)
    with MessageProxy(port_of(read_table), at, do(read_table.end_sessions)) as proxy:
        assert read(url_through(proxy, read_table), engine, attempts=2) == whole


def test_a_limit_of_the_server_is_said(read_table: Database, engine: Engine) -> None:
    """Sorting needs more temporary space than there is: as on a disk that is full."""
    query = (
        "SELECT c.* FROM card_transactions AS c, generate_series(1, 60) AS n"
        " ORDER BY md5(n::text || customer_id), set_config('work_mem', '64kB', true)"
    )
    with read_table.role("SELECT ON TABLE card_transactions") as user:
        read_table.execute(f"ALTER ROLE {user[0]} SET temp_file_limit = 0")
        with pytest.raises(SourceError, match="A limit of the server was reached") as raised:
            read(read_table.url_as(*user), engine, query=query)
    said(raised.value)


def test_a_conflict_in_the_middle_of_the_rows_is_known_in_any_language(
    database: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standby ends a read that its primary's changes stand against, at any row."""
    load(database, weekly(), "told")
    database.execute(
        "CREATE TABLE busy AS SELECT 'SECRET-39' AS customer_id;"
        "CREATE FUNCTION end_it() RETURNS text LANGUAGE plpgsql AS $$BEGIN"
        " RAISE EXCEPTION 'storniere Anfrage SECRET' USING ERRCODE = '40001'; END$$;"
        "CREATE VIEW card_transactions AS SELECT told.customer_id, reporting_week, mcc,"
        " CASE WHEN busy.customer_id IS NULL THEN spend_amount ELSE end_it() END AS spend_amount,"
        " transaction_count FROM told LEFT JOIN busy ON busy.customer_id = told.customer_id"
    )
    with pytest.raises(SourceError, match="Another session was in the way") as raised:
        read(database.url, engine, has_cache=False)
    said(raised.value)
    waiting(monkeypatch, lambda: database.execute("DELETE FROM busy"))
    rows = read(database.url, engine, has_cache=False, attempts=2)
    assert rows == read(database.url, engine)
