"""Rows in PostgreSQL are read as the same rows in files are, whatever their types and names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from database_tables import load, source_of
from deliveries import LENIENT, outcome
from postgres import Database

from cardwatch.config import DataSourceConfig
from cardwatch.contract import check_contract
from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.schema import Delivery
from cardwatch.sources.base import Source
from cardwatch.sources.files import FilesSource
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")
REFERENCES = 3

WEEKLY: dict[str, list[str | None]] = {
    "customer_id": ["100", "100", "100", "200", "200", "300", "300", None, "500"],
    "reporting_week": [
        *("2025-43", "2025-44", "2025-45", "2025-46", "2025-W47"),
        *("2025-11-20", "2025-46", "2025-46", None),
    ],
    "mcc": ["5411", "5411", "5411", "5812", "742", "0742", "5411", "5411", "5411"],
    "spend_amount": ["10.00", "20.50", "-3.10", "0.00", "7", "1.005", None, "4.00", "5.00"],
    "transaction_count": ["1", "2", "1", "0", "1", "3", "1", "1", "1"],
}


def as_files(rows: pa.Table, engine: Engine, folder: Path, timezone: str = "UTC") -> Source:
    folder.mkdir()
    pa_csv.write_csv(rows, folder / "rows.csv")
    config = DataSourceConfig(path=str(folder))
    return FilesSource(config, engine, timezone=timezone, numbering="guide")


def checked(source: Source, engine: Engine) -> dict[str, Any]:
    """Return what the contract makes of a source's rows, without the names of files."""
    delivery = source.read(WEEK, REFERENCES)
    done = outcome(engine, check_contract(delivery, LENIENT, engine))
    quarantine = [{**row, "source": ""} for row in done.quarantine]
    quarantine.sort(key=str)
    fingerprints = done.checked.week_fingerprints
    return {
        "cells": done.cells,
        "quarantine": quarantine,
        "coverage": done.checked.coverage,
        "findings": done.checked.findings,
        "fingerprints": fingerprints,
    }


def rows_of(delivery: Delivery, engine: Engine) -> list[dict[str, Any]]:
    select = delivery.select((*delivery.reference_weeks, delivery.week))
    return engine.rows(f"SELECT * FROM ({select}) ORDER BY ALL")


@pytest.mark.system
def test_text_rows_are_delivered_as_a_csv_file_delivers_them(
    database: Database, engine: Engine, tmp_path: Path
) -> None:
    rows = pa.table(WEEKLY)
    load(database, rows)
    files = as_files(rows, engine, tmp_path / "data")
    assert checked(source_of(database.url, engine), engine) == checked(files, engine)


TYPED = {
    "numbers": {
        "customer_id": "bigint",
        "mcc": "smallint",
        "spend_amount": "numeric(12,3)",
        "transaction_count": "integer",
    },
    "loose numbers": {
        "customer_id": "numeric",
        "mcc": "numeric(4,0)",
        "spend_amount": "numeric",
        "transaction_count": "numeric",
    },
    "fractions": {
        "customer_id": "integer",
        "mcc": "double precision",
        "spend_amount": "double precision",
        "transaction_count": "real",
    },
    "short texts": {
        "customer_id": "varchar(20)",
        "reporting_week": "varchar(12)",
        "mcc": "char(4)",
        "spend_amount": "money",
        "transaction_count": "bigint",
    },
}
SOUND: dict[str, list[str | None]] = {
    "customer_id": ["100", "100", "100", "200", "200", "300", None],
    "reporting_week": [
        *("2025-43", "2025-44", "2025-45", "2025-46"),
        *("2025-W47", "2025-11-20", "2025-46"),
    ],
    "mcc": ["5411", "5411", "5411", "5812", "5411", "1520", "5411"],
    "spend_amount": ["10.00", "20.50", "-3.10", "0.00", "7.00", "1.00", "4.00"],
    "transaction_count": ["1", "2", "1", "0", "1", "3", "1"],
}


@pytest.mark.parametrize("types", TYPED.values(), ids=list(TYPED))
def test_the_types_of_the_columns_change_nothing_that_is_accepted(
    database: Database, engine: Engine, tmp_path: Path, types: Mapping[str, str]
) -> None:
    rows = pa.table(SOUND)
    load(database, rows, types=types)
    found = checked(source_of(database.url, engine), engine)
    expected = checked(as_files(rows, engine, tmp_path / "data"), engine)
    assert found["cells"] == expected["cells"]
    assert found["coverage"] == expected["coverage"]
    assert found["findings"] == expected["findings"]


def test_a_code_that_is_a_number_is_padded_and_one_that_is_text_is_not(
    database: Database, engine: Engine
) -> None:
    for kind, accepted in (("numeric(4,0)", 2), ("smallint", 2), ("text", 1)):
        rows = {**{name: values[3:5] for name, values in WEEKLY.items()}}
        load(database, pa.table(rows), f"with {kind}", {"mcc": kind})
        source = source_of(database.url, engine, table=f"with {kind}")
        assert len(checked(source, engine)["cells"]) == accepted, kind


