"""The settings of databases: the source's, and the one that results are written to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from cardwatch.config import (
    Config,
    config_hash,
    describe,
    load_config,
    public_dict,
    read_config,
    restore_config,
    secret_values,
)
from cardwatch.config.values import table_parts
from cardwatch.errors import ConfigurationError

SOURCE = {"DB_HOST": "db", "DB_NAME": "cards", "DB_USER": "reader", "DB_PASSWORD": "hunter2"}
RESULTS = "postgresql://writer:sw0rdfish@results/cards"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(text: str = "", environ: Mapping[str, str] | None = None) -> Config:
    path = Path("given.yaml")
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ=environ or {})


def refusal(text: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(text, environ)
    assert "hunter2" not in caught.value.message
    return caught.value.message


def test_the_table_has_the_guides_name_and_nothing_is_written_to_a_database() -> None:
    config = loaded()
    assert config.data_source.table == "card_transactions"
    assert (config.data_source.schema_name, config.data_source.query) == (None, None)
    assert not config.output.database.enabled
    assert config.output.database.schema_name == "public"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("weekly", ("weekly",)),
        ("cards.weekly", ("cards", "weekly")),
        ('"a.b".weekly', ("a.b", "weekly")),
        ('cards."weekly.2025"', ("cards", "weekly.2025")),
        ('"with ""quotes"""', ('with "quotes"',)),
        ("Wöchentliche Umsätze", ("Wöchentliche Umsätze",)),
        ("x; DROP TABLE y", ("x; DROP TABLE y",)),
    ],
)
def test_a_table_is_one_name_or_a_schema_and_a_name(name: str, parts: tuple[str, ...]) -> None:
    config = loaded(f"data_source:\n  table: '{name}'\n")
    assert table_parts(config.data_source.table) == parts


@pytest.mark.parametrize("name", ["", ".weekly", "weekly.", "a.b.c", '"a', 'a"b".c', '""'])
def test_a_table_of_another_form_is_refused(name: str) -> None:
    assert "data_source.table is not valid" in refusal(f"data_source:\n  table: '{name}'\n")


def test_a_schema_is_given_once() -> None:
    config = loaded("data_source:\n  schema: cards\n  table: weekly\n")
    assert config.data_source.schema_name == "cards"
    message = refusal("data_source:\n  schema: cards\n  table: other.weekly\n")
    assert "not both" in message


def test_the_attributes_name_is_no_key() -> None:
    message = refusal("data_source:\n  schema_name: cards\n")
    assert "data_source.schema_name is not a setting" in message
    assert "Did you mean data_source.schema?" in message


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM weekly",
        "select 1 ;  ",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "(SELECT 1) UNION (SELECT 2)",
        "-- the week's rows\n/* all of them */ SELECT 1",
    ],
)
def test_a_query_reads_in_place_of_a_table(query: str) -> None:
    config = Config.model_validate({"data_source": {"query": query}})
    assert config.data_source.query is not None
    assert not config.data_source.query.endswith((";", " "))


@pytest.mark.parametrize("query", ["", "weekly", "DELETE FROM weekly", "SELECTED"])
def test_a_query_that_does_not_read_is_refused(query: str) -> None:
    assert "expected one SELECT" in refusal(f"data_source:\n  query: '{query}'\n")


@pytest.mark.parametrize("other", ["table: other", "schema: cards"])
def test_a_query_and_a_table_exclude_each_other(other: str) -> None:
    message = refusal(f"data_source:\n  query: SELECT 1\n  {other}\n")
    assert "data_source.query or data_source.table, not both" in message


def test_encryption_is_set_by_a_variable_of_the_guides_kind() -> None:
    config = loaded(environ={"DB_SSLMODE": "verify-full", "OUTPUT_DB_SSLMODE": "disable"})
    assert config.data_source.sslmode == "verify-full"
    assert config.output.database.sslmode == "disable"
    message = refusal("", {"DB_SSLMODE": "on"})
    assert "data_source.sslmode is not valid (environment: DB_SSLMODE)" in message
    assert "verify-full" in message


def test_results_go_to_the_sources_database_where_no_other_is_named() -> None:
    config = loaded("output:\n  database:\n    enabled: true\n", {**SOURCE, "DB_SSLMODE": "prefer"})
    secret, sslmode = config.output_connection
    assert secret is not None
    assert secret.get_secret_value() == "postgresql://reader:hunter2@db:5432/cards"
    assert sslmode == "prefer"


