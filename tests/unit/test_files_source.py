from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from cardwatch.config import DataSourceConfig
from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.sources.files import FilesSource
from cardwatch.week import ReportingWeek

HEADER = "customer_id,reporting_week,mcc,spend_amount,transaction_count"
WEEK = ReportingWeek.parse("2025-46")
Open = Callable[..., FilesSource]


@pytest.fixture
def opened(engine: Engine, tmp_path: Path) -> Open:
    def open_source(name: str = "", **settings: Any) -> FilesSource:
        config = DataSourceConfig(path=str(tmp_path / "data" / name), **settings)
        return FilesSource(config, engine, timezone="UTC", numbering="guide")

    (tmp_path / "data").mkdir()
    return open_source


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def lines(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows, ""])


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def rows_of(source: FilesSource, engine: Engine, back: int = 2) -> list[dict[str, Any]]:
    delivery = source.read(WEEK, back)
    every = delivery.select([*delivery.reference_weeks, WEEK])
    return engine.rows(f"SELECT * FROM ({every}) ORDER BY ALL")


def ids_of(source: FilesSource, engine: Engine, back: int = 2) -> list[str]:
    return [row["customer_id"] for row in rows_of(source, engine, back)]


def test_an_empty_value_and_an_empty_text_stay_apart(
    opened: Open, data: Path, engine: Engine
) -> None:
    put(data / "a.csv", lines('a,2025-46,,"",NULL', '"",2025-46,5411,1,1'))
    first, second = rows_of(opened(), engine)
    assert (first["customer_id"], second["customer_id"]) == ("", "a")
    assert (second["mcc"], second["spend_amount"]) == (None, "")
    assert second["transaction_count"] == "NULL"


