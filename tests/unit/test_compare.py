from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from published_weeks import (
    SENTENCE,
    WEEK,
    QuickOperations,
    config,
    fill_engine,
    listed_customer,
    manifest,
    publish,
    week_report,
)

from cardwatch.comparison import compare_weeks
from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError
from cardwatch.publish.files import FileSink
from cardwatch.publish.retention import retain

BEFORE = WEEK - 1


def causes(outputs: Path) -> dict[str, tuple[str, str]]:
    gone = compare_weeks(outputs, BEFORE, WEEK).gone
    return {row.customer_id: (row.cause, row.why) for row in gone}


def test_new_and_back_customers_carry_how_often_they_were_listed(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"returns": 1, "always": 2}, week=WEEK - 3)
    publish(outputs, engine, {"always": 1}, week=WEEK - 2)
    publish(outputs, engine, {"always": 1, "leaves": 2}, week=BEFORE)
    publish(outputs, engine, {"new": 1, "always": 2, "returns": 3}, others={"leaves": 9})
    publish(outputs, engine, {"new": 1}, week=WEEK + 1)

    done = compare_weeks(outputs, BEFORE, WEEK)
    assert [(row.customer_id, row.times_listed, row.earlier_rank) for row in done.new] == [
        ("new", 1, None)
    ]
    assert [
        (row.customer_id, row.times_listed, row.weeks_in_a_row, row.earlier_rank)
        for row in done.back
    ] == [("always", 4, 4, 1), ("returns", 2, 1, None)]
    assert done.new[0].reason == "Spent 1,200.00 this week"
    assert done.summary == "From 2025-45 to 2025-46: 1 new, 2 back, 1 gone"
    assert done.warnings == ()
    document = json.loads(json.dumps(done.document()))
    assert (document["earlier"], document["later"]) == ("2025-45", "2025-46")
    assert [row["customer_id"] for row in document["back"]] == ["always", "returns"]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_guard_does_not_tell_where_the_list_ends(
    outputs: Path, engine: Engine, form: Literal["csv", "json"]
) -> None:
    publish(outputs, engine, {"moved": 1}, week=BEFORE)
    guard = replace(listed_customer("guard", 40), guard=True)
    report = week_report([listed_customer("one", 1), guard])
    fill_engine(engine, {"one": 1, "guard": 40, "moved": 7})
    FileSink(config(outputs, form), operations=QuickOperations()).write(
        report, engine, manifest(report)
    )
    cause, why = causes(outputs)["moved"]
    assert cause == "below_the_list"
    assert why == "Rank 7 of 3 now; the list ends at 1"


def test_every_cause_of_leaving_the_list_is_told_apart(outputs: Path, engine: Engine) -> None:
    left = ["below", "policy", "absent", "=aside", "missing", "part"]
    publish(outputs, engine, {name: rank for rank, name in enumerate(left, 1)}, week=BEFORE)
    publish(
        outputs,
        engine,
        {"one": 1, "two": 3},
        others={"policy": 2, "below": 1_500, "absent": 5, "part": 6},
        counts={"absent": 0},
        quarantined=[
            {"reason": "MALFORMED_MCC", "customer_id": customer, "row_copies": 1}
            for customer in ("=aside", "part", "someone")
        ],
    )
    assert causes(outputs) == {
        "below": ("below_the_list", "Rank 1,500 of 6 now; the list ends at 3"),
        "policy": (
            "left_out_by_policy",
            "Rank 2 now, but left out by policy: the smallest spend or count to be listed, "
            "the most of one peer group, or a snooze",
        ),
        "absent": ("absent", "No transaction this week"),
        "=aside": ("quarantined", f"The rows were set aside: {SENTENCE}"),
        "missing": ("not_in_source", "No longer in the source"),
        "part": (
            "below_the_list",
            f"Rank 6 of 6 now; the list ends at 3; some rows were set aside: {SENTENCE}",
        ),
    }


