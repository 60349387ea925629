"""A server that stops, tells another time or is left by its reader: one error, or the same rows."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from command_line import cardwatch, contents, failure, start
from database_tables import load
from faulty_reads import (
    messages_of,
    port_of,
    read,
    said,
    statements_of,
    url_through,
    waiting,
    weekly,
)
from postgres import Database, Server
from small_portfolio import WEEK as LAST_WEEK
from small_portfolio import ScoredWeek, portfolio_rows
from tcp_proxy import CuttingProxy
from wire_proxy import MessageProxy, do

from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from demo.postgres_server import PostgresServer

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("impatient")]
TYPES = {"spend_amount": "numeric(12,2)", "transaction_count": "integer"}


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
    said = "Stopped by the keyboard; nothing was left half written. The same command resumes"
    assert err == f"cardwatch: error: {said}\n"
    database.wait_until(asleep=False)
    assert list((tmp_path / "temporary").iterdir()) == []
