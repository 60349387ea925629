"""The SQL and the commands in the how-to, run as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from command_line import failure
from postgres import Database
from published_database import VIEWS, command, rows, sink_of, write_files
from published_weeks import WEEK

from cardwatch.engine import Engine

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "publish-to-a-database.md"
ROLES = ("cardwatch_publisher", "cardwatch_reader", "power_bi", "analyst")


def statements(database: Database) -> list[str]:
    """The blocks of SQL in the page, with names of roles that no other test uses."""
    blocks = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return [re.sub(rf"\b({'|'.join(ROLES)})\b", rf"\1_{database.name}", text) for text in blocks]


@pytest.fixture
def told(tmp_path: Path, ready: Database) -> Iterator[Database]:
    """A database with the roles of the page."""
    command(ready.url, tmp_path, "db", "upgrade", "--reader-role", f"cardwatch_reader_{ready.name}")
    publisher, bi, analyst, *_ = statements(ready)
    ready.execute(publisher + bi + analyst)
    yield ready
    for name in reversed(ROLES):
        ready.execute(f"DROP OWNED BY {name}_{ready.name}; DROP ROLE {name}_{ready.name}")


def as_role(database: Database, name: str, password: str) -> str:
    return database.url_as(f"{name}_{database.name}", password)


def test_the_publisher_of_the_page_may_publish_and_check_and_not_upgrade(
    tmp_path: Path, engine: Engine, told: Database
) -> None:
    url = as_role(told, "cardwatch_publisher", "your-secure-password")
    write_files(tmp_path / "outputs", engine, {"A": 1})
    command(url, tmp_path, "publish")
    assert "Everything that is needed is there" in command(url, tmp_path, "db", "check").out
    assert [row["customer_id"] for row in rows(told, "bi_fact_anomaly")] == ["A"]
    told.execute("DROP VIEW bi_dim_run; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    assert "may not make tables" in failure(command(url, tmp_path, "db", "upgrade", code=6))


def test_a_reader_of_the_page_may_ask_the_questions_of_the_page(
    tmp_path: Path, engine: Engine, told: Database
) -> None:
    write_files(tmp_path, engine, {"A": 1, "B": 2})
    sink_of(tmp_path, told).publish(WEEK)
    *_, newest, codes, _ = statements(told)
    with psycopg.connect(as_role(told, "power_bi", "another-secure-password")) as connection:
        found = connection.execute(newest.encode()).fetchall()
        assert [row[1] for row in found] == ["A", "B"]
        assert connection.execute(codes.encode()).fetchall() == [
            ("17 Nov - 23 Nov 2025", "OWN_SPEND", 2)
        ]
        for view in VIEWS:
            connection.execute(f"SELECT * FROM {view}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM anomaly_scores")


def test_an_analyst_of_the_page_may_add_verdicts_and_change_none(told: Database) -> None:
    url = as_role(told, "analyst", "a-third-secure-password")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO anomaly_reviews (customer_id, reporting_week, verdict) "
            "VALUES ('A', '2025-46', 'expected')"
        )
        for statement in (
            "UPDATE anomaly_reviews SET verdict = 'x'",
            "DELETE FROM anomaly_reviews",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    assert rows(told, "anomaly_reviews")[0]["reviewer"] == f"analyst_{told.name}"


def test_a_column_is_made_wider_as_the_page_says(
    tmp_path: Path, engine: Engine, told: Database
) -> None:
    write_files(tmp_path / "outputs", engine, {"L" * 60: 1})
    assert "50 characters at most" in failure(command(told.url, tmp_path, "publish", code=6))
    [wider] = [text for text in statements(told) if "ALTER TABLE" in text]
    told.execute(wider)
    role = f"cardwatch_reader_{told.name}"
    done = command(told.url, tmp_path, "db", "upgrade", "--reader-role", role)
    assert "bi_fact_anomaly was missing and was made again" in done.out
    command(told.url, tmp_path, "publish")
    assert [row["customer_id"] for row in rows(told, "bi_fact_anomaly")] == ["L" * 60]


def test_old_scores_may_be_deleted(told: Database) -> None:
    told.execute(statements(told)[-1])
