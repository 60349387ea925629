"""The views that the Power BI kit adds to the star: days, customers, weeks, reviews, quality."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest
from postgres import Database
from published_database import (
    FailingOperations,
    rows,
    sink_of,
    upgrade,
    upgraded,
    write_files,
)
from published_weeks import WEEK

from cardwatch.engine import Engine
from cardwatch.publish.database_declared import REVISIONS, VERSION_TABLE
from cardwatch.publish.database_objects import combined
from cardwatch.week import ReportingWeek

NEW = ("bi_fact_customer_week", "bi_fact_review", "bi_fact_quality", "bi_dim_date",
       "bi_dim_customer", "anomaly_customer_week")  # fmt: skip


def publish(
    folder: Path,
    engine: Engine,
    database: Database,
    ranks: Mapping[str, int],
    run_id: str = "run-1",
    week: ReportingWeek = WEEK,
) -> None:
    write_files(folder, engine, ranks, run_id, week=week, rest={"Z": 9})
    sink_of(folder, database).publish(week)


def test_days_have_no_gap_and_fill_whole_years_and_weeks(
    tmp_path: Path, engine: Engine, ready: Database
) -> None:
    assert rows(ready, "bi_dim_date") == []
    publish(tmp_path, engine, ready, {"A": 1}, "run-1", WEEK - 2)
    publish(tmp_path, engine, ready, {}, "run-2", WEEK)
    days = sorted(rows(ready, "bi_dim_date"), key=lambda row: row["calendar_date"])
    first, last = date(2024, 12, 30), date(2026, 1, 4)
    assert [row["calendar_date"] for row in days] == [
        first + timedelta(n) for n in range((last - first).days + 1)
    ]
    weeks = {row["reporting_week"]: row for row in days}
    assert [
        (label, row["weeks_ago"], row["is_latest"])
        for label, row in weeks.items()
        if row["is_published"]
    ] == [("2025-44", 2, False), ("2025-46", 0, True)]
    assert (weeks["2025-45"]["weeks_ago"], weeks["2025-47"]["weeks_ago"]) == (1, -1)
    assert sum(row["is_latest"] for row in days) == 7
    for row in days:
        assert row["week_start"] <= row["calendar_date"] <= row["week_end"]
    of_weeks = {row["week_start"]: row for row in rows(ready, "bi_dim_week")}
    for row in days:
        for name, value in of_weeks.get(row["week_start"], {}).items():
            assert row.get(name, value) == value, name


def test_a_customer_knows_the_first_and_last_list(
    tmp_path: Path, engine: Engine, ready: Database
) -> None:
    publish(tmp_path, engine, ready, {"A": 1, "B": 2}, "run-1", WEEK - 1)
    publish(tmp_path, engine, ready, {"A": 1}, "run-2", WEEK)
    found = {row["customer_id"]: tuple(row.values())[1:] for row in rows(ready, "bi_dim_customer")}
    before, this = (WEEK - 1).monday, WEEK.monday
    assert found == {"A": (before, this, 2), "B": (before, before, 1)}


def test_the_list_has_places_from_one_and_all_reasons(
    tmp_path: Path, engine: Engine, ready: Database
) -> None:
    publish(tmp_path, engine, ready, {"A": 7, "B": 3})
    found = {row["customer_id"]: row for row in rows(ready, "bi_fact_anomaly")}
    assert {name: row["list_position"] for name, row in found.items()} == {"A": 2, "B": 1}
    ready.execute(
        "INSERT INTO anomaly_reasons SELECT reporting_week, week_start, customer_id, 2, code, "
        "'novelty', feature, mcc, value, usual, usual_basis, unit, 1, 'New here', run_id "
        "FROM anomaly_reasons WHERE customer_id = 'A'"
    )
    [row] = [row for row in rows(ready, "bi_fact_anomaly") if row["customer_id"] == "A"]
    assert row["reasons"] == f"{row['first_reason']}; New here"


def test_the_weeks_of_a_run_that_is_no_longer_current_are_not_shown(
    tmp_path: Path, engine: Engine, ready: Database
) -> None:
    publish(tmp_path, engine, ready, {"A": 1})
    shown = rows(ready, "bi_fact_customer_week")
    assert {row["anomaly_key"] for row in shown} == {"2025-46|A"}
    assert {row["window_week"] for row in shown} == {week.monday for week in WEEK.window(2)} | {
        WEEK.monday
    }
    assert [row["spend"] is None for row in shown].count(True) == 1
    ready.execute("UPDATE anomaly_runs SET is_current = false")
    assert rows(ready, "bi_fact_customer_week") == []


def test_the_newest_review_of_a_customer_and_week_counts(ready: Database) -> None:
    ready.execute(
        "INSERT INTO anomaly_reviews (customer_id, reporting_week, verdict, note, reviewed_at) "
        "VALUES ('A', '2025-46', 'Expected', 'x', '2025-11-24 09:00+00'), "
        "('A', '2025-46', ' CONFIRMED_RISK ', 'y', '2025-11-25 09:00+00'), "
        "('A', '2025-45', 'expected', 'z', '2025-11-26 09:00+00')"
    )
    found = {row["review_id"]: row for row in rows(ready, "bi_fact_review")}
    assert [(row["verdict"], row["is_latest"]) for row in found.values()] == [
        ("expected", False), ("confirmed_risk", True), ("expected", True)
    ]  # fmt: skip
    assert found[2]["anomaly_key"] == "2025-46|A"
    assert found[2]["week_start"] == date(2025, 11, 17)
    assert "note" not in found[2]


def test_what_was_set_aside_is_told_by_rule(
    tmp_path: Path, engine: Engine, ready: Database
) -> None:
    publish(tmp_path, engine, ready, {"A": 1})
    [run] = rows(ready, "anomaly_runs")
    counts = run["manifest"]["counts"]
    found = {
        (row["kind"], row["code"]): row["occurrences"] for row in rows(ready, "bi_fact_quality")
    }
    assert found == {
        **{("rows", code): number for code, number in counts["rows_by_reason"].items()},
        **{("unscored customers", code): n for code, n in counts["customers_unscored"].items()},
        **{("customers left out", code): n for code, n in counts["left_out_by_policy"].items()},
    }
    assert found
    broken = json.dumps({"counts": {"rows_by_reason": None, "customers_unscored": [1]}})
    ready.execute(f"UPDATE anomaly_runs SET manifest = '{broken}'")
    assert rows(ready, "bi_fact_quality") == []


# Who may do what, after an upgrade from the version before


@pytest.fixture
def before(database: Database) -> Database:
    """A database of the version before, made by Cardwatch."""
    older = combined(each.EXPANSION for each in REVISIONS if each.revision < "0004")
    database.execute(
        ";".join(older.statements())
        + f"; CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) PRIMARY KEY);"
        f"INSERT INTO {VERSION_TABLE} VALUES ('0003')"
    )
    return database


def may(database: Database, role: str, name: str) -> set[str]:
    with database.connect() as connection:
        found = connection.execute(
            "SELECT p FROM unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p"
            " WHERE has_table_privilege(%s, %s, p)",
            [role, name],
        )
        return {verb for (verb,) in found}


def test_whoever_wrote_and_read_before_an_upgrade_does_so_after_it(before: Database) -> None:
    written, read = "SELECT, INSERT, DELETE ON anomaly_mcc_week", "SELECT ON bi_fact_anomaly"
    with (
        before.role(written) as (publisher, _),
        before.role(read) as (reader, _),
        before.role() as (stranger, _),
    ):
        assert upgrade(before) == []
        assert may(before, publisher, "anomaly_customer_week") == {"SELECT", "INSERT", "DELETE"}
        for name in NEW:
            assert may(before, stranger, name) == set()
        for name in NEW[:-1]:
            assert may(before, reader, name) == {"SELECT"}
        assert may(before, reader, "anomaly_customer_week") == set()


def test_privileges_are_given_in_any_schema_and_to_any_role(database: Database) -> None:
    schema = 'Ärger; "drop" % schema'
    role = f'reader "of" {database.name}'.replace('"', '""')
    database.execute(f'CREATE ROLE "{role}"')
    try:
        upgrade(database, schema)
        quoted = '"' + schema.replace('"', '""') + '"'
        database.execute(
            f'GRANT SELECT ON {quoted}.bi_fact_anomaly TO "{role}";'
            f"DELETE FROM {quoted}.{VERSION_TABLE};"
            f"INSERT INTO {quoted}.{VERSION_TABLE} VALUES ('0003');"
            f"DROP VIEW {quoted}.bi_dim_date"
        )
        with upgraded(database, schema, operations=FailingOperations(0)):
            pass
        found = may(database, role.replace('""', '"'), f"{quoted}.bi_dim_date")
        assert found == {"SELECT"}
    finally:
        database.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')
