"""``cardwatch backfill``: the weeks of a range in order, what is done skipped, after anything."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import cardwatch, contents, failure, start
from small_portfolio import WEEK, ScoredWeek, of_weeks, portfolio_rows, read_json

from cardwatch.outputs import OutputFile
from cardwatch.week import ReportingWeek

FIRST = WEEK - 2
ROWS = portfolio_rows(customers=60, weeks=17)


def deliver(folder: Path, week: ReportingWeek, missing: int = 0) -> None:
    rows: pa.Table = of_weeks(ROWS, [week])
    pq.write_table(rows.slice(0, rows.num_rows - missing), folder / f"spend_{week}.parquet")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for week in (*WEEK.window(16), WEEK):
        deliver(folder, week)
    return folder


def backfill(
    folder: Path, *options: str, first: ReportingWeek = FIRST, code: int = 0
) -> list[dict[str, Any]]:
    """Backfill from `first` to `WEEK`, and return what is said of each week."""
    words = ("--from", first.label, "--to", WEEK.label, "--source", "data", "--format", "json")
    done = cardwatch(folder, "backfill", *words, *options, code=code)
    document = json.loads(done.out)
    assert document["exit_code"] == code
    weeks: list[dict[str, Any]] = document["weeks"]
    assert [each["reporting_week"] for each in weeks] == [w.label for w in first.until(WEEK)]
    return weeks


def told(weeks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["action"], each["why"]) for each in weeks]


def manifest(folder: Path, week: ReportingWeek) -> dict[str, Any]:
    return read_json(folder / "outputs" / OutputFile.MANIFEST.of(week))


NEW, DONE = ("run", "not run yet"), ("skipped", "done")


def test_weeks_are_run_oldest_first_and_not_again(tmp_path: Path, data: Path) -> None:
    first = backfill(tmp_path)
    assert told(first) == [NEW, NEW, NEW]
    assert [each["listed"] for each in first] == [20, 20, 20]
    runs = [manifest(tmp_path, week) for week in FIRST.until(WEEK)]
    assert [run["run_id"] for run in runs] == [each["run_id"] for each in first]
    assert sorted(run["started_at"] for run in runs) == [run["started_at"] for run in runs]
    assert all(each["warnings"] == [] for each in first)

    before = contents(tmp_path / "outputs")
    again = backfill(tmp_path)
    assert told(again) == [DONE, DONE, DONE]
    assert [each["run_id"] for each in again] == [each["run_id"] for each in first]
    assert contents(tmp_path / "outputs") == before


@pytest.mark.system
def test_backfilled_weeks_are_what_running_them_one_by_one_gives(
    tmp_path: Path, data: Path
) -> None:
    backfill(tmp_path)
    (tmp_path / "alone").mkdir()
    for week in (WEEK - 2, WEEK - 1, WEEK):
        alone = ScoredWeek.run(tmp_path / "alone", data, week)
        assert ScoredWeek(week, tmp_path, alone.done).results == alone.results


@pytest.mark.system
def test_a_changed_week_is_run_again_with_every_week_that_read_it(
    tmp_path: Path, data: Path
) -> None:
    backfill(tmp_path)
    deliver(data, WEEK - 1, missing=10)
    changed = ("run", "the rows of 2025-45 changed")
    assert told(backfill(tmp_path)) == [DONE, changed, changed]
    assert told(backfill(tmp_path)) == [DONE, DONE, DONE]
    kept = (tmp_path / "outputs" / "archive").glob("*.superseded-*")
    assert {path.name[5:12] for path in kept} == {"2025-45", "2025-46"}


@pytest.mark.system
def test_the_same_rows_in_other_files_are_no_change(tmp_path: Path, data: Path) -> None:
    backfill(tmp_path, first=WEEK - 1)
    for path in data.iterdir():
        path.unlink()
    pq.write_table(ROWS, data / "everything.parquet")
    assert told(backfill(tmp_path, first=WEEK - 1)) == [DONE, DONE]


@pytest.mark.system
def test_changed_settings_run_every_week_again_and_are_named(tmp_path: Path, data: Path) -> None:
    (tmp_path / "other.yaml").write_text("ranking: {top_n: 7}\n", encoding="utf-8")
    backfill(tmp_path, first=WEEK)
    weeks = backfill(tmp_path, "--config", "other.yaml", first=WEEK)
    assert told(weeks) == [("run", "settings changed: ranking.top_n")]
    assert weeks[0]["listed"] == 7


@pytest.mark.system
def test_lost_files_and_damaged_records_are_made_again(tmp_path: Path, data: Path) -> None:
    backfill(tmp_path)
    (tmp_path / "outputs" / OutputFile.LIST_CSV.of(FIRST)).unlink()
    (tmp_path / "outputs" / OutputFile.MANIFEST.of(WEEK)).write_text("{", encoding="utf-8")
    assert told(backfill(tmp_path)) == [
        ("run", "files are gone"),
        DONE,
        ("run", "its record is damaged"),
    ]


@pytest.mark.system
def test_a_packed_week_is_done(tmp_path: Path, data: Path) -> None:
    (tmp_path / "short.yaml").write_text("output: {keep_weeks: 1}\n", encoding="utf-8")
    assert told(backfill(tmp_path, "--config", "short.yaml")) == [NEW, NEW, NEW]
    assert not (tmp_path / "outputs" / OutputFile.LIST_CSV.of(FIRST)).exists()
    assert told(backfill(tmp_path, "--config", "short.yaml")) == [DONE, DONE, DONE]


@pytest.mark.system
def test_force_runs_what_is_done_and_gives_the_same_lists(tmp_path: Path, data: Path) -> None:
    backfill(tmp_path, first=WEEK)
    before = {
        name: content
        for name, content in contents(tmp_path / "outputs").items()
        if not name.startswith("run_")
    }
    assert told(backfill(tmp_path, "--force", first=WEEK)) == [("run", "forced")]
    assert before.items() <= contents(tmp_path / "outputs").items()
    assert not (tmp_path / "outputs" / "archive").exists()


@pytest.mark.system
def test_weeks_without_data_and_weeks_that_are_not_over_are_said(
    tmp_path: Path, data: Path
) -> None:
    (data / f"spend_{WEEK - 1}.parquet").unlink()
    words = ("--from", (WEEK - 1).label, "--to", "2099-01", "--source", "data", "--format", "json")
    weeks = json.loads(cardwatch(tmp_path, "backfill", *words).out)["weeks"]
    actions = [each["action"] for each in weeks]
    assert actions[:3] == ["no data", "run", "no data"]
    assert actions[-1] == "not over"
    assert set(actions) == {"no data", "run", "not over"}


@pytest.mark.system
def test_a_failed_week_stops_the_backfill_unless_it_is_to_go_on(tmp_path: Path, data: Path) -> None:
    rows = of_weeks(ROWS, [WEEK - 1]).slice(0, 10)
    pq.write_table(rows, data / f"spend_{WEEK - 1}.parquet")
    stopped = backfill(tmp_path, code=4)
    assert [each["action"] for each in stopped] == ["run", "failed", "not reached"]
    assert "VOLUME_OUTSIDE_RANGE" in stopped[1]["why"]
    assert stopped[1]["exit_code"] == 4

    went_on = backfill(tmp_path, "--keep-going", code=4)
    assert [each["action"] for each in went_on] == ["skipped", "failed", "run"]
    deliver(data, WEEK - 1)
    assert told(backfill(tmp_path)) == [DONE, NEW, ("run", "the rows of 2025-45 changed")]


@pytest.mark.system
def test_a_dry_run_says_what_would_be_run_and_writes_nothing(tmp_path: Path, data: Path) -> None:
    backfill(tmp_path, first=WEEK - 1)
    before = contents(tmp_path / "outputs")
    weeks = backfill(tmp_path, "--dry-run")
    may_move = ("skipped", "done, unless running earlier weeks moves its cuts")
    assert told(weeks) == [NEW, may_move, may_move]
    assert contents(tmp_path / "outputs") == before


@pytest.mark.system
def test_the_table_and_the_lines_tell_of_every_week(tmp_path: Path, data: Path) -> None:
    words = ("--from", (WEEK - 1).label, "--source", "data")
    backfill(tmp_path, first=WEEK - 1)
    deliver(data, WEEK, missing=5)
    done = cardwatch(tmp_path, "backfill", *words)
    assert "1 of 2: 2025-45 skipped: done" in done.err
    assert "2 of 2: 2025-46 run: the rows of 2025-46 changed" in done.err
    table = [line.split() for line in done.out.splitlines()]
    assert [row[0] for row in table[1:3]] == ["2025-45", "2025-46"]


@pytest.mark.system
def test_lists_outside_the_range_that_are_out_of_date_are_named(tmp_path: Path, data: Path) -> None:
    backfill(tmp_path)
    deliver(data, WEEK - 2, missing=10)
    words = ("--from", FIRST.label, "--to", (WEEK - 1).label, "--source", "data")
    done = cardwatch(tmp_path, "backfill", *words)
    assert " ".join(done.out.split()).count("have changed since the list of 2025-46 was") == 1


def test_a_range_that_ends_before_it_begins_is_one_clear_line(tmp_path: Path, data: Path) -> None:
    words = ("--from", "2025-46", "--to", "2025-45", "--source", "data")
    assert "The first week is after the last one" in failure(
        cardwatch(tmp_path, "backfill", *words, code=2)
    )


def _written(outputs: Path, week: ReportingWeek) -> bool:
    """Tell whether the week's files are in place for good: until then an interrupt undoes them."""
    under_way = outputs / f".run_{week.label}.tmp"
    return (outputs / OutputFile.MANIFEST.of(week)).exists() and not under_way.exists()


