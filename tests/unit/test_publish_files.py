from __future__ import annotations

import csv
import io
import json
import math
import tarfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from published_weeks import (
    FAMILIES,
    SENTENCE,
    WEEK,
    config,
    contents,
    fill_engine,
    listed_customer,
    manifest,
    publish,
    week_report,
)

from cardwatch.engine import Engine
from cardwatch.manifest import load_manifest
from cardwatch.outputs import neutralise, restore
from cardwatch.publish.files import FileSink

ODD_IDS = ["a,b", 'say "hi"', "line\nbreak", "💳", "=cmd()", "+1", "-1", "@x", "\tt", "\rr", "'=1"]


def test_every_file_is_written_and_named_in_the_receipt(outputs: Path, engine: Engine) -> None:
    receipt = publish(outputs, engine, {"C-1": 1})

    names = [
        "anomalies_2025-46.csv",
        "anomalies_2025-46.json",
        "quarantine_2025-46.csv",
        "reviews_2025-46.csv",
        "run_2025-46.json",
        "scores_2025-46.parquet",
    ]
    assert sorted(contents(outputs)) == names
    assert sorted(Path(path).name for path in receipt.written) == names
    recorded = load_manifest(outputs / "run_2025-46.json").files
    assert sorted([*recorded, "reviews_2025-46.csv", "run_2025-46.json"]) == names


def test_the_sheet_to_fill_in_opens_in_a_spreadsheet_as_it_is(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"=C-1": 1})

    raw = (outputs / "reviews_2025-46.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfcustomer_id,reporting_week,")
    [row] = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    assert (row["customer_id"], row["reporting_week"]) == ("'=C-1", "2025-W47")
    assert [row[name] for name in ("verdict", "cause", "action_taken", "note", "reviewer")] == [
        ""
    ] * 5


def test_a_sheet_that_was_filled_in_is_packed_when_the_week_is_run_again(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"C-1": 1})
    publish(outputs, engine, {"C-1": 1})
    assert not (outputs / "archive").exists()
    sheet = outputs / "reviews_2025-46.csv"
    sheet.write_bytes(sheet.read_bytes() + b"C-1,2025-W47,,,,,,expected,,,,\r\n")
    publish(outputs, engine, {"C-1": 1})
    [archive] = (outputs / "archive").iterdir()
    with tarfile.open(archive) as packed:
        kept = packed.extractfile("reviews_2025-46.csv")
        assert kept is not None and b"expected" in kept.read()


@pytest.mark.parametrize(("chosen", "other"), [("csv", "json"), ("json", "csv")])
def test_a_change_of_format_takes_the_stale_list_away(
    outputs: Path, engine: Engine, chosen: str, other: str
) -> None:
    publish(outputs, engine, {"C-1": 1})
    publish(outputs, engine, {"C-1": 1}, settings={"list_format": chosen})

    assert (outputs / f"anomalies_2025-46.{chosen}").exists()
    assert not (outputs / f"anomalies_2025-46.{other}").exists()
    assert (outputs / "scores_2025-46.parquet").exists()


def test_the_csv_has_the_promised_columns_and_number_formats(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"C-1": 1})

    raw = (outputs / "anomalies_2025-46.csv").read_bytes().decode("utf-8")
    header, row = raw.splitlines()
    assert header == (
        "customer_id,reporting_week,anomaly_score,anomaly_rank,risk_category,total_spend,"
        "transaction_count,mcc_diversity,top_mcc,top_mcc_spend,week_start,signal,history_weeks,"
        "reason_1,reason_2,reason_3,rank_stability,guard"
    )
    assert row == (
        "C-1,2025-46,0.200000000,1,high,1200.50,4,2,5732,-3.00,2025-11-17,concern,12,"
        '"Spent 1,200.00 this week",,,1.000,false'
    )


