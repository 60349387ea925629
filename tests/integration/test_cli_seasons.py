"""Weeks run one after the other: thresholds, retention, comparison, and doing a week again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import cardwatch, contents, failure
from small_portfolio import WEEK, ScoredWeek, portfolio_rows, read_json, write_parquet

from cardwatch.outputs import OutputFile
from cardwatch.pipeline import STEPS
from cardwatch.week import ReportingWeek

pytestmark = pytest.mark.system

SEASON = tuple(WEEK - back for back in range(7, -1, -1))
KEPT = 3


@pytest.fixture(scope="module")
def season(portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ScoredWeek]:
    """Eight weeks in a row, by label, of which the newest three are kept."""
    folder = tmp_path_factory.mktemp("season")
    (folder / "config").mkdir()
    settings = f"output: {{keep_weeks: {KEPT}}}\n"
    (folder / "config" / "config.yaml").write_text(settings, encoding="utf-8")
    runs = (ScoredWeek.run(folder, portfolio, week, LOG_LEVEL="INFO") for week in SEASON)
    return {run.week.label: run for run in runs}


@pytest.fixture
def last(season: dict[str, ScoredWeek], tmp_path: Path) -> ScoredWeek:
    """A copy of the season's folder, seen from its last week."""
    run = season[WEEK.label]
    shutil.copytree(run.folder, tmp_path / "season")
    return ScoredWeek(WEEK, tmp_path / "season", run.done)


def test_cuts_come_from_the_week_itself_until_six_weeks_are_recorded(
    season: dict[str, ScoredWeek],
) -> None:
    manifests = [read_json(run.path(OutputFile.MANIFEST)) for run in season.values()]
    used = [manifest["thresholds"]["weeks"] for manifest in manifests]
    labels = list(season)
    assert used == [*[[]] * 6, labels[:6], labels[1:7]]
    assert [list(manifest["history"]["weeks"]) for manifest in manifests] == used
    assert "cuts from the scored week itself" in season[labels[5]].done.out
    assert "cuts from the previous 6 weeks" in season[labels[6]].done.out


def test_cuts_are_the_median_of_what_the_previous_weeks_recorded(
    season: dict[str, ScoredWeek],
) -> None:
    manifests = [read_json(run.path(OutputFile.MANIFEST)) for run in season.values()]
    recorded = sorted(manifest["score_quantiles"]["0.99"] for manifest in manifests[1:7])
    median = (recorded[2] + recorded[3]) / 2
    assert manifests[7]["thresholds"]["medium"] == pytest.approx(median)


def test_the_newest_weeks_stay_older_ones_are_packed_and_manifests_stay(
    season: dict[str, ScoredWeek],
) -> None:
    outputs = season[WEEK.label].outputs
    lists = sorted(path.name for path in outputs.glob("anomalies_*.csv"))
    assert lists == [f"anomalies_{week.label}.csv" for week in SEASON[-KEPT:]]
    assert len(list(outputs.glob("run_*.json"))) == len(SEASON)
    packed = [path for path in (outputs / "archive").iterdir() if path.is_file()]
    assert len(packed) == len(SEASON) - KEPT
    assert "packed" in " ".join(season[WEEK.label].done.out.split()).lower()


def test_every_line_of_the_log_carries_its_run_and_its_week(season: dict[str, ScoredWeek]) -> None:
    log = season[WEEK.label].folder / "logs" / "app.log"
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if " step " in line]
    for run in season.values():
        run_id = read_json(run.path(OutputFile.MANIFEST))["run_id"]
        own = [line for line in lines if f"run={run_id}" in line]
        assert [line.split(" step ")[1].split()[0] for line in own] == list(STEPS)
        assert all(f"week={run.week.label} " in line for line in own)


def ids(run: ScoredWeek) -> list[str]:
    return [row["customer_id"] for row in run.list_rows]


def compare(run: ScoredWeek, *options: str) -> str:
    labels = [(run.week - 1).label, run.week.label]
    return cardwatch(run.folder, "compare", *labels, "--output-dir", "outputs", *options).out


def test_compare_tells_who_is_new_back_and_gone(season: dict[str, ScoredWeek]) -> None:
    told: dict[str, Any] = json.loads(compare(season[WEEK.label], "--format", "json"))
    now, before = ids(season[WEEK.label]), ids(season[(WEEK - 1).label])
    present = [row["customer_id"] for row in (*told["new"], *told["back"])]
    assert sorted(present) == sorted(now)
    assert {row["customer_id"] for row in told["gone"]} == set(before) - set(now)
    assert [told["earlier"], told["later"]] == ["2025-45", "2025-46"]
    for row in told["back"]:
        lists = [ids(season[week.label]) for week in SEASON[-KEPT:]]
        assert row["times_listed"] == sum(row["customer_id"] in listed for listed in lists) > 1
        expected = before.index(row["customer_id"]) + 1 if row["customer_id"] in before else None
        assert row["earlier_rank"] == expected
    assert all(row["why"] for row in told["gone"])


