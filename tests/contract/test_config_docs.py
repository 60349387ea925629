from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from cardwatch import schema
from cardwatch.config import (
    Config,
    config_schema,
    generated_files,
    load_config,
    render_config_example,
    render_config_reference,
    settings,
)
from cardwatch.config.catalog import column_names, variables
from cardwatch.config.method_sections import DEFAULT_SIGNALS, Family
from cardwatch.features.catalog import CATALOG, FAMILIES

REPOSITORY = Path(__file__).resolve().parents[2]

GUIDE_FILE = """\
# Production configuration
environment: production
data_source:
  type: database
  connection_string: "${DB_CONNECTION_STRING}"
feature_engineering:
  use_cache: true
  cache_dir: /opt/anomaly-detection/cache
model:
  contamination: 0.05
  random_state: 42
output:
  directory: /opt/anomaly-detection/outputs
  format: csv
  retention_days: 90
logging:
  level: INFO
  file: /opt/anomaly-detection/logs/app.log
  max_size_mb: 100
  backup_count: 10
"""

GUIDE_VARIABLES = (
    "DB_HOST",
    "DB_PORT",
    "DB_NAME",
    "DB_USER",
    "DB_PASSWORD",
    "AIRFLOW_HOME",
    "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__CORE__LOAD_EXAMPLES",
    "SMTP_SERVER",
    "SMTP_PORT",
    "SMTP_USER",
    "SMTP_PASSWORD",
    "SLACK_WEBHOOK_URL",
    "ENABLE_MONITORING",
    "ALERT_THRESHOLD",
    "LOG_LEVEL",
    "OUTPUT_DIR",
)


@pytest.mark.parametrize("name", sorted(generated_files()))
def test_a_generated_file_is_current(name: str) -> None:
    committed = (REPOSITORY / name).read_text(encoding="utf-8")
    assert committed == generated_files()[name](), "`make docs` writes it again"


def test_every_setting_has_a_meaning_that_ends_like_a_sentence() -> None:
    for setting in settings():
        assert setting.description.endswith("."), setting.key
        assert setting.allowed, setting.key


def test_every_setting_is_in_the_reference_and_in_the_example() -> None:
    reference, example = render_config_reference(), yaml.safe_load(render_config_example())
    for setting in settings():
        assert f"| `{setting.key}` | {setting.description} |" in reference
        value = example
        for part in setting.path:
            assert part in value, setting.key
            value = value[part]


def test_every_setting_of_the_example_has_its_meaning_above_it() -> None:
    text = " ".join(line.strip().lstrip("# ") for line in render_config_example().splitlines())
    for setting in settings():
        assert setting.description in text, setting.key


def test_the_example_equals_the_built_in_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(REPOSITORY / "config/config.example.yaml", environ={}) == Config()


def test_the_example_has_relative_paths_and_lines_that_fit() -> None:
    example = render_config_example()
    assert ": /" not in example
    assert max(map(len, example.splitlines())) <= 100


def test_the_defaults_are_valid_themselves() -> None:
    assert Config.model_validate(Config().model_dump()) == Config()


def test_the_schema_knows_every_setting_and_no_other() -> None:
    definitions = config_schema()["$defs"]
    assert config_schema()["additionalProperties"] is False
    for name, part in config_schema()["properties"].items():
        if "$ref" in part:
            section = definitions[part["$ref"].rpartition("/")[2]]
            assert section["additionalProperties"] is False
            named = {each.path[1] for each in settings() if each.path[0] == name}
            assert set(section["properties"]) == named


def test_the_guides_file_is_kept_verbatim() -> None:
    path = REPOSITORY / "config/production.example.yaml"
    assert path.read_text(encoding="utf-8") == GUIDE_FILE


def test_the_env_example_has_the_guides_variables_in_its_order() -> None:
    lines = (REPOSITORY / ".env.example").read_text(encoding="utf-8").splitlines()
    names = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    assert tuple(name for name in names if name in GUIDE_VARIABLES) == GUIDE_VARIABLES
    assert all(name.startswith("AIRFLOW__") for name in names if name not in GUIDE_VARIABLES)


def test_every_variable_of_the_guide_is_known_or_airflows() -> None:
    made_into_one = {"DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD"}
    beyond_the_guide = {
        "DB_CONNECTION_STRING",
        "DB_SSLMODE",
        "OUTPUT_DB_CONNECTION_STRING",
        "OUTPUT_DB_SSLMODE",
        "REPORT_ENABLED",
    }
    ours = {name for name in GUIDE_VARIABLES if not name.startswith("AIRFLOW")}
    assert ours - made_into_one == set(variables()) - beyond_the_guide


def test_column_names_are_those_of_the_two_shapes() -> None:
    shapes = (
        schema.WEEKLY_COLUMNS
        + schema.WEEKLY_OPTIONAL
        + schema.TRANSACTION_COLUMNS
        + schema.TRANSACTION_OPTIONAL
    )
    assert set(column_names()) == set(shapes)


def test_the_default_signal_rules_speak_of_families_and_codes_that_exist() -> None:
    assert get_args(Family) == FAMILIES
    codes = {feature.code for feature in CATALOG}
    for rule in DEFAULT_SIGNALS:
        assert set(rule.codes) <= codes, rule.name


def test_the_guides_check_prints_the_configuration(tmp_path: Path) -> None:
    command = "from src.config import load_config; print(load_config())"
    environ = {"SMTP_PASSWORD": "hunter2", "PYTHONPATH": str(REPOSITORY), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("environment='development' ")
    assert "hunter2" not in done.stdout + done.stderr
    assert done.stderr == ""
