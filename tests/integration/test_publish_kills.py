"""A process that ends while it publishes: the next one finds old files or new ones."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from published_weeks import contents
from replaced_week import ReplacedWeek, operations_of, run_python, whoever_was_replaced

from cardwatch.publish.operations import FileOperations
from cardwatch.publish.transaction import interrupted

FORK_AND_KILL = """
    import os, shutil, signal, sys
    from datetime import date
    from pathlib import Path
    from cardwatch.publish.operations import FileOperations
    from cardwatch.publish.transaction import FileSet, interrupted, recover
    from cardwatch.week import ReportingWeek

    WEEK = ReportingWeek.parse("2025-46")
    LIST, JSON, SCORES, RUN = (
        f"{name}_2025-46.{kind}"
        for name, kind in [
            ("anomalies", "csv"), ("anomalies", "json"), ("scores", "parquet"), ("run", "json")
        ]
    )
    OLD = {LIST: b"old", JSON: b"old", RUN: b"old"}
    NEW = {LIST: b"new", SCORES: b"new", RUN: b"new"}

    class Killed(FileOperations):
        def __init__(self, at):
            self.left = at

        def to_disk(self, descriptor):
            pass

        def before(self, operation, path):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def in_child(work):
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        return os.waitpid(child, 0)[1] == signal.SIGKILL

    FILES = dict(NEW)

    def write(folder, operations):
        with FileSet(folder, WEEK, operations) as files:
            for name, data in FILES.items():
                with files.create(name) as file:
                    file.write(data)
            files.supersede("old-run", date(2025, 11, 24))

    def start(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, data in OLD.items():
            (folder / name).write_bytes(data)

    def seen(folder):
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    def archive_of_the_old():
        folder = Path(sys.argv[1] + "-whole")
        start(folder)
        write(folder, FileOperations())
        name = "archive/week_2025-46.superseded-2025-11-24.old-run.tar.gz"
        return {name: (folder / name).read_bytes()}

    NEW |= archive_of_the_old()
    folder, outcomes, at = Path(sys.argv[1]), [], 0
    while True:
        at += 1
        start(folder)
        if not in_child(lambda: write(folder, Killed(at))):
            break
        again = 0
        while True:
            # The recovery is killed too, at its first operation, then its second, and so on.
            again += 1
            if not in_child(lambda: recover(folder, Killed(again))):
                break
        assert seen(folder) in (OLD, NEW), (at, seen(folder))
        assert not interrupted(folder)
        outcomes.append(seen(folder) == NEW)
    assert seen(folder) == NEW
    assert outcomes == sorted(outcomes), "old up to the decision, new from it on"
    print(len(outcomes), sum(outcomes))
"""


@pytest.mark.system
def test_a_kill_at_any_operation_recovers_to_old_or_new_even_when_recovery_is_killed(
    tmp_path: Path,
) -> None:
    done = run_python(FORK_AND_KILL, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    killed, new = map(int, done.stdout.split())
    assert killed > 20
    assert 0 < new < killed


KILL_A_RUN = """
    import os, signal, sys
    from pathlib import Path
    from cardwatch.engine import Engine
    from cardwatch.publish.files import FileSink
    from cardwatch.publish.operations import FileOperations
    from published_weeks import config, fill_engine, listed_customer, manifest, week_report

    class Killed(FileOperations):
        left = int(sys.argv[2])

        def before(self, operation, path):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    report = week_report([listed_customer("C-2", 1), listed_customer("C-3", 2)])
    with Engine("500MB", 1, Path(sys.argv[1]).parent) as engine:
        fill_engine(engine, {"C-1": 1, "C-2": 2, "C-3": 3})
        sink = FileSink(config(Path(sys.argv[1]), "csv"), operations=Killed())
        sink.write(report, engine, manifest(report, run_id="new"))
"""


@pytest.mark.system
@pytest.mark.parametrize("share", [0.3, 0.7, 0.85])
def test_a_run_that_was_killed_while_publishing_can_simply_be_run_again(
    replaced: ReplacedWeek, tmp_path: Path, share: float
) -> None:
    def write(operations: FileOperations) -> None:
        replaced.write_new(replaced.copy(tmp_path / "run"), operations)

    at = round(len(operations_of(write)) * share)
    folder = replaced.copy(tmp_path / "run")
    done = run_python(KILL_A_RUN, folder, at)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert interrupted(folder)

    replaced.write_new(folder, FileOperations())
    assert whoever_was_replaced(contents(folder)) == whoever_was_replaced(replaced.new)
    assert not interrupted(folder)


TOO_LARGE = """
    import resource, sys
    from pathlib import Path
    from cardwatch.engine import Engine
    from cardwatch.errors import PublishError
    from cardwatch.publish.files import FileSink
    from published_weeks import config, fill_engine, listed_customer, manifest, week_report

    folder = Path(sys.argv[1])
    report = week_report([listed_customer("C-2", 1)], notes=["x" * 200_000])
    with Engine("500MB", 1, folder.parent) as engine:
        fill_engine(engine, {"C-2": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            FileSink(config(folder)).write(report, engine, manifest(report))
        except PublishError as error:
            print(error.message)
"""


@pytest.mark.system
def test_a_disk_that_takes_no_more_bytes_is_said_and_nothing_changes(
    replaced: ReplacedWeek, tmp_path: Path
) -> None:
    folder = replaced.copy(tmp_path / "run")
    done = run_python(TOO_LARGE, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The disk is full, so the results were not written")
    assert contents(folder) == replaced.old
    assert not interrupted(folder)