def test_compare_says_the_same_to_people(season: dict[str, ScoredWeek]) -> None:
    told = json.loads(compare(season[WEEK.label], "--format", "json"))
    shown = compare(season[WEEK.label])
    summary = f"{len(told['new'])} new, {len(told['back'])} back, {len(told['gone'])} gone"
    assert f"From 2025-45 to 2025-46: {summary}" in shown
    said = " ".join(shown.split())
    assert [row["why"] for row in told["gone"] if row["why"] not in said] == []


def test_compare_names_the_archive_of_a_packed_week(season: dict[str, ScoredWeek]) -> None:
    run = season[WEEK.label]
    done = cardwatch(run.folder, "compare", SEASON[0].label, WEEK.label, code=2)
    assert "packed" in failure(done)
    assert "archive/" in done.err


def test_compare_without_a_list_names_the_command_that_makes_one(
    season: dict[str, ScoredWeek],
) -> None:
    run = season[WEEK.label]
    done = cardwatch(run.folder, "compare", "2024-10", WEEK.label, code=2)
    assert "cardwatch run --reporting-week 2024-10" in failure(done)


def reproduce(run: ScoredWeek, *options: str, code: int = 0) -> str:
    return cardwatch(
        run.folder, "reproduce", run.path(OutputFile.MANIFEST), *options, code=code
    ).out


def test_a_week_is_derived_again_and_nothing_is_written(last: ScoredWeek) -> None:
    before = contents(last.folder / "outputs")
    assert reproduce(last) == "identical: week 2025-46 (17–23 November 2025), 4 files\n"
    assert contents(last.folder / "outputs") == before


def with_one_row_changed(folder: Path, week: ReportingWeek) -> Path:
    rows = portfolio_rows().to_pydict()
    place = rows["reporting_week"].index(week.label)
    rows["spend_amount"][place] += 100
    rows["avg_ticket_amount"][place] = None
    return write_parquet(pa.table(rows, portfolio_rows().schema), folder)


def test_reproduce_names_the_week_whose_rows_changed(last: ScoredWeek, tmp_path: Path) -> None:
    changed = with_one_row_changed(tmp_path / "changed", WEEK - 3)
    said = reproduce(last, "--source", str(changed), code=1)
    assert "The rows of input week 2025-43 changed" in said
    assert "input week 2025-46" not in said


def test_reproduce_says_that_a_week_is_gone(last: ScoredWeek, tmp_path: Path) -> None:
    rows = portfolio_rows()
    kept = [label != (WEEK - 2).label for label in rows["reporting_week"].to_pylist()]
    gone = write_parquet(rows.filter(pa.array(kept)), tmp_path / "gone")
    said = reproduce(last, "--source", str(gone), code=1)
    assert "Input week 2025-44 had rows then and has none now" in said


def rewrite(run: ScoredWeek, **changes: Any) -> None:
    manifest = run.manifest | changes
    run.path(OutputFile.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def test_reproduce_says_that_a_version_changed_even_where_the_bytes_did_not(
    last: ScoredWeek,
) -> None:
    rewrite(last, versions=last.manifest["versions"] | {"duckdb": "0.1"})
    said = reproduce(last)
    assert "changed: Version of duckdb was 0.1" in said
    assert "identical" in said


def test_reproduce_says_that_the_recorded_settings_are_not_those_of_the_run(
    last: ScoredWeek,
) -> None:
    settings = last.manifest["configuration"]
    settings["ranking"]["top_n"] = 3
    rewrite(last, configuration=settings)
    said = reproduce(last, code=1)
    assert "anomalies_2025-46.csv has other bytes" in said
    assert "The recorded settings are not those of the run" in said


def test_reproduce_says_that_an_earlier_week_was_run_again(last: ScoredWeek) -> None:
    path = last.outputs / OutputFile.MANIFEST.of(WEEK - 4)
    manifest = read_json(path)
    manifest["score_quantiles"] = dict.fromkeys(manifest["score_quantiles"], 0.9) | {"0.5": 0.1}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert "The recorded scores of week 2025-42 changed" in reproduce(last, code=1)


def test_a_damaged_manifest_is_one_line(last: ScoredWeek) -> None:
    path = last.path(OutputFile.MANIFEST)
    path.write_bytes(path.read_bytes()[:-50])
    done = cardwatch(last.folder, "reproduce", path, code=2)
    assert "not whole JSON" in failure(done)


def test_a_damaged_record_of_an_earlier_week_costs_a_note_and_not_the_run(
    last: ScoredWeek,
) -> None:
    (last.outputs / OutputFile.MANIFEST.of(WEEK - 4)).write_text("{}", encoding="utf-8")
    source = last.manifest["configuration"]["data_source"]["path"]
    again = ScoredWeek.run(last.folder, Path(source), WEEK)
    assert "The record of week 2025-42 is left out" in " ".join(again.done.out.split())
    used = [week.label for week in (*SEASON[0:3], *SEASON[4:7])]
    assert again.manifest["thresholds"]["weeks"] == used
    assert pq.read_metadata(again.path(OutputFile.SCORES)).num_rows > 0
