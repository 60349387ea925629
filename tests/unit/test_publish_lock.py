from __future__ import annotations

import threading
from pathlib import Path

import pytest
from published_weeks import contents

from cardwatch.errors import PublishError
from cardwatch.publish.lock import LOCK_NAME, output_lock, reading


def hold_in_a_thread(folder: Path) -> tuple[threading.Event, threading.Thread]:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with output_lock(folder, 0):
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    return release, thread


def test_the_same_thread_may_hold_a_folder_twice_and_then_lets_it_go(tmp_path: Path) -> None:
    with output_lock(tmp_path, 0), output_lock(tmp_path, 0):
        pass
    release, thread = hold_in_a_thread(tmp_path)
    release.set()
    thread.join(30)


def test_another_thread_is_told_what_to_do(tmp_path: Path) -> None:
    release, thread = hold_in_a_thread(tmp_path)
    said: list[str] = []
    try:
        with (
            pytest.raises(PublishError, match="Another run is using the output folder") as caught,
            output_lock(tmp_path, 0.05, said.append),
        ):
            pass
    finally:
        release.set()
        thread.join(30)
    assert "output.lock_timeout_seconds" in caught.value.next_step
    assert said == [f"Another run is using {tmp_path}; waiting up to 0.05 seconds"]


def test_nobody_is_told_to_wait_when_the_folder_is_free(tmp_path: Path) -> None:
    said: list[str] = []
    with output_lock(tmp_path, 5, said.append):
        pass
    assert said == []


def test_the_lock_leaves_only_a_hidden_file(tmp_path: Path) -> None:
    with output_lock(tmp_path, 0):
        pass
    assert contents(tmp_path) == {}


def test_a_lock_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file", encoding="utf-8")
    with (
        pytest.raises(PublishError, match="A file stands where a folder"),
        output_lock(tmp_path / "outputs", 0),
    ):
        pass


def test_reading_finishes_an_interrupted_write_first(tmp_path: Path) -> None:
    (tmp_path / ".run_2025-46.tmp").mkdir()
    with reading(tmp_path):
        assert not (tmp_path / ".run_2025-46.tmp").exists()


def test_reading_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    with reading(tmp_path / "missing"):
        pass
    assert not (tmp_path / "missing").exists()


def test_an_error_of_the_disk_while_reading_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="cannot be read or written"), reading(tmp_path):
        raise PermissionError(13, "Permission denied", str(tmp_path))


def test_a_folder_that_may_only_be_read_is_read_unless_a_write_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with reading(tmp_path):
        assert not (tmp_path / LOCK_NAME).exists()
    (tmp_path / ".run_2025-46.tmp").mkdir()
    with pytest.raises(PublishError, match="under way or was interrupted"), reading(tmp_path):
        pass
