"""A fault at every single file operation, and a kill at every one: wholly old or wholly new."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from published_weeks import (
    WEEK,
    QuickOperations,
    config,
    contents,
    fill_engine,
    listed_customer,
    manifest,
    week_report,
)

from cardwatch.engine import Engine
from cardwatch.errors import PublishError
from cardwatch.publish.files import FileSink
from cardwatch.publish.lock import LOCK_NAME
from cardwatch.publish.operations import FileOperations
from cardwatch.publish.transaction import interrupted, recover

ROOT = Path(__file__).parents[2]
TESTS = Path(__file__).parents[1]


class FaultyOperations(QuickOperations):
    """Fails at the n-th operation: just there, or there and ever after."""

    def __init__(self, at: int, number: int = errno.EIO, *, for_good: bool = False) -> None:
        self.at = at
        self.number = number
        self.for_good = for_good
        self.count = 0
        self.seen: list[str] = []

    def before(self, operation: str, path: Path) -> None:
        self.count += 1
        self.seen.append(operation)
        if self.count == self.at or (self.for_good and self.count > self.at):
            raise OSError(self.number, os.strerror(self.number), str(path))


class Week:
    """One week's results twice: an older run and a newer one that no longer writes the JSON."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.engine = engine
        fill_engine(engine, {"C-1": 1, "C-2": 2, "C-3": 3})
        self.start = folder / "start"
        self.write_old(self.start)
        self.old = contents(self.start)
        done = self.copy(folder / "done")
        self.write_new(done, FileOperations())
        self.new = contents(done)

    def copy(self, folder: Path) -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.start, folder)
        return folder

    def write_old(self, folder: Path) -> None:
        report = week_report([listed_customer("C-1", 1)])
        FileSink(config(folder), operations=QuickOperations()).write(
            report, self.engine, manifest(report, run_id="old")
        )

    def write_new(self, folder: Path, operations: FileOperations) -> None:
        report = week_report([listed_customer("C-2", 1), listed_customer("C-3", 2)])
        sink = FileSink(config(folder, "csv"), operations=operations)
        sink.write(report, self.engine, manifest(report, run_id="new"))


OLD_PACKED = "archive/week_2025-46.superseded-2025-11-24.old.tar.gz"


