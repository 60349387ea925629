"""Reading works on every server that a bank may have: an older one, and a standby."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from database_tables import load, source_of
from postgres import Database, Server
from psycopg import sql

from cardwatch.engine import Engine
from cardwatch.sources.postgres_sql import Statements, Typed
from cardwatch.sources.snapshots import Field, Wanted
from cardwatch.week import ReportingWeek
from demo.postgres_server import PostgresServer

WEEK = ReportingWeek.parse("2025-46")
ROWS = {
    "customer_id": ["a", "b", "c"],
    "reporting_week": ["2025-44", "2025-45", "2025-46"],
    "mcc": ["5411"] * 3,
    "spend_amount": ["1.00"] * 3,
    "transaction_count": ["1"] * 3,
}


@pytest.fixture
def older_server() -> Iterator[PostgresServer]:
    with PostgresServer(version=16) as server:
        yield server


def check_reading(url: str, engine: Engine, has_cache: bool) -> None:
    source = source_of(url, engine, has_cache=has_cache)
    assert [week.label for week in source.present()] == ROWS["reporting_week"]
    delivery = source.read(WEEK, 2)
    assert len({delivery.content_key(week) for week in (WEEK, WEEK - 1, WEEK - 2)}) == 3
    every = delivery.select([WEEK - 2, WEEK - 1, WEEK])
    assert engine.scalar(f"SELECT count(*) FROM ({every})") == 3
    delivery.release()


@pytest.mark.system
@pytest.mark.parametrize("has_cache", [False, True])
def test_version_16_is_read(older_server: PostgresServer, engine: Engine, has_cache: bool) -> None:
    load(Database("postgres", Server(older_server.url())), pa.table(ROWS))
    check_reading(older_server.url(), engine, has_cache)
    summary = source_of(older_server.url(), engine).test_connection().summary
    assert "Server PostgreSQL 16." in summary


def test_a_standby_is_read(own_server: PostgresServer, engine: Engine) -> None:
    load(Database("postgres", Server(own_server.url())), pa.table(ROWS))
    own_server.stop()
    (own_server.data / "standby.signal").touch()
    own_server.start()
    for has_cache in (False, True):
        check_reading(own_server.url(), engine, has_cache)
    assert ", a standby, user" in source_of(own_server.url(), engine).test_connection().summary


def test_version_13_has_other_words_for_hashes_and_quarters_of_an_hour(
    database: Database,
) -> None:
    """What 14 and later do with functions that 13 lacks is done there without them."""
    database.needs_version(14, "has those words only: every other test of the source uses them")
    load(
        database,
        pa.table(
            {
                "moment": ["2025-11-17 04:44:59+00", "2025-11-17 04:59+00", "2025-11-17 05:00+00"],
                "who": ["a", "b", "c"],
            }
        ),
        "moments",
        {"moment": "timestamptz"},
    )
    columns = [
        Typed(Field("moment", "TIMESTAMP WITH TIME ZONE"), "timestamptz"),
        Typed(Field("who", "VARCHAR"), "text"),
    ]
    counted = []
    for has_bins, hashes in ((True, "record"), (False, "text")):
        statements = Statements(sql.Identifier("moments"), columns, hashes, has_bins)
        statement = statements.tally(Wanted(0), None, [Wanted(0), Wanted(1, as_text=True)])
        with database.connect() as connection:
            found = connection.execute(statement.as_string(connection).encode()).fetchall()
        assert len({content for _, _, content in found}) == 3
        counted.append(sorted((moment, rows) for moment, rows, _ in found))
    assert counted[0] == counted[1]