@pytest.mark.parametrize(
    "text",
    [
        "output:\n  database:\n    enabled: true\n",
        "output:\n  database:\n    enabled: true\n"
        '    connection_string: "${OUTPUT_DB_CONNECTION_STRING}"\n',
        'output:\n  database:\n    enabled: "${PUBLISH:-true}"\n',
    ],
)
def test_results_go_to_a_database_of_their_own(text: str) -> None:
    environ = {**SOURCE, "OUTPUT_DB_CONNECTION_STRING": RESULTS, "DB_SSLMODE": "prefer"}
    secret, sslmode = loaded(text, environ).output_connection
    assert secret is not None
    assert secret.get_secret_value() == RESULTS
    assert sslmode is None


@pytest.mark.parametrize(
    "connection",
    ["", '\n    connection_string: "${OUTPUT_DB_CONNECTION_STRING}"', "\n    scores: true"],
)
def test_a_database_for_results_that_is_nowhere_named_is_an_error(connection: str) -> None:
    message = refusal(f"output:\n  database:\n    enabled: true{connection}\n")
    assert "output.database.connection_string is needed" in message
    assert "OUTPUT_DB_CONNECTION_STRING, or DB_HOST" in message


def test_a_variable_of_another_name_is_named() -> None:
    text = 'output:\n  database:\n    enabled: true\n    connection_string: "${RESULTS}"\n'
    assert "output.database.connection_string needs the variable RESULTS" in refusal(text, SOURCE)
    assert not loaded(text.replace("true", "false"), SOURCE).output.database.enabled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("output:\n  database: true\n", "output.database is a section"),
        (
            "output:\n  database:\n    enable: true\n",
            "output.database.enable is not a setting (given.yaml line 3). "
            "Did you mean output.database.enabled?",
        ),
        ("output:\n  database:\n    attempts: 0\n", "output.database.attempts is not valid"),
        ("output:\n  databse:\n    enabled: true\n", "Did you mean output.database?"),
        ("data_source:\n  attempts: true\n", "data_source.attempts is not valid"),
    ],
)
def test_a_mistake_in_a_section_inside_another_is_named_whole(text: str, said: str) -> None:
    assert said in refusal(text)


def test_an_option_reaches_a_section_inside_another() -> None:
    overrides = {"output.database.enabled": False, "output.database.schema": "results"}
    read = read_config(environ={}, overrides=overrides)
    assert read.config.output.database.schema_name == "results"
    assert read.origin("output.database.schema").kind == "command line"
    with pytest.raises(ConfigurationError, match="output.database is a section"):
        read_config(environ={}, overrides={"output.database": True})
    with pytest.raises(ConfigurationError, match="Did you mean output.database.schema"):
        read_config(environ={}, overrides={"output.database.schemas": "x"})


def test_the_origin_of_a_setting_inside_a_section_inside_another_is_its_line() -> None:
    Path("given.yaml").write_text("output:\n  database:\n    schema: results\n", encoding="utf-8")
    read = read_config(Path("given.yaml"), environ={})
    (row,) = [row for row in describe(read) if row.key == "output.database.schema"]
    assert (row.value, str(row.origin)) == ("results", "file: given.yaml line 3")


def test_both_connection_strings_are_secrets() -> None:
    environ = {**SOURCE, "OUTPUT_DB_CONNECTION_STRING": RESULTS}
    config = loaded(environ=environ)
    shown = str(public_dict(config)) + str(config) + repr(config)
    assert "hunter2" not in shown
    assert "sw0rdfish" not in shown
    assert public_dict(config)["output"]["database"]["connection_string"] == "**********"
    assert {"hunter2", "sw0rdfish"} <= set(secret_values(config))


def test_a_recorded_configuration_with_a_schema_is_restored() -> None:
    config = loaded("data_source:\n  schema: cards\n", SOURCE)
    restored = restore_config(public_dict(config), environ=SOURCE)
    assert restored == config
    assert public_dict(config)["data_source"]["schema"] == "cards"


def test_where_rows_are_read_and_written_changes_no_result() -> None:
    text = "data_source:\n  table: a.b\n  roll_up: engine\n  attempts: 9\n"
    text += "output:\n  database:\n    scores: true\n"
    assert config_hash(loaded(text)) == config_hash(Config())
