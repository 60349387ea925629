"""Two clients read the views as Power BI does: one by psycopg, one by ODBC and Debian's driver.

The statements have the shape of those that Power BI sends through Npgsql: a list of tables, the
columns of one, a preview, and rows of a range of days where a table is refreshed incrementally.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from command_line import cardwatch
from debian import NOT_HERE
from small_portfolio import WEEK, ScoredWeek, portfolio_rows, read_json, write_parquet

from cardwatch.outputs import OutputFile
from cardwatch.publish.database_declared import DECLARED
from demo.postgres_server import PostgresServer

pytestmark = pytest.mark.system

ODBC_DRIVER = "PostgreSQL Unicode"
WEEKS = (WEEK - 1, WEEK)
VIEWS = {view.name: view for view in DECLARED.views}
FACTS = [
    name
    for name, view in VIEWS.items()
    if {"anomaly_key", "run_id"} <= {column.name for column in view.columns}
]
USER, SECRET = "power_bi", "read only; 100% {safe}"

TABLES = (
    "select TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE from INFORMATION_SCHEMA.tables"
    " where TABLE_SCHEMA not in ('information_schema', 'pg_catalog')"
    " order by TABLE_SCHEMA, TABLE_NAME"
)
COLUMNS = (
    "select COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, DATA_TYPE from INFORMATION_SCHEMA.columns"
    " where TABLE_SCHEMA = 'public' and TABLE_NAME = '{}'"
    " order by TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
)
OF_DAYS = (
    'select {} from "public"."{}" "_" where "_"."week_start" >= {} and "_"."week_start" < {}'
    ' order by "_"."anomaly_key"'
)

PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "date": date,
    "timestamp without time zone": datetime,
    "boolean": bool,
    "integer": int,
    "bigint": int,
    "double precision": float,
    "numeric": Decimal,
}
"""What a client makes of each type of the views' columns."""


class Client(Protocol):
    """Runs a statement; tells the names of its columns, and its rows."""

    def __call__(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]: ...


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, Path]]:
    """A server with two published weeks and a user who may read what the reader role may."""
    folder = tmp_path_factory.mktemp("published")
    source = write_parquet(portfolio_rows(), folder / "data")
    with PostgresServer() as server:
        for week in WEEKS:
            ScoredWeek.run(folder, source, week)
        upgrade = ("db", "upgrade", "--reader-role", "cardwatch_reader")
        cardwatch(folder, *upgrade, OUTPUT_DB_CONNECTION_STRING=server.url())
        publish = ("publish", "--all-missing", "--output-dir", "outputs")
        cardwatch(folder, *publish, OUTPUT_DB_CONNECTION_STRING=server.url())
        review = "INSERT INTO anomaly_reviews (customer_id, reporting_week, verdict, cause,"
        server.psql("-c", f"{review} action_taken) VALUES ('A', '{WEEK}', 'expected', '-', '-')")
        server.psql("-c", f"CREATE ROLE {USER} LOGIN PASSWORD '{SECRET}' IN ROLE cardwatch_reader")
        yield server, folder


@pytest.fixture(params=["psycopg", "odbc"])
def ask(request: pytest.FixtureRequest, published: tuple[PostgresServer, Path]) -> Iterator[Client]:
    server, _ = published
    if request.param == "psycopg":
        yield from through_psycopg(server)
    else:
        yield from through_odbc(server)


