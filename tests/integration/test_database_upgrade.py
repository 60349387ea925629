"""Upgrading the tables of results, and checking them, on a real server."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from postgres import Database
from published_database import (
    GUIDE_SQL,
    LISTED,
    TABLES,
    VIEWS,
    FailingOperations,
    faults,
    relations,
    remarks,
    rows,
    upgrade,
    upgraded,
)

from cardwatch.errors import PublishError
from cardwatch.publish import migrations
from cardwatch.publish.database_declared import DECLARED, HEAD, REVISIONS, VERSION_TABLE
from cardwatch.publish.database_objects import Column, Table, View
from cardwatch.publish.database_script import upgrade_script
from cardwatch.publish.migrations.v0001_anomaly_reports import EXPANSION as GUIDES


def shape(database: Database, schema: str, table: str) -> dict[str, Any]:
    """Everything that `\\d` shows of a table, as text."""
    given = [f'"{schema}".{table}']
    with database.connect() as connection:
        columns = connection.execute(
            "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
            "pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d "
            "ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
            "WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped "
            "ORDER BY a.attnum",
            given,
        ).fetchall()
        indexes = connection.execute(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass",
            given,
        ).fetchall()
    return {"columns": columns, "indexes": sorted(text.replace(schema, "") for (text,) in indexes)}


def test_from_nothing_everything_is_made_and_the_check_is_content(database: Database) -> None:
    assert faults(database)
    assert upgrade(database) == []
    assert {*TABLES, *VIEWS, VERSION_TABLE} <= relations(database).keys()
    assert rows(database, VERSION_TABLE) == [{"version_num": HEAD}]
    assert (faults(database), remarks(database)) == ([], [])


def test_the_guides_table_and_indexes_are_exactly_those_of_its_sql(database: Database) -> None:
    upgrade(database, "made")
    database.execute(f"CREATE SCHEMA by_hand; SET search_path TO by_hand; {GUIDE_SQL}")
    assert shape(database, "made", "anomaly_reports") == shape(
        database, "by_hand", "anomaly_reports"
    )


def test_every_table_view_and_column_is_as_declared_and_commented(database: Database) -> None:
    upgrade(database)
    everything: list[Table | View] = [*DECLARED.tables, *DECLARED.views]
    with database.connect() as connection:
        for declared in everything:
            assert connection.execute(
                "SELECT obj_description(%s::regclass)", [declared.name]
            ).fetchone() == (declared.comment,)
            found = connection.execute(
                "SELECT attname::text, format_type(atttypid, atttypmod), "
                "col_description(attrelid, attnum) FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
                [declared.name],
            ).fetchall()
            assert found == [
                (column.name, column.catalog_type, column.comment) for column in declared.columns
            ]


def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    upgrade(database)
    before = relations(database)
    assert upgrade(database) == []
    assert relations(database) == before


def test_a_table_made_by_hand_is_adopted_with_its_rows(database: Database) -> None:
    database.execute(f"{GUIDE_SQL}; {LISTED} VALUES ('A', '2025-10', 0.9, 1), ('B', '?', 0.8, 2)")
    made_by_hand = relations(database)["anomaly_reports"]
    assert upgrade(database) == ["anomaly_reports was there already and was adopted, with its rows"]
    assert relations(database)["anomaly_reports"] == made_by_hand
    assert faults(database) == []
    facts = {row["customer_id"]: row for row in rows(database, "bi_fact_anomaly")}
    assert str(facts["A"]["week_start"]) == "2025-03-10"
    assert facts["B"]["week_start"] is None
    assert {row["run_id"] for row in facts.values()} == {None}
    assert [row["reporting_week"] for row in rows(database, "bi_dim_week")] == ["2025-10"]


def test_a_table_made_by_hand_without_its_indexes_gets_them(database: Database) -> None:
    database.execute(GUIDE_SQL.partition("CREATE INDEX")[0])
    upgrade(database)
    assert {"idx_reporting_week", "idx_anomaly_rank"} <= relations(database).keys()


def test_a_table_made_by_hand_may_be_wider(database: Database) -> None:
    wider = GUIDE_SQL.replace("customer_id VARCHAR(50)", "region TEXT, customer_id TEXT")
    database.execute(wider.replace("DECIMAL(12, 2)", "DECIMAL(16, 2)").replace("INT,", "BIGINT,"))
    upgrade(database)
    assert faults(database) == []
    assert "column anomaly_reports.customer_id: text, not character varying(50)" in remarks(
        database
    )
    assert "column anomaly_reports.region: not Cardwatch's" in remarks(database)


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (GUIDE_SQL.replace("top_mcc VARCHAR(50),", ""), "anomaly_reports.top_mcc"),
        (GUIDE_SQL.replace("VARCHAR(50) NOT", "VARCHAR(49) NOT"), "anomaly_reports.customer_id"),
        (GUIDE_SQL.replace("total_spend DECIMAL(12, 2)", "total_spend DECIMAL(12, 1)"),
         "anomaly_reports.total_spend"),
        (GUIDE_SQL.replace("total_spend DECIMAL(12, 2)", "total_spend FLOAT"),
         "anomaly_reports.total_spend"),
        (GUIDE_SQL.replace("anomaly_rank INT", "anomaly_rank SMALLINT"),
         "anomaly_reports.anomaly_rank"),
        (GUIDE_SQL.replace("risk_category VARCHAR(20)", "risk_category VARCHAR(20) NOT NULL"),
         "anomaly_reports.risk_category"),
        (GUIDE_SQL.replace("    PRIMARY", "    branch TEXT NOT NULL, PRIMARY"),
         "anomaly_reports.branch"),
        (GUIDE_SQL.replace("KEY (customer_id, reporting_week)", "KEY (customer_id)"),
         "table anomaly_reports"),
        ("CREATE VIEW anomaly_reports AS SELECT 1 AS customer_id", "anomaly_reports"),
        ("CREATE TABLE t (a INT); CREATE INDEX idx_anomaly_rank ON t(a)", "idx_anomaly_rank"),
        ("CREATE TABLE idx_anomaly_rank (a INT)", "idx_anomaly_rank"),
        ("CREATE TABLE anomaly_runs (run_id TEXT PRIMARY KEY)", "anomaly_runs.reporting_week"),
        ("CREATE TABLE bi_dim_run (run_id TEXT)", "bi_dim_run"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused_by_name_and_nothing_is_made(
    database: Database, statements: str, named: str
) -> None:
    database.execute(statements)
    before = relations(database)
    with pytest.raises(PublishError) as raised:
        upgrade(database)
    assert named in raised.value.message
    assert relations(database) == before


def test_upgrades_at_once_wait_for_each_other(database: Database) -> None:
    failed: list[Exception] = []

    def one() -> None:
        try:
            upgrade(database)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert rows(database, VERSION_TABLE) == [{"version_num": HEAD}]


def test_an_upgrade_does_not_wait_for_another_for_ever(database: Database) -> None:
    with (
        upgraded(database),
        pytest.raises(PublishError, match="upgrading this schema"),
        upgraded(database, lock_seconds=0.2),
    ):
        pass


@pytest.mark.system
def test_an_upgrade_that_fails_leaves_nothing_wherever_it_fails(database: Database) -> None:
    counting = FailingOperations(0)
    with upgraded(database, "counted", operations=counting):
        pass
    before = relations(database)
    for at in range(1, len(counting.seen), 5):  # one less: this schema need not be made
        operations = FailingOperations(at)
        with pytest.raises(RuntimeError), upgraded(database, operations=operations):
            pass
        assert relations(database) == before
    with pytest.raises(ZeroDivisionError), upgraded(database):
        raise ZeroDivisionError
    assert relations(database) == before


def test_an_older_schema_is_brought_up_and_its_rows_stay(database: Database) -> None:
    database.execute(
        ";".join(GUIDES.statements())
        + f"; CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) PRIMARY KEY);"
        f"INSERT INTO {VERSION_TABLE} VALUES ('0001'); {LISTED} VALUES ('A', '2025-10', 1, 1)"
    )
    assert f"version: 0001, not {HEAD}" in faults(database)
    with upgraded(database) as done:
        assert done.before == "0001"
    assert (faults(database), len(rows(database, "anomaly_reports"))) == ([], 1)


def test_a_newer_schema_is_left_alone_and_works(database: Database) -> None:
    upgrade(database)
    database.execute(
        f"UPDATE {VERSION_TABLE} SET version_num = '9999';"
        "ALTER TABLE anomaly_details ADD COLUMN of_the_future TEXT"
    )
    assert "newer Cardwatch (version 9999)" in upgrade(database)[0]
    assert faults(database) == []
    assert any("of a newer Cardwatch" in remark for remark in remarks(database))


@pytest.mark.parametrize("gone", ["VIEW bi_dim_week", "INDEX idx_anomaly_rank",
                                  "TABLE anomaly_scores"])  # fmt: skip
def test_what_somebody_removed_is_missed_and_made_again(database: Database, gone: str) -> None:
    upgrade(database)
    database.execute(f"DROP {gone}")
    assert [fault.lower() for fault in faults(database)] == [f"{gone.lower()}: missing"]
    assert upgrade(database) == [f"{gone.split()[1]} was missing and was made again"]
    assert faults(database) == []


def test_the_printed_script_makes_the_same_and_may_be_run_again(database: Database) -> None:
    upgrade(database, "made")
    for _ in range(2):
        database.execute(upgrade_script("by script"))
    assert faults(database, "by script") == []
    for name in TABLES:
        made, scripted = shape(database, "made", name), shape(database, "by script", name)
        assert made["columns"] == scripted["columns"]
    assert upgrade(database, "by script") == []


def test_the_script_holds_the_guides_statements_word_for_word() -> None:
    table, _, indexes = GUIDE_SQL.partition(";")
    script = upgrade_script("public").replace("IF NOT EXISTS ", "")
    for statement in (table, *indexes.split(";")[:2]):
        assert statement.strip() in script


def test_a_schema_may_have_any_name(database: Database) -> None:
    name = 'Ärger; "drop" % schema'
    upgrade(database, name)
    assert faults(database, name) == []


def test_the_revisions_are_those_that_alembic_finds_and_none_goes_back() -> None:
    from alembic.script import ScriptDirectory

    folder = str(Path(migrations.__file__).parent)
    scripts = ScriptDirectory(folder, version_locations=[folder])
    assert [each.revision for each in reversed(list(scripts.walk_revisions()))] == [
        each.revision for each in REVISIONS
    ]
    assert not any(hasattr(each, "downgrade") for each in REVISIONS)


def test_a_view_has_the_columns_of_its_older_forms_first() -> None:
    seen: dict[str, Sequence[Column]] = {}
    for each in REVISIONS:
        for view in each.EXPANSION.views:
            older = seen.get(view.name, ())
            assert tuple(view.columns[: len(older)]) == tuple(older)
            seen[view.name] = view.columns