def whoever_was_replaced(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files without what the manifest says of the run before."""
    line = re.compile(rb'"supersedes_run_id": [^\n]*\n')
    return {name: line.sub(b"", content) for name, content in files.items()}


def without_archive(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name != OLD_PACKED}


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    folder = tmp_path_factory.mktemp("publish")
    with Engine("500MB", 1, folder) as engine:
        yield Week(folder, engine)


def operations_of(write: Callable[[FileOperations], None]) -> list[str]:
    counting = FaultyOperations(at=0)
    write(counting)
    return counting.seen


def test_the_older_and_the_newer_run_differ_in_every_way_that_matters(week: Week) -> None:
    assert week.old.keys() - week.new.keys() == {"anomalies_2025-46.json"}
    assert week.new.keys() - week.old.keys() == {OLD_PACKED}
    assert not interrupted(week.start)


@pytest.mark.system
def test_a_failure_at_any_operation_leaves_the_old_files_or_the_new_ones(
    week: Week, tmp_path: Path
) -> None:
    def write(operations: FileOperations) -> None:
        week.write_new(week.copy(tmp_path / "run"), operations)

    total = len(operations_of(write))
    assert total > 30
    outcomes = set()
    for at in range(1, total + 1):
        try:
            write(FaultyOperations(at))
        except PublishError:
            expected = week.old
        else:
            expected = week.new
        assert contents(tmp_path / "run") == expected, f"operation {at} of {total}"
        outcomes.add(expected is week.old)
    assert outcomes == {True, False}


@pytest.mark.system
def test_a_disk_that_fails_for_good_leaves_a_folder_that_recovers_to_old_or_new(
    week: Week, tmp_path: Path
) -> None:
    def write(operations: FileOperations) -> None:
        week.write_new(week.copy(tmp_path / "run"), operations)

    for at in range(1, len(operations_of(write)) + 1):
        try:
            write(FaultyOperations(at, errno.ENOSPC, for_good=True))
            expected = [week.new]
        except PublishError:
            expected = [week.old, week.new]
        recover(tmp_path / "run", QuickOperations())
        assert contents(tmp_path / "run") in expected, f"operation {at}"
        assert not interrupted(tmp_path / "run")


@pytest.mark.system
def test_a_failure_on_the_first_run_of_a_week_leaves_nothing(week: Week, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for at in range(1, len(operations_of(lambda ops: week.write_new(tmp_path / "x", ops))) + 1):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            week.write_new(folder, FaultyOperations(at))
        except PublishError:
            assert contents(folder) == {}, f"operation {at}"
        else:
            new = whoever_was_replaced(without_archive(week.new))
            assert whoever_was_replaced(contents(folder)) == new, f"operation {at}"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EDQUOT, "The disk is full"),
        (errno.EACCES, "cannot be read or written"),
        (errno.EROFS, "cannot be read or written"),
        (errno.EIO, "could not be written"),
    ],
)
def test_what_the_disk_said_becomes_one_clear_line(
    week: Week, tmp_path: Path, number: int, words: str
) -> None:
    with pytest.raises(PublishError, match=words) as caught:
        week.write_new(tmp_path / "run", FaultyOperations(8, number))
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 6
    assert os.strerror(number) in caught.value.message


def test_a_file_that_stands_where_the_folder_should_be_is_said(week: Week, tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file", encoding="utf-8")
    for folder in (tmp_path / "outputs", tmp_path / "outputs" / "deeper"):
        with pytest.raises(PublishError, match="A file stands where a folder"):
            week.write_new(folder, FileOperations())


def test_a_folder_with_the_name_of_a_file_is_said_and_nothing_changes(
    week: Week, tmp_path: Path
) -> None:
    folder = week.copy(tmp_path / "run")
    (folder / "anomalies_2025-46.csv").unlink()
    (folder / "anomalies_2025-46.csv").mkdir()
    before = contents(folder)
    with pytest.raises(PublishError, match="A folder stands where a file"):
        week.write_new(folder, FileOperations())
    assert contents(folder) == before


MAY_NOT_WRITE = """
    import os, sys
    from pathlib import Path
    from cardwatch.engine import Engine
    from cardwatch.errors import PublishError
    from cardwatch.publish.files import FileSink
    from published_weeks import config, fill_engine, listed_customer, manifest, week_report

    folder = Path(sys.argv[1])
    report = week_report([listed_customer("C-1", 1)])
    with Engine("500MB", 1, folder.parent) as engine:
        fill_engine(engine, {"C-1": 1})
        folder.chmod(0o555)
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        try:
            FileSink(config(folder)).write(report, engine, manifest(report))
        except PublishError as error:
            print(error.message)
"""


def test_a_folder_that_may_not_be_written_is_said(week: Week) -> None:
    # Not in tmp_path, where only its owner may look: the superuser becomes somebody else here.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = week.copy(Path(name) / "outputs")
        (folder / LOCK_NAME).unlink()
        done = run_python(MAY_NOT_WRITE, folder)
        folder.chmod(0o755)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("The output folder cannot be read or written")
        assert contents(folder) == week.old


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(TESTS)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


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
    week: Week, tmp_path: Path, share: float
) -> None:
    def write(operations: FileOperations) -> None:
        week.write_new(week.copy(tmp_path / "run"), operations)

    at = round(len(operations_of(write)) * share)
    folder = week.copy(tmp_path / "run")
    done = run_python(KILL_A_RUN, folder, at)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert interrupted(folder)

    week.write_new(folder, FileOperations())
    assert whoever_was_replaced(contents(folder)) == whoever_was_replaced(week.new)
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
    week: Week, tmp_path: Path
) -> None:
    folder = week.copy(tmp_path / "run")
    done = run_python(TOO_LARGE, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The disk is full, so the results were not written")
    assert contents(folder) == week.old
    assert not interrupted(folder)


HOLD_THE_LOCK = """
    import sys, time
    from pathlib import Path
    from cardwatch.publish.lock import output_lock

    with output_lock(Path(sys.argv[1]), 0):
        print("held", flush=True)
        sys.stdin.read()
"""


def test_a_second_run_waits_and_says_so_or_is_told(week: Week, tmp_path: Path) -> None:
    folder = week.copy(tmp_path / "run")
    report = week_report([listed_customer("C-1", 1)])
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLD_THE_LOCK), str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdin and other.stdout
        assert other.stdout.readline() == b"held\n"
        impatient = FileSink(config(folder, lock_timeout_seconds=0))
        with pytest.raises(PublishError, match="Another run is using the output folder"):
            impatient.write(report, week.engine, manifest(report))
        assert contents(folder) == week.old

        said: list[str] = []

        def hear(sentence: str) -> None:
            said.append(sentence)
            assert other.stdin
            other.stdin.close()

        patient = FileSink(config(folder, "csv", lock_timeout_seconds=30), on_wait=hear)
        patient.write(report, week.engine, manifest(report))
    assert len(said) == 1
    assert "waiting up to 30 seconds" in said[0]
    assert not (folder / "anomalies_2025-46.json").exists()


def test_two_processes_that_publish_at_once_never_mix_their_files(
    week: Week, tmp_path: Path
) -> None:
    code = """
        import sys
        from pathlib import Path
        from cardwatch.publish.lock import output_lock
        from cardwatch.publish.operations import FileOperations
        from cardwatch.publish.transaction import FileSet, recover
        from cardwatch.week import ReportingWeek

        class Quick(FileOperations):
            def to_disk(self, descriptor):
                pass

        folder, text = Path(sys.argv[1]), sys.argv[2].encode()
        for _ in range(30):
            with output_lock(folder, 30):
                recover(folder)
                with FileSet(folder, ReportingWeek.parse("2025-46"), Quick()) as files:
                    for name in ("anomalies_2025-46.csv", "run_2025-46.json"):
                        with files.create(name) as file:
                            file.write(text)
                assert {path.read_bytes() for path in folder.glob("*_2025-46.*")} == {text}
    """
    folder = tmp_path / "run"
    folder.mkdir()
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(folder), text],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for text in ("one", "two")
    ]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert not interrupted(folder)


def test_only_the_names_of_one_week_are_taken_from_a_marker(tmp_path: Path) -> None:
    staging = tmp_path / f".run_{WEEK.label}.tmp"
    staging.mkdir()
    (tmp_path / "anomalies_2025-45.csv").write_text("mine", encoding="utf-8")
    for name in ("../../etc/passwd", "anomalies_2025-45.csv"):
        (staging / "commit.json").write_text(
            f'{{"put": [], "delete": ["{name}"], "before": []}}', encoding="utf-8"
        )
        with pytest.raises(PublishError, match="Something that Cardwatch did not make"):
            recover(tmp_path)
    assert (tmp_path / "anomalies_2025-45.csv").exists()
