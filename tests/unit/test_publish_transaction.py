from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from published_weeks import WEEK, QuickOperations, contents

from cardwatch.errors import PublishError
from cardwatch.publish.operations import FileOperations
from cardwatch.publish.transaction import FileSet, interrupted, recover

OLD = {name: b"old" for name in ("anomalies_2025-46.csv", "quarantine_2025-46.csv")}
NEW = {name: b"new" for name in ("anomalies_2025-46.csv", "scores_2025-46.parquet")}
STAGING = ".run_2025-46.tmp"


class Killed(BaseException):
    """Stands for the end of the process: no operation has an effect after it."""


class FailsThenDies(QuickOperations):
    """Fails once at one operation, and is dead from another on."""

    def __init__(self, fails: int = 0, dies: int = 1_000_000) -> None:
        self.fails = fails
        self.dies = dies
        self.count = 0

    def before(self, operation: str, path: Path) -> None:
        self.count += 1
        if self.count >= self.dies:
            raise Killed
        if self.count == self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))


class WithoutLinks(QuickOperations):
    """A file system that has no hard links."""

    def keep(self, source: Path, target: Path) -> None:
        self.before("keep", target)
        self._copy(source, target)


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def write(folder: Path, operations: FileOperations) -> None:
    with FileSet(folder, WEEK, operations) as files:
        for name, data in NEW.items():
            with files.create(name) as file:
                file.write(data)


def write_and_keep(folder: Path, operations: FileOperations) -> None:
    with FileSet(folder, WEEK, operations) as files:
        for name, data in NEW.items():
            with files.create(name) as file:
                file.write(data)
        files.supersede("run-1", date(2025, 11, 24))


def test_a_set_replaces_the_files_of_its_week_and_no_others(tmp_path: Path) -> None:
    others = {"anomalies_2025-45.csv": b"other", "notes.txt": b"mine"}
    write(fill(tmp_path / "outputs", {**OLD, **others}), FileOperations())
    assert contents(tmp_path / "outputs") == {**NEW, **others}


def test_a_set_takes_no_name_of_another_week(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="is not a file of 2025-46"),
        FileSet(tmp_path, WEEK, FileOperations()) as files,
        files.create("anomalies_2025-45.csv"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_writing_changes_nothing(tmp_path: Path) -> None:
    folder = fill(tmp_path / "outputs", OLD)
    with (
        pytest.raises(RuntimeError, match="while writing"),
        FileSet(folder, WEEK, FileOperations()) as files,
        files.create("anomalies_2025-46.csv") as file,
    ):
        file.write(b"half")
        raise RuntimeError("while writing")
    assert contents(folder) == OLD
    assert not interrupted(folder)


@pytest.mark.system
@pytest.mark.parametrize("write", [write, write_and_keep])
def test_a_kill_while_a_failure_is_undone_still_ends_with_the_old_files_or_the_new(
    tmp_path: Path, write: Callable[[Path, FileOperations], None]
) -> None:
    folder = tmp_path / "outputs"
    counting = FailsThenDies()
    write(fill(folder, OLD), counting)
    new, ends = contents(folder), []
    for fails in range(1, counting.count + 1):
        for dies in range(fails + 1, fails + 16):
            fill(folder, OLD)
            with suppress(OSError, PublishError, Killed):
                write(folder, FailsThenDies(fails, dies))
            finish_with_one_more_kill(folder)
            assert contents(folder) in (OLD, new), f"failed at {fails}, died at {dies}"
            assert not interrupted(folder)
            ends.append(contents(folder) == new)
    assert {True, False} == set(ends)


def finish_with_one_more_kill(folder: Path) -> None:
    try:
        recover(folder, FailsThenDies(dies=3))
    except Killed:
        recover(folder, QuickOperations())


def test_without_hard_links_the_old_files_are_copied_and_can_be_put_back(tmp_path: Path) -> None:
    class Fails(WithoutLinks, FailsThenDies):
        pass

    folder = tmp_path / "outputs"
    counting = Fails()
    write(fill(folder, OLD), counting)
    for fails in range(1, counting.count + 1):
        fill(folder, OLD)
        try:
            write(folder, Fails(fails))
        except OSError:
            assert contents(folder) == OLD, f"failed at {fails}"
        else:
            assert contents(folder) == NEW, f"failed at {fails}"
            recover(folder)


def test_a_refused_hard_link_becomes_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "a").write_bytes(b"data")
    FileOperations().keep(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"data"


def test_recovery_says_what_it_undid_and_what_it_finished(tmp_path: Path) -> None:
    folder = tmp_path / "outputs"
    counting = FailsThenDies()
    write(fill(folder, OLD), counting)
    said: list[str] = []
    for dies in (3, counting.count - 8):
        fill(folder, OLD)
        with pytest.raises(Killed):
            write(folder, FailsThenDies(dies=dies))
        said += recover(folder)
    assert said == [
        "An interrupted write of week 2025-46 was undone: the earlier files of the week stand",
        "An interrupted write of week 2025-46 was finished: its files are in place",
    ]


def test_recovery_of_a_folder_without_trouble_does_nothing(tmp_path: Path) -> None:
    assert recover(fill(tmp_path / "outputs", OLD)) == ()
    assert recover(tmp_path / "missing") == ()


@pytest.mark.parametrize("place", [STAGING, f"{STAGING}/new", f"{STAGING}/old"])
def test_recovery_deletes_nothing_that_it_does_not_know(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    stranger = tmp_path / place / "thesis.txt"
    stranger.write_text("mine", encoding="utf-8")
    with pytest.raises(PublishError, match="Something that Cardwatch did not make"):
        recover(tmp_path)
    assert stranger.read_text(encoding="utf-8") == "mine"


def test_recovery_does_not_follow_a_link_out_of_the_folder(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "new").mkdir(parents=True)
    (elsewhere / "new" / "anomalies_2025-46.csv").write_text("mine", encoding="utf-8")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / STAGING).symlink_to(elsewhere)
    with pytest.raises(PublishError, match="Something that Cardwatch did not make"):
        recover(tmp_path / "outputs")
    assert (elsewhere / "new" / "anomalies_2025-46.csv").exists()


@pytest.mark.parametrize(
    "marker", ["{", "[]", '{"put": []}', '{"put": 1, "delete": [], "before": []}']
)
def test_a_garbled_marker_stops_recovery(tmp_path: Path, marker: str) -> None:
    (tmp_path / STAGING).mkdir()
    (tmp_path / STAGING / "commit.json").write_text(marker, encoding="utf-8")
    with pytest.raises(PublishError, match="Something that Cardwatch did not make"):
        recover(tmp_path)