def test_odd_ids_come_back_from_the_csv_and_none_is_a_formula(
    outputs: Path, engine: Engine
) -> None:
    ids = [*ODD_IDS, "x" * 10_000]
    publish(outputs, engine, {name: rank for rank, name in enumerate(ids, 1)})

    text = (outputs / "anomalies_2025-46.csv").read_bytes().decode("utf-8")
    cells = [row["customer_id"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in cells)
    assert [restore(cell) for cell in cells] == ids
    scored = pq.read_table(outputs / "scores_2025-46.parquet")["customer_id"].to_pylist()
    assert scored == ids


@pytest.mark.parametrize("text", [*ODD_IDS, "''=1", "'", "''", "'t Hooft", "", "\n=1", "a=1"])
def test_neutralised_text_is_no_formula_and_can_be_restored(text: str) -> None:
    assert restore(neutralise(text)) == text
    assert not neutralise(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_reasons_that_look_like_formulas_are_neutralised(outputs: Path, engine: Engine) -> None:
    report = week_report([listed_customer("C-1", 1, ["=1+1", "-2", "@x", "fourth"])])
    fill_engine(engine, {"C-1": 1})
    FileSink(config(outputs)).write(report, engine, manifest(report))

    with (outputs / "anomalies_2025-46.csv").open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    assert [row["reason_1"], row["reason_2"], row["reason_3"]] == ["'=1+1", "'-2", "'@x"]


def test_the_json_holds_structured_reasons_whose_contributions_add_up(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"C-1": 1, "C-2": 2, "C-3": 3})

    document = json.loads((outputs / "anomalies_2025-46.json").read_bytes())
    assert [row["customer_id"] for row in document["customers"]] == ["C-1", "C-2", "C-3"]
    for row in document["customers"]:
        assert math.isclose(
            math.fsum(row["contributions"].values()), row["surprise_total"], abs_tol=1e-9
        )
        assert list(row["contributions"]) == list(FAMILIES)
        assert row["reasons"][0]["code"] == "OWN_SPEND"
    assert document["quarantine"][0]["rows"] == 1
    assert document["coverage"]["rows_in"] == 11
    assert document["thresholds"]["medium"] == 0.5


def test_the_json_tells_categories_weeks_and_what_is_usual_of_each_customer(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"C-1": 1})

    (row,) = json.loads((outputs / "anomalies_2025-46.json").read_bytes())["customers"]
    assert row["categories"] == [
        {
            "mcc": "5732",
            "name": "Electronics shops",
            "spend": -3.0,
            "transaction_count": 1,
            "usual_spend": 40.12,
            "usual_ticket": 61.24,
            "is_new": False,
            "users_share": 0.12,
        },
        {
            "mcc": "5944",
            "name": "Jewellery, watch, clock and silverware shops",
            "spend": 1203.5,
            "transaction_count": 3,
            "usual_spend": 0.0,
            "usual_ticket": 300.0,
            "is_new": True,
            "users_share": 0.333333,
        },
    ]
    assert [(each["reporting_week"], each["week_start"]) for each in row["weeks"]] == [
        ("2025-44", "2025-11-03"),
        ("2025-45", "2025-11-10"),
        ("2025-46", "2025-11-17"),
    ]
    assert [each["spend"] for each in row["weeks"]] == [300.0, None, 1200.5]
    assert [each["transaction_count"] for each in row["weeks"]] == [6, None, 4]
    assert row["usual"] == {"spend": 300.0, "transaction_count": 5.5, "ticket": None}
    assert row["peers"] == {
        "group": 2,
        "spend": 310.0,
        "transaction_count": 8.0,
        "ticket": 38.0,
        "mcc_diversity": 3.0,
        "concentration": 0.4,
    }


def test_a_figure_that_is_not_finite_is_null_in_the_json(outputs: Path, engine: Engine) -> None:
    customer = listed_customer("C-1", 1)
    unknown = {**customer.contributions, "ticket": math.inf}
    report = week_report([replace(customer, contributions=unknown)])
    fill_engine(engine, {"C-1": 1})
    FileSink(config(outputs)).write(report, engine, manifest(report))

    document = json.loads((outputs / "anomalies_2025-46.json").read_bytes())
    assert document["customers"][0]["contributions"]["ticket"] is None


def test_a_second_run_writes_the_same_bytes_except_for_the_manifest(
    outputs: Path, engine: Engine
) -> None:
    report = week_report([listed_customer("C-1", 1)])
    fill_engine(engine, {"C-1": 1, "C-2": 2})
    sink = FileSink(config(outputs))
    sink.write(report, engine, manifest(report, run_id="run-1"))
    first = contents(outputs)
    sink.write(report, engine, manifest(report, run_id="run-2"))
    second = contents(outputs)

    assert {name for name in first if first[name] != second[name]} == {"run_2025-46.json"}


def test_a_manifest_names_the_run_that_it_replaced(outputs: Path, engine: Engine) -> None:
    report = week_report([listed_customer("C-1", 1)])
    fill_engine(engine, {"C-1": 1})
    sink = FileSink(config(outputs))
    path = outputs / "run_2025-46.json"
    superseded = []
    for run in ("run-1", "run-2", "run-3"):
        sink.write(report, engine, manifest(report, run_id=run))
        superseded.append(load_manifest(path).supersedes_run_id)
    assert superseded == [None, "run-1", "run-2"]

    path.write_text("{", encoding="utf-8")
    sink.write(report, engine, manifest(report, run_id="run-4"))
    assert load_manifest(path).supersedes_run_id is None


