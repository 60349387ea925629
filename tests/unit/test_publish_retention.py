from __future__ import annotations

import errno
import os
import tarfile
from datetime import date, timedelta
from pathlib import Path

import pytest
from published_weeks import (
    WEEK,
    QuickOperations,
    config,
    contents,
    fill_engine,
    manifest,
    publish,
    week_report,
)

from cardwatch.engine import Engine
from cardwatch.publish.archives import packed as archived
from cardwatch.publish.files import FileSink
from cardwatch.publish.retention import retain
from cardwatch.week import ReportingWeek

TODAY = date(2025, 11, 24)
KINDS = ("anomalies_{}.csv", "anomalies_{}.json", "scores_{}.parquet", "quarantine_{}.csv")


class FailsAt(QuickOperations):
    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    def before(self, operation: str, path: Path) -> None:
        self.count += 1
        if self.count == self.at:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))


def names(week: ReportingWeek) -> list[str]:
    return [kind.format(week.label) for kind in KINDS]


def fill(folder: Path, weeks: int, last: ReportingWeek = WEEK) -> Path:
    folder.mkdir(exist_ok=True)
    for week in (*last.window(weeks - 1), last):
        for name in (*names(week), f"run_{week.label}.json"):
            (folder / name).write_text(f"{name} {week}", encoding="utf-8")
    return folder


def packed(folder: Path, week: ReportingWeek) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in archived(folder, week):
        with tarfile.open(path) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content
                found[member.name] = content.read()
    return found


def test_the_newest_weeks_stay_older_ones_are_packed_and_manifests_stay(tmp_path: Path) -> None:
    folder = fill(tmp_path / "outputs", 15)
    before = contents(folder)
    done = retain(folder, 13, 90, TODAY)

    assert done.packed == (WEEK - 14, WEEK - 13)
    for week in done.packed:
        assert packed(folder, week) == {name: before[name] for name in names(week)}
        assert not any((folder / name).exists() for name in names(week))
    assert len(list(folder.glob("run_*.json"))) == 15
    assert len(list(folder.glob("scores_*.parquet"))) == 13
    assert done.sentences() == ("Packed into archive/: 2025-32, 2025-33",)


def test_an_archive_is_deleted_when_its_days_after_packing_are_over(tmp_path: Path) -> None:
    folder = fill(tmp_path / "outputs", 2)
    retain(folder, 1, 90, TODAY)
    (path,) = archived(folder, WEEK - 1)
    assert path.name == "week_2025-45.packed-2025-11-24.tar.gz"

    assert retain(folder, 1, 90, TODAY + timedelta(days=89)).deleted == ()
    assert path.exists()
    done = retain(folder, 1, 90, TODAY + timedelta(days=90))
    assert done.deleted == (path.name,)
    assert not path.exists()
    assert done.sentences() == (f"Deleted from archive/: {path.name}",)


def test_archives_of_the_same_files_have_the_same_bytes(tmp_path: Path) -> None:
    archives: list[bytes] = []
    for name in ("a", "b"):
        folder = fill(tmp_path / name, 2)
        os.utime(folder / "anomalies_2025-45.csv", (len(archives), 1))
        retain(folder, 1, 90, TODAY)
        archives.append(archived(folder, WEEK - 1)[0].read_bytes())
    assert archives[0] == archives[1]


def test_only_files_that_cardwatch_named_are_packed_or_deleted(tmp_path: Path) -> None:
    folder = fill(tmp_path / "outputs", 2)
    (folder / "archive").mkdir()
    strangers = [
        "anomalies_2025-45 (1).csv",
        "anomalies_2025-45.csv.bak",
        "anomalies_2025-99.csv",
        "archive/week_2020-01.tar.gz",
        "archive/week_2020-01.packed-2020-13-45.tar.gz",
        "archive/holiday.tar.gz",
    ]
    for name in strangers:
        (folder / name).write_text("mine", encoding="utf-8")
    (folder / "anomalies_2025-30.csv").mkdir()
    (folder / "quarantine_2025-30.csv").symlink_to(folder / "run_2025-45.json")
    retain(folder, 1, 0, TODAY)
    assert all((folder / name).read_text(encoding="utf-8") == "mine" for name in strangers)
    assert (folder / "anomalies_2025-30.csv").is_dir()
    assert (folder / "quarantine_2025-30.csv").is_symlink()


