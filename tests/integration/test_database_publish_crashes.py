"""The process or the server ends, or its disk is full, in the middle of a publication."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest
from command_line import contents
from postgres import Database, Server
from published_database import dump, rows, sink_of, upgrade, write_files
from published_weeks import WEEK
from two_runs import TwoRuns, Watched, said, through, waiting
from wire_proxy import MessageProxy

from cardwatch.engine import Engine
from cardwatch.errors import PublishError
from cardwatch.outputs import OutputFile
from demo.postgres_server import PostgresServer

pytestmark = pytest.mark.system

TESTS = Path(__file__).parents[1]


# The publishing process is killed

PUBLISHER = """
    import os, signal, sys, traceback
    import tenacity  # once, not in every child
    from pathlib import Path
    from postgres import Database, Server
    from published_database import sink_of
    from published_weeks import WEEK
    from two_runs import Watched

    class Killed(Watched):
        def __init__(self, at, moment):
            super().__init__(at)
            self.moment = moment

        def now(self, operation):
            if self.moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)

        def then(self, operation):
            if self.moment == "after":
                os.kill(os.getpid(), signal.SIGKILL)

    database = Database(os.environ["NAME"], Server(os.environ["SERVER"]))
    for line in sys.stdin:
        at, moment, folder = line.rstrip("\\n").split(" ", 2)
        child = os.fork()
        if not child:
            try:
                operations = Killed(int(at), moment)
                sink_of(Path(folder), database, operations=operations, scores=True).publish(WEEK)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Publishers:
    """Processes that publish, and are killed at the n-th operation."""

    def __init__(self, runs: TwoRuns, process: subprocess.Popen[str]) -> None:
        self._runs = runs
        self._process = process

    @classmethod
    @contextmanager
    def beginning(cls, runs: TwoRuns) -> Iterator[Publishers]:
        database = runs.database
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
            "NAME": database.name,
            "SERVER": database.server.url,
        }
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PUBLISHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        ) as process:
            begun = cls(runs, process)
            yield begun
            begun.pipe(0).close()

    def start(self, at: int = 0, moment: str = "before") -> int:
        """Publish the other run in a process of its own, and return its id."""
        print(at, moment, self._runs.folders[self._runs.other], file=self.pipe(0), flush=True)
        return int(self.pipe(1).readline())

    def end(self) -> int:
        """Return the exit code of that process."""
        return int(self.pipe(1).readline())

    def pipe(self, number: int) -> IO[str]:
        """Return what they read (0) or write (1)."""
        pipe = (self._process.stdin, self._process.stdout)[number]
        assert pipe is not None
        return pipe


@pytest.fixture(scope="module")
def publishers(runs: TwoRuns) -> Iterator[Publishers]:
    with Publishers.beginning(runs) as begun:
        yield begun


def test_a_process_killed_at_any_statement_leaves_the_old_week_unless_it_had_committed(
    runs: TwoRuns, publishers: Publishers
) -> None:
    counting = Watched()
    assert runs.attempt("no fault", operations=counting) is None
    commit = len(counting.seen)
    moments = [(at, "before") for at in range(1, commit + 1)]
    for at, moment in (*moments, (commit, "after")):
        publishers.start(at, moment)
        assert publishers.end() == -signal.SIGKILL
        runs.check(runs.other if moment == "after" else runs.current, f"{moment} {at}")
        runs.complete(f"killed {moment} {counting.seen[at - 1]}")


def test_a_process_killed_while_it_waits_leaves_the_old_week_and_keeps_nobody_waiting(
    runs: TwoRuns, publishers: Publishers
) -> None:
    with closing(runs.database.connect()) as holder:
        holder.execute("LOCK TABLE anomaly_mcc_week IN SHARE MODE")
        process = publishers.start()
        waiting(runs.database)
        os.kill(process, signal.SIGKILL)
        assert publishers.end() == -signal.SIGKILL
        runs.check(runs.current, "killed")
    runs.complete("killed while waiting")


# The server ends


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRuns]:
    """Two runs on a server that may be stopped."""
    folder = tmp_path_factory.mktemp("fragile")
    with PostgresServer() as server, Engine("500MB", 1, folder) as engine:
        database = Database("postgres", Server(server.url(), server))
        upgrade(database)
        with TwoRuns.begin(database, folder, engine) as begun:
            yield begun


def server_of(runs: TwoRuns) -> PostgresServer:
    process = runs.database.server.process
    assert process is not None
    return process


class Crashing(Watched):
    """The server crashes before the n-th operation."""

    def __init__(self, at: int, server: PostgresServer) -> None:
        super().__init__(at)
        self._server = server

    def now(self, operation: str) -> None:
        self._server.stop(signal.SIGQUIT)


