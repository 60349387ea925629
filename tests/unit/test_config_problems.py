from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from cardwatch.config import load_config
from cardwatch.errors import ConfigurationError


def _refusal(
    folder: Path,
    text: str,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> str:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_config(path, environ=environ or {}, overrides=overrides)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "key", "suggestion"),
    [
        ("outputs: {directory: x}", "outputs", "Did you mean output?"),
        ("output: {directry: x}", "output.directry", "Did you mean output.directory?"),
        ("model: {top_n: 3}", "model.top_n", "Did you mean top_n in the section ranking?"),
        ("top_n: 3", "top_n", "Did you mean top_n in the section ranking?"),
        ("output.directory: x", "output.directory", "Did you mean directory in the section output"),
        ("LOGGING: {level: INFO}", "LOGGING", "Did you mean logging?"),
        (
            "data_source: {columns: {custmer_id: a}}",
            "data_source.columns.custmer_id",
            "customer_id",
        ),
        (
            "ranking: {signals: [{name: a, familes: [growth], signal: concern}]}",
            "ranking.signals[0].familes",
            "Did you mean ranking.signals[0].families?",
        ),
        ("xyzzy: 1", "xyzzy", "Known here: environment, portfolio"),
    ],
)
def test_an_unknown_key_is_named_with_what_was_probably_meant(
    tmp_path: Path, text: str, key: str, suggestion: str
) -> None:
    message = _refusal(tmp_path, f"# head\n{text}\n")
    assert message.startswith(f"{key} is not a setting (")
    assert "config.yaml line 2" in message
    assert suggestion in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("environment: prod", "'prod', expected development, staging or production"),
        ("ranking: {top_n: 0}", "0, expected a whole number from 1 to 100,000"),
        ("ranking: {top_n: many}", "'many', expected a whole number from 1 to 100,000"),
        ("ranking: {min_spend: -1}", "-1, expected a number of at least 0"),
        ("model: {contamination: 0.51}", "0.51, expected a number above 0 and up to 0.5"),
        ("model: {contamination: 0}", "0, expected a number above 0 and up to 0.5"),
        ("model: {contamination: .nan}", "nan, expected a number above 0 and up to 0.5"),
        ("model: {random_state: true}", "true, expected a number"),
        ("engine: {threads: false}", "false, expected a number"),
        ("model: {n_estimators: 1.5}", "1.5, expected a whole number from 1 to 10,000"),
        ("engine: {memory_limit: lots}", "'lots', expected a size such as 800MB or 4GB"),
        ("engine: {memory_limit: 0GB}", "'0GB', expected a size such as 800MB or 4GB"),
        ("engine: {memory_limit: 4}", "4, expected text"),
        ("portfolio: {timezone: Mars/Base}", "'Mars/Base', expected a time zone name"),
        ("portfolio: {timezone: ../../etc}", "'../../etc', expected a time zone name"),
        ("portfolio: {currency: euro}", "'euro', expected three capital letters"),
        ("data_source: {path: ''}", "'', expected a path"),
        ("output: {directory: ~}", "null, expected text"),
        ("output: {directory: '~/lists'}", "'~/lists', expected a path without ~"),
        ("data_source: {delimiter: ';;'}", "';;', expected one character"),
        ("data_source: {encoding: klingon}", "'klingon', expected an encoding"),
        ("data_source: {date_format: yyyy}", "'yyyy', expected a format such as %d.%m.%Y"),
        ("data_source: {columns: {mcc: a, amount: a}}", "a mapping, expected a different column"),
        ("data_source: {columns: [a]}", "a list, expected a mapping"),
        ("contract: {unit_error_ratio: [160, 60]}", "a list, expected two numbers above 1"),
        ("feature_engineering: {risky_mccs: [742]}", "742, expected four digits such as 7995"),
        ("feature_engineering: {risky_mccs: 7995}", "7995, expected a list of texts"),
        ("logging: {max_size_mb: 0}", "0, expected a whole number of at least 1"),
        ("logging: {level: loud}", "'LOUD', expected DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("ranking: {signals: [{name: a, signal: concern}]}", "expected at least one family or"),
        (
            "ranking: {signals: [5]}",
            "5, expected a mapping with name, families, codes, any_reason, signal",
        ),
        ("output: lists", "text, expected settings below it, such as directory"),
        ("output: [lists]", "a list, expected settings below it, such as directory"),
    ],
)
def test_a_wrong_value_says_what_was_found_and_what_was_expected(
    tmp_path: Path, text: str, message: str
) -> None:
    refusal = _refusal(tmp_path, text + "\n")
    key = text.partition(":")[0]
    assert refusal.startswith(key)
    assert "config.yaml line 1" in refusal
    assert message.replace("'LOUD'", "'loud'") in refusal.replace("'LOUD'", "'loud'")


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    text = "ranking:\n  signals:\n    - {families: [growth], signal: concern}\n"
    message = _refusal(tmp_path, text)
    assert message.startswith("ranking.signals[0].name is missing (")
    assert "line 3" in message


def test_a_long_value_is_shortened(tmp_path: Path) -> None:
    assert len(_refusal(tmp_path, f"environment: {'x' * 5_000}\n")) < 300


def test_further_problems_are_named(tmp_path: Path) -> None:
    message = _refusal(tmp_path, "model: {contamination: 7, tail: x, decai: 1}\n")
    assert message.startswith("model.decai is not a setting")
    assert message.endswith("Also wrong: model.contamination, model.tail")


@pytest.mark.parametrize(
    "text",
    [
        "data_source: {connection_string: [hunter2]}",
        "notify: {smtp_password: {a: hunter2}}",
        "data_source: postgresql://reader:hunter2@db/cards",
        "data_source: {path: 'postgresql://reader:hunter2@db/cards'}",
        "environment: 'postgresql://reader:hun/ter2@db/cards'",
        "notify: hunter2",
        'ranking: {top_n: "${MAIL_PASSWORD}"}',
        "notify: {smtp_pasword: hunter2}",
        "ranking: {top_n: {a: hunter2}}",
    ],
)
def test_no_message_or_cause_shows_a_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_config(path, environ={"MAIL_PASSWORD": "hunter2"})
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in str(error) and "ter2@" not in str(error)
        error = error.__cause__


def test_a_wrong_variable_is_named_with_its_origin(tmp_path: Path) -> None:
    message = _refusal(tmp_path, "", {"SMTP_PORT": "mail"})
    assert message.startswith(
        "notify.smtp_port is not valid (environment: SMTP_PORT): found 'mail'"
    )


def test_a_wrong_option_is_named_with_its_origin(tmp_path: Path) -> None:
    message = _refusal(tmp_path, "", overrides={"ranking.top_n": 0})
    assert message.startswith("ranking.top_n is not valid (command line): found 0")
    message = _refusal(tmp_path, "", overrides={"ranking.topn": 3})
    assert message.startswith("ranking.topn is not a setting (command line). Did you mean")


def test_a_reference_of_another_form_names_the_key(tmp_path: Path) -> None:
    message = _refusal(tmp_path, "output:\n  directory: '${LISTS'\n")
    assert message.startswith("output.directory cannot be read (")
    assert "line 2" in message
