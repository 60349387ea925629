from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cardwatch.config import (
    Config,
    DataSourceConfig,
    LoadedConfig,
    Origin,
    config_hash,
    describe,
    explain_setting,
    load_config,
    public_dict,
    restore_config,
    result_settings,
    secret_values,
    settings,
)
from cardwatch.errors import ConfigurationError

ADDRESS = "postgresql://reader:p%40ss@db/cards"


def _with(overrides: dict[str, Any]) -> Config:
    return load_config(environ={}, overrides=overrides)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_public_form_is_plain_json_without_secrets() -> None:
    config = Config(data_source=DataSourceConfig(connection_string=SecretStr(ADDRESS)))
    public = public_dict(config)
    assert json.loads(json.dumps(public)) == public
    assert public["data_source"]["connection_string"] == "**********"
    assert public["notify"]["smtp_password"] is None
    assert public["output"]["directory"] == "outputs"


def test_the_hash_is_stable_across_releases_of_the_same_defaults() -> None:
    assert config_hash(Config()) == config_hash(load_config(environ={}))
    assert len(config_hash(Config())) == 64


def test_an_integer_and_the_same_number_with_a_point_hash_alike() -> None:
    assert config_hash(_with({"model.absent_cap": 3})) == config_hash(Config())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.contamination", 0.02),
        ("model.random_state", 7),
        ("model.detector", "isolation_forest"),
        ("ranking.top_n", 50),
        ("ranking.default_signal", "opportunity"),
        ("feature_engineering.risky_mccs", ["7995"]),
        ("contract.max_amount", 5),
        ("portfolio.timezone", "Europe/Berlin"),
        ("reporting_week.numbering", "iso"),
        ("data_source.columns", {"mcc": "category"}),
    ],
)
def test_what_can_change_a_result_changes_the_hash(key: str, value: object) -> None:
    assert config_hash(_with({key: value})) != config_hash(Config())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("environment", "production"),
        ("data_source.path", "elsewhere"),
        ("data_source.connection_string", ADDRESS),
        ("feature_engineering.use_cache", True),
        ("feature_engineering.cache_dir", "elsewhere"),
        ("output.directory", "elsewhere"),
        ("output.keep_weeks", 5),
        ("logging.level", "DEBUG"),
        ("engine.threads", 2),
        ("engine.memory_limit", "4GB"),
        ("notify.smtp_password", "mail"),
    ],
)
def test_what_cannot_change_a_result_leaves_the_hash(key: str, value: object) -> None:
    assert config_hash(_with({key: value})) == config_hash(Config())


def test_result_settings_hold_no_secret_and_no_place() -> None:
    keys = set(result_settings(Config()))
    assert "model.decay" in keys
    assert not {each.key for each in settings() if each.secret} & keys
    assert not [key for key in keys if key.startswith(("output.", "logging.", "engine."))]


def test_every_setting_is_shown_with_value_origin_and_meaning() -> None:
    loaded = LoadedConfig(Config(), None, {"ranking.top_n": Origin("command line", "--top")})
    rows = {row.key: row for row in describe(loaded)}
    assert list(rows) == [setting.key for setting in settings()]
    assert (rows["ranking.top_n"].value, str(rows["ranking.top_n"].origin)) == (
        "20",
        "command line: --top",
    )
    assert (rows["engine.threads"].value, str(rows["engine.threads"].origin)) == ("null", "default")
    assert "neither scores nor ranks" in rows["model.contamination"].description
    assert "peer groups and of the forest" in rows["model.random_state"].description


def test_one_setting_can_be_explained() -> None:
    setting = explain_setting("model.contamination")
    assert (setting.unit, setting.default) == ("share of scored customers", 0.01)
    with pytest.raises(ConfigurationError, match="no such setting"):
        explain_setting("model.contaminatoin")


def test_the_secrets_to_mask_include_the_password_as_written_and_as_meant() -> None:
    config = Config(data_source=DataSourceConfig(connection_string=SecretStr(ADDRESS)))
    assert secret_values(config) == (ADDRESS, "p%40ss", "p@ss")
    assert secret_values(Config()) == ()


def test_a_connection_string_that_is_no_url_is_still_a_secret() -> None:
    broken = "postgresql://[half:secret@db"
    config = Config(data_source=DataSourceConfig(connection_string=SecretStr(broken)))
    assert secret_values(config) == (broken,)


def test_a_recorded_configuration_is_restored_without_reading_a_file() -> None:
    Path("config").mkdir()
    Path("config/config.yaml").write_text("ranking: {top_n: 5}\nengine: {threads: 2}\n")
    config = _with({"ranking.top_n": 7, "output.directory": "${LISTS}", "model.decay": 0.5})
    assert config.engine.threads == 2
    recorded = json.loads(json.dumps(public_dict(config)))
    recorded["engine"]["threads"] = recorded["logging"]["file"] = None
    restored = restore_config(recorded, environ={"LOG_LEVEL": "DEBUG", "OUTPUT_DIR": "x"})
    assert config_hash(restored) == config_hash(config)
    assert restored.engine.threads is None and restored.logging.file is None
    assert restored.output.directory == Path("${LISTS}")
    assert restored.logging.level == "INFO"


def test_the_secrets_of_a_recorded_configuration_come_from_the_variables() -> None:
    environ = {"DB_CONNECTION_STRING": ADDRESS}
    config = load_config(environ=environ, overrides={"data_source.type": "database"})
    recorded = public_dict(config)
    assert restore_config(recorded, environ=environ) == config
    with pytest.raises(ConfigurationError, match="DB_HOST, DB_NAME"):
        restore_config(recorded, environ={})


def test_a_recorded_setting_that_no_longer_exists_is_named() -> None:
    recorded = public_dict(Config())
    recorded["model"]["colour"] = "blue"
    with pytest.raises(ConfigurationError, match="model.colour is not a setting .*recorded"):
        restore_config(recorded, environ={})
