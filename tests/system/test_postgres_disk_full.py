"""A server whose disk fills up, on real file systems of a few megabytes: mounting takes root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from database_tables import load, source_of
from postgres import Database, Server
from published_database import dump, rows, sink_of, upgrade, write_files
from published_weeks import WEEK
from small_portfolio import portfolio_rows
from two_runs import said

from cardwatch.engine import Engine
from cardwatch.errors import PublishError, SourceError
from cardwatch.publish.database_operations import DatabaseOperations
from demo.postgres_server import NOBODY, PostgresServer

pytestmark = pytest.mark.system
CUSTOMERS = {f"SECRET-{n}": n + 2 for n in range(500)}


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount an empty file system of so many bytes that belongs to the server."""
    folder.mkdir(parents=True)
    if os.geteuid():
        pytest.skip("mounting a file system takes root")
    options = f"size={size},mode=700,uid={NOBODY},gid={NOBODY}"
    done = _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount a file system: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


def grow(folder: Path, size: str) -> None:
    """Give a file system more room."""
    assert _run("mount", "-o", f"remount,size={size}", str(folder)).returncode == 0


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def prepared_on(server: PostgresServer, folder: Path, engine: Engine) -> Database:
    """Publish a small week, and write the files of a large one over it."""
    database = Database("postgres", Server(server.url(), server))
    upgrade(database)
    write_files(folder, engine, {"SECRET-OLD": 1}, "run-1")
    sink_of(folder, database, scores=True).publish(WEEK)
    write_files(folder, engine, {"SECRET-NEW": 1}, "run-2", rest=CUSTOMERS)
    return database


def test_a_table_space_that_is_full_leaves_the_old_week_until_there_is_room_again(
    own_server: PostgresServer, engine: Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "outputs"
    database = prepared_on(own_server, folder, engine)
    with disk(own_server.data.parent / "space", "48k") as space:
        database.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        database.execute("ALTER TABLE anomaly_scores SET TABLESPACE small")
        before = dump(database)
        with pytest.raises(PublishError, match="The server's disk is full") as raised:
            sink_of(folder, database, scores=True, attempts=2).publish(WEEK)
        said(raised.value)
        assert dump(database) == before
        grow(space, "20m")
        sink_of(folder, database, scores=True).publish(WEEK)
        assert len(rows(database, "anomaly_scores")) == len(CUSTOMERS) + 1
        own_server.stop()


@pytest.mark.takes(40)
def test_a_log_that_cannot_grow_ends_the_server_and_leaves_the_old_week(
    engine: Engine, tmp_path: Path
) -> None:
    settings = {"max_wal_size": "32MB", "min_wal_size": "32MB", "wal_recycle": "off"}
    with PostgresServer(settings=settings) as server:
        folder = tmp_path / "outputs"
        database = prepared_on(server, folder, engine)
        before = dump(database)
        server.stop()
        with disk(server.data.parent / "log", "80m") as log:
            wal = server.data / "pg_wal"
            assert _run("cp", "-a", f"{wal}/.", str(log)).returncode == 0
            wal.rename(server.data / "pg_wal.away")
            wal.symlink_to(log)
            server.start()
            fill(log)
            with pytest.raises(PublishError) as raised:
                for _ in range(9):
                    operations = NextLogFile(database)
                    sink_of(folder, database, operations=operations, scores=True).publish(WEEK)
                    before = dump(database)
            said(raised.value)
            server.stop()
            assert "No space left on device" in server.log.read_text(encoding="utf-8")
            grow(log, "400m")
            server.start()
            assert dump(database) == before
            sink_of(folder, database, scores=True).publish(WEEK)
            assert len(rows(database, "anomaly_scores")) == len(CUSTOMERS) + 1
            server.stop()


class NextLogFile(DatabaseOperations):
    """Lets the server's log need another file in the middle of a publication."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def before(self, operation: str, statement: str) -> None:
        if operation == "send":
            with suppress(psycopg.OperationalError):  # the server may end here
                self._database.execute("SELECT pg_switch_wal()")


def fill(folder: Path) -> None:
    """Take all the room that is left."""
    free = os.statvfs(folder)
    (folder / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize))


def test_a_read_that_needs_more_temporary_space_than_there_is_is_one_error(
    own_server: PostgresServer, engine: Engine
) -> None:
    database = Database("postgres", Server(own_server.url(), own_server))
    load(database, portfolio_rows(200, 8))
    with disk(own_server.data.parent / "space", "200k") as space:
        database.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        database.execute("ALTER ROLE postgres SET temp_tablespaces = 'small'")
        database.execute("ALTER ROLE postgres SET work_mem = '64kB'")
        query = "SELECT * FROM card_transactions ORDER BY md5(customer_id || mcc)"
        with pytest.raises(SourceError, match="The server's disk is full") as raised:
            source_of(own_server.url(), engine, query=query, attempts=2).read(WEEK, 4)
        assert "\n" not in raised.value.message
        assert not raised.value.retryable
        grow(space, "50m")
        delivery = source_of(own_server.url(), engine, query=query).read(WEEK, 4)
        assert engine.scalar(f"SELECT count(*) FROM ({delivery.select([WEEK])})")
        own_server.stop()
