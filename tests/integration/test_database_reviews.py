"""Verdicts that analysts write into the database, taken over by command and by runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import cardwatch, failure
from postgres import Database
from published_database import NOWHERE, command, write_files
from published_weeks import WEEK

from cardwatch.config import Config, ReviewConfig
from cardwatch.engine import Engine
from cardwatch.review.ledger import LEDGER_FILE, read_reviews
from cardwatch.reviewing import fetch_stored

ROWS = """
INSERT INTO anomaly_reviews (customer_id, reporting_week, verdict, action_taken, reviewer)
VALUES ('C-1', '2025-46', ' Confirmed Risk', 'blocked', 'ada'),
    ('C-2', '2025-46', 'expected', NULL, 'ada'), ('C-2', '2025-46', 'SECRET', NULL, 'ada'),
    ('C-2', 'Oct 25', 'expected', NULL, 'ada'), ('SECRET-9', '2025-46', 'expected', NULL, 'ada')
"""


@pytest.fixture
def folder(tmp_path: Path, engine: Engine) -> Path:
    write_files(tmp_path / "outputs", engine, {"C-1": 1, "C-2": 2})
    return tmp_path


def output(folder: Path, url: str) -> Config:
    database = {"enabled": True, "connection_string": url, "attempts": 1}
    return Config.model_validate(
        {"output": {"directory": str(folder / "outputs"), "database": database}}
    )


def test_verdicts_of_the_database_are_taken_over_once_and_what_is_none_is_named(
    folder: Path, ready: Database
) -> None:
    ready.execute(ROWS)
    words = ("review", "import", "--from-database", "--output-dir", "outputs")
    first, *remarks = command(ready.url, folder, *words).out.splitlines()
    assert first.startswith("2 verdicts recorded, ")
    text = " ".join(remarks)
    assert "these ids are passed over, because the verdict or the week is none: 3, 4." in text
    assert "1 of the verdicts are passed over, because the customer is not on the list" in text
    assert "SECRET" not in text
    one, two = read_reviews(folder / "outputs")
    assert (one.verdict, one.action_taken, one.features) == (
        "confirmed_risk",
        "blocked",
        ("own_spend",),
    )
    ledger = (folder / "outputs" / LEDGER_FILE).read_bytes()
    again = command(ready.url, folder, *words).out
    assert again.startswith(
        "0 verdicts recorded, 0 of them in the place of an earlier one; 2 known"
    )
    assert (folder / "outputs" / LEDGER_FILE).read_bytes() == ledger
    assert two.reviewer == "ada"


def test_a_run_takes_them_over_by_itself_and_goes_on_without_the_database(
    folder: Path, ready: Database
) -> None:
    ready.execute(ROWS)
    there = output(folder, ready.url)
    there = there.model_copy(update={"review": ReviewConfig(learn=False)})  # the report needs them
    assert fetch_stored(there, dry_run=True) == ()
    assert read_reviews(folder / "outputs") == ()
    assert len(fetch_stored(there, dry_run=False)) == 2
    assert len(read_reviews(folder / "outputs")) == 2
    [note] = fetch_stored(output(folder, NOWHERE), dry_run=False)
    assert note.startswith("Verdicts of the database are not taken over: ")
    assert fetch_stored(Config(), dry_run=False) == ()


def test_without_the_database_the_command_fails_in_one_line(folder: Path) -> None:
    (folder / "once.yaml").write_text("output: {database: {attempts: 1}}\n")
    words = ("review", "import", "--from-database", "--output-dir", "outputs")
    failure(command(NOWHERE, folder, *words, "--config", "once.yaml", code=6))
    assert failure(cardwatch(folder, "review", "import", code=2)).startswith("cardwatch: error: ")


def test_the_report_says_who_is_open_in_text_and_json(folder: Path) -> None:
    words = ("review", "report", "--output-dir", "outputs")
    assert "No list has a verdict yet" in cardwatch(folder, *words).out
    said = ("--verdict", "confirmed_risk", "--action-taken", "blocked", "--reviewer", "ada")
    week = ("--reporting-week", WEEK.label, "--output-dir", "outputs")
    cardwatch(folder, "review", "set", "C-2", *week, *said)
    text = cardwatch(folder, *words).out
    assert "hits (goal 60%)" in text and "1 of 2" in text and "100% (21%–100%)" in text
    assert "1 customer of week 2025-46 without a verdict: C-1" in text
    document = json.loads(cardwatch(folder, *words, "--format", "json").out)
    assert document["weeks"][0]["not_reviewed"] == ["C-1"]
    assert document["families"]["own_history"]["acted"]["share"] == 1.0
    assert document["overall"]["hits"]["low"] == pytest.approx(0.2065, abs=1e-4)
