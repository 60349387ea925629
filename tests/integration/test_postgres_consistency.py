"""What is read from PostgreSQL is one state of the table, read only, in bounded memory."""

from __future__ import annotations

import resource
from collections.abc import Generator
from pathlib import Path
from time import monotonic, sleep
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from database_tables import load, source_of
from deliveries import LENIENT, Outcome, outcome
from postgres import Database
from pydantic import SecretStr

from cardwatch.cache import RollupCache
from cardwatch.config import DataSourceConfig
from cardwatch.contract import check_contract
from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.sources import database_rows
from cardwatch.sources.dialects import open_database
from cardwatch.sources.postgres import PostgresSnapshot
from cardwatch.sources.snapshots import Rows, Wanted
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")


def weekly(weeks: int = 4, customers: int = 5) -> pa.Table:
    labels = [week.label for week in (*WEEK.window(weeks - 1), WEEK)]
    rows = [(f"c{who}", label) for label in labels for who in range(customers)]
    return pa.table(
        {
            "customer_id": [who for who, _ in rows],
            "reporting_week": [label for _, label in rows],
            "mcc": ["5411"] * len(rows),
            "spend_amount": ["10.00"] * len(rows),
            "transaction_count": ["1"] * len(rows),
        }
    )


def snapshot(url: str, **settings: Any) -> PostgresSnapshot:
    config = DataSourceConfig.model_validate(
        {"type": "database", "connection_string": SecretStr(url), **settings}
    )
    opened = open_database(config).open()
    assert isinstance(opened, PostgresSnapshot)
    return opened


def values(rows: Rows) -> list[dict[str, Any]]:
    table = pa.Table.from_batches(rows.batches, rows.schema)
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def changed(database: Database) -> None:
    """A feed arrives: every amount is another one, and every week has one customer more."""
    database.execute(
        "UPDATE card_transactions SET spend_amount = '99.00';"
        "INSERT INTO card_transactions SELECT DISTINCT 'new', reporting_week, '5411', '1.00', '1'"
        " FROM card_transactions"
    )


def test_closing_a_stream_that_is_still_read_from_stops_it_on_the_server(
    database: Database,
) -> None:
    """As when Ctrl-C comes between two batches: PostgreSQL notices when it next writes."""
    load(database, weekly(customers=400), "told")  # enough to fill a buffer
    database.execute(
        "CREATE VIEW card_transactions AS SELECT * FROM told"
        " UNION ALL SELECT told.* FROM told, (SELECT pg_sleep(60)) AS slow"
    )
    view = snapshot(database.url)
    view.rows([Wanted(0, as_text=True)], None)
    database.wait_until(asleep=True)
    view.close()
    database.wait_until(asleep=False)


WIDE = "SELECT lpad(n::text, 400, 'x') AS wide FROM generate_series(1, 75000) AS n"
"""Two batches, of which the second is more than the buffers of a connection hold."""


def test_the_next_batch_arrives_while_one_is_looked_at(database: Database) -> None:
    database.execute(f"CREATE VIEW card_transactions AS {WIDE} UNION ALL SELECT pg_sleep(60)::text")
    view = snapshot(database.url)
    rows = view.rows([Wanted(0, as_text=True)], None)
    next(rows.batches)
    database.wait_until(asleep=True)  # nobody has asked for what comes after
    view.close()
    database.wait_until(asleep=False)


def test_a_reader_that_stops_early_leaves_the_view_usable(database: Database) -> None:
    database.execute(f"CREATE VIEW card_transactions AS {WIDE}")
    view = snapshot(database.url)
    rows = view.rows([Wanted(0, as_text=True)], None)
    next(rows.batches)
    cast(Generator[pa.RecordBatch], rows.batches).close()
    view.close()
    assert remaining(database) == []


def test_what_is_committed_while_it_is_read_is_not_seen(database: Database) -> None:
    load(database, weekly())
    view = snapshot(database.url)
    wanted = [Wanted(0, as_text=True), Wanted(3, as_text=True)]
    before = values(view.tally(Wanted(1, as_text=True), None, wanted))
    rows = values(view.rows(wanted, None))
    changed(database)
    assert values(view.tally(Wanted(1, as_text=True), None, wanted)) == before
    assert values(view.rows(wanted, None)) == rows
    view.close()


def test_weeks_that_are_read_one_after_the_other_are_of_one_state(
    database: Database, engine: Engine
) -> None:
    load(database, weekly())
    delivery = source_of(database.url, engine, has_cache=True).read(WEEK, 3)
    changed(database)
    every = delivery.select((*delivery.reference_weeks, WEEK))
    assert engine.rows(f"SELECT DISTINCT spend_amount FROM ({every})") == [
        {"spend_amount": "10.00"}
    ]
    delivery.release()


