"""`cardwatch db upgrade` and `db check`: what they say, and to whom they give what."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from command_line import cardwatch, failure
from postgres import Database
from published_database import GUIDE_SQL, LISTED, NOWHERE, TABLES, VIEWS, command, faults, upgraded

from cardwatch.cli.app import app
from cardwatch.errors import PublishError
from cardwatch.publish.database_declared import HEAD
from cardwatch.publish.database_script import upgrade_script


def test_db_upgrade_and_db_check_say_what_they_did(tmp_path: Path, database: Database) -> None:
    missing = command(database.url, tmp_path, "db", "check", code=6)
    assert "view bi_dim_mcc: missing" in missing.out
    assert "`cardwatch db upgrade` makes what is missing" in missing.err
    assert f"version {HEAD} (was empty)" in command(database.url, tmp_path, "db", "upgrade").out
    assert (
        f"version {HEAD} (was up to date)" in command(database.url, tmp_path, "db", "upgrade").out
    )
    assert (
        "Everything that is needed is there" in command(database.url, tmp_path, "db", "check").out
    )


def test_db_upgrade_with_sql_prints_it_and_reaches_nothing(tmp_path: Path) -> None:
    done = command(NOWHERE, tmp_path, "db", "upgrade", "--sql")
    assert done.out == upgrade_script("public")
    assert "CREATE ROLE" not in done.out
    with_role = command(NOWHERE, tmp_path, "db", "upgrade", "--sql", "--reader-role", "bi")
    assert 'CREATE ROLE "bi"' in with_role.out


def test_without_a_database_in_the_configuration_the_command_says_what_to_set(
    tmp_path: Path,
) -> None:
    line = failure(cardwatch(tmp_path, "db", "check", code=2))
    assert "OUTPUT_DB_CONNECTION_STRING" in line


def test_another_kind_of_database_is_refused(tmp_path: Path) -> None:
    line = failure(command("sqlite:///results.db", tmp_path, "db", "check", code=2))
    assert "PostgreSQL only" in line


def test_a_user_who_may_not_make_tables_is_told_of_the_script(
    tmp_path: Path, database: Database
) -> None:
    database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    with database.role() as user:
        line = failure(command(database.url_as(*user), tmp_path, "db", "upgrade", code=6))
    assert "may not make tables there" in line
    assert "cardwatch db upgrade --sql" in line


def test_a_table_of_somebody_else_is_adopted_where_it_lacks_nothing(database: Database) -> None:
    database.execute(GUIDE_SQL)
    with database.role("USAGE, CREATE ON SCHEMA public") as user:
        with upgraded(database, user=user) as done:
            pass
        assert done.notes == ["anomaly_reports was there already and was adopted, with its rows"]


def test_a_table_of_somebody_else_that_lacks_an_index_is_named(database: Database) -> None:
    database.execute(f"{GUIDE_SQL}; DROP INDEX idx_anomaly_rank")
    expected = r"belongs to .* no index idx_anomaly_rank"
    with (
        database.role("USAGE, CREATE ON SCHEMA public") as user,
        pytest.raises(PublishError, match=expected),
        upgraded(database, user=user),
    ):
        pass


def test_the_reader_role_reads_what_bi_reads_and_nothing_else(
    tmp_path: Path, database: Database
) -> None:
    role = f"reader_of_{database.name}"
    for _ in range(2):
        done = command(database.url, tmp_path, "db", "upgrade", "--reader-role", role)
        assert f"The role {role} may read anomaly_reports" in done.out
    try:
        with database.connect(autocommit=True) as connection:
            connection.execute(f"SET ROLE {role}".encode())
            for name in ("anomaly_reports", *VIEWS):
                connection.execute(f"SELECT * FROM {name}".encode())
            for statement in (
                *(f"SELECT * FROM {name}" for name in TABLES if name != "anomaly_reports"),
                "DELETE FROM anomaly_reports",
                f"{LISTED} VALUES ('A', '2025-10', 1, 1)",
                "UPDATE anomaly_reports SET anomaly_rank = 1",
                "DELETE FROM bi_fact_reason",
                "TRUNCATE anomaly_reports",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_without_the_right_to_make_roles_the_tables_are_made_and_the_sql_is_handed_on(
    tmp_path: Path, database: Database
) -> None:
    role = f"reader_of_{database.name}"
    with database.role("USAGE, CREATE ON SCHEMA public") as user:
        done = command(
            database.url_as(*user), tmp_path, "db", "upgrade", "--reader-role", role, code=6
        )
        assert "may not make the role" in done.err
        assert faults(database) == []
        sql = done.out[done.out.index("DO $make$") :]
        database.execute(sql)
        command(database.url_as(*user), tmp_path, "db", "upgrade", "--reader-role", role)
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_the_password_is_in_no_message(tmp_path: Path, database: Database) -> None:
    wrong = database.url_as("nobody", "hunter2-secret")
    done = command(wrong, tmp_path, "db", "check", code=6)
    assert "hunter2" not in done.out + done.err


def test_going_back_is_not_offered() -> None:
    [group] = [each for each in app.registered_groups if each.name == "db"]
    assert group.typer_instance is not None
    names = {
        each.callback.__name__ for each in group.typer_instance.registered_commands if each.callback
    }
    assert names == {"upgrade", "check"}
