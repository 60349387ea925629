"""Folders, disks, kills and other runs in the way of a run: one line, and whole results."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import cardwatch, contents, failure, start
from good_rows import RUN, assert_whole, deliver, with_lines
from small_portfolio import WEEK, ScoredWeek

from cardwatch.publish.lock import LOCK_NAME

OWN_SPILL = "{logging: {file: null}, engine: {temp_directory: .}}"
"""Not the system's folder for temporary files, which may be closed to an ordinary user."""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter and write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        with permissions(Path(name), 0o777):
            reachable = os.access(name, os.W_OK | os.X_OK, effective_ids=True)
        if not reachable:
            pytest.skip("the folder for temporary files is closed to other users")
        yield Path(name)


@contextmanager
def permissions(path: Path, mode: int) -> Iterator[None]:
    """Give a folder other permissions, and be an ordinary user, whom they bind."""
    user, before = os.geteuid(), path.stat().st_mode
    path.chmod(mode)
    try:
        if user == 0:
            os.seteuid(65534)
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        path.chmod(before)


def import_everything(folder: Path) -> None:
    """Run once as the user who may read every library; another one may not."""
    cardwatch(folder, *RUN, "--dry-run", code=0)


def test_a_folder_that_may_not_be_read_is_one_line(open_folder: Path) -> None:
    deliver(open_folder, with_lines()(), OWN_SPILL)
    import_everything(open_folder)
    with permissions(open_folder / "data", 0o000):
        said = failure(cardwatch(open_folder, *RUN, code=3))
    assert "permission denied" in said.lower()
    assert "read access" in said


def test_a_folder_that_may_not_be_written_is_one_line(
    open_folder: Path, good_run: ScoredWeek
) -> None:
    deliver(open_folder, with_lines()(), OWN_SPILL)
    shutil.copytree(good_run.outputs, open_folder / "outputs")
    import_everything(open_folder)
    with permissions(open_folder / "outputs", 0o555):
        said = failure(cardwatch(open_folder, *RUN, code=6))
    assert "outputs" in said
    assert "permission denied" in said.lower()
    assert contents(open_folder / "outputs") == contents(good_run.outputs)


@pytest.mark.system
def test_a_full_disk_is_one_line(tmp_path: Path, good_run: ScoredWeek) -> None:
    shutil.copytree(good_run.outputs, tmp_path / "outputs")
    deliver(tmp_path, with_lines()(), "logging: {file: null}")
    code = (
        "import resource, cardwatch.publish.files as files\n"
        "class Full(files.FileSet):\n"
        "    def __enter__(self):\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "        return super().__enter__()\n"
        "files.FileSet = Full"
    )
    with start(tmp_path, *RUN, first=code) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 6, err
    assert out == ""
    [said] = err.splitlines()
    assert said.startswith("cardwatch: error: The disk is full")
    assert contents(tmp_path / "outputs") == contents(good_run.outputs)


@pytest.mark.system
def test_a_run_that_was_killed_can_simply_be_run_again(
    tmp_path: Path, good_run: ScoredWeek
) -> None:
    deliver(tmp_path, with_lines()(), "")
    with start(tmp_path, *RUN, LOG_LEVEL="INFO", TMPDIR=str(tmp_path)) as process:
        assert process.stderr
        for text in process.stderr:
            if "step explain took" in text:
                process.send_signal(signal.SIGKILL)
                break
        process.wait(60)
    assert process.returncode == -signal.SIGKILL
    run = ScoredWeek.run(tmp_path, Path("data"), WEEK)
    assert run.results == good_run.results
    assert_whole(run)


def test_a_run_that_finds_the_folder_taken_says_so(tmp_path: Path, good_run: ScoredWeek) -> None:
    shutil.copytree(good_run.outputs, tmp_path / "outputs")
    deliver(tmp_path, with_lines()(), "output: {lock_timeout_seconds: 0}")
    with (tmp_path / "outputs" / LOCK_NAME).open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = failure(cardwatch(tmp_path, *RUN, code=6))
    assert "Another run is using the output folder" in said
    assert contents(tmp_path / "outputs") == contents(good_run.outputs)


@pytest.mark.system
def test_two_runs_at_once_leave_one_whole_result(tmp_path: Path, good_run: ScoredWeek) -> None:
    deliver(tmp_path, with_lines()(), "")
    with start(tmp_path, *RUN) as first, start(tmp_path, *RUN) as second:
        errors = [process.communicate(timeout=120)[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], errors
    run = ScoredWeek(WEEK, tmp_path, good_run.done)
    assert run.results == good_run.results
    assert_whole(run)


@pytest.mark.system
def test_results_written_into_the_source_folder_are_not_read_as_data(
    tmp_path: Path, good_run: ScoredWeek
) -> None:
    deliver(tmp_path, with_lines()(), "")
    for _ in range(2):
        cardwatch(tmp_path, *RUN, "--output-dir", "data")
    found = contents(tmp_path / "data")
    assert {name: found[name] for name in good_run.results} == good_run.results