def test_a_list_shorter_than_it_may_be_leaves_people_out_by_policy(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"a": 1}, week=BEFORE)
    ranking = {"ranking": {"top_n": 20, "min_transactions": 5}}
    publish(outputs, engine, {"b": 1}, others={"a": 2}, configuration=ranking)
    assert causes(outputs)["a"] == (
        "left_out_by_policy",
        "Rank 2 now, but left out by policy: fewer than 5 transactions",
    )


def test_the_weeks_may_be_named_in_either_order(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"a": 1}, week=BEFORE)
    publish(outputs, engine, {"b": 1}, others={"a": 2})
    assert compare_weeks(outputs, WEEK, BEFORE) == compare_weeks(outputs, BEFORE, WEEK)


def test_lists_written_as_csv_alone_can_be_compared(outputs: Path, engine: Engine) -> None:
    csv_only = {"list_format": "csv"}
    publish(outputs, engine, {"=a": 1, "b": 2}, week=BEFORE, settings=csv_only)
    publish(outputs, engine, {"=a": 1}, others={"b": 7}, settings=csv_only)
    done = compare_weeks(outputs, BEFORE, WEEK)
    assert [row.customer_id for row in done.back] == ["=a"]
    assert [row.customer_id for row in done.gone] == ["b"]
    assert done.gone[0].reason == "Spent 1,200.00 this week"


def test_missing_or_damaged_files_of_the_later_week_are_said(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"a": 1}, week=BEFORE)
    publish(outputs, engine, {"b": 1}, others={"a": 2})
    (outputs / "scores_2025-46.parquet").write_bytes(b"PAR1 cut in half")
    (outputs / "quarantine_2025-46.csv").unlink()
    (outputs / "run_2025-46.json").write_text("{", encoding="utf-8")
    done = compare_weeks(outputs, BEFORE, WEEK)
    assert done.gone[0].cause == "unknown"
    assert [warning.split(" (")[0].split(":")[0] for warning in done.warnings] == [
        "The scores cannot be read",
        "The policies of the ranking are not known",
        "The quarantined rows cannot be read",
    ]


def test_a_damaged_list_of_another_week_is_not_counted_and_said(
    outputs: Path, engine: Engine
) -> None:
    for week in (WEEK - 2, BEFORE, WEEK):
        publish(outputs, engine, {"a": 1}, week=week)
    (outputs / "anomalies_2025-44.json").write_text("{", encoding="utf-8")
    done = compare_weeks(outputs, BEFORE, WEEK)
    assert done.back[0].times_listed == 2
    assert done.warnings[0].startswith("The list of week 2025-44 is not counted")


def test_a_week_without_a_list_is_one_clear_line(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"a": 1})
    with pytest.raises(ConfigurationError, match="There is no list of this week") as caught:
        compare_weeks(outputs, BEFORE, WEEK)
    assert "cardwatch run --reporting-week 2025-45" in caught.value.message


def test_a_packed_week_is_named_with_its_archive(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"a": 1}, week=BEFORE)
    publish(outputs, engine, {"a": 1})
    retain(outputs, 1, 90, WEEK.sunday)
    with pytest.raises(ConfigurationError, match=r"unpack .*week_2025-45\.packed-2025-11-23"):
        compare_weeks(outputs, BEFORE, WEEK)


def test_one_week_cannot_be_compared_with_itself(outputs: Path) -> None:
    with pytest.raises(ConfigurationError, match="Two different weeks"):
        compare_weeks(outputs, WEEK, WEEK)


def test_a_missing_folder_is_one_clear_line(outputs: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no list of this week"):
        compare_weeks(outputs, BEFORE, WEEK)
    assert not outputs.exists()


def test_an_interrupted_write_is_finished_before_the_lists_are_read(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"a": 1}, week=BEFORE)
    publish(outputs, engine, {"a": 1})
    (outputs / ".run_2025-46.tmp").mkdir()
    compare_weeks(outputs, BEFORE, WEEK)
    assert not (outputs / ".run_2025-46.tmp").exists()
