"""A week that is delivered again after its list was published is noticed by the next run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import cardwatch, failure
from small_portfolio import WEEK, ScoredWeek, of_weeks, portfolio_rows

from cardwatch.outputs import OutputFile
from cardwatch.week import ReportingWeek


def deliver(folder: Path, week: ReportingWeek, rows: pa.Table) -> None:
    pq.write_table(of_weeks(rows, [week]), folder / f"spend_{week}.parquet")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for week in (*WEEK.window(16), WEEK):
        deliver(folder, week, portfolio_rows())
    return folder


def incomplete(week: ReportingWeek, missing: int = 10) -> pa.Table:
    """The rows of a week without the last of them, as an incomplete feed has them."""
    rows = of_weeks(portfolio_rows(), [week])
    return rows.slice(0, rows.num_rows - missing)


def remarks(run: ScoredWeek) -> list[str]:
    """What the manifest warns of, and the list does not."""
    return [text for text in run.manifest["warnings"] if text not in run.document["notes"]]


def without_drift(document: dict[str, Any]) -> dict[str, Any]:
    """What a list says, but for its distance from earlier weeks, which a fresh folder lacks."""
    notes = [note for note in document["notes"] if not note.startswith("Spread otherwise")]
    return document | {"drift": None, "notes": notes}


@pytest.mark.system
@pytest.mark.parametrize("cached", ["false", pytest.param("true", marks=pytest.mark.system)])
def test_a_corrected_week_is_said_with_the_lists_it_concerns_and_changes_no_list(
    tmp_path: Path, data: Path, cached: str
) -> None:
    settings = tmp_path / "settings.yaml"
    cache = f"feature_engineering: {{use_cache: {cached}, cache_dir: kept}}\n"
    settings.write_text(cache, encoding="utf-8")
    options = ("--config", str(settings))
    deliver(data, WEEK - 2, incomplete(WEEK - 2))
    for week in (WEEK - 3, WEEK - 2, WEEK - 1):
        run = ScoredWeek.run(tmp_path, data, week, *options)
        assert remarks(run) == []

    deliver(data, WEEK - 2, portfolio_rows())
    run = ScoredWeek.run(tmp_path, data, WEEK, *options)
    told = (
        "The rows of 2025-44 have changed since the lists of 2025-44 and 2025-45 were published: "
        "`cardwatch backfill --from 2025-44 --to 2025-45` makes them again"
    )
    assert told in " ".join(run.done.out.split())
    assert f"backfill --from 2025-44 --to 2025-45 --source {data} --config" in run.done.out
    assert remarks(run) == [told]

    (tmp_path / "fresh").mkdir()
    fresh = ScoredWeek.run(tmp_path / "fresh", data, WEEK, *options)
    assert without_drift(fresh.document) == without_drift(run.document)
    for name in (OutputFile.LIST_CSV, OutputFile.SCORES, OutputFile.QUARANTINE):
        assert fresh.path(name).read_bytes() == run.path(name).read_bytes()

    for week in (WEEK - 2, WEEK - 1):
        ScoredWeek.run(tmp_path, data, week, *options)
    again = ScoredWeek.run(tmp_path, data, WEEK, *options)
    assert remarks(again) == []


def test_running_an_old_week_again_says_which_later_lists_rest_on_other_rows(
    tmp_path: Path, data: Path
) -> None:
    ScoredWeek.run(tmp_path, data, WEEK)
    deliver(data, WEEK - 3, incomplete(WEEK - 3))
    run = ScoredWeek.run(tmp_path, data, WEEK - 1)
    assert remarks(run) == [
        "The rows of 2025-43 have changed since the list of 2025-46 was published: "
        "`cardwatch run --reporting-week 2025-46` makes it again"
    ]


@pytest.mark.system
def test_a_week_that_is_run_again_is_compared_with_the_list_it_replaced(
    tmp_path: Path, data: Path
) -> None:
    deliver(data, WEEK, incomplete(WEEK, 250))
    first = ScoredWeek.run(tmp_path, data, WEEK)
    before = first.manifest["run_id"]
    was = {row["customer_id"]: int(row["anomaly_rank"]) for row in first.list_rows}
    deliver(data, WEEK, portfolio_rows())
    second = ScoredWeek.run(tmp_path, data, WEEK)
    now = {row["customer_id"]: int(row["anomaly_rank"]) for row in second.list_rows}
    between = second.manifest["run_id"]
    again = ScoredWeek.run(tmp_path, data, WEEK)
    assert again.manifest["supersedes_run_id"] == between != before
    [kept] = (again.outputs / "archive").iterdir()
    assert before in kept.name

    words = ("compare", "2025-46", "--superseded", "--output-dir", "outputs")
    done = json.loads(cardwatch(tmp_path, *words, "--format", "json").out)
    assert done["run_before"] == before
    assert done["causes"] == ["The rows of input week 2025-46 changed"]
    assert {row["customer_id"] for row in done["came"]} == now.keys() - was.keys()
    assert {row["customer_id"] for row in done["gone"]} == was.keys() - now.keys() != set()
    for row in done["moved"]:
        assert row["rank_before"] == was[row["customer_id"]]
        assert row["anomaly_rank"] == now[row["customer_id"]]

    shown = cardwatch(tmp_path, *words).out
    assert f"run {again.manifest['run_id']} instead of {before}" in " ".join(shown.split())
    assert "changed: The rows of input week 2025-46 changed" in shown
    assert all(name in shown for name in now.keys() ^ was.keys())


@pytest.mark.parametrize("words", [["2025-45"], ["2025-45", "2025-46", "--superseded"]])
def test_compare_takes_two_weeks_or_one_that_was_superseded(
    tmp_path: Path, words: list[str]
) -> None:
    line = failure(cardwatch(tmp_path, "compare", *words, code=2))
    assert "one week with --superseded, or two weeks" in line


@pytest.mark.system
def test_a_dry_run_tells_of_changed_weeks_too(tmp_path: Path, data: Path) -> None:
    ScoredWeek.run(tmp_path, data, WEEK - 1)
    deliver(data, WEEK - 1, incomplete(WEEK - 1))
    run = ScoredWeek.run(tmp_path, data, WEEK, "--dry-run")
    assert "The rows of 2025-45 have changed since the list of 2025-45" in " ".join(
        run.done.out.split()
    )


def test_a_week_that_is_due_and_late_is_an_error_and_not_the_list_before(
    tmp_path: Path, data: Path
) -> None:
    due = ReportingWeek.containing(datetime.now(UTC).date()) - 1
    arguments = ("--reporting-week", "due", "--source", data, "--output-dir", "outputs")
    line = failure(cardwatch(tmp_path, "run", *arguments, code=3))
    assert f"There are no rows for week {due.label}" in line
    assert f"the last one {WEEK.label}" in line
    assert not list((tmp_path / "outputs").glob("anomalies_*"))
