"""Two runs of one week that replace each other in a database, wholly or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from command_line import contents
from postgres import Database, Server, new_database
from psycopg import sql
from published_database import TABLES, sink_of, write_files
from published_weeks import WEEK
from tcp_proxy import Proxy

from cardwatch.config import OutputDatabaseConfig
from cardwatch.database.address import DatabaseAddress
from cardwatch.engine import Engine
from cardwatch.errors import PublishError
from cardwatch.publish.database import DatabaseSink
from cardwatch.publish.database_operations import DatabaseOperations
from demo.postgres_server import PASSWORD

Rows = list[tuple[str, str]]
"""Every row of every table as text, in order, with the table's name before it."""

RUNS: Mapping[str, Mapping[str, int]] = {
    "run-a": {"SECRET-1": 1, "SECRET-2": 2, "SECRET-3": 3},
    "run-b": {"SECRET-3": 1, "SECRET-4": 2},
}
REST = {"run-a": {"SECRET-4": 4}, "run-b": {"SECRET-1": 3, "SECRET-2": 4}}
_EVERYTHING = sql.SQL(" UNION ALL ").join(
    sql.SQL("SELECT {}, t::text FROM {} AS t").format(sql.Literal(name), sql.Identifier(name))
    for name in TABLES
) + sql.SQL(" ORDER BY 1, 2")


def everything(connection: psycopg.Connection) -> Rows:
    """Return what the tables hold, as one statement sees it."""
    return connection.execute(_EVERYTHING).fetchall()


def through(proxy: Proxy, database: Database) -> DatabaseAddress:
    """Return the address of a database behind a proxy, without encryption."""
    parts = urlsplit(database.url)
    place = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"
    return DatabaseAddress.parse(urlunsplit(parts._replace(netloc=place, query="sslmode=disable")))


@dataclass
class TwoRuns:
    """A database that holds one of two runs of a week, and the files of both.

    Attributes
    ----------
    folders : dict
        The output folder of each run.
    current : str
        The run whose rows the database holds.
    states : dict
        What the database holds once the run was published over the other one.
    errors : int
        How often publishing has failed.
    """

    database: Database
    folders: dict[str, Path]
    files: dict[str, dict[str, bytes]]
    watcher: psycopg.Connection
    current: str = ""
    states: dict[str, Rows] = field(default_factory=dict)
    errors: int = 0

    @classmethod
    @contextmanager
    def begin(cls, database: Database, folder: Path, engine: Engine) -> Iterator[TwoRuns]:
        """Publish another week, then both runs, until each has replaced the other."""
        for run, ranks in RUNS.items():
            write_files(folder / run, engine, ranks, run, rest=REST[run])
        write_files(folder / "before", engine, {"SECRET-9": 1}, "run-before", week=WEEK - 1)
        folders = {run: folder / run for run in RUNS}
        files = {run: contents(folder / run) for run in RUNS}
        runs = cls(database, folders, files, psycopg.connect(database.url, autocommit=True))
        try:
            sink_of(folder / "before", database, scores=True).publish(WEEK - 1)
            for run in (*RUNS, *RUNS):
                runs.publish(run)
            assert runs.states["run-a"] != runs.states["run-b"]
            yield runs
        finally:
            runs.watcher.close()

    @property
    def other(self) -> str:
        """The run that is to be published next."""
        return "run-b" if self.current == "run-a" else "run-a"

    @property
    def now(self) -> Rows:
        """What the database holds now."""
        try:
            return everything(self.watcher)
        except psycopg.OperationalError:  # the server was stopped meanwhile
            self.watcher.close()
            self.watcher = psycopg.connect(self.database.url, autocommit=True)
            return everything(self.watcher)

    def sink(self, run: str, **settings: Any) -> DatabaseSink:
        """Return a sink for the files of a run; settings are those of `sink_of`."""
        return sink_of(self.folders[run], self.database, scores=True, **settings)

    def publish(self, run: str) -> None:
        """Publish a run, and keep what the database then holds."""
        self.sink(run).publish(WEEK)
        self.current = run
        self.states[run] = self.now

    def attempt(self, place: str, **settings: Any) -> PublishError | None:
        """Publish the other run under a fault: the week is wholly old or wholly new.

        After an error it is what it was, files are whole, and publishing again completes it: that
        is done after every third one, as what is there has been found to be the same.
        """
        old, new = self.current, self.other
        error = None
        try:
            self.sink(new, **settings).publish(WEEK)
        except PublishError as raised:
            error = raised
        self.check(new if error is None else old, place)
        if error is not None:
            said(error)
            self.errors += 1
        if error is None:
            self.current = new
        elif self.errors % 3 == 1:
            self.complete(place)
        return error

    def check(self, expected: str, place: str) -> None:
        """Check that the database holds a run wholly, and that the files are as they were."""
        now = self.now
        held = [run for run, state in self.states.items() if state == now]
        assert held == [expected], f"{place}: {held or 'a mix'}, not {expected}"
        assert {run: contents(self.folders[run]) for run in RUNS} == self.files, place

    def complete(self, place: str) -> None:
        """Publish the other run without a fault."""
        new = self.other
        self.sink(new).publish(WEEK)
        self.check(new, f"again after {place}")
        self.current = new