@pytest.mark.system
def test_a_failure_at_any_operation_loses_nothing_and_the_next_time_finishes(
    tmp_path: Path,
) -> None:
    counting = FailsAt(0)
    retain(fill(tmp_path / "counted", 3), 1, 90, TODAY, operations=counting)
    for at in range(1, counting.count + 1):
        folder = fill(tmp_path / str(at), 3)
        before = contents(folder)
        with pytest.raises(OSError, match="Input/output error"):
            retain(folder, 1, 90, TODAY, operations=FailsAt(at))
        for week in (WEEK - 2, WEEK - 1):
            for name in names(week):
                kept = {**packed(folder, week), **contents(folder)}
                assert kept[name] == before[name], f"{name} after operation {at}"
        retain(folder, 1, 90, TODAY, operations=QuickOperations())
        for week in (WEEK - 2, WEEK - 1):
            assert packed(folder, week) == {name: before[name] for name in names(week)}
            assert len(archived(folder, week)) == 1
        assert not list(folder.rglob("*.tmp"))


def test_a_week_written_again_after_it_was_packed_gets_an_archive_of_its_own(
    tmp_path: Path,
) -> None:
    folder = fill(tmp_path / "outputs", 2)
    retain(folder, 1, 90, TODAY)
    (folder / "anomalies_2025-45.csv").write_text("written again", encoding="utf-8")
    retain(folder, 1, 90, TODAY)
    assert [path.name for path in archived(folder, WEEK - 1)] == [
        "week_2025-45.packed-2025-11-24.tar.gz",
        "week_2025-45.packed-2025-11-24-2.tar.gz",
    ]
    assert not (folder / "anomalies_2025-45.csv").exists()


def test_a_damaged_archive_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    folder = fill(tmp_path / "outputs", 2)
    (folder / "archive").mkdir()
    damaged = folder / "archive" / "week_2025-45.packed-2025-11-20.tar.gz"
    damaged.write_bytes(b"\x1f\x8b half an archive")
    before = contents(folder)
    retain(folder, 1, 90, TODAY)
    (whole,) = (path for path in archived(folder, WEEK - 1) if path != damaged)
    with tarfile.open(whole) as tar:
        assert sorted(tar.getnames()) == sorted(names(WEEK - 1))
    assert damaged.read_bytes() == before["archive/" + damaged.name]


def test_the_week_just_written_stays_even_when_it_is_old(tmp_path: Path, engine: Engine) -> None:
    folder = fill(tmp_path / "outputs", 3)
    old = WEEK - 20
    receipt = publish(folder, engine, {"C-1": 1}, week=old, settings={"keep_weeks": 1})
    assert (folder / f"anomalies_{old.label}.csv").exists()
    assert receipt.notes == ("Packed into archive/: 2025-44, 2025-45",)


def test_a_failure_to_pack_is_said_and_undoes_no_run(tmp_path: Path, engine: Engine) -> None:
    folder = fill(tmp_path / "outputs", 2, WEEK - 1)
    (folder / "archive").write_text("a file", encoding="utf-8")
    report = week_report()
    fill_engine(engine, {"C-1": 1})
    receipt = FileSink(config(folder, keep_weeks=1)).write(report, engine, manifest(report))
    (note,) = receipt.notes
    assert note.startswith("Older weeks could not be packed, and stay as they are: ")
    assert (folder / "scores_2025-46.parquet").read_bytes().startswith(b"PAR1")
    assert (folder / "anomalies_2025-44.csv").exists()