@pytest.mark.parametrize("kind", ["numeric", "double precision", "real"])
def test_values_that_are_no_amounts_are_set_aside(
    database: Database, engine: Engine, kind: str
) -> None:
    if kind == "numeric":
        database.needs_version(14, "has no endless numeric")
    amounts = ["NaN", "Infinity", "-Infinity", None, "1.50"]
    rows = {name: ["5411"] * 5 for name in WEEKLY} | {
        "customer_id": list("abcde"),
        "reporting_week": ["2025-46"] * 5,
        "spend_amount": amounts,
        "transaction_count": ["1"] * 5,
    }
    load(database, pa.table(rows), types={"spend_amount": kind})
    found = checked(source_of(database.url, engine), engine)
    assert {each.reason: each.rows for each in found["findings"]} == {
        "AMOUNT_NOT_FINITE": 3,
        "MISSING_AMOUNT": 1,
        "TOO_MUCH_QUARANTINED": 4,
    }
    assert [cell[3] for cell in found["cells"]] == [150]


WEEK_TYPES = ["date", "timestamp", "timestamptz"]


@pytest.mark.system
@pytest.mark.parametrize("kind", WEEK_TYPES)
@pytest.mark.parametrize("has_cache", [False, True])
def test_weeks_may_be_days_or_times_of_any_type(
    database: Database, engine: Engine, kind: str, has_cache: bool
) -> None:
    days = [
        *("2025-10-27", "2025-11-16 23:59:59", "2025-11-17", "2025-11-23 23:59", "2025-11-24"),
        *(None, "infinity", "-infinity", "12000-01-01", "0044-03-15 BC", "9999-12-31"),
    ]
    count = len(days)
    rows = {name: ["5411"] * count for name in WEEKLY} | {
        "customer_id": [f"c{place}" for place in range(count)],
        "reporting_week": days,
        "spend_amount": ["1.00"] * count,
        "transaction_count": ["1"] * count,
    }
    load(database, pa.table(rows), types={"reporting_week": kind})
    source = source_of(database.url, engine, has_cache=has_cache)
    assert [week.label for week in source.present()] == ["2025-43", "2025-45", "2025-46", "2025-47"]
    report = source.test_connection()
    assert (report.rows, report.unreadable_rows) == (count, 6)
    found = {
        row["customer_id"]: (row["week_start"], row["week_value"])
        for row in rows_of(source.read(WEEK, REFERENCES), engine)
    }
    assert {who: monday for who, (monday, _) in found.items()} == {
        "c0": date(2025, 10, 27),
        "c1": date(2025, 11, 10),
        "c2": date(2025, 11, 17),
        "c3": date(2025, 11, 17),
        **{f"c{place}": None for place in range(5, count)},
    }
    assert found["c5"][1] is None
    assert found["c6"][1] == "infinity"
    assert found["c7"][1] == "-infinity"
    assert str(found["c10"][1]).startswith("9999-12-31")


def test_times_with_an_offset_fall_into_the_week_of_the_portfolios_zone(
    database: Database, engine: Engine
) -> None:
    moments = [
        *("2025-11-17 04:59:59+00", "2025-11-17 05:00:00+00"),
        *("2025-11-24 04:59:59.999999+00", "2025-11-24 05:00+00"),
    ]
    rows = {
        "customer_id": list("abcd"),
        "transaction_time": moments,
        "mcc": ["5411"] * 4,
        "amount": ["1.00"] * 4,
        "currency": ["USD"] * 4,
    }
    load(database, pa.table(rows), types={"transaction_time": "timestamptz"})
    source = source_of(database.url, engine, timezone="America/New_York")
    assert [week.label for week in source.present()] == ["2025-45", "2025-46", "2025-47"]
    assert [(each.week.label, each.rows) for each in source.weeks()] == [
        ("2025-45", 1),
        ("2025-46", 2),
        ("2025-47", 1),
    ]
    delivered = rows_of(source.read(WEEK, 0), engine)
    assert [row["customer_id"] for row in delivered] == ["b", "c"]


def test_odd_types_arrive_as_text_and_are_searched_for_card_numbers(
    database: Database, engine: Engine
) -> None:
    database.execute(
        "CREATE TYPE mood AS ENUM ('calm', 'wild');"
        "CREATE DOMAIN code AS varchar(4);"
        "CREATE TABLE card_transactions (customer_id uuid, reporting_week mood, mcc code,"
        " spend_amount jsonb, transaction_count json, remark jsonb, tags text[], raw bytea,"
        " note char(12), flag bool, size numeric, at time, pair point);"
        "INSERT INTO card_transactions VALUES ('00000000-0000-0000-0000-00000000000a', 'calm',"
        " '5411', '1.5', '2', '{\"a\": 1}', '{x,y}', 'abc', 'n', true, 1, '10:00', '(1,2)')"
    )
    with pytest.raises(SourceError, match=r"'aaaa'"):
        source_of(database.url, engine).present()
    database.execute("ALTER TYPE mood RENAME VALUE 'calm' TO '2025-46'")
    delivery = source_of(database.url, engine).read(WEEK, 0)
    assert delivery.extra_columns == ("remark", "tags", "raw", "note", "pair")
    [row] = rows_of(delivery, engine)
    assert row == {
        "customer_id": "00000000-0000-0000-0000-00000000000a",
        "week_value": "2025-46",
        "week_start": WEEK.monday,
        "mcc": "5411",
        "spend_amount": "1.5",
        "transaction_count": "2",
        "avg_ticket_amount": None,
        "source_file": "card_transactions",
        "remark": '{"a": 1}',
        "tags": "{x,y}",
        "raw": "abc",
        "note": "n",
        "pair": "(1,2)",
    }