def test_the_scores_hold_every_customer_in_rank_order_with_the_promised_types(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"C-2": 1}, others={"C-3": 2, "C-1": 3}, counts={"C-1": 0})

    table = pq.read_table(outputs / "scores_2025-46.parquet")
    assert [f"{field.name} {field.type}" for field in table.schema] == [
        "customer_id string",
        "week_start date32[day]",
        "anomaly_score double",
        "anomaly_rank int64",
        "surprise_total double",
        "transaction_count int32",
        "history_weeks int32",
        *(f"{family}_surprise double" for family in FAMILIES),
        "unweighted_total double",
    ]
    assert table["customer_id"].to_pylist() == ["C-2", "C-3", "C-1"]
    assert table["transaction_count"].to_pylist() == [4, 4, 0]
    assert set(table["week_start"].to_pylist()) == {date(2025, 11, 17)}


def test_the_scores_have_the_same_bytes_on_one_thread_and_on_two(tmp_path: Path) -> None:
    written = []
    for threads in (1, 2):
        with Engine("500MB", threads, tmp_path) as engine:
            fill_engine(engine, {})
            engine.execute(
                "INSERT INTO customer SELECT i, 'C' || i FROM range(150000) t(i) "
                f"ORDER BY hash(i + {threads})"
            )
            engine.execute(
                "INSERT INTO ranked SELECT i, 150000 - i, 0.5, 1, 3, 12, 1, i / 7, 0, 1 "
                f"FROM range(150000) t(i) ORDER BY hash(i * {threads})"
            )
            folder = tmp_path / str(threads)
            report = week_report()
            FileSink(config(folder)).write(report, engine, manifest(report))
            written.append((folder / "scores_2025-46.parquet").read_bytes())

    assert written[0] == written[1]
    groups = pq.ParquetFile(tmp_path / "1" / "scores_2025-46.parquet").metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [131072, 18928]


def test_quarantined_rows_carry_their_sentence_and_no_formula(
    outputs: Path, engine: Engine
) -> None:
    row = {
        "reason": "MALFORMED_MCC",
        "week_value": "2025-46",
        "customer_id": "=HYPERLINK(1)",
        "mcc": "54\n11",
        "amount": "-5.00",
        "source": "a.csv",
        "row_copies": 2,
    }
    publish(outputs, engine, {"C-1": 1}, quarantined=[row])

    with (outputs / "quarantine_2025-46.csv").open(encoding="utf-8", newline="") as file:
        (read,) = csv.DictReader(file)
    assert read == {
        "reason": "MALFORMED_MCC",
        "sentence": SENTENCE,
        "week_value": "2025-46",
        "customer_id": "'=HYPERLINK(1)",
        "mcc": "54\n11",
        "amount": "'-5.00",
        "transaction_count": "",
        "detail": "",
        "source": "a.csv",
        "row_copies": "2",
    }


def test_the_quarantine_file_is_a_header_when_nothing_was_set_aside(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {})

    assert (outputs / "quarantine_2025-46.csv").read_text(encoding="utf-8") == (
        "reason,sentence,week_value,customer_id,mcc,amount,transaction_count,detail,source,"
        "row_copies\n"
    )


def test_the_manifest_lists_every_file_but_the_sheet_with_its_digest_and_size(
    outputs: Path, engine: Engine
) -> None:
    receipt = publish(outputs, engine, {"C-1": 1})

    recorded = load_manifest(outputs / "run_2025-46.json")
    files = contents(outputs)
    assert {name: record.bytes for name, record in recorded.files.items()} == {
        name: len(data)
        for name, data in files.items()
        if name not in ("run_2025-46.json", "reviews_2025-46.csv")
    }
    for name, record in recorded.files.items():
        assert record.sha256 == receipt.digests[name]


def test_planned_names_what_will_be_written(outputs: Path, engine: Engine) -> None:
    sink = FileSink(config(outputs, "csv"))
    planned = sink.planned(WEEK)
    publish(outputs, engine, {"C-1": 1}, settings={"list_format": "csv"})

    assert sorted(path.name for path in planned) == sorted(contents(outputs))


def test_the_output_folder_is_made_when_it_is_missing(outputs: Path, engine: Engine) -> None:
    publish(outputs / "a" / "b", engine, {"C-1": 1})

    assert (outputs / "a" / "b" / "run_2025-46.json").exists()


def test_files_that_are_not_ours_are_left_alone(outputs: Path, engine: Engine) -> None:
    outputs.mkdir()
    strangers = ["anomalies_2025-46 (copy).csv", "anomalies_2025-99.csv", "notes.txt", ".hidden"]
    for name in strangers:
        (outputs / name).write_text("mine", encoding="utf-8")
    publish(outputs, engine, {"C-1": 1}, settings={"keep_weeks": 1})

    assert all((outputs / name).read_text(encoding="utf-8") == "mine" for name in strangers)
