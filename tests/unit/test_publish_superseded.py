"""A list that is replaced by another one is kept; a list made again is not."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
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
from cardwatch.publish.archives import holds, superseded, unpack
from cardwatch.publish.files import FileSink
from cardwatch.publish.retention import retain
from cardwatch.publish.transaction import FileSet, recover

DAY = datetime(2025, 11, 24, 6, tzinfo=UTC)


class Runs:
    """Runs of one week, each under an id of its own."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self.engine = folder, engine
        fill_engine(engine, {"C-1": 1, "C-2": 2})

    def write(self, run_id: str, *listed: str, list_format: str = "both") -> None:
        report = week_report([listed_customer(name, rank) for rank, name in enumerate(listed, 1)])
        settings = config(self.folder).model_copy(update={"format": list_format})
        sink = FileSink(settings, operations=QuickOperations())
        sink.write(report, self.engine, manifest(report, run_id=run_id, day=DAY))

    @property
    def kept(self) -> list[str]:
        return [path.name for path in sorted((self.folder / "archive").glob("*"))]


@pytest.fixture
def runs(outputs: Path, engine: Engine) -> Runs:
    return Runs(outputs, engine)


def test_what_a_run_left_is_kept_whole_when_another_list_replaces_it(
    runs: Runs, outputs: Path, tmp_path: Path
) -> None:
    runs.write("run-1", "C-1")
    before = contents(outputs)
    runs.write("run-2", "C-2", "C-1")
    runs.write("run-3", "C-2")
    assert runs.kept == [
        "week_2025-46.superseded-2025-11-24.run-1.tar.gz",
        "week_2025-46.superseded-2025-11-24.run-2.tar.gz",
    ]
    first, second = superseded(outputs, WEEK)
    assert [first.run_id, second.run_id] == ["run-1", "run-2"]
    (tmp_path / "back").mkdir()
    unpack(first, tmp_path / "back")
    assert contents(tmp_path / "back") == before


def test_the_same_list_again_keeps_nothing_in_whatever_form(runs: Runs) -> None:
    runs.write("run-1", "C-1")
    runs.write("run-2", "C-1")
    runs.write("run-3", "C-1", list_format="csv")
    runs.write("run-4", "C-1", list_format="json")
    assert runs.kept == []


def test_other_scores_under_the_same_list_are_another_result(runs: Runs) -> None:
    runs.write("run-1", "C-1")
    runs.engine.execute("UPDATE ranked SET anomaly_score = 0.25 WHERE anomaly_rank = 2")
    runs.write("run-2", "C-1")
    assert runs.kept == ["week_2025-46.superseded-2025-11-24.run-1.tar.gz"]


def test_a_run_whose_record_is_damaged_is_kept_under_no_name(runs: Runs, outputs: Path) -> None:
    runs.write("run-1", "C-1")
    (outputs / "run_2025-46.json").write_text("{", encoding="utf-8")
    runs.write("run-2", "C-2")
    assert runs.kept == ["week_2025-46.superseded-2025-11-24.unknown.tar.gz"]


def test_an_id_that_is_no_name_of_a_file_is_made_one(runs: Runs) -> None:
    runs.write("../../run 1", "C-1")
    runs.write("run-2", "C-2")
    assert runs.kept == ["week_2025-46.superseded-2025-11-24.------run-1.tar.gz"]


def test_a_list_that_was_put_back_and_replaced_again_is_kept_again(
    runs: Runs, outputs: Path
) -> None:
    runs.write("run-1", "C-1")
    runs.write("run-2", "C-2")
    unpack(superseded(outputs, WEEK)[0], outputs)
    runs.write("run-3", "C-2")
    assert [kept.run_id for kept in superseded(outputs, WEEK)] == ["run-1", "run-1-2"]


def test_of_a_week_that_was_packed_before_the_record_is_kept(runs: Runs, outputs: Path) -> None:
    runs.write("run-1", "C-1")
    for path in outputs.glob("*_2025-46.*"):
        if path.suffix != ".json" or path.name.startswith("anomalies"):
            path.unlink()
    runs.write("run-2", "C-2")
    (kept,) = superseded(outputs, WEEK)
    with tarfile.open(kept.path) as tar:
        assert tar.getnames() == ["run_2025-46.json"]


def test_a_superseded_list_goes_when_its_days_are_over(runs: Runs, outputs: Path) -> None:
    runs.write("run-1", "C-1")
    runs.write("run-2", "C-2")
    (kept,) = superseded(outputs, WEEK)
    assert kept.day == DAY.date()
    assert retain(outputs, 13, 90, DAY.date() + timedelta(days=89)).deleted == ()
    assert retain(outputs, 13, 90, DAY.date() + timedelta(days=90)).deleted == (kept.path.name,)
    assert superseded(outputs, WEEK) == ()


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def garbled(content: bytes) -> bytes:
    return content[:100] + bytes(200) + content[300:]


@pytest.mark.parametrize("damage", [cut_short, garbled])
def test_a_damaged_archive_cannot_be_unpacked(
    runs: Runs, outputs: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    runs.write("run-1", "C-1")
    runs.write("run-2", "C-2")
    (kept,) = superseded(outputs, WEEK)
    kept.path.write_bytes(damage(kept.path.read_bytes()))
    (tmp_path / "back").mkdir()
    with pytest.raises(OSError, match="the archive is damaged"):
        unpack(kept, tmp_path / "back")
    assert not holds(kept.path, [outputs / "scores_2025-46.parquet"])


def test_only_files_of_the_week_are_taken_from_an_archive(outputs: Path, tmp_path: Path) -> None:
    (outputs / "archive").mkdir(parents=True)
    path = outputs / "archive" / "week_2025-46.superseded-2025-11-24.run-1.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in ("../evil.csv", "anomalies_2025-45.csv", "notes.txt", "run_2025-46.json"):
            tar.addfile(tarfile.TarInfo(name))
    (tmp_path / "back").mkdir()
    unpack(superseded(outputs, WEEK)[0], tmp_path / "back")
    assert [found.name for found in (tmp_path / "back").iterdir()] == ["run_2025-46.json"]
    assert not (tmp_path / "evil.csv").exists()


def test_an_archive_that_was_not_finished_is_cleared_away_by_recovery(tmp_path: Path) -> None:
    staging = tmp_path / ".run_2025-46.tmp"
    (staging / "archive").mkdir(parents=True)
    draft = staging / "archive" / "week_2025-46.superseded-2025-11-24.run-1.tar.gz.tmp"
    draft.write_bytes(b"half")
    assert recover(tmp_path, QuickOperations())[0].endswith("the earlier files of the week stand")
    assert list(tmp_path.iterdir()) == []


def test_a_marker_may_name_no_archive_of_another_week(tmp_path: Path) -> None:
    (tmp_path / "run_2025-46.json").write_bytes(b"{}")
    with FileSet(tmp_path, WEEK, QuickOperations()) as files:
        with files.create("run_2025-46.json") as file:
            file.write(b"{}")
        files.supersede("run-1", date(2025, 11, 24))
    staging = tmp_path / ".run_2025-45.tmp"
    staging.mkdir()
    name = "week_2025-46.superseded-2025-11-24.run-1.tar.gz"
    plan = f'{{"put": [], "delete": [], "before": [], "archive": ["{name}"]}}'
    (staging / "rollback.json").write_text(plan, encoding="utf-8")
    with pytest.raises(PublishError, match="Something that Cardwatch did not make"):
        recover(tmp_path)
    assert (tmp_path / "archive" / name).exists()
