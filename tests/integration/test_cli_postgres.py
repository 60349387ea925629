"""Every command works from PostgreSQL, and the list has the bytes that files give."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from command_line import Outcome, cardwatch, failure
from database_tables import load
from postgres import Database
from small_portfolio import WEEK, ScoredWeek, portfolio_rows, shuffled
from test_cli_transactions import transactions

from cardwatch.cli import main
from cardwatch.week import ReportingWeek
from src.data.loader import DataLoader

TYPES = {
    "spend_amount": "numeric(12,2)",
    "transaction_count": "integer",
    "avg_ticket_amount": "numeric(12,2)",
}


def configured(folder: Path, text: str = "") -> None:
    (folder / "config").mkdir()
    settings = f"data_source: {{type: database}}\n{text}"
    (folder / "config" / "config.yaml").write_text(settings, encoding="utf-8")


def from_database(folder: Path, database: Database, *arguments: str, code: int = 0) -> Outcome:
    return cardwatch(folder, *arguments, code=code, entry=main, DB_CONNECTION_STRING=database.url)


def run_week(folder: Path, database: Database) -> ScoredWeek:
    arguments = ["--reporting-week", WEEK.label, "--output-dir", "outputs"]
    return ScoredWeek(WEEK, folder, from_database(folder, database, "run", *arguments))


@pytest.fixture
def loaded(database: Database) -> Database:
    load(database, shuffled(portfolio_rows()), types=TYPES)
    return database


def test_the_database_gives_the_bytes_that_files_give(
    tmp_path: Path, scored: ScoredWeek, loaded: Database
) -> None:
    configured(tmp_path)
    assert run_week(tmp_path, loaded).results == scored.results


@pytest.mark.system
def test_the_cache_changes_no_byte_and_knows_the_history_the_second_time(
    tmp_path: Path, scored: ScoredWeek, loaded: Database
) -> None:
    configured(tmp_path, "feature_engineering: {use_cache: true}\n")
    assert run_week(tmp_path, loaded).results == scored.results
    kept = sorted(path.name for path in (tmp_path / "cache").glob("*.parquet"))
    assert len(kept) == 12
    assert run_week(tmp_path, loaded).results == scored.results
    assert sorted(path.name for path in (tmp_path / "cache").glob("*.parquet")) == kept


@pytest.mark.system
def test_dates_numbers_and_other_names_give_the_same_bytes(
    tmp_path: Path, scored: ScoredWeek, database: Database
) -> None:
    rows = portfolio_rows()
    mondays = [ReportingWeek.parse(label).monday for label in rows["reporting_week"].to_pylist()]
    columns = rows.column_names
    named = rows.set_column(columns.index("reporting_week"), "Woche", [mondays])
    types = {**TYPES, "Woche": "date", "mcc": "smallint", "spend_amount": "double precision"}
    load(database, named, "Umsätze", types)
    settings = "data_source: {type: database, table: Umsätze, columns: {reporting_week: Woche}}\n"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(settings, encoding="utf-8")
    assert run_week(tmp_path, database).results == scored.results


@pytest.mark.system
def test_transactions_in_the_database_give_the_list_of_their_weekly_rows(
    tmp_path: Path, scored: ScoredWeek, database: Database
) -> None:
    types = {"transaction_time": "timestamptz", "amount": "numeric(12,2)", "mcc": "char(4)"}
    load(database, pa.Table.from_pylist(list(transactions())), types=types)
    configured(tmp_path, "portfolio: {timezone: America/New_York, currency: USD}\n")
    run = run_week(tmp_path, database)
    assert run.list_rows == scored.list_rows
    assert run.scores == scored.scores


@pytest.mark.system
def test_weeks_and_validate_say_of_the_database_what_they_say_of_files(
    tmp_path: Path, portfolio: Path, loaded: Database
) -> None:
    commands = (["weeks"], ["validate", "--reporting-week", WEEK.label])
    of_files = [
        cardwatch(tmp_path, *command, "--format", "json", "--source", portfolio).out
        for command in commands
    ]
    configured(tmp_path)
    for command, expected in zip(commands, of_files, strict=True):
        found = from_database(tmp_path, loaded, *command, "--format", "json")
        assert json.loads(found.out) == json.loads(expected)


@pytest.mark.system
def test_a_listed_customer_is_explained_from_the_database(
    tmp_path: Path, scored: ScoredWeek, loaded: Database
) -> None:
    configured(tmp_path)
    run_week(tmp_path, loaded)
    customer = scored.list_rows[0]["customer_id"]
    arguments = ["explain", customer, "--reporting-week", WEEK.label]
    found = from_database(tmp_path, loaded, *arguments, "--output-dir", "outputs")
    assert customer in found.out


@pytest.mark.system
def test_a_run_is_reproduced_from_the_database_until_a_row_changes(
    tmp_path: Path, loaded: Database
) -> None:
    configured(tmp_path)
    manifest = f"outputs/run_{WEEK.label}.json"
    run_week(tmp_path, loaded)
    assert "identical" in from_database(tmp_path, loaded, "reproduce", manifest).out
    loaded.execute(
        "UPDATE card_transactions SET spend_amount = spend_amount + 1000 WHERE ctid IN"
        f" (SELECT min(ctid) FROM card_transactions WHERE reporting_week = '{(WEEK - 1).label}')"
    )
    changed = from_database(tmp_path, loaded, "reproduce", manifest, code=1)
    assert f"The rows of input week {(WEEK - 1).label} changed" in changed.out


def test_the_guides_test_of_the_connection_says_what_is_there(
    tmp_path: Path,
    loaded: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    configured(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DB_CONNECTION_STRING", loaded.url)
    with DataLoader() as loader:
        loader.test_connection()
    told = capsys.readouterr().out
    assert told.startswith(f"table card_transactions of database {loaded.name} on ")
    assert f"{portfolio_rows().num_rows:,} rows in 20 weeks" in told
    assert "Server PostgreSQL " in told
    assert "user postgres" in told or loaded.server.process is None
    checked = from_database(tmp_path, loaded, "config", "check").out
    assert "".join(told.split()) in "".join(checked.split())


def test_the_last_complete_week_is_found(tmp_path: Path, loaded: Database) -> None:
    configured(tmp_path)
    done = from_database(tmp_path, loaded, "run", "--output-dir", "outputs")
    assert WEEK.label in done.err + done.out
    assert (tmp_path / "outputs" / f"run_{WEEK.label}.json").exists()


def test_a_wrong_password_and_a_missing_table_are_one_line_and_exit_3(
    tmp_path: Path, loaded: Database
) -> None:
    configured(tmp_path)
    url = loaded.url_as("postgres", "S3cret!")
    done = cardwatch(tmp_path, "run", code=3, entry=main, DB_CONNECTION_STRING=url)
    assert "refused the password" in failure(done)
    assert "S3cret" not in done.err
    loaded.execute("ALTER TABLE card_transactions RENAME TO elsewhere")
    assert "There is no table card_transactions" in failure(
        from_database(tmp_path, loaded, "run", code=3)
    )


def test_a_missing_column_is_one_line_that_says_which(tmp_path: Path, loaded: Database) -> None:
    configured(tmp_path)
    loaded.execute("ALTER TABLE card_transactions RENAME mcc TO merchant")
    done = failure(from_database(tmp_path, loaded, "run", code=3))
    assert "Columns of weekly data are missing: mcc" in done