def sessions(database: Database) -> list[tuple[str, str]]:
    """Return application and state of the others that are connected to the database."""
    with database.connect() as connection:
        found = connection.execute(
            "SELECT application_name, state FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    return [(str(name), str(state)) for name, state in found]


def remaining(database: Database) -> list[tuple[str, str]]:
    """Return the sessions that stay: one that was closed may need a moment on the server."""
    patience = monotonic() + 5
    while (found := sessions(database)) and monotonic() < patience:
        sleep(0.02)
    return found


def test_nothing_stays_open_once_the_rows_are_there(database: Database, engine: Engine) -> None:
    load(database, weekly())
    source = source_of(database.url, engine)
    source.test_connection()
    source.present()
    delivery = source.read(WEEK, 3)
    assert remaining(database) == []
    delivery.select([WEEK])
    assert remaining(database) == []


def test_with_a_cache_the_transaction_ends_when_every_week_was_chosen(
    database: Database, engine: Engine, tmp_path: Path
) -> None:
    load(database, weekly())
    for _ in range(2):
        delivery = source_of(database.url, engine, has_cache=True).read(WEEK, 3)
        assert sessions(database) == [("cardwatch", "idle in transaction")]
        check_contract(delivery, LENIENT, engine, cache=RollupCache(tmp_path / "cache"))
        assert remaining(database) == []


def test_a_delivery_that_is_let_go_lets_go_of_its_connection(
    database: Database, engine: Engine
) -> None:
    load(database, weekly())
    source = source_of(database.url, engine, has_cache=True)
    delivery = source.read(WEEK, 3)
    del delivery
    assert remaining(database) == []


def test_the_server_itself_refuses_to_write(database: Database) -> None:
    load(database, weekly())
    view = snapshot(database.url)
    [settings] = view._ask(
        "SELECT current_setting('transaction_read_only') AS read_only,"
        " current_setting('default_transaction_read_only') AS by_default,"
        " current_setting('transaction_isolation') AS isolation"
    )
    assert settings == {
        "read_only": "on",
        "by_default": "on",
        "isolation": "repeatable read",
    }
    with pytest.raises(SourceError):
        view._ask("DELETE FROM card_transactions")
    view.close()


def test_a_query_that_writes_is_refused(database: Database, engine: Engine) -> None:
    load(database, weekly())
    database.execute(
        "CREATE FUNCTION sly() RETURNS SETOF card_transactions LANGUAGE sql"
        " AS 'DELETE FROM card_transactions RETURNING *'"
    )
    source = source_of(database.url, engine, query="SELECT * FROM sly()")
    with pytest.raises(SourceError):
        source.read(WEEK, 3)
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM card_transactions").fetchone() == (20,)


def test_select_on_one_table_is_enough(database: Database, engine: Engine) -> None:
    load(database, weekly())
    database.execute("CREATE SCHEMA private; REVOKE ALL ON SCHEMA public FROM public")
    grants = ("USAGE ON SCHEMA public", "SELECT ON TABLE card_transactions")
    with database.role(*grants) as (name, password):
        source = source_of(database.url_as(name, password), engine, has_cache=True)
        assert len(source.present()) == 4
        delivery = source.read(WEEK, 3)
        assert delivery.content_key(WEEK - 1) is not None
        assert engine.scalar(f"SELECT count(*) FROM ({delivery.select([WEEK])})") == 5
        delivery.release()
        assert f"user {name}" in source.test_connection().summary


def test_columns_that_may_not_be_read_are_not_read(database: Database, engine: Engine) -> None:
    rows = weekly()
    load(database, rows.append_column("pan", [["4111 1111 1111 1111"] * rows.num_rows]))
    columns = ", ".join(rows.column_names)
    with database.role(f"SELECT ({columns}) ON TABLE card_transactions") as (name, password):
        delivery = source_of(database.url_as(name, password), engine).read(WEEK, 3)
        assert delivery.extra_columns == ()
        assert engine.scalar(f"SELECT count(*) FROM ({delivery.select([WEEK])})") == 5
    with (
        database.role("SELECT (pan) ON TABLE card_transactions") as (name, password),
        pytest.raises(SourceError, match="no privilege for card_transactions"),
    ):
        source_of(database.url_as(name, password), engine).read(WEEK, 3)


@pytest.mark.system
def test_memory_holds_one_batch_and_the_next_one(database: Database, engine: Engine) -> None:
    database.execute(
        "CREATE TABLE card_transactions AS SELECT lpad(n::text, 400, 'x') AS customer_id,"
        " '2025-46'::text AS reporting_week, '5411'::text AS mcc, 1.5 AS spend_amount,"
        " 1 AS transaction_count FROM generate_series(1, 600000) AS n"
    )
    before = pa.total_allocated_bytes()
    view = snapshot(database.url)
    columns = [Wanted(0, as_text=True), Wanted(1, as_text=True)]
    rows = view.rows(columns, None)
    sizes = []

    def watched() -> Any:
        for batch in rows.batches:
            sizes.append(batch.nbytes)
            yield batch

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = database_rows.copy_rows(Rows(rows.schema, watched()), engine)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    view.close()
    assert sum(sizes) > 240_000_000
    assert max(sizes) < 40_000_000
    assert grown < 150_000, "kilobytes more than before"
    assert pa.total_allocated_bytes() - before < 40_000_000
    assert pq.read_metadata(path).num_rows == 600_000


def scored(database: Database, engine: Engine, cache: RollupCache) -> Outcome:
    delivery = source_of(database.url, engine, has_cache=True).read(WEEK, 3)
    return outcome(engine, check_contract(delivery, LENIENT, engine, cache=cache))


CHANGES = {
    "an amount": "UPDATE card_transactions SET spend_amount = '10.01' WHERE {}",
    "a count": "UPDATE card_transactions SET transaction_count = '2' WHERE {}",
    "an id in another case": "UPDATE card_transactions SET customer_id = 'C1' WHERE {}",
    "a row less": "DELETE FROM card_transactions WHERE {}",
    "a row twice": "INSERT INTO card_transactions SELECT * FROM card_transactions WHERE {}",
    "a week": "UPDATE card_transactions SET reporting_week = '2025-44' WHERE {}",
    "a text beside": "UPDATE card_transactions SET remark = 'y' WHERE {}",
    "a text gone": "UPDATE card_transactions SET remark = NULL WHERE {}",
}
OFTEN = ("an amount", "a row twice", "a text gone")


@pytest.mark.system
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change, id=name, marks=() if name in OFTEN else pytest.mark.system)
        for name, change in CHANGES.items()
    ],
)
def test_one_changed_row_of_history_is_noticed(
    database: Database, engine: Engine, tmp_path: Path, change: str
) -> None:
    rows = weekly()
    load(database, rows.append_column("remark", [["x"] * rows.num_rows]))
    cache = RollupCache(tmp_path / "cache")
    first = scored(database, engine, cache)
    kept = {path.name for path in cache.folder.glob("*.parquet")}
    assert len(kept) == 3
    again = scored(database, engine, cache)
    assert (again.cells, again.quarantine) == (first.cells, first.quarantine)
    assert {path.name for path in cache.folder.glob("*.parquet")} == kept
    database.execute(change.format("customer_id = 'c1' AND reporting_week = '2025-45'"))
    with_cache = scored(database, engine, cache)
    added = {path.name for path in cache.folder.glob("*.parquet")} - kept
    assert "2025-45" in {name[:7] for name in added}
    fresh = scored(database, engine, RollupCache(tmp_path / "other"))
    assert (with_cache.cells, with_cache.quarantine) == (fresh.cells, fresh.quarantine)