@pytest.mark.system
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_backfill_goes_on_where_it_stopped(
    tmp_path: Path, data: Path, how: signal.Signals
) -> None:
    words = ["backfill", "--from", FIRST.label, "--to", WEEK.label, "--source", "data"]
    with start(tmp_path, *words) as process:
        deadline = time.monotonic() + 60
        while not _written(tmp_path / "outputs", FIRST) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(how)
        process.communicate(timeout=60)
    assert process.returncode != 0
    weeks = backfill(tmp_path)
    assert told(weeks)[0] == DONE
    assert told(weeks)[-1] in (NEW, DONE)
    assert told(backfill(tmp_path)) == [DONE, DONE, DONE]


@pytest.mark.system
def test_every_week_has_an_engine_of_its_own_that_is_closed_before_the_next(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    settings = f"engine: {{temp_directory: {spill}}}\n"
    (tmp_path / "settings.yaml").write_text(settings, encoding="utf-8")
    seen: list[int] = []
    from cardwatch.publish.files import FileSink

    write = FileSink.write

    def counting(self: FileSink, *given: Any) -> Any:
        seen.append(sum(path.is_dir() for path in spill.iterdir()))
        return write(self, *given)

    monkeypatch.setattr(FileSink, "write", counting)
    backfill(tmp_path, "--config", "settings.yaml")
    assert seen == [1, 1, 1]
    assert [path for path in spill.iterdir() if path.is_dir()] == []
