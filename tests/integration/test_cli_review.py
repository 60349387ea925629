"""Verdicts through the command line: recorded, learnt from, said, and taken back."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_line import cardwatch, failure
from small_portfolio import WEEK, ScoredWeek

from cardwatch.outputs import OutputFile
from cardwatch.review.ledger import LEDGER_FILE, ledger_bytes, read_reviews
from cardwatch.review.snooze import SNOOZE_FILE, Snooze

BEFORE = WEEK - 1
SCORES = "anomaly_score", "anomaly_rank", "customer_id"


@pytest.fixture(scope="module")
def earlier(portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> ScoredWeek:
    """The week before the last, run in a folder that the tests of this module share."""
    return ScoredWeek.run(tmp_path_factory.mktemp("reviewed"), portfolio, BEFORE)


@pytest.fixture(scope="module")
def learnt(earlier: ScoredWeek, portfolio: Path) -> ScoredWeek:
    """The last week, run after a sheet of verdicts on the list before was imported."""
    sheet = earlier.folder / "filled in.csv"
    with earlier.path(OutputFile.REVIEWS).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = {row["customer_id"] for row in rows[::4]}
    for row in rows:
        row["verdict"] = "confirmed_risk" if row["customer_id"] in wanted else "expected"
        row["action_taken"] = "called" if row["customer_id"] in wanted else ""
    with sheet.open("w", encoding="cp1252", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    empty = ("review", "import", earlier.path(OutputFile.REVIEWS), "--output-dir", "outputs")
    assert cardwatch(earlier.folder, *empty).out.startswith("Nothing recorded: no line of the")
    words = ("review", "import", sheet, "--output-dir", "outputs", "--reviewer", "ada")
    done = cardwatch(earlier.folder, *words)
    assert (
        done.out
        == "20 verdicts recorded, 0 of them in the place of an earlier one; 0 known already\n"
    )
    assert cardwatch(earlier.folder, *words).out.startswith("0 verdicts recorded")
    (earlier.folder / "off.yaml").write_text("review: {learn: false}\n")
    return ScoredWeek.run(earlier.folder, portfolio, WEEK)


def totals(run: ScoredWeek, name: str) -> dict[str, float]:
    rows = run.scores.to_pylist()
    return {row["customer_id"]: row[name] for row in rows}


def test_the_next_list_is_weighed_and_says_how_and_hides_nobody(
    learnt: ScoredWeek, scored: ScoredWeek
) -> None:
    learning = learnt.document["learning"]
    assert learning["reviews"] == 20
    moved = [each for each in learning["weights"] if abs(each["weight"] - 1) >= 0.05]
    assert moved
    for each in moved:
        assert f"  {each['sentence']}\n" in learnt.done.out
        assert each["sentence"] in " ".join(learnt.document["notes"])
    assert "Learnt from 20 verdicts on earlier lists\n" in learnt.done.out
    guards = [row for row in learnt.document["customers"] if row["guard"]]
    assert learnt.document["customers"][-2:] == guards
    assert [row["guard"] for row in learnt.list_rows] == ["false"] * 18 + ["true"] * 2
    listed = {row["customer_id"] for row in learnt.list_rows}
    without = {row["customer_id"] for row in scored.list_rows}
    assert learning["moved_off"] == len(without - listed)
    plain = totals(scored, "surprise_total")
    kept = totals(learnt, "unweighted_total")
    assert kept == plain
    assert list(learnt.manifest["history"]["reviews"]) == [BEFORE.label]


def test_the_list_is_reproduced_until_a_verdict_changes_and_then_that_is_named(
    learnt: ScoredWeek,
) -> None:
    manifest = learnt.path(OutputFile.MANIFEST)
    assert cardwatch(learnt.folder, "reproduce", manifest).out.startswith("identical: ")
    ledger = learnt.outputs / LEDGER_FILE
    before = ledger.read_bytes()
    customer = read_reviews(learnt.outputs)[1].customer_id
    words = ("review", "set", customer, "--output-dir", "outputs", "--reviewer", "grace")
    week = ("--reporting-week", BEFORE.iso_label)
    done = cardwatch(learnt.folder, *words, *week, "--verdict", "opportunity", "--note", "call")
    assert "opportunity: Business to win or to keep" in done.out
    assert "It stands in the place of expected" in done.out
    assert ledger.read_bytes().startswith(before)
    done = cardwatch(learnt.folder, "reproduce", manifest, code=1)
    named = f"changed: The verdicts on the list of week {BEFORE.label} are others now\n"
    assert done.out.startswith(named)
    ledger.write_bytes(before)


def test_learning_is_switched_off_by_a_setting(
    learnt: ScoredWeek, scored: ScoredWeek, portfolio: Path
) -> None:
    words = ("--source", portfolio, "--config", "off.yaml", "--dry-run", "--format", "json")
    done = cardwatch(
        learnt.folder, "run", *words, "--reporting-week", WEEK.label, "--output-dir", "outputs"
    )
    document = json.loads(done.out)
    assert document["learning"] == {"reviews": 0, "weights": [], "moved_off": 0, "guards": 0}
    names = [[row[name] for name in SCORES] for row in document["customers"]]
    assert names == [[row[name] for name in SCORES] for row in scored.document["customers"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "nobody", "--reporting-week", BEFORE.label, "--verdict", "expected"], "not on"),
        (["set", "C1", "--reporting-week", BEFORE.label, "--verdict", "bad"], "no such verdict"),
        (["set", "C1", "--reporting-week", "2025-99", "--verdict", "unclear"], "2025-99"),
        (["set", "C1", "--reporting-week", "2099-05", "--verdict", "expected"], "no list of that"),
        (["import", "no-such.csv"], "The file cannot be read (no-such.csv)"),
    ],
)
def test_what_cannot_be_recorded_is_one_line(
    earlier: ScoredWeek, words: list[str], said: str
) -> None:
    done = cardwatch(earlier.folder, "review", *words, "--output-dir", "outputs", code=2)
    assert said in failure(done)


def test_a_snoozed_customer_is_counted_and_comes_back_when_another_reason_leads(
    learnt: ScoredWeek, scored: ScoredWeek, portfolio: Path
) -> None:
    first, second = scored.document["customers"][:2]
    told = {
        "reporting_week": BEFORE.label,
        "owner": "ada",
        "reason": "known",
        "until": WEEK.monday,
        "risk_category": "critical",
        "noted_at": datetime(2025, 11, 20, tzinfo=UTC),
    }
    noted = [
        Snooze.model_validate(told | {"customer_id": row["customer_id"], "leading_family": family})
        for row, family in ((first, first["reasons"][0]["family"]), (second, "another"))
    ]
    ledger = learnt.outputs / SNOOZE_FILE
    ledger.write_bytes(ledger_bytes(noted))
    words = ("--source", portfolio, "--dry-run", "--format", "json", "--output-dir", "outputs")
    off = ("--config", "off.yaml", "--reporting-week", WEEK.label)
    document = json.loads(cardwatch(learnt.folder, "run", *words, *off).out)
    listed = [row["customer_id"] for row in document["customers"]]
    assert listed[0] == second["customer_id"]
    assert first["customer_id"] not in listed
    assert len(listed) == 20
    assert document["left_out_by_policy"] == {"snoozed_customer": 1}
    assert any("would be snoozed, but another reason" in note for note in document["notes"])
    ledger.unlink()


def test_a_customer_is_snoozed_shown_and_woken_by_command(earlier: ScoredWeek) -> None:
    row = earlier.document["customers"][0]
    customer = row["customer_id"]
    said = ("--owner", "ada", "--reason", "dispute\nis \x1bopen", "--until", "2025-12-31")
    here = ("--output-dir", "outputs")
    week = ("--reporting-week", BEFORE.label)
    done = cardwatch(earlier.folder, "review", "snooze", customer, *said, *week, *here)
    assert f"{customer} is not listed until 2025-12-31, while a reason of the family" in done.out
    shown = cardwatch(earlier.folder, "review", "snoozes", *here, "--format", "json").out
    [found] = json.loads(shown)
    assert (found["customer_id"], found["scope"], found["owner"]) == (customer, "customer", "ada")
    assert found["leading_family"] == row["reasons"][0]["family"]
    assert "dispute is �open" in cardwatch(earlier.folder, "review", "snoozes", *here).out
    assert "awake" in cardwatch(earlier.folder, "review", "wake", customer, *here).out
    assert cardwatch(earlier.folder, "review", "snoozes", *here).out == "Nobody is snoozed\n"
    for words, where in (
        (["snooze", customer, *said[:-1], BEFORE.monday.isoformat(), *week], "--until"),
        (["snooze", customer, *said, "--family", "bad"], "--family"),
        (["snooze", customer, *said, "--mcc", "12"], "--mcc"),
        (["snooze", customer, *said, "--owner", " "], "--owner"),
        (["snooze", "nobody", *said], "no such list"),
        (["wake", customer], "not snoozed"),
    ):
        refused = cardwatch(earlier.folder, "review", *words, *here, code=2)
        assert where in failure(refused)
    last_day = (WEEK + 1).monday.isoformat()
    cardwatch(earlier.folder, "review", "snooze", customer, *said[:-1], last_day, *week, *here)
    path = earlier.outputs / SNOOZE_FILE
    assert "no longer" not in cardwatch(earlier.folder, "review", "snoozes", *here).out
    path.write_text(path.read_text().replace(last_day, BEFORE.monday.isoformat()))
    assert (
        "no longer: its last day is over"
        in cardwatch(earlier.folder, "review", "snoozes", *here).out
    )
    path.unlink()