def test_cached_weeks_are_not_read(
    database: Database, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(database, weekly())
    cache = RollupCache(tmp_path / "cache")
    scored(database, engine, cache)
    copied = []

    def counted(rows: Rows, engine: Engine, **options: Any) -> Path:
        path = database_rows.copy_rows(rows, engine, **options)
        if "c3" in rows.schema.names:
            copied.append(pq.read_metadata(path).num_rows)
        return path

    monkeypatch.setattr("cardwatch.sources.database_view.copy_rows", counted)
    scored(database, engine, cache)
    assert copied == [5]


def test_an_index_on_the_week_is_used(database: Database, engine: Engine) -> None:
    load(database, weekly(weeks=60, customers=100), types={"reporting_week": "varchar(10)"})
    database.execute("CREATE INDEX ON card_transactions (reporting_week, customer_id)")
    database.execute("ANALYZE card_transactions")
    before = scans(database)
    source = source_of(database.url, engine)
    assert len(source.present()) == 60
    source.read(WEEK, 3)
    after = scans(database)
    assert after[0] == before[0]
    assert after[1] > before[1]


def test_an_index_on_the_time_is_used(database: Database, engine: Engine) -> None:
    database.execute(
        "CREATE TABLE card_transactions AS SELECT 'c' || n % 50 AS customer_id, '5411' AS mcc,"
        " timestamptz '2024-11-01 00:00+00' + n * interval '9 minutes' AS transaction_time,"
        " 1.00 AS amount FROM generate_series(1, 64000) AS n;"
        "CREATE INDEX ON card_transactions (transaction_time)"
    )
    database.execute("ANALYZE card_transactions")
    before = scans(database)
    source = source_of(database.url, engine, timezone="America/New_York")
    assert len(source.present()) > 50
    assert engine.scalar(f"SELECT count(*) FROM ({source.read(WEEK, 2).select([WEEK])})") == 1120
    after = scans(database)
    assert after[0] == before[0]
    assert after[1] > before[1]


def scans(database: Database) -> tuple[int, int]:
    """Return how often the table was read whole, and through an index."""
    database.needs_version(15, "tells what was read some time later only")
    with database.connect() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT pg_stat_clear_snapshot()")
        found = connection.execute(
            "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'card_transactions'"
        ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])
