"""A real PostgreSQL server for tests: a throw-away one, or the one that DATABASE_URL names."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from demo.postgres_server import PostgresServer


@dataclass(frozen=True)
class Server:
    """A running server with a user that may create databases.

    Attributes
    ----------
    url : str
        The address of its maintenance database, as that user.
    process : PostgresServer or None
        The server itself where it is a throw-away one.
    """

    url: str
    process: PostgresServer | None = None

    def url_of(self, database: str, user: str = "", password: str = "") -> str:
        """Return the address of one of its databases, as its owner or as another user."""
        parts = urlsplit(self.url)
        place = parts.netloc.rpartition("@")[2]
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        netloc = f"{login}{place}" if user else parts.netloc
        return urlunsplit(parts._replace(netloc=netloc, path=f"/{quote(database, safe='')}"))

    def connect(self) -> psycopg.Connection:
        """Connect to the maintenance database, where every statement stands alone."""
        return psycopg.connect(self.url, autocommit=True)


@dataclass(frozen=True)
class Database:
    """An empty database of one test."""

    name: str
    server: Server

    @property
    def url(self) -> str:
        return self.server.url_of(self.name)

    def url_as(self, user: str, password: str) -> str:
        return self.server.url_of(self.name, user, password)

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection:
        """Connect as its owner."""
        return psycopg.connect(self.url, autocommit=autocommit)

    def execute(self, statement: str) -> None:
        """Run statements as its owner, and commit them."""
        with self.connect(autocommit=True) as connection:
            connection.execute(statement.encode())

    def end_sessions(self, where: str = "true") -> None:
        """End sessions of Cardwatch as an administrator would, and wait until they are gone."""
        chosen = (
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
            f" datname = current_database() AND application_name = 'cardwatch' AND {where}"
        )
        with self.connect(autocommit=True) as connection:
            ended = [pid for pid, _ in connection.execute(chosen.encode())]
            there = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
            until = monotonic() + 5
            while connection.execute(there, [ended]).fetchone() != (0,) and monotonic() < until:
                sleep(0.01)

    def wait_until(self, *, asleep: bool) -> None:
        """Wait until a statement of Cardwatch is in ``pg_sleep``, or until none is."""
        there = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'cardwatch' AND wait_event = 'PgSleep'"
        )
        end = monotonic() + 30
        with self.connect(autocommit=True) as connection:
            while (connection.execute(there).fetchone() != (0,)) is not asleep:
                assert monotonic() < end
                sleep(0.02)

    def needs_version(self, version: int, why: str) -> None:
        """Skip a test of something that older servers lack."""
        with self.connect() as connection:
            if connection.info.server_version < version * 10_000:
                pytest.skip(f"PostgreSQL before {version} {why}")

    @contextmanager
    def role(self, *grants: str) -> Iterator[tuple[str, str]]:
        """Make a user with these privileges (``SELECT ON TABLE t``); yields name and password."""
        name, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
        user = sql.Identifier(name)
        with self.connect(autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(user, sql.Literal(password))
            )
            for grant in grants:
                text = sql.SQL("GRANT {} TO {}")
                connection.execute(text.format(sql.SQL(grant), user))
        try:
            yield name, password
        finally:
            with self.connect(autocommit=True) as connection:
                connection.execute(sql.SQL("DROP OWNED BY {}").format(user))
                connection.execute(sql.SQL("DROP ROLE {}").format(user))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server of this test session; not to be stopped."""
    if url := os.environ.get("DATABASE_URL"):
        yield Server(url)
        return
    with PostgresServer() as server:
        yield Server(server.url(), server)


@pytest.fixture
def database(postgres: Server) -> Iterator[Database]:
    """An empty database, dropped afterwards with whatever is still connected to it."""
    with new_database(postgres) as made:
        yield made


@contextmanager
def new_database(server: Server, template: str = "template1") -> Iterator[Database]:
    """Make a database, as a copy of another one that nobody uses, and drop it afterwards."""
    name = f"cardwatch_{secrets.token_hex(6)}"
    with server.connect() as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield Database(name, server)
    finally:
        with server.connect() as connection:
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(statement.format(sql.Identifier(name)))


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A throw-away server that the test may stop and start."""
    with PostgresServer() as server:
        yield server
