"""What every source promises, tried on each of them; a new source is one line in OPENERS."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from database_tables import load, load_sqlite, source_of
from postgres import Database

from cardwatch.config import DataSourceConfig
from cardwatch.engine import Engine
from cardwatch.errors import SourceError, WeekNotAvailableError
from cardwatch.sources.base import Source
from cardwatch.sources.files import FilesSource
from cardwatch.sources.memory import MemorySource
from cardwatch.week import ReportingWeek

Opener = Callable[[pa.Table, Engine, Path], Source]

WEEKLY = {
    "customer_id": ["a", "a", "b", "b", "c", "d"],
    "reporting_week": ["2025-44", "2025-45", "2025-46", "2025-W47", "2025-11-20", "soon"],
    "mcc": ["5411", "5812", "5411", "0742", "", "5411"],
    "spend_amount": ["10.00", "20.50", "-3.00", "1e308", "x", "7.00"],
    "transaction_count": ["1", "2", "1", "1", "1", "1"],
    "remark": ["", "card 4111", None, "é😀", "a\nb", '"'],
}
TRANSACTIONS = {
    "customer_id": ["a", "b", "b", "d"],
    "transaction_time": [
        "2025-11-16T23:59:59",
        "2025-11-17",
        "2025-11-23T23:30:00-01:00",
        "yesterday",
    ],
    "mcc": ["5411", "5812", "5411", "5411"],
    "amount": ["10.00", "20.50", "-3.00", "7.00"],
}
WEEK = ReportingWeek.parse("2025-46")


def from_csv(rows: pa.Table, engine: Engine, folder: Path) -> Source:
    pyarrow.csv.write_csv(rows, folder / "rows.csv")
    return from_path(folder / "rows.csv", engine)


def from_parquet(rows: pa.Table, engine: Engine, folder: Path) -> Source:
    pyarrow.parquet.write_table(rows, folder / "rows.parquet")
    return from_path(folder / "rows.parquet", engine)


def from_memory(rows: pa.Table, engine: Engine, folder: Path) -> Source:
    return MemorySource(rows, engine)


def from_path(path: Path, engine: Engine) -> Source:
    config = DataSourceConfig(path=str(path))
    return FilesSource(config, engine, timezone="UTC", numbering="guide")


def from_postgres(database: Database, *, has_cache: bool) -> Opener:
    def opener(rows: pa.Table, engine: Engine, folder: Path) -> Source:
        table = f"rows_{secrets.token_hex(4)}"
        load(database, rows, table)
        return source_of(database.url, engine, has_cache=has_cache, table=table)

    return opener


def from_sqlite(rows: pa.Table, engine: Engine, folder: Path) -> Source:
    load_sqlite(folder / "rows.db", rows, "rows")
    return source_of(f"sqlite:///{folder / 'rows.db'}", engine, table="rows")


OPENERS: dict[str, Callable[[pytest.FixtureRequest], Opener]] = {
    "files, CSV": lambda request: from_csv,
    "files, Parquet": lambda request: from_parquet,
    "memory": lambda request: from_memory,
    "PostgreSQL": lambda request: from_postgres(
        request.getfixturevalue("database"), has_cache=False
    ),
    "PostgreSQL, with a cache": lambda request: from_postgres(
        request.getfixturevalue("database"), has_cache=True
    ),
    "SQLite": lambda request: from_sqlite,
}
WITHOUT_CONTENT_KEYS = (from_sqlite,)
"""They cannot tell what a week holds without reading it: their weeks are never cached."""


@pytest.fixture(
    params=[
        pytest.param(opener, id=name, marks=pytest.mark.system if "a cache" in name else ())
        for name, opener in OPENERS.items()
    ]
)
def opener(request: pytest.FixtureRequest) -> Opener:
    opened: Opener = request.param(request)
    return opened


@pytest.fixture
def source(opener: Opener, engine: Engine, tmp_path: Path) -> Source:
    return opener(pa.table(WEEKLY), engine, tmp_path)


@pytest.fixture
def transactions(opener: Opener, engine: Engine, tmp_path: Path) -> Source:
    return opener(pa.table(TRANSACTIONS), engine, tmp_path)


def test_the_report_says_in_plain_words_what_was_found(source: Source) -> None:
    report = source.test_connection()
    assert (report.rows, report.unreadable_rows, report.shape) == (6, 1, "weekly")
    assert [week.label for week in report.weeks] == ["2025-44", "2025-45", "2025-46"]
    assert report.summary.startswith(source.origin)
    assert "6 rows in 3 weeks, 2025-44 (3–9 November 2025)" in report.summary
    assert "\n" not in report.summary


def test_present_lists_the_weeks_with_rows_in_order(source: Source) -> None:
    assert [week.label for week in source.present()] == ["2025-44", "2025-45", "2025-46"]


def test_weeks_count_rows_customers_and_net_spend_exactly(source: Source) -> None:
    weeks = source.weeks()
    assert [(w.rows, w.customers, w.spend) for w in weeks] == [
        (1, 1, Decimal("10.00")),
        (1, 1, Decimal("20.50")),
        (3, 2, Decimal("-3.00")),
    ]


def test_columns_come_in_the_order_of_a_delivery_and_extras_last(
    source: Source, engine: Engine
) -> None:
    delivery = source.read(WEEK, 1)
    rows = engine.arrow(delivery.select([WEEK]))
    assert rows.column_names == [
        "customer_id",
        "week_value",
        "week_start",
        "mcc",
        "spend_amount",
        "transaction_count",
        "avg_ticket_amount",
        "source_file",
        "remark",
    ]
    assert delivery.extra_columns == ("remark",)
    assert delivery.shape == "weekly"


def test_values_are_delivered_unaltered(source: Source, engine: Engine) -> None:
    rows = engine.rows(f"SELECT * FROM ({source.read(WEEK, 0).select([WEEK])}) ORDER BY week_value")
    assert [row["spend_amount"] for row in rows] == ["x", "-3.00", "1e308", "7.00"]
    by_customer = {(row["customer_id"], row["mcc"]): row for row in rows}
    assert by_customer["c", ""]["remark"] == "a\nb"
    assert by_customer["b", "5411"]["remark"] is None
    assert by_customer["b", "0742"]["remark"] == "é😀"


def test_rows_whose_week_cannot_be_read_come_with_the_scored_week_only(
    source: Source, engine: Engine
) -> None:
    delivery = source.read(WEEK, 2)
    before = engine.rows(delivery.select(delivery.reference_weeks))
    scored = engine.rows(delivery.select([WEEK]))
    assert sorted(row["week_start"] for row in before) == [date(2025, 11, 3), date(2025, 11, 10)]
    assert sum(row["week_start"] is None for row in scored) == 1
    assert len(scored) == 4


def test_all_weeks_of_a_delivery_together_are_its_weeks_one_by_one(
    source: Source, engine: Engine
) -> None:
    delivery = source.read(WEEK, 2)
    every = [*delivery.reference_weeks, WEEK]
    together = engine.rows(f"SELECT * FROM ({delivery.select(every)}) ORDER BY ALL")
    apart = " UNION ALL ".join(f"({delivery.select([week])})" for week in every)
    assert engine.rows(f"SELECT * FROM ({apart}) ORDER BY ALL") == together
    assert len(together) == 6


def test_the_weekly_rows_of_a_delivery_are_counted_before_they_are_judged(source: Source) -> None:
    assert source.read(WEEK, 2).rows == 5


def test_the_transactions_of_a_delivery_are_counted_before_they_are_judged(
    transactions: Source,
) -> None:
    assert transactions.read(WEEK, 1).rows == 2


def test_only_the_weeks_asked_for_are_selected(source: Source, engine: Engine) -> None:
    delivery = source.read(WEEK, 1)
    assert delivery.reference_weeks == (WEEK - 1,)
    rows = engine.rows(delivery.select([WEEK - 1]))
    assert [row["customer_id"] for row in rows] == ["a"]


def test_a_week_without_rows_selects_nothing_with_the_same_columns(
    source: Source, engine: Engine
) -> None:
    delivery = source.read(WEEK, 5)
    nothing = engine.arrow(delivery.select([WEEK - 5]))
    assert nothing.num_rows == 0
    assert nothing.schema.equals(engine.arrow(delivery.select([WEEK])).schema)


def test_a_week_that_is_not_there_is_an_error_that_names_the_last_one(source: Source) -> None:
    with pytest.raises(WeekNotAvailableError) as error:
        source.read(WEEK + 1, 12)
    assert error.value.exit_code == 3
    assert "2025-46 (17–23 November 2025)" in error.value.message
    assert "`python main.py --reporting-week 2025-46`" in error.value.message


def test_two_deliveries_of_one_source_do_not_disturb_each_other(
    source: Source, engine: Engine
) -> None:
    first, second = source.read(WEEK, 0), source.read(WEEK - 1, 1)
    assert len(engine.rows(second.select([WEEK - 1, WEEK - 2]))) == 3
    assert len(engine.rows(first.select([WEEK]))) == 4
    assert len(engine.rows(second.select([WEEK - 2]))) == 1


def test_content_keys_stay_while_content_stays_and_change_with_it(
    opener: Opener, engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    source = opener(pa.table(WEEKLY), engine, tmp_path / "1")
    key = source.read(WEEK, 2).content_key(WEEK - 1)
    if opener in WITHOUT_CONTENT_KEYS:
        assert key is None
        return
    assert key is not None
    assert source.read(WEEK, 2).content_key(WEEK - 1) == key
    changed = {**WEEKLY, "spend_amount": ["10.00", "20.51", "-3.00", "1e308", "x", "7.00"]}
    other = opener(pa.table(changed), engine, tmp_path / "2")
    assert other.read(WEEK, 2).content_key(WEEK - 1) != key


def test_transactions_fall_into_the_week_of_their_local_day(
    transactions: Source, engine: Engine
) -> None:
    delivery = transactions.read(WEEK, 1)
    rows = engine.arrow(f"SELECT * FROM ({delivery.select([WEEK])}) ORDER BY customer_id")
    assert rows.column_names[:8] == [
        "customer_id",
        "week_value",
        "week_start",
        "transaction_time",
        "mcc",
        "amount",
        "currency",
        "source_file",
    ]
    assert rows["week_start"].to_pylist() == [date(2025, 11, 17), None]
    assert rows["transaction_time"].to_pylist() == ["2025-11-17", "yesterday"]
    assert [week.label for week in transactions.present()] == ["2025-45", "2025-46", "2025-47"]


def test_no_row_at_all_is_an_error(opener: Opener, engine: Engine, tmp_path: Path) -> None:
    empty = pa.table(WEEKLY).slice(0, 0)
    with pytest.raises(SourceError, match="column names and no rows"):
        opener(empty, engine, tmp_path).test_connection()


def test_one_form_of_week_that_is_not_understood_is_described_without_a_value(
    opener: Opener, engine: Engine, tmp_path: Path
) -> None:
    rows = {**WEEKLY, "reporting_week": ["20/11/2025"] * 6}
    source = opener(pa.table(rows), engine, tmp_path)
    for attempt in (source.test_connection, source.weeks, lambda: source.read(WEEK, 1)):
        with pytest.raises(SourceError) as error:
            attempt()
        assert "'99/99/9999'" in error.value.message
        assert "data_source.date_format" in error.value.message
        assert "20/11/2025" not in error.value.message
