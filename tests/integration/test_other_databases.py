"""Any database with an SQLAlchemy dialect is a source: SQLite, and PostgreSQL that way too."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from command_line import cardwatch, failure
from database_tables import load, load_sqlite, source_of
from deliveries import LENIENT, outcome
from postgres import Database
from small_portfolio import WEEK, ScoredWeek, portfolio_rows, shuffled
from test_postgres_source import REFERENCES, SOUND, WEEKLY, as_files, checked, rows_of

from cardwatch import room
from cardwatch.cli import main
from cardwatch.contract import check_contract
from cardwatch.database.address import DatabaseAddress
from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError, SourceError
from cardwatch.sources.columns import ColumnSettings
from cardwatch.sources.database import DatabaseSource
from cardwatch.sources.sqlalchemy import OtherDatabase
from cardwatch.sources.week_values import WeekReader


def through_sqlalchemy(
    database: Database, engine: Engine, *, timezone: str = "UTC", query: str = ""
) -> DatabaseSource:
    other = OtherDatabase(
        DatabaseAddress.parse(database.url),
        table=() if query else ("card_transactions",),
        query=query,
    )
    reader = WeekReader(timezone, "guide")
    return DatabaseSource(other, engine, reader, ColumnSettings("auto", {}))


def in_sqlite(folder: Path, rows: pa.Table, types: Mapping[str, str] | None = None) -> str:
    load_sqlite(folder / "bank.db", rows, types=types)
    return f"sqlite:///{folder / 'bank.db'}"


@pytest.mark.system
def test_sqlite_gives_the_bytes_that_files_give(tmp_path: Path, scored: ScoredWeek) -> None:
    types = {"spend_amount": "numeric", "transaction_count": "integer"}
    url = in_sqlite(tmp_path, shuffled(portfolio_rows()), types)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("data_source: {type: database}\n")
    arguments = ["run", "--reporting-week", WEEK.label, "--output-dir", "outputs"]
    done = cardwatch(tmp_path, *arguments, entry=main, DB_CONNECTION_STRING=url)
    assert ScoredWeek(WEEK, tmp_path, done).results == scored.results


def test_the_first_run_from_a_database_says_that_memory_is_too_small_before_it_judges_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_HOPELESS", ((len(WEEKLY["mcc"]) - 1, 10**12),))
    url = in_sqlite(tmp_path, pa.table(WEEKLY))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("data_source: {type: database}\n")
    arguments = ["run", "--reporting-week", "2025-46"]
    done = cardwatch(tmp_path, *arguments, code=2, LOG_LEVEL="INFO", DB_CONNECTION_STRING=url)
    [error] = done.errors
    assert "The engine's memory is too small" in error
    assert "step contract took" not in done.err


def test_text_rows_in_sqlite_are_delivered_as_a_csv_file_delivers_them(
    tmp_path: Path, engine: Engine
) -> None:
    rows = pa.table(WEEKLY)
    url = in_sqlite(tmp_path, rows)
    files = as_files(rows, engine, tmp_path / "data")
    assert checked(source_of(url, engine), engine) == checked(files, engine)


TYPES = {
    "numbers": {"customer_id": "integer", "mcc": "integer", "spend_amount": "real"},
    "decimals": {"mcc": "numeric(4,0)", "spend_amount": "decimal(12,2)"},
}


@pytest.mark.parametrize("types", TYPES.values(), ids=list(TYPES))
def test_declared_types_change_nothing_that_is_accepted(
    tmp_path: Path, engine: Engine, types: Mapping[str, str]
) -> None:
    rows = pa.table(SOUND)
    found = checked(source_of(in_sqlite(tmp_path, rows, types), engine), engine)
    expected = checked(as_files(rows, engine, tmp_path / "data"), engine)
    for part in ("cells", "coverage", "findings"):
        assert found[part] == expected[part]


def test_transactions_in_sqlite_are_read_by_their_local_day(tmp_path: Path, engine: Engine) -> None:
    rows = {
        "customer_id": list("abcd"),
        "transaction_time": [
            *("2025-11-17 04:59:59+00:00", "2025-11-17T05:00:00Z"),
            *("2025-11-23 12:00:00", "soon"),
        ],
        "mcc": ["5411"] * 4,
        "amount": ["1.00"] * 4,
    }
    url = in_sqlite(tmp_path, pa.table(rows), {"transaction_time": "datetime"})
    source = source_of(url, engine, timezone="America/New_York")
    assert [week.label for week in source.present()] == ["2025-45", "2025-46"]
    delivered = rows_of(source.read(WEEK, 0), engine)
    assert {row["customer_id"]: row["week_start"] for row in delivered} == {
        "b": WEEK.monday,
        "c": WEEK.monday,
        "d": None,
    }


def test_a_missing_file_is_an_error_and_is_not_made(tmp_path: Path, engine: Engine) -> None:
    path = tmp_path / "nowhere.db"
    with pytest.raises(SourceError, match="no such database"):
        source_of(f"sqlite:///{path}", engine).present()
    assert not path.exists()


def test_a_missing_table_is_named(tmp_path: Path, engine: Engine) -> None:
    url = in_sqlite(tmp_path, pa.table(WEEKLY))
    with pytest.raises(SourceError, match="There is no table elsewhere"):
        source_of(url, engine, table="elsewhere").present()


def test_nothing_can_be_written(tmp_path: Path, engine: Engine) -> None:
    url = in_sqlite(tmp_path, pa.table(WEEKLY))
    source = source_of(url, engine)
    snapshot = source._database.open()
    connection = vars(snapshot)["_connection"]
    with pytest.raises(Exception, match="readonly database"):
        connection.exec_driver_sql("DELETE FROM card_transactions")
    snapshot.close()


def test_a_writer_is_not_kept_waiting_once_the_rows_are_there(
    tmp_path: Path, engine: Engine
) -> None:
    url = in_sqlite(tmp_path, pa.table(WEEKLY))
    delivery = source_of(url, engine, has_cache=True).read(WEEK, REFERENCES)
    with closing(sqlite3.connect(tmp_path / "bank.db", timeout=0)) as connection, connection:
        connection.execute("DELETE FROM card_transactions")
    assert len(rows_of(delivery, engine)) > 3
    assert delivery.content_key(WEEK) is None


def test_a_query_may_hold_colons_percents_and_names_twice(tmp_path: Path, engine: Engine) -> None:
    url = in_sqlite(tmp_path, pa.table(WEEKLY))
    query = (
        "SELECT *, '12:30 :x' AS note, 5 % 3 AS note FROM card_transactions"
        " WHERE customer_id LIKE '1%' -- one: customer"
    )
    source = source_of(url, engine, query=query)
    delivery = source.read(WEEK - 1, 2)
    assert {row["customer_id"] for row in rows_of(delivery, engine)} == {"100"}
    assert delivery.extra_columns == ("note",)


def test_names_and_weeks_cannot_change_a_statement(tmp_path: Path, engine: Engine) -> None:
    table = 'odd "name"; DROP TABLE x; --'
    rows = {**{key: values[:3] for key, values in WEEKLY.items()}}
    rows["reporting_week"] = ["2025-46", "'; DROP TABLE x; --", ":week"]
    load_sqlite(tmp_path / "bank.db", pa.table({**rows, 'a ":b" % c': list("xyz")}), "plain")
    quoted = table.replace('"', '""')
    with closing(sqlite3.connect(tmp_path / "bank.db")) as connection, connection:
        connection.execute(f'ALTER TABLE plain RENAME TO "{quoted}"')
    source = source_of(f"sqlite:///{tmp_path / 'bank.db'}", engine, table=f'"{quoted}"')
    assert len(rows_of(source.read(WEEK, 1), engine)) == 3
    assert source.test_connection().rows == 3


KINDS = ["date", "timestamp", "timestamptz", "text"]


@pytest.mark.parametrize("kind", KINDS)
def test_declared_days_and_times_are_read_where_a_dialect_has_them(
    database: Database, engine: Engine, kind: str
) -> None:
    days = ["2025-10-27", "2025-11-16", "2025-11-17", "2025-11-23", None, "9999-12-31"]
    rows = {name: ["5411"] * len(days) for name in WEEKLY} | {
        "customer_id": [f"c{place}" for place in range(len(days))],
        "reporting_week": days,
        "spend_amount": ["1.00"] * len(days),
        "transaction_count": ["1"] * len(days),
    }
    types = {"reporting_week": kind, "spend_amount": "numeric(12,2)", "mcc": "smallint"}
    load(database, pa.table(rows), types=types)
    source = through_sqlalchemy(database, engine)
    assert [week.label for week in source.present()] == ["2025-43", "2025-45", "2025-46"]
    report = source.test_connection()
    assert (report.rows, report.unreadable_rows) == (6, 2)
    found = {
        row["customer_id"]: row["week_start"]
        for row in rows_of(source.read(WEEK, REFERENCES), engine)
    }
    assert found == {
        "c0": date(2025, 10, 27),
        "c1": date(2025, 11, 10),
        "c2": date(2025, 11, 17),
        "c3": date(2025, 11, 17),
        "c4": None,
        "c5": None,
    }


def test_the_slower_path_delivers_what_the_faster_one_delivers(
    database: Database, engine: Engine
) -> None:
    types = {"mcc": "char(4)", "spend_amount": "double precision", "customer_id": "bigint"}
    load(database, pa.table(SOUND), types=types)
    results = []
    for source in (through_sqlalchemy(database, engine), source_of(database.url, engine)):
        delivery = source.read(WEEK, REFERENCES)
        results.append(outcome(engine, check_contract(delivery, LENIENT, engine)))
    assert results[0].cells == results[1].cells
    assert results[0].checked.week_fingerprints == results[1].checked.week_fingerprints


def test_a_query_through_sqlalchemy_is_read_with_its_numbers(
    database: Database, engine: Engine
) -> None:
    load(database, pa.table(SOUND), types={"mcc": "numeric(4,0)", "spend_amount": "numeric(9,2)"})
    query = "SELECT *, 'x' AS remark FROM card_transactions WHERE mcc::int > 1"
    delivery = through_sqlalchemy(database, engine, query=query).read(WEEK, REFERENCES)
    assert delivery.extra_columns == ("remark",)
    assert len(outcome(engine, check_contract(delivery, LENIENT, engine)).cells) > 3


@pytest.mark.parametrize("url", ["oracle://u:s3cret@host/db", "nosuch://u:s3cret@host/db"])
def test_a_driver_that_is_not_installed_is_said(engine: Engine, url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No driver for (oracle|nosuch) is installed"):
        source_of(url, engine)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("data_source: {type: database}\n")
    done = cardwatch(tmp_path, "weeks", code=2, entry=main, DB_CONNECTION_STRING=url)
    assert "No driver for" in failure(done)
    assert "s3cret" not in done.err