def test_a_server_that_crashes_on_the_way_holds_the_old_week_when_it_is_back(
    fragile: TwoRuns,
) -> None:
    counting, server = Watched(), server_of(fragile)
    assert fragile.attempt("no fault", operations=counting) is None
    for at in range(len(counting.seen), 0, -1):
        place = f"crashed before {counting.seen[at - 1]}"
        with pytest.raises(PublishError) as raised:
            fragile.sink(fragile.other, operations=Crashing(at, server)).publish(WEEK)
        said(raised.value)
        assert raised.value.retryable
        server.start()
        fragile.check(fragile.current, place)
        crashing = Crashing(at, server)
        again = fragile.attempt(
            place, operations=crashing, attempts=2, sleep=lambda _: server.start()
        )
        assert again is None


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_server_that_crashes_right_after_the_commit_holds_the_new_week(
    fragile: TwoRuns, attempts: int
) -> None:
    server = server_of(fragile)
    with MessageProxy(server.port) as proxy:
        assert fragile.attempt("no fault", address=through(proxy, fragile.database)) is None
        at = proxy.seen.index("query COMMIT") + 1

    def crash(answer: bytes) -> None:
        del answer
        server.stop(signal.SIGQUIT)

    with MessageProxy(server.port, at, crash, "after") as proxy:
        new = fragile.other
        address = through(proxy, fragile.database)
        sink = fragile.sink(new, address=address, attempts=attempts, sleep=lambda _: server.start())
        if attempts == 1:
            with pytest.raises(PublishError, match="is not known"):
                sink.publish(WEEK)
            server.start()
        else:
            sink.publish(WEEK)
    fragile.check(new, "crashed after the commit")
    fragile.current = new


# The server's disk is full


@contextmanager
def full(database: Database, table: str) -> Iterator[None]:
    """Let a table that is empty lie on a disk that takes nothing more."""
    process = database.server.process
    if process is None or not Path("/dev/full").exists():
        pytest.skip("only the disk of a server on this machine can be made to look full")
    with database.connect() as connection:
        found = connection.execute(
            "SELECT pg_relation_filepath(%s::regclass), pg_relation_size(%s::regclass)",
            [table, table],
        ).fetchone()
    assert found
    assert found[1] == 0
    file = process.data / found[0]
    away = file.with_suffix(".away")
    file.rename(away)
    file.symlink_to("/dev/full")
    try:
        yield
    finally:
        file.unlink()
        away.rename(file)


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_full_disk_leaves_the_old_week_until_there_is_room_again(
    ready: Database, engine: Engine, tmp_path: Path, attempts: int
) -> None:
    folder = tmp_path / "outputs"
    write_files(folder, engine, {"SECRET-1": 1}, "run-1")
    sink_of(folder, ready).publish(WEEK)
    before = dump(ready)
    write_files(folder, engine, {"SECRET-2": 1}, "run-2")
    files = contents(folder)
    with full(ready, "anomaly_scores"):
        sink = sink_of(folder, ready, scores=True, attempts=attempts)
        with pytest.raises(PublishError, match="The server's disk is full") as raised:
            sink.publish(WEEK)
        said(raised.value)
        assert dump(ready) == before
    assert contents(folder) == files
    sink_of(folder, ready, scores=True).publish(WEEK)
    assert [row["customer_id"] for row in rows(ready, "anomaly_scores")] == ["SECRET-2"]
    assert [row["customer_id"] for row in rows(ready, "anomaly_reports")] == ["SECRET-2"]


# The clocks differ


def dated(folder: Path, year: int) -> datetime:
    """Let a run have taken place in another year, and return when it ended."""
    path = folder / OutputFile.MANIFEST.of(WEEK)
    manifest = json.loads(path.read_bytes())
    ended = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)
    manifest["started_at"] = manifest["finished_at"] = ended.isoformat()
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return ended


def test_neither_the_servers_clock_nor_its_time_zone_has_a_say(
    ready: Database, engine: Engine, tmp_path: Path
) -> None:
    ready.execute(f"ALTER DATABASE {ready.name} SET timezone = 'Pacific/Kiritimati'")
    for run, year in (("run-1", 2087), ("run-2", 1996), ("run-3", 2031)):
        folder = write_files(tmp_path / run, engine, {"SECRET-1": 1}, run)
        ended = dated(folder, year)
        ready.execute(f"ALTER DATABASE {ready.name} SET datestyle = 'German'")
        sink_of(folder, ready).publish(WEEK)
        ready.execute(f"ALTER DATABASE {ready.name} RESET datestyle")
        [listed] = rows(ready, "anomaly_reports")
        assert listed["created_at"] == ended.replace(tzinfo=None)
        current = [row for row in rows(ready, "anomaly_runs") if row["is_current"]]
        assert [row["run_id"] for row in current] == [run]
        assert [row["finished_at"] for row in current] == [ended]
        assert [row["run_id"] for row in rows(ready, "bi_fact_anomaly")] == [run]
        [week] = rows(ready, "bi_dim_week")
        assert (week["run_id"], week["week_start"]) == (run, WEEK.monday)
    assert len(rows(ready, "anomaly_runs")) == 3
