"""``cardwatch doctor``: what it finds where all is well, and with each thing that can be amiss."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import cardwatch, contents
from small_portfolio import of_weeks

from cardwatch.outputs import OutputFile
from cardwatch.publish.lock import LOCK_NAME
from cardwatch.sources.sample import SamplePortfolio
from cardwatch.week import ReportingWeek

LAST = ReportingWeek.containing(datetime.now(UTC).date()) - 1
OPTIONS = ("--source", "data", "--output-dir", "outputs")
Checks = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data up to the last complete week, and the last two lists; to be copied."""
    folder = tmp_path_factory.mktemp("published")
    rows = pa.concat_tables(SamplePortfolio(60, 17, seed=11, last_week=LAST).tables())
    (folder / "data").mkdir()
    for week in (*LAST.window(16), LAST):
        pq.write_table(of_weeks(rows, [week]), folder / "data" / f"spend_{week}.parquet")
    words = ("--from", (LAST - 1).label, "--to", LAST.label)
    cardwatch(folder, "backfill", *words, *OPTIONS)
    return folder


@pytest.fixture
def place(published: Path, tmp_path: Path) -> Path:
    for path in published.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(published)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def doctor(folder: Path, *options: str, code: int = 0) -> Checks:
    """What each check found, by its name and week."""
    done = cardwatch(folder, "doctor", *OPTIONS, "--format", "json", *options, code=code)
    document = json.loads(done.out)
    assert document["exit_code"] == code
    assert document["status"] == {0: "ok", 1: "warn"}.get(code, "fail")
    return {(each["name"], each["week"]): each for each in document["checks"]}


def amiss(checks: Checks) -> list[tuple[str, str, str]]:
    return [
        (name, week, each["status"])
        for (name, week), each in checks.items()
        if each["status"] != "ok"
    ]


def test_all_is_well_after_a_run_and_nothing_is_changed(place: Path) -> None:
    before = contents(place)
    checks = doctor(place)
    assert [name for name, _ in checks] == [
        "configuration",
        "output folder",
        "source",
        "weeks",
        "files",
        "input",
    ]
    assert amiss(checks) == []
    assert checks["files", ""]["measured"] == f"{LAST - 1} and {LAST} whole"
    assert checks["input", ""]["measured"] == "unchanged for 2 lists: the source says so"
    assert contents(place) == before


def test_an_empty_place_says_what_is_missing_and_makes_nothing(tmp_path: Path) -> None:
    checks = doctor(tmp_path, code=3)
    assert amiss(checks) == [("source", "", "fail")]
    assert "is not there yet" in checks["output folder", ""]["measured"]
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "logs"])


def test_a_configuration_that_does_not_load_is_the_one_finding(place: Path) -> None:
    (place / "bad.yaml").write_text("ranking: {top_m: 3}\n", encoding="utf-8")
    checks = doctor(place, "--config", "bad.yaml", code=2)
    assert list(checks) == [("configuration", "")]
    assert "top_n" in checks["configuration", ""]["advice"]


def change_rows(place: Path) -> None:
    path = place / "data" / f"spend_{LAST - 1}.parquet"
    pq.write_table(pq.read_table(path).slice(3), path)


def test_a_changed_week_is_told_for_every_list_that_read_it(place: Path) -> None:
    change_rows(place)
    checks = doctor(place, code=1)
    weeks = [week for name, week, status in amiss(checks) if (name, status) == ("input", "warn")]
    assert weeks == [(LAST - 1).label, LAST.label]
    found = checks["input", LAST.label]
    assert found["measured"] == f"the rows of {LAST - 1} changed since it was published"
    assert found["advice"] == f"cardwatch run --reporting-week {LAST}"


def test_the_same_rows_in_another_file_are_read_again_and_unchanged(place: Path) -> None:
    tables = [pq.read_table(path) for path in sorted((place / "data").iterdir())]
    for path in (place / "data").iterdir():
        path.unlink()
    for number, table in enumerate(tables):
        pq.write_table(table, place / "data" / f"{number}.parquet", compression="gzip")
    checks = doctor(place)
    assert checks["input", ""]["measured"] == "unchanged for 2 lists: 14 weeks were read again"


