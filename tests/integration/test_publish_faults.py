"""A fault at every single file operation: wholly old or wholly new."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from published_weeks import QuickOperations, contents
from replaced_week import (
    OLD_PACKED,
    FaultyOperations,
    ReplacedWeek,
    operations_of,
    run_python,
    whoever_was_replaced,
    without_archive,
)

from cardwatch.errors import PublishError
from cardwatch.publish.lock import LOCK_NAME
from cardwatch.publish.operations import FileOperations
from cardwatch.publish.transaction import interrupted, recover


def test_the_older_and_the_newer_run_differ_in_every_way_that_matters(
    replaced: ReplacedWeek,
) -> None:
    assert replaced.old.keys() - replaced.new.keys() == {"anomalies_2025-46.json"}
    assert replaced.new.keys() - replaced.old.keys() == {OLD_PACKED}
    assert not interrupted(replaced.start)


@pytest.mark.system
def test_a_failure_at_any_operation_leaves_the_old_files_or_the_new_ones(
    replaced: ReplacedWeek, tmp_path: Path
) -> None:
    def write(operations: FileOperations) -> None:
        replaced.write_new(replaced.copy(tmp_path / "run"), operations)

    total = len(operations_of(write))
    assert total > 30
    outcomes = set()
    for at in range(1, total + 1):
        try:
            write(FaultyOperations(at))
        except PublishError:
            expected = replaced.old
        else:
            expected = replaced.new
        assert contents(tmp_path / "run") == expected, f"operation {at} of {total}"
        outcomes.add(expected is replaced.old)
    assert outcomes == {True, False}


@pytest.mark.system
def test_a_disk_that_fails_for_good_leaves_a_folder_that_recovers_to_old_or_new(
    replaced: ReplacedWeek, tmp_path: Path
) -> None:
    def write(operations: FileOperations) -> None:
        replaced.write_new(replaced.copy(tmp_path / "run"), operations)

    for at in range(1, len(operations_of(write)) + 1):
        try:
            write(FaultyOperations(at, errno.ENOSPC, for_good=True))
            expected = [replaced.new]
        except PublishError:
            expected = [replaced.old, replaced.new]
        recover(tmp_path / "run", QuickOperations())
        assert contents(tmp_path / "run") in expected, f"operation {at}"
        assert not interrupted(tmp_path / "run")


@pytest.mark.system
def test_a_failure_on_the_first_run_of_a_week_leaves_nothing(
    replaced: ReplacedWeek, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    for at in range(1, len(operations_of(lambda ops: replaced.write_new(tmp_path / "x", ops))) + 1):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            replaced.write_new(folder, FaultyOperations(at))
        except PublishError:
            assert contents(folder) == {}, f"operation {at}"
        else:
            new = whoever_was_replaced(without_archive(replaced.new))
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
    replaced: ReplacedWeek, tmp_path: Path, number: int, words: str
) -> None:
    with pytest.raises(PublishError, match=words) as caught:
        replaced.write_new(tmp_path / "run", FaultyOperations(8, number))
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 6
    assert os.strerror(number) in caught.value.message


def test_a_file_that_stands_where_the_folder_should_be_is_said(
    replaced: ReplacedWeek, tmp_path: Path
) -> None:
    (tmp_path / "outputs").write_text("a file", encoding="utf-8")
    for folder in (tmp_path / "outputs", tmp_path / "outputs" / "deeper"):
        with pytest.raises(PublishError, match="A file stands where a folder"):
            replaced.write_new(folder, FileOperations())


def test_a_folder_with_the_name_of_a_file_is_said_and_nothing_changes(
    replaced: ReplacedWeek, tmp_path: Path
) -> None:
    folder = replaced.copy(tmp_path / "run")
    (folder / "anomalies_2025-46.csv").unlink()
    (folder / "anomalies_2025-46.csv").mkdir()
    before = contents(folder)
    with pytest.raises(PublishError, match="A folder stands where a file"):
        replaced.write_new(folder, FileOperations())
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


def test_a_folder_that_may_not_be_written_is_said(replaced: ReplacedWeek) -> None:
    # Not in tmp_path, where only its owner may look: the superuser becomes somebody else here.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = replaced.copy(Path(name) / "outputs")
        (folder / LOCK_NAME).unlink()
        done = run_python(MAY_NOT_WRITE, folder)
        folder.chmod(0o755)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("The output folder cannot be read or written")
        assert contents(folder) == replaced.old
