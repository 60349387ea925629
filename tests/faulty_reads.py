"""Reads of a real table while something goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from database_tables import load, source_of
from postgres import Database, Server, new_database
from tcp_proxy import Proxy
from wire_proxy import MessageProxy

from cardwatch.database.retry import retrying
from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.week import ReportingWeek
from demo.postgres_server import PASSWORD

WEEK = ReportingWeek.parse("2025-46")
REFERENCES = 2
Row = dict[str, Any]


def weekly(customers: int = 40, references: int = REFERENCES) -> pa.Table:
    labels = [week.label for week in (*WEEK.window(references), WEEK)]
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


@pytest.fixture(scope="session")
def read_table(postgres: Server) -> Iterator[Database]:
    """A table of which the session reads; not to be changed."""
    with new_database(postgres) as database:
        load(database, weekly())
        yield database


@pytest.fixture
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
