from __future__ import annotations

import json
from pathlib import Path

import pytest
from published_weeks import SENTENCE, WEEK, publish

from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError
from cardwatch.publish.archives import superseded
from cardwatch.revision import compare_with_superseded

OTHER = {"model": {"detector": "surprise", "contamination": 0.02}, "ranking": {"top_n": 2}}


@pytest.fixture
def replaced(outputs: Path, engine: Engine) -> Path:
    publish(outputs, engine, {"stays": 1, "moves": 2, "aside": 3, "below": 4}, others={"comes": 9})
    publish(
        outputs,
        engine,
        {"stays": 1, "comes": 2, "moves": 3, "first seen": 4},
        others={"below": 7},
        quarantined=[{"reason": "MALFORMED_MCC", "customer_id": "aside", "row_copies": 1}],
        configuration=OTHER,
    )
    return outputs


def test_who_came_went_and_moved_is_told_with_both_ranks(replaced: Path) -> None:
    done = compare_with_superseded(replaced, WEEK)
    assert [(row.customer_id, row.anomaly_rank, row.rank_before) for row in done.came] == [
        ("comes", 2, 9),
        ("first seen", 4, None),
    ]
    assert [(row.customer_id, row.anomaly_rank, row.rank_before) for row in done.moved] == [
        ("moves", 3, 2)
    ]
    assert [(row.customer_id, row.earlier_rank, row.rank_now, row.why) for row in done.gone] == [
        ("aside", 3, None, f"The rows were set aside: {SENTENCE}"),
        ("below", 4, 7, "Rank 7 of 5 now; the list ends at 4"),
    ]
    assert done.same == 1
    assert done.summary == (
        "Week 2025-46, run run-1 instead of run-1: 2 came, 2 went, 1 moved, 1 as before"
    )
    assert done.causes == ("Setting model.contamination was 0.01 and is 0.02",)
    assert done.warnings == ()
    assert json.loads(json.dumps(done.document()))["moved"][0]["customer_id"] == "moves"


def test_of_several_replaced_lists_the_last_one_is_compared(replaced: Path, engine: Engine) -> None:
    publish(replaced, engine, {"stays": 1})
    done = compare_with_superseded(replaced, WEEK)
    assert len(superseded(replaced, WEEK)) == 2
    assert [row.customer_id for row in done.gone] == ["comes", "moves", "first seen"]
    assert done.came == ()


def test_lists_written_as_csv_alone_are_compared(outputs: Path, engine: Engine) -> None:
    csv_only = {"list_format": "csv"}
    publish(outputs, engine, {"=a": 1, "b": 2}, settings=csv_only)
    publish(outputs, engine, {"b": 1}, others={"=a": 2}, settings=csv_only)
    done = compare_with_superseded(outputs, WEEK)
    assert [row.customer_id for row in done.gone] == ["=a"]
    assert [(row.customer_id, row.rank_before) for row in done.moved] == [("b", 2)]


def test_a_week_whose_list_was_never_replaced_is_one_clear_line(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"a": 1})
    publish(outputs, engine, {"a": 1})
    with pytest.raises(ConfigurationError, match="No list of this week was replaced"):
        compare_with_superseded(outputs, WEEK)
    with pytest.raises(ConfigurationError, match="There is no list of this week"):
        compare_with_superseded(outputs, WEEK - 1)


def test_a_damaged_archive_is_one_clear_line(replaced: Path) -> None:
    (kept,) = superseded(replaced, WEEK)
    kept.path.write_bytes(kept.path.read_bytes()[:200])
    with pytest.raises(ConfigurationError, match="The replaced list cannot be read"):
        compare_with_superseded(replaced, WEEK)


def test_a_list_that_was_packed_before_it_was_replaced_is_said(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"a": 1})
    for path in (*outputs.glob("anomalies*"), *outputs.glob("[sq]*_2025-46.*")):
        path.unlink()
    publish(outputs, engine, {"b": 1})
    with pytest.raises(ConfigurationError, match="packed or moved away before"):
        compare_with_superseded(outputs, WEEK)


def test_a_damaged_manifest_leaves_the_causes_unknown(replaced: Path) -> None:
    (replaced / "run_2025-46.json").write_text("{", encoding="utf-8")
    done = compare_with_superseded(replaced, WEEK)
    assert (done.run_now, done.causes) == ("unknown", ())
    assert any(warning.startswith("What changed is not known") for warning in done.warnings)
