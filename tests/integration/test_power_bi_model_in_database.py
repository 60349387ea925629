"""The Power BI kit's model against a freshly migrated database: a renamed column fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from postgres import Database
from power_bi import DATABASE, ROOT
from published_database import rows, sink_of, write_files
from published_weeks import WEEK
from tmdl import column_of, selected

from cardwatch.engine import Engine
from cardwatch.publish.database_roles import READABLE

TYPES = {
    "string": {"text", "character varying"},
    "dateTime": {"date", "timestamp without time zone"},
    "boolean": {"boolean"},
    "int64": {"integer", "bigint"},
    "double": {"double precision"},
    "decimal": {"numeric"},
}
"""By a column's type in the model: the types of the database that it holds unchanged."""


@pytest.fixture
def published(tmp_path: Path, engine: Engine, ready: Database) -> Database:
    """Two weeks with lists, a verdict on each, and a reason with a merchant category."""
    for week, run_id, ranks in ((WEEK - 1, "run-1", {"A": 1}), (WEEK, "run-2", {"A": 2, "B": 1})):
        write_files(tmp_path, engine, ranks, run_id, week=week, rest={"Z": 9})
        sink_of(tmp_path, ready).publish(week)
    ready.execute(
        "INSERT INTO anomaly_reviews (customer_id, reporting_week, verdict) VALUES"
        " ('A', '2025-45', 'expected'), ('B', '2025-46', 'confirmed_risk');"
        "UPDATE anomaly_reasons SET mcc = '5944' WHERE customer_id = 'B'"
    )
    return ready


def test_every_table_and_column_is_there_with_a_type_that_fits(ready: Database) -> None:
    with ready.connect() as connection:
        found = connection.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        ).fetchall()
    there = {(table, column): kind for table, column, kind in found}
    for name, table in DATABASE.tables.items():
        view = DATABASE.view(name)
        assert view in READABLE, name
        for column in table.of_kind("column").values():
            kind = there.get((view, column.properties["sourceColumn"]))
            assert kind in TYPES[column.properties["dataType"]], f"{name}[{column.name}]: {kind}"
            annotated = column.of_kind("annotation").keys()
            assert (kind == "date") == ("UnderlyingDateTimeDataType" in annotated)


def source(table: str, column: str) -> str:
    return DATABASE.tables[table].of_kind("column")[column].properties["sourceColumn"]


def test_every_relationship_joins_each_row_to_one_other(published: Database) -> None:
    for node in DATABASE.model.of_kind("relationship").values():
        (many, key), (one, target) = (
            column_of(node.properties[f"{end}Column"]) for end in ("from", "to")
        )
        values = [row[source(one, target)] for row in rows(published, DATABASE.view(one))]
        assert None not in values
        assert len(values) == len(set(values)), f"{one}[{target}]"
        keys = {row[source(many, key)] for row in rows(published, DATABASE.view(many))} - {None}
        assert keys, f"{many}[{key}]"
        assert keys <= set(values), f"{many}[{key}]"


def test_the_query_that_each_table_sends_returns_every_row_once(published: Database) -> None:
    """As Power BI folds it: the chosen columns and, where it is partitioned, a range of weeks."""
    for table, node in DATABASE.tables.items():
        view, columns = DATABASE.view(table), ", ".join(selected(DATABASE.source(table)))
        expected = len(rows(published, view))
        count = 0
        with published.connect() as connection:
            if not node.of_kind("refreshPolicy"):
                count = len(connection.execute(f"SELECT {columns} FROM {view}".encode()).fetchall())
            for first, after in (("2025-01-01", "2025-11-17"), ("2025-11-17", "2026-01-01")):
                if node.of_kind("refreshPolicy"):
                    some = connection.execute(
                        f"SELECT {columns} FROM {view} WHERE week_start >= date '{first}'"
                        f" AND week_start < date '{after}'".encode()
                    ).fetchall()
                    assert some, table
                    count += len(some)
        assert count == expected > 0, table


def test_the_query_of_the_guide_tells_of_the_newest_week(published: Database) -> None:
    page = (ROOT / "docs" / "POWER_BI_GUIDE.md").read_text(encoding="utf-8")
    [query] = re.findall(r"^```sql\n(SELECT.*?)^```", page, re.M | re.S)
    with published.connect() as connection:
        [(week, listed, finished)] = connection.execute(query.encode()).fetchall()
    assert (week, listed) == ("17 Nov - 23 Nov 2025", 2)
    assert finished is not None
