"""A range of weeks whose results also go to a database, and what ``doctor`` says of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from command_line import cardwatch
from database_tables import load
from postgres import Database
from published_database import NOWHERE, command, rows
from small_portfolio import WEEK, of_weeks, portfolio_rows

pytestmark = pytest.mark.system

FIRST = WEEK - 1


@pytest.fixture
def place(tmp_path: Path) -> Path:
    table = portfolio_rows(customers=60, weeks=17)
    (tmp_path / "data").mkdir()
    for week in (*WEEK.window(16), WEEK):
        pq.write_table(of_weeks(table, [week]), tmp_path / "data" / f"{week}.parquet")
    (tmp_path / "settings.yaml").write_text(
        "output: {database: {enabled: true, attempts: 1}}\n", encoding="utf-8"
    )
    return tmp_path


def said(place: Path, url: str, *words: str, code: int = 0) -> Any:
    options = ("--source", "data", "--config", "settings.yaml", "--format", "json")
    return json.loads(command(url, place, *words, *options, code=code).out)


def backfill(place: Path, url: str, *words: str, code: int = 0) -> list[tuple[str, str]]:
    weeks = ("--from", FIRST.label, "--to", WEEK.label)
    found = said(place, url, "backfill", *weeks, *words, code=code)
    return [(each["action"], each["why"]) for each in found["weeks"]]


def database_checks(place: Path, url: str, code: int) -> list[tuple[str, str, str]]:
    found = said(place, url, "doctor", code=code)["checks"]
    return [(e["week"], e["status"], e["advice"]) for e in found if e["name"] == "database"]


def test_weeks_that_a_database_lacks_are_sent_from_their_files_and_not_run_again(
    place: Path, ready: Database
) -> None:
    down = backfill(place, NOWHERE, "--keep-going", code=6)
    assert [action for action, _ in down] == ["failed", "failed"]
    runs = {
        path.name: json.loads(path.read_bytes())["run_id"]
        for path in (place / "outputs").glob("run_*.json")
    }
    assert len(runs) == 2

    missing = backfill(place, ready.url, "--dry-run")
    assert [action for action, _ in missing] == ["published", "published"]
    assert rows(ready, "anomaly_runs") == []
    lacking = database_checks(place, ready.url, code=1)
    assert [(week, status) for week, status, _ in lacking] == [
        ("", "ok"),
        (FIRST.label, "warn"),
        (WEEK.label, "warn"),
    ]
    assert lacking[2][2] == f"cardwatch publish --reporting-week {WEEK}"

    sent = backfill(place, ready.url)
    assert [action for action, _ in sent] == ["published", "published"]
    assert "did not hold it" in sent[0][1]
    assert sorted(row["run_id"] for row in rows(ready, "anomaly_runs")) == sorted(runs.values())
    assert backfill(place, ready.url) == [("skipped", "done"), ("skipped", "done")]
    # The newest week of the data is long over, which is the one thing that doctor remarks on.
    assert database_checks(place, ready.url, code=1) == [("", "ok", "")]


def test_a_database_that_cannot_be_reached_is_a_failed_check(place: Path, ready: Database) -> None:
    backfill(place, ready.url)
    [(week, status, advice)] = database_checks(place, NOWHERE, code=6)
    assert (week, status) == ("", "fail")
    assert advice
    assert "secret" not in advice


def test_a_packed_week_that_a_database_lacks_is_told(place: Path, ready: Database) -> None:
    backfill(place, NOWHERE, "--keep-going", code=6)
    for path in (place / "outputs").glob(f"*_{FIRST}.*"):
        if not path.name.startswith("run_"):
            archive = place / "outputs" / "archive"
            archive.mkdir(exist_ok=True)
            path.unlink()
    name = f"week_{FIRST}.packed-2025-11-24.tar.gz"
    (place / "outputs" / "archive" / name).write_bytes(b"")
    found = backfill(place, ready.url)
    assert found[0][0] == "skipped"
    assert "lacks it, and its JSON list is packed or gone" in found[0][1]
    assert found[1][0] == "published"


@pytest.mark.parametrize("cached", ["true", pytest.param("false", marks=pytest.mark.system)])
def test_weeks_read_from_a_database_are_done_until_a_row_changes(
    tmp_path: Path, database: Database, cached: str
) -> None:
    load(database, portfolio_rows(customers=60, weeks=17))
    (tmp_path / "settings.yaml").write_text(
        f"data_source: {{type: database, connection_string: '{database.url}'}}\n"
        f"feature_engineering: {{use_cache: {cached}, cache_dir: kept}}\n",
        encoding="utf-8",
    )

    def outcome(*words: str, code: int = 0) -> Any:
        options = ("--config", "settings.yaml", "--format", "json")
        return json.loads(cardwatch(tmp_path, *words, *options, code=code).out)

    def weeks() -> list[tuple[str, str]]:
        done = outcome("backfill", "--from", FIRST.label, "--to", WEEK.label)["weeks"]
        return [(each["action"], each["why"]) for each in done]

    def inputs() -> list[dict[str, str]]:
        checks = outcome("doctor", code=1)["checks"]
        return [each for each in checks if each["name"] == "input"]

    assert weeks() == [("run", "not run yet")] * 2
    assert weeks() == [("skipped", "done")] * 2
    [unchanged] = inputs()
    assert unchanged["measured"] == "unchanged for 2 lists: the source says so"
    with database.connect() as connection:
        connection.execute(
            "UPDATE card_transactions SET spend_amount = '77.77' "
            "WHERE reporting_week = %s AND customer_id = "
            "(SELECT min(customer_id) FROM card_transactions WHERE reporting_week = %s)",
            [(WEEK - 3).label] * 2,
        )
        connection.commit()
    assert [each["status"] for each in inputs()] == ["ok", "warn", "warn"]
    changed = ("run", f"the rows of {WEEK - 3} changed")
    assert weeks() == [changed, changed]
    assert weeks() == [("skipped", "done")] * 2
