"""A connection that breaks while rows are read: read again whole, or one clear error."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
import pytest
from database_tables import load, source_of
from faulty_reads import WEEK, weekly
from postgres import Database, Server
from tcp_proxy import CuttingProxy

from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.schema import Delivery
from cardwatch.sources.database_rows import copy_rows
from cardwatch.sources.snapshots import Rows
from demo.postgres_server import PostgresServer

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("impatient")]

CUSTOMERS = 400


@pytest.fixture
def loaded(database: Database) -> Database:
    load(database, weekly(CUSTOMERS, references=3))
    return database


def through(proxy: CuttingProxy, url: str) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    place = f"{login}@127.0.0.1:{proxy.port}"
    return urlunsplit(parts._replace(netloc=place, query="sslmode=disable"))


def port_of(database: Database) -> int:
    port = urlsplit(database.url).port
    assert port is not None
    return port


def total(delivery: Delivery, engine: Engine) -> tuple[int, int]:
    """Return how many rows a delivery has, and the sum of their amounts."""
    every = delivery.select((*delivery.reference_weeks, delivery.week))
    found = engine.execute(
        f"SELECT count(*), sum(CAST(spend_amount AS DECIMAL(18, 2))) FROM ({every})"
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


WHOLE = (4 * CUSTOMERS, sum(range(4 * CUSTOMERS)))


def bytes_of_a_read(database: Database, engine: Engine, has_cache: bool) -> int:
    with CuttingProxy(port_of(database)) as proxy:
        source = source_of(through(proxy, database.url), engine, has_cache=has_cache)
        delivery = source.read(WEEK, 3)
        assert total(delivery, engine) == WHOLE
        delivery.release()
        return proxy.forwarded["to_client"]


@pytest.mark.parametrize("has_cache", [False, True])
def test_wherever_the_connection_breaks_the_rows_are_read_whole_again(
    loaded: Database, engine: Engine, has_cache: bool
) -> None:
    if loaded.server.process is None:
        pytest.skip("the proxy stands before a server on this machine")
    length = bytes_of_a_read(loaded, engine, has_cache)
    for after_bytes in range(1, length, length // 16):
        with CuttingProxy(port_of(loaded), after_bytes=after_bytes) as proxy:
            source = source_of(through(proxy, loaded.url), engine, has_cache=has_cache)
            delivery = source.read(WEEK, 3)
            assert total(delivery, engine) == WHOLE, after_bytes
            delivery.release()
            assert proxy.cut == 1, after_bytes


def test_a_connection_that_always_breaks_is_one_error_and_leaves_no_rows(
    loaded: Database, engine: Engine
) -> None:
    with CuttingProxy(port_of(loaded), after_bytes=60_000, cuts=100) as proxy:
        source = source_of(through(proxy, loaded.url), engine, attempts=3)
        with pytest.raises(SourceError, match="connection to the database broke") as error:
            source.read(WEEK, 3)
        assert error.value.retryable
        assert proxy.connections == 3
    assert not [path for path in engine.folder.glob("database_rows_*") if path.stat().st_size > 9e3]


def test_a_server_that_stops_while_it_is_read_and_starts_again_is_read_again(
    own_server: PostgresServer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database("postgres", Server(own_server.url(), own_server))
    load(database, weekly(CUSTOMERS, references=3))
    stopped: list[bool] = []

    def stopping(rows: Rows, engine: Engine, **options: Any) -> Any:
        def batches() -> Iterator[pa.RecordBatch]:
            yield from rows.batches
            if "c3" in rows.schema.names and not stopped:
                stopped.append(True)
                own_server.stop(signal.SIGQUIT)
                own_server.start()
                raise failed

        return copy_rows(Rows(rows.schema, batches()), engine, **options)

    failed = SourceError("The connection to the database broke")
    failed.retryable = True
    monkeypatch.setattr("cardwatch.sources.database_view.copy_rows", stopping)
    delivery = source_of(own_server.url(), engine).read(WEEK, 3)
    assert stopped
    assert total(delivery, engine) == WHOLE


def kill_sessions(database: Database) -> None:
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_weeks_asked_for_after_the_connection_broke_are_those_of_before(
    loaded: Database, engine: Engine
) -> None:
    delivery = source_of(loaded.url, engine, has_cache=True).read(WEEK, 3)
    kill_sessions(loaded)
    assert total(delivery, engine) == WHOLE
    delivery.release()


def test_weeks_that_changed_after_the_connection_broke_are_an_error(
    loaded: Database, engine: Engine
) -> None:
    delivery = source_of(loaded.url, engine, has_cache=True).read(WEEK, 3)
    kill_sessions(loaded)
    loaded.execute(
        "UPDATE card_transactions SET spend_amount = '0.00' WHERE customer_id = 'SECRET-7'"
    )
    with pytest.raises(SourceError, match="rows changed while they were read"):
        delivery.select(delivery.reference_weeks)


def test_what_does_not_pass_by_itself_is_tried_once(loaded: Database, engine: Engine) -> None:
    with CuttingProxy(port_of(loaded)) as proxy:
        url = through(proxy, loaded.url)
        source_of(url, engine).present()
        once = proxy.connections
        source = source_of(url, engine, attempts=5, table="nowhere")
        with pytest.raises(SourceError, match="There is no table nowhere"):
            source.read(WEEK, 3)
        assert proxy.connections == 2 * once