ODD_NAMES = [
    'schöne"tabelle',
    "Mixed Case",
    "semi; DROP TABLE rows; --",
    "it's",
    "back\\slash",
    "%s",
    "{braces}",
    "a.b",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_and_weeks_cannot_change_a_statement(
    database: Database, engine: Engine, name: str
) -> None:
    week = "2025-46'); DROP TABLE x; --"
    rows = {**{key: values[:4] for key, values in WEEKLY.items()}}
    rows["reporting_week"] = ["2025-46", week, 'quo"te\\', "{a,b}"]
    load(database, pa.table({**rows, name: list("wxyz")}), "plain")
    quoted = name.replace('"', '""')
    database.execute(f'CREATE SCHEMA "{quoted}"; ALTER TABLE plain SET SCHEMA "{quoted}"')
    database.execute(f'ALTER TABLE "{quoted}".plain RENAME TO "{quoted}"')
    source = source_of(database.url, engine, schema=name, table=f'"{quoted}"')
    assert [each.rows for each in source.weeks()] == [1]
    delivered = rows_of(source.read(WEEK, 1), engine)
    assert len(delivered) == 4
    assert {row["week_value"] for row in delivered} == set(rows["reporting_week"])
    assert source.test_connection().rows == 4


def test_a_query_is_read_like_a_table(database: Database, engine: Engine) -> None:
    load(database, pa.table(WEEKLY), "raw")
    query = "SELECT *, 1 AS one, 2 AS one FROM raw WHERE customer_id <> '100' -- most of them"
    source = source_of(database.url, engine, query=query)
    assert source.origin.startswith("query of database ")
    assert "1 query, one row per customer" in source.test_connection().summary
    assert [week.label for week in source.present()] == ["2025-46"]
    assert len(rows_of(source.read(WEEK, REFERENCES), engine)) == 5


def test_columns_may_have_other_names(database: Database, engine: Engine) -> None:
    load(database, pa.table(WEEKLY).rename_columns(["KundeNr", "Woche", "MCC", "Betrag", "n"]))
    columns = {
        "customer_id": "kundenr",
        "reporting_week": "Woche",
        "spend_amount": "Betrag",
        "transaction_count": "n",
    }
    source = source_of(database.url, engine, columns=columns)
    assert len(source.present()) == 4


def test_a_view_a_materialised_view_and_a_partitioned_table_are_tables(
    database: Database, engine: Engine
) -> None:
    load(database, pa.table(WEEKLY), "plain")
    database.execute(
        "CREATE VIEW seen AS SELECT * FROM plain;"
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM plain;"
        "CREATE TABLE parts (LIKE plain) PARTITION BY LIST (reporting_week);"
        "CREATE TABLE part_45 PARTITION OF parts FOR VALUES IN ('2025-45');"
        "CREATE TABLE part_x PARTITION OF parts DEFAULT;"
        "CREATE INDEX ON parts (reporting_week);"
        "INSERT INTO parts SELECT * FROM plain"
    )
    expected = rows_of(source_of(database.url, engine, table="plain").read(WEEK, 3), engine)
    for table in ("seen", "kept", "parts"):
        source = source_of(database.url, engine, table=table)
        delivered = rows_of(source.read(WEEK, 3), engine)
        assert [{**row, "source_file": "plain"} for row in delivered] == expected
        assert len(source.present()) == 4


@pytest.mark.system
def test_a_table_of_1600_columns_is_read(database: Database, engine: Engine) -> None:
    wide = {f"note_{place}": [f"{place}"] for place in range(1595)}
    rows = {name: values[3:4] for name, values in WEEKLY.items()}
    load(database, pa.table({**wide, **rows}))
    delivery = source_of(database.url, engine).read(WEEK, 0)
    assert len(delivery.extra_columns) == 1595
    assert len(rows_of(delivery, engine)) == 1


def test_a_table_with_one_week_is_read(database: Database, engine: Engine) -> None:
    load(database, pa.table({name: values[3:4] for name, values in WEEKLY.items()}))
    source = source_of(database.url, engine)
    assert len(source.present()) == 1
    assert len(rows_of(source.read(WEEK, 12), engine)) == 1
