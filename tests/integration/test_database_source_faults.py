"""A fault at every single statement of a read: one clear error, or the same rows after all."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import cardwatch, contents, failure, start
from database_tables import load, source_of
from postgres import Database, Server, new_database
from small_portfolio import WEEK as LAST_WEEK
from small_portfolio import ScoredWeek, portfolio_rows
from tcp_proxy import CuttingProxy, Proxy
from two_runs import session
from wire_proxy import Deed, MessageProxy, Moment, cut, do, fail

from cardwatch.database.retry import retrying
from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.week import ReportingWeek
from demo.postgres_server import PASSWORD, PostgresServer

pytestmark = pytest.mark.system

WEEK = ReportingWeek.parse("2025-46")
REFERENCES = 2
TYPES = {"spend_amount": "numeric(12,2)", "transaction_count": "integer"}
Row = dict[str, Any]
Fault = tuple[int, Deed, Moment]


def weekly(customers: int = 40) -> pa.Table:
    labels = [week.label for week in (*WEEK.window(REFERENCES), WEEK)]
    rows = [(f"SECRET-{who}", label) for label in labels for who in range(customers)]
    return pa.table(
        {
            "customer_id": [who for who, _ in rows],
            "reporting_week": [label for _, label in rows],
            "mcc": ["5411"] * len(rows),
            "spend_amount": [f"{place}.00" for place in range(len(rows))],
            "transaction_count": ["1"] * len(rows),
        }
    )


@pytest.fixture(scope="module")
def table(postgres: Server) -> Iterator[Database]:
    """A table of which the session reads; not to be changed."""
    with new_database(postgres) as database:
        load(database, weekly())
        yield database


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between attempts."""
    waiting(monkeypatch, lambda: None)


