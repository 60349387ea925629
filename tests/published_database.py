"""Weeks published to a real database, and what the database then holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Outcome, cardwatch
from postgres import Database, Server, new_database
from published_weeks import (
    WEEK,
    QuickOperations,
    fill_engine,
    listed_customer,
    manifest,
    week_report,
)

from cardwatch.config import OutputConfig, OutputDatabaseConfig
from cardwatch.database.address import DatabaseAddress
from cardwatch.engine import Engine
from cardwatch.publish.database import DatabaseSink
from cardwatch.publish.database_check import check_database
from cardwatch.publish.database_declared import DECLARED, VERSION_TABLE
from cardwatch.publish.database_operations import DatabaseOperations
from cardwatch.publish.database_upgrade import Upgrade, upgrading
from cardwatch.publish.files import FileSink
from cardwatch.schema import ListedCustomer
from cardwatch.week import ReportingWeek

GUIDE_SQL = """
CREATE TABLE anomaly_reports (
    customer_id VARCHAR(50) NOT NULL,
    reporting_week VARCHAR(7) NOT NULL,
    anomaly_score FLOAT NOT NULL,
    anomaly_rank INT NOT NULL,
    risk_category VARCHAR(20),
    total_spend DECIMAL(12, 2),
    transaction_count INT,
    mcc_diversity INT,
    top_mcc VARCHAR(50),
    top_mcc_spend DECIMAL(12, 2),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (customer_id, reporting_week)
);

