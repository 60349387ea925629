from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
from published_weeks import (
    WEEK,
    QuickOperations,
    config,
    fill_engine,
    listed_customer,
    manifest,
    week_report,
)

from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError
from cardwatch.history import read_history, read_list, record_of
from cardwatch.publish.files import FileSink
from cardwatch.week import ReportingWeek

ListFormat = Literal["csv", "json", "both"]


def write_week(
    folder: Path,
    engine: Engine,
    week: ReportingWeek,
    *,
    list_format: ListFormat = "both",
    decay: float = 0.3,
    customer: str = "=C,1",
) -> None:
    report = week_report([listed_customer(customer, 1), listed_customer("C-2", 2)], week)
    fill_engine(engine, {customer: 1, "C-2": 2})
    sink = FileSink(config(folder, list_format), operations=QuickOperations())
    sink.write(report, engine, manifest(report, configuration={"model": {"decay": decay}}))


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


def test_only_weeks_before_the_scored_one_are_read(outputs: Path, engine: Engine) -> None:
    for week in (WEEK - 2, WEEK - 1, WEEK, WEEK + 1):
        write_week(outputs, engine, week)
    history = read_history(outputs, WEEK)
    assert [earlier.week for earlier in history.weeks] == [WEEK - 2, WEEK - 1]
    assert history.warnings == ()


def test_an_empty_or_missing_folder_is_an_empty_history(outputs: Path) -> None:
    history = read_history(outputs, WEEK)
    assert history.weeks == ()
    assert history.warnings == ()
    assert history.fingerprint == record_of(()).fingerprint


def test_quantiles_and_lists_of_earlier_weeks_are_read(outputs: Path, engine: Engine) -> None:
    write_week(outputs, engine, WEEK - 1)
    (earlier,) = read_history(outputs, WEEK).weeks
    assert earlier.detector == "surprise"
    assert earlier.score_quantiles == {"0.5": 0.1, "0.99": 0.7}
    assert earlier.listed
    assert [row.customer_id for row in earlier.listed] == ["=C,1", "C-2"]
    assert earlier.listed[0].reason_codes == ("OWN_SPEND",)
    assert earlier.listed[0].reasons == ("Spent 1,200.00 this week",)


@pytest.mark.parametrize("list_format", ["csv", "json"])
def test_either_form_of_the_list_gives_the_same_customers(
    outputs: Path, engine: Engine, list_format: ListFormat
) -> None:
    write_week(outputs, engine, WEEK, list_format=list_format)
    listed = read_list(outputs, WEEK)
    assert listed
    assert [(row.customer_id, row.anomaly_rank, row.signal) for row in listed] == [
        ("=C,1", 1, "concern"),
        ("C-2", 2, "concern"),
    ]


def test_a_week_whose_list_was_packed_still_gives_its_quantiles(
    outputs: Path, engine: Engine
) -> None:
    write_week(outputs, engine, WEEK - 1)
    for path in outputs.glob("anomalies_*"):
        path.unlink()
    (earlier,) = read_history(outputs, WEEK).weeks
    assert earlier.listed is None
    assert earlier.score_quantiles


def test_damaged_records_are_left_out_and_said(outputs: Path, engine: Engine) -> None:
    for back in (1, 2, 3):
        write_week(outputs, engine, WEEK - back)
    (outputs / "run_2025-44.json").write_text("{", encoding="utf-8")
    (outputs / "anomalies_2025-45.json").write_text("[]", encoding="utf-8")
    (outputs / "run_2025-42.json").write_bytes((outputs / "run_2025-43.json").read_bytes())

    history = read_history(outputs, WEEK)
    assert [earlier.week.label for earlier in history.weeks] == ["2025-43", "2025-45"]
    assert history.weeks[1].listed is None
    assert [warning.split(":")[0] for warning in history.warnings] == [
        "The record of week 2025-42 is left out",
        "The record of week 2025-44 is left out",
        "The list of week 2025-45 is left out",
    ]


@pytest.mark.parametrize(
    "damage",
    ["", "{}", '{"week_start": "2025-11-17", "customers": [{}]}', '{"week_start": "2020-01-06"}'],
)
def test_a_damaged_list_is_a_clear_error(outputs: Path, damage: str) -> None:
    outputs.mkdir()
    (outputs / "anomalies_2025-46.json").write_text(damage, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="The list cannot be read"):
        read_list(outputs, WEEK)


@pytest.mark.parametrize("damage", [b"a,b\n1,2\n", b"\xff\xfe", b"customer_id\n\x00"])
def test_a_damaged_csv_list_is_a_clear_error(outputs: Path, damage: bytes) -> None:
    outputs.mkdir()
    (outputs / "anomalies_2025-46.csv").write_bytes(damage)
    with pytest.raises(ConfigurationError, match="The list cannot be read"):
        read_list(outputs, WEEK)


def test_a_folder_that_may_not_be_looked_into_is_said_and_stops_nothing(
    outputs: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    write_week(outputs, engine, WEEK - 1)
    monkeypatch.setattr(Path, "exists", refuse)
    history = read_history(outputs, WEEK, weeks_back=1)
    assert history.weeks == ()
    assert history.warnings == (
        "The record of week 2025-44 is left out: Permission denied",
        "The record of week 2025-45 is left out: Permission denied",
    )
    with pytest.raises(ConfigurationError, match="Permission denied"):
        read_list(outputs, WEEK - 1)


def test_only_weeks_scored_the_same_way_are_comparable(outputs: Path, engine: Engine) -> None:
    for back in (3, 2, 1):
        write_week(outputs, engine, WEEK - back, decay=0.5 if back == 2 else 0.3)
    history = read_history(outputs, WEEK)
    basis = history.weeks[-1].score_basis
    assert [earlier.week for earlier in history.comparable(basis)] == [WEEK - 3, WEEK - 1]
    assert history.comparable("another") == ()


def test_a_missed_week_is_made_up_for_by_an_older_one(outputs: Path, engine: Engine) -> None:
    for back in (1, 2, 4, 5, 6, 7, 8, 13):
        write_week(outputs, engine, WEEK - back)
    history = read_history(outputs, WEEK)
    basis = history.weeks[-1].score_basis
    used = history.comparable(basis)
    assert [WEEK - earlier.week for earlier in used] == [7, 6, 5, 4, 2, 1]
    assert sorted(record_of(used).weeks) == [earlier.week.label for earlier in used]


def test_the_fingerprint_changes_with_the_quantiles_and_not_with_the_lists(
    outputs: Path, engine: Engine
) -> None:
    write_week(outputs, engine, WEEK - 1)
    before = read_history(outputs, WEEK).fingerprint
    write_week(outputs, engine, WEEK - 1, customer="C-9", list_format="csv")
    assert read_history(outputs, WEEK).fingerprint == before

    path = outputs / "run_2025-45.json"
    content = json.loads(path.read_bytes())
    content["score_quantiles"]["0.5"] = 0.2
    path.write_text(json.dumps(content), encoding="utf-8")
    assert read_history(outputs, WEEK).fingerprint != before