def waiting(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Do something in place of waiting between attempts."""

    def act(seconds: float) -> None:
        del seconds
        action()

    quick = partial(retrying, sleep=act)
    monkeypatch.setattr("cardwatch.sources.database.retrying", quick)
    monkeypatch.setattr("cardwatch.sources.database_delivery.retrying", quick)


def port_of(database: Database) -> int:
    if database.server.process is None:
        pytest.skip("the proxy stands before a server on this machine")
    return database.server.process.port


def read(url: str, engine: Engine, **settings: Any) -> list[Row]:
    """Return every row that a read delivers, week by week as the features ask for them."""
    settings = {"has_cache": True, "attempts": 1, **settings}
    delivery = source_of(url, engine, **settings).read(WEEK, REFERENCES)
    try:
        asked = ([WEEK], delivery.reference_weeks[:1], delivery.reference_weeks[1:])
        parts = [delivery.select(weeks) for weeks in asked]
        return engine.rows(f"SELECT * FROM ({' UNION ALL BY NAME '.join(parts)}) ORDER BY ALL")
    finally:
        delivery.release()


def said(error: SourceError) -> str:
    """Return the message of an error: one line, no row and no secret in it, with a way on."""
    message = error.message
    assert "\n" not in message
    assert "SECRET" not in message
    assert PASSWORD not in message
    assert error.next_step
    assert error.exit_code == 3
    return message


def url_through(proxy: Proxy, database: Database, user: tuple[str, str] | None = None) -> str:
    parts = urlsplit(database.url_as(*user) if user else database.url)
    login = parts.netloc.rpartition("@")[0]
    return f"postgresql://{login}@127.0.0.1:{proxy.port}{parts.path}?sslmode=disable"


def messages_of(database: Database, engine: Engine, **settings: Any) -> list[str]:
    with MessageProxy(port_of(database)) as proxy:
        read(url_through(proxy, database), engine, **settings)
        return proxy.seen


def statements_of(messages: list[str], *kinds: str) -> list[int]:
    """Return which messages make the server do something."""
    return [at for at, name in enumerate(messages, start=1) if name.startswith(kinds)]


# The n-th statement


def some_faults(messages: list[str]) -> Iterator[Fault]:
    """Yield a fault for every second statement: it is refused, or lost on the way there or back."""
    for number, at in enumerate(statements_of(messages, "query", "parse")[::2]):
        yield at, fail if number % 2 else cut, "before"
    for at in statements_of(messages, "startup", "execute")[1::2]:
        yield at, cut, "after"


def all_faults(messages: list[str]) -> Iterator[Fault]:
    """Yield every fault at every message up to the last one that is answered."""
    for at in range(1, statements_of(messages, "execute")[-1] + 1):
        yield at, cut, "before"
        yield at, cut, "after"
        if messages[at - 1].startswith(("query", "parse")):
            yield at, fail, "before"


@pytest.mark.parametrize("has_cache", [True, pytest.param(False, marks=pytest.mark.system)])
@pytest.mark.parametrize(
    "faults", [some_faults, pytest.param(all_faults, marks=pytest.mark.system)]
)
def test_a_fault_at_any_statement_is_one_error_and_leaves_no_half_of_a_copy(
    table: Database,
    engine: Engine,
    has_cache: bool,
    faults: Callable[[list[str]], Iterator[Fault]],
) -> None:
    messages = messages_of(table, engine, has_cache=has_cache)
    assert len(messages) > 50
    for at, deed, moment in faults(messages):
        place = f"{deed.__name__} {moment} message {at}, {messages[at - 1][:60]}"
        with MessageProxy(port_of(table), at, deed, moment) as proxy:
            with pytest.raises(SourceError) as raised:
                read(url_through(proxy, table), engine, has_cache=has_cache)
            assert proxy.done == 1, place
        said(raised.value)
        assert raised.value.retryable == (deed is cut), place
    for path in engine.folder.glob("database_rows_*"):
        assert pq.read_table(path).num_rows > 0


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.system)])
@pytest.mark.parametrize("has_cache", [True, pytest.param(False, marks=pytest.mark.system)])
def test_a_lost_connection_is_made_up_for_by_another_attempt(
    table: Database, engine: Engine, has_cache: bool, step: int
) -> None:
    whole = read(table.url, engine)
    messages = messages_of(table, engine, has_cache=has_cache)
    places = statements_of(messages, "query", "parse", "execute")
    for at in (*places[::step], places[-1]):
        with MessageProxy(port_of(table), at, cut, "after") as proxy:
            settings = {"attempts": 2, "has_cache": has_cache}
            assert read(url_through(proxy, table), engine, **settings) == whole, messages[at - 1]
            assert proxy.done == 1


def test_what_was_refused_is_not_tried_again(table: Database, engine: Engine) -> None:
    messages = messages_of(table, engine)
    at = statements_of(messages, "parse COPY (SELECT DISTINCT")[0]
    with MessageProxy(port_of(table), at, fail) as proxy:
        with pytest.raises(SourceError):
            read(url_through(proxy, table), engine, attempts=5)
        assert len(proxy.seen) <= at + 10


# What others do meanwhile


def test_a_privilege_that_is_revoked_on_the_way_is_said(table: Database, engine: Engine) -> None:
    messages = messages_of(table, engine)
    grant = "SELECT ON TABLE card_transactions"
    with table.role(grant) as user:
        asked = statements_of(messages, 'parse SELECT * FROM "card', "parse COPY (SELECT DIST")
        for at in (*asked, statements_of(messages, 'parse COPY (SELECT "c0"')[-1]):
            revoke = do(partial(table.execute, f"REVOKE {grant} FROM {user[0]}"))
            with (
                MessageProxy(port_of(table), at, revoke) as proxy,
                pytest.raises(SourceError, match="has no privilege for card_transactions") as error,
            ):
                read(url_through(proxy, table, user), engine, attempts=5)
            said(error.value)
            assert not error.value.retryable
            table.execute(f"GRANT {grant} TO {user[0]}")


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


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.system)])
def test_rows_committed_at_any_moment_are_all_read_or_none(
    database: Database, engine: Engine, step: int
) -> None:
    load(database, weekly(5))
    messages = messages_of(database, engine)
    amended: list[int] = []

    def amend() -> None:
        amended.append(len(amended))
        database.execute(f"UPDATE card_transactions SET transaction_count = '{len(amended)}'")

    seen = set()
    places = statements_of(messages, "parse", "execute")
    for at in (*places[::step], places[-1]):
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
    table: Database, engine: Engine, attempts: int
) -> None:
    with (
        session(table, "LOCK TABLE card_transactions IN ACCESS EXCLUSIVE MODE"),
        pytest.raises(SourceError, match="took too long for one statement") as raised,
    ):
        read(table.url, engine, statement_timeout_seconds=0.2, attempts=attempts)
    assert not raised.value.retryable
    said(raised.value)


def test_an_administrator_who_ends_the_session_is_told_of_or_made_up_for(
    table: Database, engine: Engine
) -> None:
    whole = read(table.url, engine)
    at = statements_of(messages_of(table, engine), 'parse COPY (SELECT "c0"')[-1]
    with (
        MessageProxy(port_of(table), at, do(table.end_sessions)) as proxy,
        pytest.raises(SourceError, match="administrator ended the connection") as raised,
    ):
        read(url_through(proxy, table), engine)
    said(raised.value)
    with MessageProxy(port_of(table), at, do(table.end_sessions)) as proxy:
        assert read(url_through(proxy, table), engine, attempts=2) == whole


def test_a_limit_of_the_server_is_said(table: Database, engine: Engine) -> None:
    """Sorting needs more temporary space than there is: as on a disk that is full."""
    query = (
        "SELECT c.* FROM card_transactions AS c, generate_series(1, 60) AS n"
        " ORDER BY md5(n::text || customer_id), set_config('work_mem', '64kB', true)"
    )
    with table.role("SELECT ON TABLE card_transactions") as user:
        table.execute(f"ALTER ROLE {user[0]} SET temp_file_limit = 0")
        with pytest.raises(SourceError, match="A limit of the server was reached") as raised:
            read(table.url_as(*user), engine, query=query)
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


# The server stops


def test_a_server_that_crashes_on_the_way_and_is_back_in_time_gives_the_same_rows(
    own_server: PostgresServer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database("postgres", Server(own_server.url(), own_server))
    load(database, weekly())
    whole, messages = read(database.url, engine), messages_of(database, engine)
    crash = partial(own_server.stop, signal.SIGQUIT)
    waiting(monkeypatch, own_server.start)
    executed = statements_of(messages, "execute")
    for at in (executed[0], executed[-3], executed[-1]):
        with MessageProxy(own_server.port, at, do(crash), "after") as proxy:
            rows = read(url_through(proxy, database), engine, attempts=2)
            assert proxy.done == 1
        assert rows == whole, messages[at - 1]


def test_a_server_that_does_not_come_back_is_one_error(
    own_server: PostgresServer, engine: Engine
) -> None:
    database = Database("postgres", Server(own_server.url(), own_server))
    load(database, weekly(2))
    at = statements_of(messages_of(database, engine), "execute")[-1]
    crash = partial(own_server.stop, signal.SIGQUIT)
    with (
        MessageProxy(own_server.port, at, do(crash)) as proxy,
        pytest.raises(SourceError) as raised,
    ):
        read(url_through(proxy, database), engine, attempts=3)
    said(raised.value)
    assert raised.value.retryable


# The clocks differ


def test_the_servers_time_zone_and_way_of_writing_dates_have_no_say(
    database: Database, engine: Engine
) -> None:
    times = [
        *("2025-11-16 23:59:59+00", "2025-11-17 00:00:00+00", "2025-11-23 23:59:59.999999+00"),
        *("2025-11-24 00:00:00+00", "2025-10-27 00:00:00+00"),
    ]
    rows = {
        "transaction_id": [str(n) for n in range(len(times))],
        "customer_id": [f"SECRET-{n}" for n in range(len(times))],
        "transaction_time": times,
        "mcc": ["5411"] * len(times),
        "amount": ["1.00"] * len(times),
    }
    for kind in ("timestamptz", "timestamp"):
        load(database, pa.table(rows), kind, {"transaction_time": kind})
        expected = read(database.url, engine, table=kind)
        assert len(expected) == 3
        database.execute(
            f"ALTER DATABASE {database.name} SET timezone = 'Pacific/Kiritimati';"
            f"ALTER DATABASE {database.name} SET datestyle = 'German'"
        )
        assert read(database.url, engine, table=kind) == expected
        database.execute(f"ALTER DATABASE {database.name} RESET ALL")


# Through the command line


def configured(folder: Path, attempts: int) -> None:
    (folder / "config").mkdir(exist_ok=True)
    (folder / "temporary").mkdir(exist_ok=True)
    (folder / "config" / "config.yaml").write_text(
        f"data_source: {{type: database, attempts: {attempts}}}\n"
        "engine: {temp_directory: temporary}\n"
    )


def test_a_run_whose_connection_breaks_ends_in_one_line_or_in_the_same_list(
    tmp_path: Path, database: Database, scored: ScoredWeek
) -> None:
    load(database, portfolio_rows(), types=TYPES)
    words = ("run", "--reporting-week", LAST_WEEK.label, "--output-dir", "outputs")
    configured(tmp_path, attempts=2)
    with CuttingProxy(port_of(database), after_bytes=700_000) as proxy:
        url = url_through(proxy, database)
        done = cardwatch(tmp_path, *words, DB_CONNECTION_STRING=url)
        assert proxy.cut == 1
    run = ScoredWeek(LAST_WEEK, tmp_path, done)
    assert run.results == scored.results
    before = contents(run.outputs)
    configured(tmp_path, attempts=1)
    with CuttingProxy(port_of(database), after_bytes=700_000, cuts=9) as proxy:
        url = url_through(proxy, database)
        failed = cardwatch(tmp_path, *words, code=3, DB_CONNECTION_STRING=url)
    assert "The connection to the database broke" in failure(failed)
    assert contents(run.outputs) == before
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    "before", ["SELECT * FROM told UNION ALL ", pytest.param("", marks=pytest.mark.system)]
)
def test_the_keyboard_stops_a_statement_that_takes_long_here_and_on_the_server(
    tmp_path: Path, database: Database, before: str
) -> None:
    load(database, weekly(400), "told")
    slow = "SELECT told.* FROM told, (SELECT pg_sleep(60)) AS slow"
    database.execute(f"CREATE VIEW card_transactions AS {before}{slow}")
    configured(tmp_path, attempts=3)
    process = start(tmp_path, "weeks", DB_CONNECTION_STRING=database.url)
    database.wait_until(asleep=True)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "cardwatch: error: Stopped by the keyboard; nothing was left half written\n"
    database.wait_until(asleep=False)
    assert list((tmp_path / "temporary").iterdir()) == []