@pytest.mark.parametrize(
    "customer",
    ["a,b", 'say "hi"', "two\nlines", "two\r\nlines", "😀", "=cmd()", "x" * 10_000, "Ωmega", " a "],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ids_come_as_they_are(
    opened: Open, data: Path, engine: Engine, customer: str, end: str
) -> None:
    quoted = '"' + customer.replace('"', '""') + '"'
    text = f"{HEADER}{end}{quoted},2025-46,5411,1,1{end}plain,2025-45,5411,1,1{end}"
    put(data / "a.csv", text)
    assert ids_of(opened(), engine) == sorted([customer, "plain"])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_delimiter_is_found(
    opened: Open, data: Path, engine: Engine, delimiter: str, mark: bytes
) -> None:
    text = lines("a,2025-46,5411,1.50,1").replace(",", delimiter)
    put(data / "a.csv", mark + text.encode())
    assert ids_of(opened(), engine) == ["a"]


def test_a_delimiter_of_another_kind_can_be_set(opened: Open, data: Path, engine: Engine) -> None:
    put(data / "a.csv", lines("a,2025-46,5411,1.50,1").replace(",", "^"))
    assert ids_of(opened(delimiter="^"), engine) == ["a"]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_other_encodings_are_read_as_set(
    opened: Open, data: Path, engine: Engine, encoding: str, ending: str
) -> None:
    content = lines("Zoë,2025-46,5411,1,1", '"x\ny",2025-45,5411,1,1').encode(encoding)
    put(data / "sub" / f"a{ending}", gzip.compress(content) if "gz" in ending else content)
    found = rows_of(opened(encoding=encoding), engine)
    assert [row["customer_id"] for row in found] == ["Zoë", "x\ny"]
    assert {row["source_file"] for row in found} == {f"sub/a{ending}"}


def test_compressed_files_are_known_by_their_content(
    opened: Open, data: Path, engine: Engine
) -> None:
    put(data / "a.csv.gz", lines("a,2025-46,5411,1,1"))
    put(data / "b.csv", gzip.compress(lines("b,2025-46,5411,1,1").encode()))
    put(data / "c.csv.gz", gzip.compress(lines("c,2025-46,5411,1,1").encode()) * 1)
    assert ids_of(opened(), engine) == ["a", "b", "c"]


def test_files_may_differ_in_columns_and_their_order(
    opened: Open, data: Path, engine: Engine
) -> None:
    put(data / "a.csv", lines("a,2025-46,5411,1,1"))
    turned = "Spend_Amount;note;transaction_count;MCC;reporting_week;customer_id"
    put(data / "b.csv", lines("2;hello;1;5812;2025-45;b", header=turned))
    delivery = opened().read(WEEK, 1)
    assert delivery.extra_columns == ("note",)
    first, second = rows_of(opened(), engine)
    assert (first["customer_id"], first["note"]) == ("a", None)
    assert (second["mcc"], second["spend_amount"], second["note"]) == ("5812", "2", "hello")


def test_parquet_files_may_differ_in_types(opened: Open, data: Path, engine: Engine) -> None:
    for name, customer, mcc in (("a", 1, 5411), ("b", "x", "0742")):
        rows = pa.table(
            {
                "customer_id": [customer],
                "reporting_week": ["2025-46"],
                "mcc": [mcc],
                "spend_amount": [1.25],
                "transaction_count": [1],
            }
        )
        pa.parquet.write_table(rows, data / f"{name}.parquet")
    found = rows_of(opened(), engine)
    assert [(row["customer_id"], row["mcc"]) for row in found] == [("1", "5411"), ("x", "0742")]
    assert [row["spend_amount"] for row in found] == [1.25, 1.25]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_folder_name_supplies_a_missing_column(
    opened: Open, data: Path, engine: Engine, kind: str
) -> None:
    for week, mcc in (("2025-45", "0742"), ("2025-46", "0742"), ("2025-46", "5411")):
        folder = data / f"reporting_week={week}" / f"mcc={mcc}" / "batch=7"
        folder.mkdir(parents=True)
        rows = pa.table({"customer_id": [f"{week}/{mcc}"], "spend_amount": ["1"]})
        rows = rows.append_column("transaction_count", pa.array(["1"]))
        if kind == "csv":
            pa.csv.write_csv(rows, folder / "part-0.csv")
        else:
            pa.parquet.write_table(rows, folder / "part-0.parquet")
    found = rows_of(opened(), engine)
    assert [(row["customer_id"], row["week_value"], row["mcc"]) for row in found] == [
        ("2025-45/0742", "2025-45", "0742"),
        ("2025-46/0742", "2025-46", "0742"),
        ("2025-46/5411", "2025-46", "5411"),
    ]
    assert found[0]["source_file"] == f"reporting_week=2025-45/mcc=0742/batch=7/part-0.{kind}"


def test_a_file_whose_folder_names_another_week_is_not_opened_for_its_rows(
    opened: Open, data: Path, engine: Engine
) -> None:
    header = "customer_id,mcc,spend_amount,transaction_count"
    put(data / "reporting_week=2025-46" / "a.csv", lines("a,5411,1,1", header=header))
    put(data / "reporting_week=2020-01" / "a.csv", lines("broken,5411", header=header))
    assert ids_of(opened(), engine) == ["a"]
    with pytest.raises(SourceError, match="2020-01"):
        opened().test_connection()


def test_a_folder_name_with_an_unreadable_week_comes_with_the_scored_week(
    opened: Open, data: Path, engine: Engine
) -> None:
    header = "customer_id,mcc,spend_amount,transaction_count"
    put(data / "reporting_week=2025-46" / "a.csv", lines("a,5411,1,1", header=header))
    put(data / "reporting_week=soon" / "b.csv", lines("b,5411,1,1", header=header))
    assert [row["week_start"] for row in rows_of(opened(), engine)] == [WEEK.monday, None]


def test_a_column_both_in_file_and_folder_name_is_an_error(opened: Open, data: Path) -> None:
    header = "customer_id,mcc,spend_amount,transaction_count"
    folder = data / "reporting_week=2025-46" / "mcc=5411"
    put(folder / "a.csv", lines("a,5411,1,1", header=header))
    with pytest.raises(SourceError, match="both in the file and in the name of its folder"):
        opened().test_connection()


def test_folder_names_that_supply_nothing_are_ignored(
    opened: Open, data: Path, engine: Engine
) -> None:
    put(data / "mcc=9999" / "load=1" / "a.csv", lines("a,2025-46,5411,1,1"))
    assert rows_of(opened(), engine)[0]["mcc"] == "5411"


def test_a_file_given_twice_is_read_once_and_said(opened: Open, data: Path, engine: Engine) -> None:
    put(data / "a.csv", lines("a,2025-46,5411,1,1"))
    put(data / "sub" / "copy of a.csv", lines("a,2025-46,5411,1,1"))
    put(data / "b.csv", lines("b,2025-46,5411,1,1"))
    source = opened()
    assert ids_of(source, engine) == ["a", "b"]
    (note,) = source.read(WEEK, 1).notes
    assert "copy of a.csv has the same content as" in note
    assert "read once" in note
    assert note in source.test_connection().summary


def test_the_same_bytes_under_two_weeks_are_two_files(
    opened: Open, data: Path, engine: Engine
) -> None:
    header = "customer_id,mcc,spend_amount,transaction_count"
    for week in ("2025-45", "2025-46"):
        put(data / f"reporting_week={week}" / "a.csv", lines("a,5411,1,1", header=header))
    assert ids_of(opened(), engine) == ["a", "a"]


def test_a_content_key_depends_on_the_files_of_its_week_only(opened: Open, data: Path) -> None:
    put(data / "45.csv", lines("a,2025-45,5411,1,1"))
    put(data / "46.csv", lines("a,2025-46,5411,1,1"))
    before = opened().read(WEEK, 1)
    put(data / "46.csv", lines("a,2025-46,5411,2,1"))
    after = opened().read(WEEK, 1)
    assert before.content_key(WEEK - 1) == after.content_key(WEEK - 1)
    assert before.content_key(WEEK) != after.content_key(WEEK)


def test_a_content_key_depends_on_how_the_data_is_understood(opened: Open, data: Path) -> None:
    put(data / "a.csv", lines("a,2025-46,5411,1,1"))
    plain = opened().read(WEEK, 1).content_key(WEEK)
    renamed = opened(columns={"avg_ticket_amount": "spend_amount", "spend_amount": "mcc"})
    assert plain is not None
    with pytest.raises(SourceError, match="missing"):
        opened(columns={"mcc": "code"}).read(WEEK, 1)
    assert renamed.read(WEEK, 1).content_key(WEEK) != plain


def test_a_file_that_changed_is_read_again(opened: Open, data: Path, engine: Engine) -> None:
    put(data / "a.csv", lines("a,2025-46,5411,1,1"))
    source = opened()
    assert ids_of(source, engine) == ["a"]
    put(data / "a.csv", lines("b,2025-46,5411,1,1", "c,2025-46,5411,1,1"))
    assert ids_of(source, engine) == ["b", "c"]


@pytest.mark.parametrize(
    "name", ["it's.csv", "week[1].csv", "a*b.csv", "q?.csv", "sp ace.csv", "é.csv", "back\\.csv"]
)
def test_file_names_mean_themselves(opened: Open, data: Path, engine: Engine, name: str) -> None:
    for each in ("week1.csv", "aXb.csv", "qX.csv"):
        put(data / "decoys" / each, lines("decoy,2025-46,5411,1,1"))
    put(data / "decoys" / name, lines("a,2025-46,5411,1,1"))
    assert ids_of(opened(f"decoys/{name}"), engine) == ["a"]
    assert ids_of(opened("decoys"), engine).count("a") == 1


def test_a_week_is_read_from_the_files_that_hold_it(
    opened: Open, data: Path, engine: Engine
) -> None:
    for week in ("2025-44", "2025-45", "2025-46"):
        put(data / f"{week}.csv", lines(f"{week},{week},5411,1,1"))
    delivery = opened().read(WEEK, 2)
    (data / "2025-44.csv").unlink()
    (data / "2025-45.csv").unlink()
    assert len(engine.rows(delivery.select([WEEK]))) == 1
    with pytest.raises(SourceError, match="cannot be read"):
        delivery.select([WEEK - 1])


def test_rows_copied_into_the_engine_outlive_their_file(
    opened: Open, data: Path, engine: Engine
) -> None:
    put(data / "a.csv", lines("a,2025-46,5411,1,1"))
    selected = opened().read(WEEK, 0).select([WEEK])
    (data / "a.csv").unlink()
    assert len(engine.rows(selected)) == 1


def test_parquet_is_read_where_it_lies_and_by_the_weeks_asked_for(
    opened: Open, data: Path, engine: Engine
) -> None:
    weeks = ["2025-44", "2025-45", "2025-46"]
    rows = pa.table(
        {
            "customer_id": weeks,
            "reporting_week": weeks,
            "mcc": ["5411"] * 3,
            "spend_amount": [1.0, 2.0, 3.0],
            "transaction_count": [1, 2, 3],
        }
    )
    pa.parquet.write_table(rows, data / "a.parquet", row_group_size=1)
    delivery = opened().read(WEEK, 2)
    assert "read_parquet" in delivery.select([WEEK])
    assert engine.rows(f"SELECT week_value, spend_amount FROM ({delivery.select([WEEK - 1])})") == [
        {"week_value": "2025-45", "spend_amount": 2.0}
    ]


def test_typed_times_are_filtered_in_the_file_and_still_exactly(
    opened: Open, data: Path, engine: Engine
) -> None:
    times = pa.array(
        [f"2025-11-{day:02d}T23:59:59" for day in (9, 16, 17, 23, 24)], pa.string()
    ).cast(pa.timestamp("us"))
    rows = pa.table(
        {
            "customer_id": ["a", "b", "c", "d", "e"],
            "transaction_time": times,
            "mcc": ["5411"] * 5,
            "amount": [1.0] * 5,
        }
    )
    pa.parquet.write_table(rows, data / "a.parquet")
    delivery = opened().read(WEEK, 1)
    assert "BETWEEN" in (text := delivery.select([WEEK])) or ">=" in text
    assert ids_of(opened(), engine, back=0) == ["c", "d"]
    assert {row["week_start"] for row in engine.rows(text)} == {date(2025, 11, 17)}


def test_a_column_of_the_data_may_have_a_name_of_ours(
    opened: Open, data: Path, engine: Engine
) -> None:
    header = f"{HEADER},week_start,source_file,week_value"
    put(data / "a.csv", lines("a,2025-46,5411,1,1,x,y,z", header=header))
    delivery = opened().read(WEEK, 0)
    row = engine.rows(delivery.select([WEEK]))[0]
    assert (row["week_start"], row["source_file"]) == (WEEK.monday, "a.csv")
    assert [row[name] for name in delivery.extra_columns] == ["x", "y", "z"]


def test_blank_lines_are_no_rows(opened: Open, data: Path, engine: Engine) -> None:
    put(data / "a.csv", lines("a,2025-46,5411,1,1", "", "b,2025-46,5411,1,1", "", ""))
    assert ids_of(opened(), engine) == ["a", "b"]


def test_a_header_only_file_beside_others_is_no_error(
    opened: Open, data: Path, engine: Engine
) -> None:
    put(data / "a.csv", lines("a,2025-46,5411,1,1"))
    put(data / "b.csv", HEADER)
    assert ids_of(opened(), engine) == ["a"]


def test_a_relative_path_starts_at_the_working_directory(
    data: Path, engine: Engine, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(data / "a.csv", lines("a,2025-46,5411,1,1"))
    monkeypatch.chdir(data.parent)
    config = DataSourceConfig(path="data")
    source = FilesSource(config, engine, timezone="UTC", numbering="guide")
    assert source.origin == "data"
    assert rows_of(source, engine)[0]["source_file"] == "a.csv"