def through_psycopg(server: PostgresServer) -> Iterator[Client]:
    with psycopg.connect(server.url(user=USER, password=SECRET), autocommit=True) as connection:

        def run(statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
            cursor = connection.execute(statement.encode())
            return [column.name for column in cursor.description or ()], cursor.fetchall()

        yield run


def through_odbc(server: PostgresServer) -> Iterator[Client]:
    reason = f"Debian's unixodbc {NOT_HERE}"
    pyodbc = pytest.importorskip("pyodbc", reason=reason, exc_type=ImportError)
    if ODBC_DRIVER not in pyodbc.drivers():
        pytest.skip(f"Debian's odbc-postgresql {NOT_HERE}")
    secret = SECRET.replace("}", "}}")
    connection = pyodbc.connect(
        f"DRIVER={{{ODBC_DRIVER}}};SERVER=127.0.0.1;PORT={server.port};DATABASE=postgres;"
        f"UID={USER};PWD={{{secret}}};BoolsAsChar=0",
        autocommit=True,
    )

    def run(statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        cursor = connection.execute(statement)
        return [column[0] for column in cursor.description], [tuple(row) for row in cursor]

    try:
        yield run
    finally:
        connection.close()


def listed(folder: Path) -> Sequence[dict[str, Any]]:
    """Return the listed customers of both weeks, as the files tell them."""
    paths = [folder / "outputs" / OutputFile.LIST_JSON.of(week) for week in WEEKS]
    return [customer for path in paths for customer in read_json(path)["customers"]]


def days(first: date, after: date, literal: str) -> tuple[str, str]:
    """Return a range as Power BI writes it: of days, or of times, as its parameters are."""
    time = "" if literal == "date" else " 00:00:00"
    return f"{literal} '{first}{time}'", f"{literal} '{after}{time}'"


def test_the_views_are_what_a_navigator_lists(ask: Client) -> None:
    _, rows = ask(TABLES)
    named = {name: kind for schema, name, kind in rows if schema == "public"}
    assert named == {"anomaly_reports": "BASE TABLE", **dict.fromkeys(VIEWS, "VIEW")}


@pytest.mark.parametrize("name", VIEWS)
def test_the_columns_and_types_of_a_view_are_the_declared_ones(ask: Client, name: str) -> None:
    _, rows = ask(COLUMNS.format(name))
    assert [(row[0], row[1], row[3]) for row in rows] == [
        (column.name, position, column.catalog_type.partition("(")[0])
        for position, column in enumerate(VIEWS[name].columns, 1)
    ]


@pytest.mark.parametrize("name", VIEWS)
def test_values_of_a_view_have_the_types_of_its_columns(ask: Client, name: str) -> None:
    names, rows = ask(f'select * from "public"."{name}" "$Table" limit 1000')
    assert rows or name == "bi_fact_quality"  # nothing was set aside
    assert names == [column.name for column in VIEWS[name].columns]
    for at, column in enumerate(VIEWS[name].columns):
        expected = PYTHON_TYPES[column.catalog_type.partition("(")[0]]
        found = {type(row[at]) for row in rows if row[at] is not None}
        assert found <= {expected}, column.name


def test_weeks_are_days_that_a_relationship_can_join(ask: Client) -> None:
    _, rows = ask('select "week_start" from "public"."bi_dim_week" order by 1')
    assert [row[0] for row in rows] == [week.monday for week in WEEKS]


@pytest.mark.parametrize("literal", ["date", "timestamp"])
@pytest.mark.parametrize("name", FACTS)
def test_an_incremental_refresh_reads_each_row_once(ask: Client, name: str, literal: str) -> None:
    _, everything = ask(f'select "anomaly_key" from "public"."{name}" order by 1')
    found = []
    for week in WEEKS:
        first = week.monday
        bounds = days(first, first + timedelta(days=7), literal)
        _, rows = ask(OF_DAYS.format('"_"."anomaly_key", "_"."week_start"', name, *bounds))
        assert {row[1] for row in rows} == {first}
        found += [row[0] for row in rows]
    assert sorted(found) == sorted(row[0] for row in everything)


def test_money_and_words_arrive_as_the_files_say_them(
    ask: Client, published: tuple[PostgresServer, Path]
) -> None:
    _, rows = ask(
        'select "customer_id", "reporting_week", "total_spend", "transaction_count",'
        ' "anomaly_rank", "first_reason" from "public"."bi_fact_anomaly"'
    )
    _, folder = published
    assert sorted(rows) == sorted(
        (
            each["customer_id"],
            each["reporting_week"],
            Decimal(str(each["total_spend"])),
            each["transaction_count"],
            each["anomaly_rank"],
            each["reasons"][0]["sentence"],
        )
        for each in listed(folder)
    )


def test_every_row_joins_its_dimensions_and_names_a_current_run(ask: Client) -> None:
    for name in FACTS:
        _, [[rows, joined]] = ask(
            "select (select count(*) from bi_fact_anomaly), count(*) from bi_fact_anomaly f"
            " join bi_dim_week w using (week_start) join bi_dim_run r on r.run_id = f.run_id"
            " where r.is_current and w.run_id = r.run_id".replace("bi_fact_anomaly", name)
        )
        assert rows == joined > 0
    _, [[lost]] = ask(
        "select count(*) from bi_fact_mcc_week f left join bi_dim_mcc m using (mcc)"
        " where m.mcc is null"
    )
    assert lost == 0


def test_a_reader_reads_the_views_and_nothing_else(ask: Client) -> None:
    for statement in ("select * from anomaly_scores", "delete from anomaly_reports"):
        with pytest.raises(Exception, match="permission denied"):
            ask(statement)