def said(error: PublishError) -> str:
    """Return the message of an error: one line, no row and no secret in it, with a way on."""
    message = error.message
    assert "\n" not in message
    assert "SECRET" not in message
    assert PASSWORD not in message
    assert "cardwatch publish --reporting-week 2025-46" in error.next_step
    assert error.exit_code == 6
    return message


@contextmanager
def session(database: Database, *statements: str) -> Iterator[psycopg.Connection]:
    """Open another session, in a transaction that has run some statements."""
    with closing(database.connect()) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        yield connection


def waiting(database: Database, count: int = 1) -> None:
    """Wait until so many sessions wait for a lock."""
    until = monotonic() + 20
    with session(database) as connection:
        while monotonic() < until:
            found = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock'"
            ).fetchone()
            connection.rollback()
            if found and found[0] >= count:
                return
            sleep(0.01)
    raise AssertionError("nobody waits")


class Watched(DatabaseOperations):
    """Does something at the n-th operation, counted from 1; zero is none.

    Attributes
    ----------
    seen : list of str
        What was asked, in order.
    connection : psycopg.Connection or None
        The one that was opened last.
    """

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.seen: list[str] = []
        self.connection: psycopg.Connection[Any] | None = None
        self._under_way: list[int] = []

    def before(self, operation: str, statement: str) -> None:
        self.seen.append(f"{operation} {' '.join(statement.split())[:60]}".strip())
        self._under_way.append(len(self.seen))
        if len(self.seen) == self.at:
            self.now(operation)

    def after(self, operation: str, statement: str) -> None:
        done = self._under_way.pop()
        if done == self.at and operation != "connect":
            self.then(operation)

    def now(self, operation: str) -> None:
        """Be told of the n-th operation before it is done."""

    def then(self, operation: str) -> None:
        """Be told of it again once it was done."""

    def connect(
        self, address: DatabaseAddress, config: OutputDatabaseConfig, *, read_only: bool = False
    ) -> psycopg.Connection[Any]:
        self.connection = None
        self.connection = super().connect(address, config, read_only=read_only)
        if len(self.seen) == self.at:
            try:
                self.then("connect")
            except BaseException:
                self.connection.close()
                raise
        return self.connection


@pytest.fixture(scope="module")
def runs(
    postgres: Server, prepared: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TwoRuns]:
    """Two runs in a database of the session's server, for the tests of one module."""
    folder = tmp_path_factory.mktemp("runs")
    with (
        new_database(postgres, template=prepared) as database,
        Engine("500MB", 1, folder) as engine,
        TwoRuns.begin(database, folder, engine) as begun,
    ):
        yield begun
