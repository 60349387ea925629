"""What a publisher and a reader need to be allowed, and what a lack of it gives."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import psycopg
import pytest
from postgres import Database
from published_database import TABLES, rows, sink_of, upgrade, upgraded, write_files
from published_weeks import WEEK

from cardwatch.engine import Engine
from cardwatch.errors import PublishError
from cardwatch.publish.database_roles import reader_statements
from cardwatch.week import ReportingWeek


def test_before_the_upgrade_the_command_is_named(
    outputs: Path, engine: Engine, database: Database
) -> None:
    write_files(outputs, engine, {"A": 1})
    with pytest.raises(PublishError, match="`cardwatch db upgrade`"):
        sink_of(outputs, database).publish(WEEK)
    with pytest.raises(PublishError, match="`cardwatch db upgrade`"):
        sink_of(outputs, database).current_runs()


def test_a_publisher_needs_only_these_privileges(
    outputs: Path, engine: Engine, ready: Database
) -> None:
    tables = ", ".join(name for name in TABLES if name != "anomaly_reviews")
    enough = (f"SELECT, INSERT, DELETE ON {tables}", "UPDATE ON anomaly_runs")
    write_files(outputs, engine, {"A": 1})
    with ready.role(*enough) as user:
        sink_of(outputs, ready, user=user).publish(WEEK)
    assert len(rows(ready, "anomaly_reports")) == 1


@pytest.mark.parametrize(
    ("lacking", "grants"),
    [
        ("INSERT", ("SELECT, DELETE, UPDATE ON ALL TABLES IN SCHEMA public",)),
        ("DELETE", ("SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public",)),
        ("UPDATE", ("SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA public",)),
        ("SELECT", ()),
    ],
)
def test_a_privilege_that_is_missing_is_named_with_the_grant(
    outputs: Path, engine: Engine, ready: Database, lacking: str, grants: tuple[str, ...]
) -> None:
    write_files(outputs, engine, {"A": 1})
    with ready.role(*grants) as user, pytest.raises(PublishError) as raised:
        sink_of(outputs, ready, user=user).publish(WEEK)
    assert f"may not {lacking} on anomaly_" in raised.value.message
    assert f"{lacking}" in raised.value.message.partition("GRANT ")[2]
    assert rows(ready, "anomaly_reports") == []


def test_a_publisher_without_rights_on_the_schema_is_told_so(
    outputs: Path, engine: Engine, database: Database
) -> None:
    upgrade(database, "closed")
    write_files(outputs, engine, {"A": 1})
    with database.role() as user, pytest.raises(PublishError) as raised:
        sink_of(outputs, database, user=user, schema="closed").publish(WEEK)
    assert "cardwatch publish --reporting-week" in raised.value.message


def test_a_reader_role_that_is_granted_reads_the_list(
    outputs: Path, engine: Engine, ready: Database
) -> None:
    write_files(outputs, engine, {"A": 1})
    sink_of(outputs, ready).publish(WEEK)
    role = f"reader_of_{ready.name}"
    ready.execute(";".join(reader_statements("public", role)))
    try:
        with ready.role() as (name, password):
            ready.execute(f"GRANT {role} TO {name}")
            with psycopg.connect(ready.url_as(name, password)) as connection:
                found = connection.execute("SELECT customer_id FROM bi_fact_anomaly").fetchall()
        assert found == [("A",)]
    finally:
        ready.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_newer_schema_takes_what_this_version_sends(
    outputs: Path, engine: Engine, ready: Database
) -> None:
    ready.execute(
        "UPDATE cardwatch_alembic_version SET version_num = '9999';"
        "ALTER TABLE anomaly_reasons ADD COLUMN of_the_future TEXT;"
        "ALTER TABLE anomaly_reports ADD COLUMN region TEXT DEFAULT 'north'"
    )
    write_files(outputs, engine, {"A": 1})
    sink_of(outputs, ready).publish(WEEK)
    assert rows(ready, "anomaly_reports")[0]["region"] == "north"


def test_any_schema_name_and_any_week_are_data_and_never_sql(
    outputs: Path, engine: Engine, database: Database
) -> None:
    schema, week = 'we "call" it; DROP % $1', ReportingWeek.parse("2026-00")
    with upgraded(database, schema):
        pass
    write_files(outputs, engine, {"A": 1}, week=week)
    sink_of(outputs, database, schema=schema).publish(week)
    [row] = rows(database, "bi_dim_week", schema)
    assert (row["reporting_week"], row["week_start"]) == ("2025-52", date(2025, 12, 29))