def test_lists_read_with_other_settings_are_left_aside(place: Path) -> None:
    change_rows(place)
    (place / "other.yaml").write_text("contract: {max_amount: 5000}\n", encoding="utf-8")
    checks = doctor(place, "--config", "other.yaml")
    assert "2 lists read with other settings left aside" in checks["input", ""]["measured"]


def remove(path: Path) -> None:
    path.unlink()


def alter(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def garble(path: Path) -> None:
    path.write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "damage", "words"),
    [
        (OutputFile.LIST_CSV, remove, "is missing"),
        (OutputFile.SCORES, alter, "other content than the run wrote"),
        (OutputFile.MANIFEST, garble, "manifest cannot be read"),
        (OutputFile.MANIFEST, remove, "manifest cannot be read"),
    ],
)
def test_files_that_are_not_whole_are_failures(
    place: Path, kind: OutputFile, damage: Callable[[Path], None], words: str
) -> None:
    damage(place / "outputs" / kind.of(LAST - 1))
    found = doctor(place, code=6)["files", (LAST - 1).label]
    assert found["status"] == "fail"
    assert words in found["measured"]


def test_a_folder_that_a_run_holds_is_told_and_not_read(place: Path) -> None:
    code = (
        "import sys; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    lock = (place / "outputs" / LOCK_NAME).resolve()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin and other.stdout
        other.stdout.readline()
        checks = doctor(place, code=1)
        other.stdin.close()
    assert amiss(checks) == [("output folder", "", "warn")]
    assert ("files", "") not in checks


def test_an_interrupted_write_is_told_and_left_as_it_is(place: Path) -> None:
    staging = place / "outputs" / f".run_{LAST}.tmp"
    staging.mkdir()
    checks = doctor(place, code=1)
    assert f"a write of {LAST} was interrupted" in checks["output folder", ""]["measured"]
    assert staging.exists()


def test_a_week_that_is_late_or_was_not_run_is_told(place: Path) -> None:
    for path in (place / "outputs").glob(f"*_{LAST}.*"):
        path.unlink()
    checks = doctor(place, code=1)
    assert checks["weeks", ""]["advice"] == f"cardwatch run --reporting-week {LAST}"
    (place / "data" / f"spend_{LAST}.parquet").unlink()
    checks = doctor(place, code=1)
    assert "none of last week" in checks["weeks", ""]["measured"]


def test_a_gap_in_the_history_is_told(place: Path) -> None:
    (place / "data" / f"spend_{LAST - 4}.parquet").unlink()
    checks = doctor(place, code=1)
    assert checks["weeks", ""]["measured"].endswith(f"no rows in {LAST - 4}")
    assert {week for name, week, _ in amiss(checks) if name == "input"} == {
        (LAST - 1).label,
        LAST.label,
    }


@pytest.mark.system
def test_packed_weeks_and_weeks_past_their_time_are_whole(place: Path) -> None:
    settings = "output: {keep_weeks: 1}\n"
    (place / "short.yaml").write_text(settings, encoding="utf-8")
    cardwatch(place, "run", "--config", "short.yaml", *OPTIONS)
    checks = doctor(place)
    assert checks["files", ""]["measured"] == f"{LAST - 1} packed, whole; {LAST} whole"
    [archive] = (place / "outputs" / "archive").iterdir()
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    assert (
        "does not hold what the run wrote"
        in (doctor(place, code=6)["files", (LAST - 1).label]["measured"])
    )
    archive.unlink()
    checks = doctor(place)
    assert f"{LAST - 1} deleted in time, record kept" in checks["files", ""]["measured"]


def test_a_source_that_lost_every_published_week_is_told_by_its_weeks(place: Path) -> None:
    for week in (LAST - 1, LAST):
        (place / "data" / f"spend_{week}.parquet").unlink()
    checks = doctor(place, code=1)
    assert "the source holds no row of their weeks" in checks["input", ""]["measured"]


def test_the_table_shows_every_check_with_what_to_do(place: Path) -> None:
    change_rows(place)
    shown = cardwatch(place, "doctor", *OPTIONS, code=1).out
    assert [line.split()[0] for line in shown.splitlines() if line[0] != " "][:5] == [
        "check",
        "configuration",
        "output",
        "source",
        "weeks",
    ]
    assert f"cardwatch run --reporting-week {LAST}" in " ".join(shown.split())
