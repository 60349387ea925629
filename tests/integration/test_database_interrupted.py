"""Readers, other publishers, killed processes and servers: the old week or the new one, always."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from command_line import start
from postgres import Database, Server
from published_database import dump, rows, sink_of, upgrade, write_files
from published_weeks import WEEK

from cardwatch.engine import Engine
from cardwatch.errors import PublishError
from cardwatch.publish.database_locks import lock_key
from cardwatch.publish.database_operations import DatabaseOperations
from demo.postgres_server import PostgresServer

pytestmark = pytest.mark.system

LOST = "server closed the connection unexpectedly"
ONE_LOOK = """
SELECT (SELECT count(*) FROM anomaly_reports),
    (SELECT array_agg(DISTINCT run_id) FROM anomaly_runs WHERE is_current),
    (SELECT array_agg(DISTINCT run_id) FROM anomaly_details),
    (SELECT array_agg(DISTINCT run_id) FROM anomaly_reasons),
    (SELECT array_agg(DISTINCT run_id) FROM anomaly_mcc_week),
    (SELECT array_agg(DISTINCT run_id) FROM anomaly_customer_week),
    (SELECT array_agg(DISTINCT run_id) FROM anomaly_scores),
    (SELECT count(*) FROM anomaly_scores)
"""
FIRST = {f"A{rank}": rank for rank in range(1, 21)}
SECOND = {f"B{rank}": rank for rank in range(1, 16)}


class Hooked(DatabaseOperations):
    """Calls `act` once, before or after the first operation of that kind on that table."""

    def __init__(
        self, operation: str, table: str, act: Callable[[], None], *, when: str = "before"
    ) -> None:
        self.wanted = (when, operation, table)
        self.act = act
        self.done = False
        self.seen: list[tuple[str, str]] = []

    def before(self, operation: str, statement: str) -> None:
        self.seen.append((operation, statement))
        self._maybe("before", operation, statement)

    def after(self, operation: str, statement: str) -> None:
        self._maybe("after", operation, statement)

    def count(self, operation: str) -> int:
        return sum(seen == operation for seen, _ in self.seen)

    def _maybe(self, when: str, operation: str, statement: str) -> None:
        if not self.done and (when, operation) == self.wanted[:2] and self.wanted[2] in statement:
            self.done = True
            self.act()


def losing() -> None:
    raise psycopg.OperationalError(LOST)


@pytest.fixture
def first(tmp_path: Path, engine: Engine) -> Path:
    return write_files(tmp_path / "first", engine, FIRST, "run-1", rest={"Z": 21})


@pytest.fixture
def second(tmp_path: Path, engine: Engine, first: Path) -> Path:
    return write_files(tmp_path / "second", engine, SECOND, "run-2")


@pytest.fixture
def published(ready: Database, first: Path) -> Database:
    """A database that holds the first run."""
    sink_of(first, ready, scores=True).publish(WEEK)
    return ready


# Readers and other publishers


def test_readers_see_one_run_or_the_other_and_never_none_or_a_mix(
    published: Database, first: Path, second: Path
) -> None:
    looks: set[tuple[Any, ...]] = set()
    stop = threading.Event()

    def look() -> None:
        with published.connect(autocommit=True) as connection:
            while not stop.is_set():
                looks.add(tuple(map(str, connection.execute(ONE_LOOK).fetchone() or ())))

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(12):
        sink_of(second, published, scores=True).publish(WEEK)
        sink_of(first, published, scores=True).publish(WEEK)
    stop.set()
    for reader in readers:
        reader.join()
    whole = {
        ("20", *["['run-1']"] * 6, "21"),
        ("15", *["['run-2']"] * 6, "15"),
    }
    assert looks == whole


def test_two_publishers_of_a_week_take_turns(
    published: Database, first: Path, second: Path
) -> None:
    failed: list[Exception] = []

    def publish(folder: Path) -> None:
        try:
            for _ in range(5):
                sink_of(folder, published, scores=True).publish(WEEK)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=publish, args=[folder]) for folder in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len({row["run_id"] for row in rows(published, "anomaly_scores")}) == 1
    assert sum(row["is_current"] for row in rows(published, "anomaly_runs")) == 1


def test_a_publisher_waits_for_another_one_only_so_long(published: Database, second: Path) -> None:
    before = dump(published)
    with published.connect() as other:
        other.execute(
            "SELECT pg_advisory_xact_lock(%s)", [lock_key("publish", "public", "2025-46")]
        )
        with pytest.raises(PublishError, match="Another session is at publishing week 2025-46"):
            sink_of(second, published, lock_timeout_seconds=0.2, attempts=3).publish(WEEK)
    assert dump(published) == before


def test_different_weeks_are_published_at_once(
    published: Database, second: Path, engine: Engine, tmp_path: Path
) -> None:
    earlier = write_files(tmp_path / "earlier", engine, {"E": 1}, "run-0", week=WEEK - 1)

    def publish_earlier() -> None:
        sink_of(earlier, published, lock_timeout_seconds=5).publish(WEEK - 1)

    meanwhile = Hooked("commit", "", publish_earlier)
    sink_of(second, published, operations=meanwhile).publish(WEEK)
    assert meanwhile.done
    current = {row["run_id"] for row in rows(published, "anomaly_runs") if row["is_current"]}
    assert current == {"run-0", "run-2"}


def test_a_deadlock_with_somebody_else_ends_in_a_whole_week(
    published: Database, second: Path
) -> None:
    held, wants = threading.Event(), threading.Event()

    def somebody() -> None:
        with published.connect() as connection:
            # The publisher looks for a deadlock first, and is the one that loses.
            connection.execute("SET deadlock_timeout = '30s'")
            connection.execute("SELECT 1 FROM anomaly_runs FOR UPDATE")
            held.set()
            wants.wait(20)
            connection.execute("SELECT 1 FROM anomaly_reports FOR UPDATE")

    thread = threading.Thread(target=somebody)
    thread.start()
    held.wait(20)
    operations = Hooked("execute", "SET is_current", wants.set)
    sink_of(second, published, operations=operations, attempts=3).publish(WEEK)
    thread.join()
    assert operations.count("commit") == 1
    assert operations.count("connect") == 2
    assert {row["run_id"] for row in rows(published, "anomaly_details")} == {"run-2"}


def test_a_table_that_somebody_keeps_locked_is_not_waited_for_for_ever(
    published: Database, second: Path
) -> None:
    with published.connect() as other:
        other.execute("LOCK TABLE anomaly_reports")
        with pytest.raises(PublishError, match="Another session holds the table"):
            sink_of(second, published, lock_timeout_seconds=0.3).publish(WEEK)
    assert {row["run_id"] for row in rows(published, "anomaly_details")} == {"run-1"}


# Faults that pass


@pytest.mark.parametrize(
    ("operation", "table"),
    [
        ("connect", ""),
        ("execute", "pg_advisory_xact_lock"),
        ("execute", "DELETE"),
        ("copy", "anomaly_runs"),
        ("send", "anomaly_reasons"),
        ("commit", ""),
    ],
)
def test_a_connection_that_breaks_is_tried_again_as_a_whole(
    published: Database, second: Path, operation: str, table: str
) -> None:
    def cut() -> None:
        with published.connect(autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'cardwatch' AND datname = current_database()"
            )
        if operation == "connect":
            losing()

    operations = Hooked(operation, table, cut)
    sink_of(second, published, operations=operations, attempts=2, scores=True).publish(WEEK)
    assert operations.count("connect") == 2
    assert {row["run_id"] for row in rows(published, "anomaly_scores")} == {"run-2"}


def test_without_attempts_left_the_old_week_stands(published: Database, second: Path) -> None:
    before = dump(published)
    with pytest.raises(PublishError) as raised:
        sink_of(second, published, operations=Hooked("send", "reasons", losing)).publish(WEEK)
    assert raised.value.retryable
    assert "cardwatch publish --reporting-week 2025-46" in raised.value.message
    assert dump(published) == before


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_commit_whose_answer_was_lost_is_looked_for(
    published: Database, second: Path, attempts: int
) -> None:
    operations = Hooked("commit", "", losing, when="after")
    sink_of(second, published, operations=operations, attempts=attempts).publish(WEEK)
    assert operations.count("commit") == 1
    assert {row["run_id"] for row in rows(published, "anomaly_details")} == {"run-2"}


def test_a_commit_that_never_arrived_is_done_again(published: Database, second: Path) -> None:
    operations = Hooked("commit", "", losing)
    sink_of(second, published, operations=operations, attempts=2).publish(WEEK)
    assert operations.count("commit") == 2
    with pytest.raises(PublishError):
        sink_of(second, published, operations=Hooked("commit", "", losing)).publish(WEEK)


def test_where_the_server_stays_away_after_a_commit_it_is_said_that_the_outcome_is_unknown(
    own_server: PostgresServer, tmp_path: Path, engine: Engine
) -> None:
    database = Database("postgres", Server(own_server.url()))
    upgrade(database)
    folder = write_files(tmp_path / "outputs", engine, {"A": 1})

    def gone() -> None:
        own_server.stop(signal.SIGQUIT)
        losing()

    with pytest.raises(PublishError, match="came through is not known"):
        sink_of(folder, database, operations=Hooked("commit", "", gone, when="after")).publish(WEEK)
    own_server.start()
    assert len(rows(database, "anomaly_reports")) == 1
    sink_of(folder, database).publish(WEEK)
    assert len(rows(database, "anomaly_reports")) == 1


# Killed at any moment


@pytest.mark.system
@pytest.mark.parametrize(
    ("moment", "operation", "table", "outcome"),
    [
        ("before", "copy", "anomaly_runs", "run-1"),
        ("after", "send", "anomaly_scores", "run-1"),
        ("after", "commit", "", "run-2"),
    ],
)
def test_a_publisher_that_is_killed_leaves_the_old_week_or_the_new_one(
    published: Database, second: Path, moment: str, operation: str, table: str, outcome: str
) -> None:
    before = dump(published)
    killing = (
        "import os, signal\n"
        "from cardwatch.publish.database_operations import DatabaseOperations\n"
        "def kill(self, operation, statement):\n"
        f"    if operation == {operation!r} and {table!r} in statement:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"DatabaseOperations.{moment} = kill"
    )
    config = second / "config.yaml"
    config.write_text("output: {database: {enabled: true, scores: true}}\n")
    words = ("publish", "--output-dir", second, "--config", config)
    process = start(second, *words, first=killing, OUTPUT_DB_CONNECTION_STRING=published.url)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert {row["run_id"] for row in rows(published, "anomaly_scores")} == {outcome}
    if outcome == "run-1":
        assert dump(published) == before
    sink_of(second, published, scores=True).publish(WEEK)
    assert {row["run_id"] for row in rows(published, "anomaly_scores")} == {"run-2"}


@pytest.mark.parametrize("table", ["anomaly_runs", "anomaly_scores"])
def test_a_server_that_crashes_comes_back_with_the_old_week(
    own_server: PostgresServer, first: Path, second: Path, table: str
) -> None:
    database = Database("postgres", Server(own_server.url()))
    upgrade(database)
    sink_of(first, database, scores=True).publish(WEEK)
    before = dump(database)
    crash = Hooked("send", table, lambda: own_server.stop(signal.SIGQUIT), when="after")
    with pytest.raises(PublishError) as raised:
        sink_of(second, database, operations=crash, scores=True).publish(WEEK)
    assert "cardwatch publish --reporting-week 2025-46" in raised.value.message
    own_server.start()
    assert dump(database) == before
    sink_of(second, database, scores=True).publish(WEEK)
    assert {row["run_id"] for row in rows(database, "anomaly_scores")} == {"run-2"}


def test_a_server_that_comes_back_in_time_is_only_a_later_attempt(
    own_server: PostgresServer, first: Path
) -> None:
    database = Database("postgres", Server(own_server.url()))
    upgrade(database)

    def restart() -> None:
        own_server.stop(signal.SIGQUIT)
        own_server.start()

    operations = Hooked("send", "anomaly_details", restart)
    sink_of(first, database, operations=operations, attempts=3).publish(WEEK)
    assert operations.count("connect") == 2
    assert {row["run_id"] for row in rows(database, "anomaly_details")} == {"run-1"}
