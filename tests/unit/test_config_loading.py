from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cardwatch.config import Config, LoadedConfig, Origin, describe, load_config, read_config
from cardwatch.errors import ConfigurationError

REPOSITORY = Path(__file__).resolve().parents[2]
DATABASE = {
    "DB_HOST": "db.bank.com",
    "DB_NAME": "cards",
    "DB_USER": "reader",
    "DB_PASSWORD": "s3cret@/:",
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _load(text: str = "", environ: Mapping[str, str] | None = None, **options: Any) -> LoadedConfig:
    path = Path("given.yaml")
    path.write_text(text, encoding="utf-8")
    return read_config(path, environ=environ or {}, **options)


def _refusal(text: str, environ: Mapping[str, str] | None = None, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        _load(text, environ, **options)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    return caught.value.message


def test_without_any_file_the_defaults_apply() -> None:
    loaded = read_config(environ={})
    assert loaded.config == Config()
    assert loaded.file is None
    assert loaded.origin("output.directory") == Origin("default")


def test_the_file_in_the_config_folder_is_found() -> None:
    Path("config").mkdir()
    Path("config/config.yaml").write_text("environment: staging\n", encoding="utf-8")
    assert load_config(environ={}).environment == "staging"


def test_the_file_named_by_the_variable_comes_before_the_one_in_the_config_folder() -> None:
    Path("config").mkdir()
    Path("config/config.yaml").write_text("environment: staging\n", encoding="utf-8")
    Path("other.yaml").write_text("environment: production\n", encoding="utf-8")
    assert load_config(environ={"CARDWATCH_CONFIG": "other.yaml"}).environment == "production"
    given = load_config(Path("config/config.yaml"), environ={"CARDWATCH_CONFIG": "other.yaml"})
    assert given.environment == "staging"


@pytest.mark.parametrize("options", [{"path": Path("no.yaml")}, {"environ": "no.yaml"}])
def test_a_named_file_that_is_missing_is_an_error(options: Mapping[str, Any]) -> None:
    environ = {"CARDWATCH_CONFIG": "no.yaml"} if "environ" in options else {}
    with pytest.raises(ConfigurationError, match="no such configuration file"):
        load_config(options.get("path"), environ=environ)


def test_a_file_can_be_named_by_text() -> None:
    Path("elsewhere.yaml").write_text("ranking: {top_n: 3}", encoding="utf-8")
    assert load_config("elsewhere.yaml", environ={}).ranking.top_n == 3


def test_a_config_link_that_leads_nowhere_is_no_silent_default() -> None:
    Path("config").mkdir()
    Path("config/config.yaml").symlink_to("gone.yaml")
    with pytest.raises(ConfigurationError, match="no such configuration file"):
        load_config(environ={})


def test_each_layer_comes_before_the_one_below_it() -> None:
    Path(".env").write_text("OUTPUT_DIR=from-dotenv\nLOG_LEVEL=ERROR\n", encoding="utf-8")
    text = "output: {directory: from-file, format: csv}\nlogging: {level: WARNING}\n"
    environ = {"OUTPUT_DIR": "from-environment"}
    loaded = _load(text, environ, overrides={"output.directory": "from-option"})
    assert loaded.config.output.directory == Path("from-option")
    assert loaded.origin("output.directory").kind == "command line"
    assert _load(text, environ).config.output.directory == Path("from-environment")
    assert _load(text, environ).origin("output.directory") == Origin("environment", "OUTPUT_DIR")
    assert _load(text).config.output.directory == Path("from-dotenv")
    assert _load(text).origin("output.directory") == Origin(".env", "OUTPUT_DIR")
    assert _load(text).config.logging.level == "ERROR"
    Path(".env").unlink()
    assert _load(text).config.output.directory == Path("from-file")
    assert _load(text).origin("output.format") == Origin("file", "given.yaml line 1")
    assert _load().config.output.directory == Path("outputs")


def test_another_env_file_can_be_named() -> None:
    Path("prod.env").write_text("OUTPUT_DIR=lists\n", encoding="utf-8")
    assert load_config(environ={}, env_file=Path("prod.env")).output.directory == Path("lists")
    with pytest.raises(ConfigurationError, match="no such environment file"):
        load_config(environ={}, env_file=Path("none.env"))


def test_the_process_environment_is_read_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    Path(".env").write_text("OUTPUT_DIR=lists\nAIRFLOW_HOME=/opt/airflow\n", encoding="utf-8")
    before = dict(os.environ)
    config = load_config()
    assert (config.logging.level, config.output.directory) == ("DEBUG", Path("lists"))
    assert dict(os.environ) == before


def test_options_that_were_not_given_change_nothing() -> None:
    loaded = _load("ranking: {top_n: 7}\n", overrides={"ranking.top_n": None, "environment": None})
    assert loaded.config.ranking.top_n == 7


def test_every_variable_of_the_guide_arrives() -> None:
    environ = {
        **DATABASE,
        "LOG_LEVEL": "Warn",
        "OUTPUT_DIR": "/data/lists",
        "ENABLE_MONITORING": "true",
        "ALERT_THRESHOLD": "critical",
        "SMTP_SERVER": "smtp.bank.com",
        "SMTP_PORT": "25",
        "SMTP_USER": "watch@bank.com",
        "SMTP_PASSWORD": "mail-s3cret",
        "SLACK_WEBHOOK_URL": "https://hooks.slack.com/s3cret",
    }
    config = load_config(environ=environ)
    assert config.logging.level == "WARNING"
    assert config.output.directory == Path("/data/lists")
    assert (config.monitoring.enabled, config.monitoring.alert_threshold) == (True, "critical")
    assert (config.notify.smtp_server, config.notify.smtp_port) == ("smtp.bank.com", 25)
    assert config.notify.smtp_user == "watch@bank.com"
    assert config.notify.smtp_password is not None
    assert config.notify.smtp_password.get_secret_value() == "mail-s3cret"
    assert "s3cret" not in f"{config} {config!r} {config.model_dump()} {config.model_dump_json()}"


def test_the_guides_file_and_env_lines_load_as_they_stand() -> None:
    loaded = read_config(
        REPOSITORY / "config/production.example.yaml",
        environ={},
        env_file=REPOSITORY / ".env.example",
    )
    config = loaded.config
    assert (config.environment, config.data_source.type) == ("production", "database")
    assert config.data_source.connection_string is not None
    assert config.data_source.connection_string.get_secret_value() == (
        "postgresql://anomaly_reader:your-secure-password"
        "@your-db-server.database.windows.net:5432/card_analytics"
    )
    assert config.feature_engineering.use_cache
    assert config.feature_engineering.cache_dir == Path("/opt/anomaly-detection/cache")
    assert (config.model.contamination, config.model.random_state) == (0.05, 42)
    assert config.output.format == "csv"
    assert config.logging.file == Path("/opt/anomaly-detection/logs/app.log")
    shown = f"{config}" + "".join(f"{row.value} {row.origin}" for row in describe(loaded))
    assert "your-secure-password" not in shown
    assert "your-smtp-password" not in shown
    assert "YOUR/WEBHOOK" not in shown


def test_the_guides_file_without_its_variables_names_the_key_and_them() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config(REPOSITORY / "config/production.example.yaml", environ={"DB_HOST": "h"})
    message = caught.value.message
    assert "data_source.connection_string" in message
    assert "DB_NAME, DB_USER, DB_PASSWORD not set" in message
    assert "DB_CONNECTION_STRING" in message


def test_the_connection_string_matters_only_for_a_database() -> None:
    text = 'data_source: {type: files, connection_string: "${DB_CONNECTION_STRING}"}\n'
    assert _load(text).config.data_source.connection_string is None
    _refusal(text.replace("files", "database"))
    _refusal('data_source: {type: database, connection_string: ""}\n')
    loaded = _load(text.replace("files", '"${KIND}"'), {**DATABASE, "KIND": "database"})
    assert loaded.config.data_source.connection_string is not None


def test_the_path_matters_only_for_files() -> None:
    text = 'data_source: {type: database, path: "${DATA}"}\n'
    assert _load(text, DATABASE).config.data_source.path == "datasamples"
    message = _refusal('data_source: {path: "${DATA}"}\n')
    assert "data_source.path needs the variable DATA" in message
    assert "given.yaml line 1" in message


def test_a_channel_that_is_not_in_use_needs_no_variable() -> None:
    text = 'notify: {slack_webhook_url: "${HOOK}", smtp_password: "${MAIL_PASSWORD}"}\n'
    assert _load(text).config.notify.slack_webhook_url is None


def test_a_missing_variable_that_an_upper_layer_makes_irrelevant_is_no_error() -> None:
    text = 'output: {directory: "${LISTS}"}\n'
    assert "LISTS" in _refusal(text)
    assert _load(text, {"OUTPUT_DIR": "lists"}).config.output.directory == Path("lists")


def test_a_variable_can_carry_a_number_or_a_truth_value() -> None:
    text = 'ranking: {top_n: "${TOP}"}\nfeature_engineering: {use_cache: "${CACHE:-yes}"}\n'
    config = _load(text, {"TOP": "5"}).config
    assert (config.ranking.top_n, config.feature_engineering.use_cache) == (5, True)


def test_the_origin_of_a_value_names_its_variable() -> None:
    loaded = _load('output:\n  directory: "${LISTS}"\n', {"LISTS": "lists"})
    assert str(loaded.origin("output.directory")) == (
        "file: given.yaml line 2, with LISTS from environment"
    )


@pytest.mark.parametrize("port", ["x", "0", "70000", "54 32", "５４３２"])
def test_a_port_that_is_none_matters_only_for_a_database(port: str) -> None:
    environ = {**DATABASE, "DB_PORT": port}
    message = _refusal("data_source: {type: database}\n", environ)
    assert "DB_PORT from environment" in message
    assert "s3cret" not in message
    _load("data_source: {type: files}\n", environ)
    whole = {**environ, "DB_CONNECTION_STRING": "postgresql://db/cards"}
    _load("data_source: {type: database}\n", whole)


def test_an_empty_section_sets_nothing() -> None:
    assert _load("engine:\nranking:\n  top_n: 3\n").config.ranking.top_n == 3


def test_a_code_with_a_leading_zero_stays_as_it_is() -> None:
    config = _load("feature_engineering: {risky_mccs: [0742, 7995, '6051']}\n").config
    assert config.feature_engineering.risky_mccs == ("0742", "7995", "6051")


def test_a_configuration_cannot_be_changed() -> None:
    config = Config()
    with pytest.raises(ValidationError):
        config.environment = "production"
    with pytest.raises(ValidationError):
        config.model.contamination = 0.5


def test_an_override_of_a_whole_section_is_refused() -> None:
    assert "output is a section" in _refusal("", overrides={"output": {"directory": "x"}})


def test_loading_is_repeatable() -> None:
    text = "ranking: {top_n: 7}\n"
    assert _load(text) == _load(text)