CREATE INDEX idx_reporting_week ON anomaly_reports(reporting_week);
CREATE INDEX idx_anomaly_rank ON anomaly_reports(anomaly_rank);
"""
"""Verbatim from the deployment guide, "Power BI Integration", step 1."""

NOWHERE = "postgresql://nobody:secret@127.0.0.1:1/nothing"
"""The address of a server that is down."""

LISTED = "INSERT INTO anomaly_reports (customer_id, reporting_week, anomaly_score, anomaly_rank) "
"""How a row is listed by hand; its values follow."""

TABLES = tuple(table.name for table in DECLARED.tables)
VIEWS = tuple(view.name for view in DECLARED.views)


class FailingOperations(DatabaseOperations):
    """Fails at the n-th operation, counted from 1; counts them all. Zero never fails."""

    def __init__(self, at: int, error: type[Exception] = RuntimeError) -> None:
        self.at = at
        self.error = error
        self.seen: list[tuple[str, str]] = []

    def before(self, operation: str, statement: str) -> None:
        self.seen.append((operation, statement))
        if len(self.seen) == self.at:
            raise self.error("injected")


def address_of(database: Database, user: tuple[str, str] | None = None) -> DatabaseAddress:
    return DatabaseAddress.parse(database.url_as(*user) if user else database.url)


def in_schema(schema: str) -> OutputDatabaseConfig:
    return OutputDatabaseConfig.model_validate({"schema": schema})


@contextmanager
def upgraded(
    database: Database,
    schema: str = "public",
    *,
    user: tuple[str, str] | None = None,
    operations: DatabaseOperations | None = None,
    lock_seconds: float = 20.0,
) -> Iterator[Upgrade]:
    """Upgrade a schema; committed when the block ends."""
    config = in_schema(schema)
    with upgrading(
        address_of(database, user), config, operations=operations, lock_seconds=lock_seconds
    ) as upgrade:
        yield upgrade


def upgrade(database: Database, schema: str = "public") -> list[str]:
    """Upgrade a schema and return what there was to say."""
    with upgraded(database, schema) as done:
        return done.notes


@pytest.fixture(scope="session")
def prepared(postgres: Server) -> Iterator[str]:
    """The name of an upgraded database that is only copied."""
    with new_database(postgres) as database:
        upgrade(database)
        yield database.name


@pytest.fixture
def ready(postgres: Server, prepared: str) -> Iterator[Database]:
    """A database of one test, upgraded and empty."""
    with new_database(postgres, template=prepared) as database:
        yield database


def output_config(folder: Path, **settings: Any) -> OutputConfig:
    database = {"enabled": True, "attempts": 1, **settings}
    wait = database.pop("lock_timeout_seconds", 20.0)
    return OutputConfig(
        directory=folder,
        lock_timeout_seconds=wait,
        database=OutputDatabaseConfig.model_validate(database),
    )


def sink_of(
    folder: Path,
    database: Database,
    *,
    operations: DatabaseOperations | None = None,
    user: tuple[str, str] | None = None,
    address: DatabaseAddress | None = None,
    sleep: Callable[[float], object] = lambda seconds: None,
    **settings: Any,
) -> DatabaseSink:
    def wait(seconds: float) -> None:
        sleep(seconds)

    return DatabaseSink(
        output_config(folder, **settings),
        address or address_of(database, user),
        operations=operations,
        sleep=wait,
    )


def write_files(
    folder: Path,
    engine: Engine,
    ranks: Mapping[str, int],
    run_id: str = "run-1",
    *,
    week: ReportingWeek = WEEK,
    changed: Mapping[str, Any] | None = None,
    rest: Mapping[str, int] | None = None,
) -> Path:
    """Write the files of one week: who is listed at which rank.

    `changed` replaces fields of the first listed customer, `rest` are customers not listed.
    """
    listed = [listed_customer(name, rank) for name, rank in ranks.items()]
    listed[:1] = [replace(each, **(changed or {})) for each in listed[:1]]
    return write_list(folder, engine, listed, run_id, week=week, rest=rest)


def write_list(
    folder: Path,
    engine: Engine,
    listed: list[ListedCustomer],
    run_id: str = "run-1",
    *,
    week: ReportingWeek = WEEK,
    rest: Mapping[str, int] | None = None,
) -> Path:
    """Write the files of one week with this list."""
    report = week_report(listed, week)
    ranks = {each.customer_id: each.anomaly_rank for each in listed}
    fill_engine(engine, {**ranks, **(rest or {})})
    sink = FileSink(output_config(folder), operations=QuickOperations())
    sink.write(report, engine, manifest(report, run_id=run_id))
    return folder


def command(url: str, folder: Path, *words: str | Path, code: int = 0) -> Outcome:
    """Run a command with the results going to the database at `url`."""
    return cardwatch(folder, *words, code=code, OUTPUT_DB_CONNECTION_STRING=url)


def rows(database: Database, relation: str, schema: str = "public") -> list[dict[str, Any]]:
    """Return every row of a table or view, in the order of all its columns."""
    from psycopg import sql
    from psycopg.rows import dict_row

    query = sql.SQL("SELECT * FROM {} AS t ORDER BY t::text").format(
        sql.Identifier(schema, relation)
    )
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def dump(database: Database, schema: str = "public") -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table that a publication writes."""
    return {name: rows(database, name, schema) for name in (*TABLES, VERSION_TABLE)}


def relations(database: Database, schema: str = "public") -> dict[str, int]:
    """Return tables, views and indexes of a schema by name, with their object ids."""
    statement = (
        "SELECT c.relname::text, c.oid::bigint FROM pg_class AS c "
        "WHERE c.relnamespace = to_regnamespace(%s)::oid"
    )
    with database.connect() as connection:
        return dict(connection.execute(statement, [f'"{schema}"']).fetchall())


def run_ids(database: Database) -> set[str]:
    """Return the runs that the rows of the tables of one week come from."""
    tables = ("anomaly_details", "anomaly_reasons", "anomaly_mcc_week", "anomaly_customer_week",
              "anomaly_scores")  # fmt: skip
    return {row["run_id"] for name in tables for row in rows(database, name)}


def faults(database: Database, schema: str = "public") -> list[str]:
    """Return what is wrong with the tables, a sentence each."""
    state = check_database(address_of(database), in_schema(schema))
    return [problem.sentence for problem in state.faults]


def remarks(database: Database) -> list[str]:
    """Return what is unusual about the tables and no fault."""
    state = check_database(address_of(database), OutputDatabaseConfig())
    return [problem.sentence for problem in state.found if not problem.is_fault]
