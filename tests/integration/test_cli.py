"""The command line itself: options, exit codes, and one line for every failure."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT, cardwatch, failure
from pytest import MonkeyPatch
from small_portfolio import portfolio_rows, write_parquet

from cardwatch import cli, errors
from cardwatch.cli import run_main

HEAVY = ("duckdb", "numba", "numpy", "pandas", "pyarrow", "sklearn", "cardwatch.commands")
STATISTICS = ("pandas", "scipy", "sklearn")


def test_the_command_line_imports_nothing_heavy_and_commands_import_no_statistics() -> None:
    commands = ", ".join(
        f"cardwatch.commands.{path.stem}"
        for path in (ROOT / "cardwatch" / "commands").glob("[a-z]*.py")
    )
    code = (
        f"import sys, cardwatch.cli; print([n for n in {HEAVY!r} if n in sys.modules])\n"
        f"import {commands}; print([n for n in {STATISTICS!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n[]\n", done.stderr


@pytest.mark.parametrize(
    "command", ["run", "validate", "weeks", "explain", "compare", "reproduce", "sample", "config"]
)
def test_the_overview_names_every_command_and_each_has_help(tmp_path: Path, command: str) -> None:
    assert f" {command} " in cardwatch(tmp_path, "--help").out
    assert "--help" in cardwatch(tmp_path, command, "--help").out


def test_every_option_has_an_environment_variable(tmp_path: Path) -> None:
    done = cardwatch(tmp_path, "weeks", code=3, CARDWATCH_SOURCE="nowhere")
    assert "(nowhere)" in failure(done)


def test_the_version_is_said(tmp_path: Path) -> None:
    assert cardwatch(tmp_path, "--version").out.startswith("cardwatch ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--top", "0"], "--top"),
        (["run", "--top", "many"], "--top"),
        (["run", "--format", "xml"], "not one of 'text', 'json'"),
        (["run", "--reporting-weak", "2025-46"], "--reporting-week"),
        (["run", "--reporting-week"], "requires an argument"),
        (["scan"], "No such command 'scan'"),
        (["rum"], "Did you mean 'run'? `"),
        (["explain"], "Missing argument 'customer'"),
        (["compare", "2025-46"], "one week with --superseded, or two weeks"),
        (["sample", "--customers", "0"], "--customers"),
        (["run", "--config", "nowhere.yaml"], "no such configuration file"),
        (["run", "--reporting-week", ""], "cannot be read: found nothing, expected a label"),
        (["run", "--reporting-week", "2025-99"], "'2025-99', a week that does not exist"),
        (["config", "show", "model.contaminatoin"], "Did you mean model.contamination?"),
        (["reproduce", "run_2025-46.json"], "The run's manifest cannot be read"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = cardwatch(tmp_path, *arguments, code=2)
    assert says in failure(done)
    assert not (tmp_path / "outputs").exists()


def test_main_py_is_the_run_command(tmp_path: Path) -> None:
    done = cardwatch(tmp_path, "--reporting-week", "2025-99", code=2, entry=run_main)
    assert "'2025-99', a week that does not exist" in failure(done)
    assert "--reporting-week" in cardwatch(tmp_path, "--help", entry=run_main).out


KINDS = (
    errors.CardwatchError,
    errors.ConfigurationError,
    errors.SourceError,
    errors.WeekNotAvailableError,
    errors.ContractError,
    errors.ModelError,
    errors.PublishError,
    errors.NotifyError,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_ends_with_its_message_and_exit_code(
    tmp_path: Path, monkeypatch: MonkeyPatch, kind: type[errors.CardwatchError]
) -> None:
    def fail(*_: object) -> None:
        raise kind("It broke", where="here")

    monkeypatch.setattr(cli.data, "load", fail)
    done = cardwatch(tmp_path, "weeks", code=kind.exit_code)
    assert done.err == "cardwatch: error: It broke (here)\n"


def test_an_unexpected_error_tells_its_kind_and_nothing_that_was_in_it(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("row of CUST00007")

    monkeypatch.setattr(cli.data, "load", fail)
    done = cardwatch(tmp_path, "weeks", code=1)
    assert "ValueError" in failure(done)
    assert "--debug" in done.err
    assert "CUST00007" not in done.err


def test_the_keyboard_stops_a_command_with_one_line(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.data, "load", stop)
    assert "nothing was left half written" in failure(cardwatch(tmp_path, "weeks", code=130))


@pytest.mark.parametrize(
    ("options", "variables", "wanted"),
    [
        ([], {}, False),
        (["--debug"], {}, True),
        ([], {"CARDWATCH_DEBUG": "1"}, True),
        ([], {"CARDWATCH_DEBUG": "true"}, True),
        ([], {"CARDWATCH_DEBUG": "false"}, False),
    ],
)
def test_the_traceback_is_shown_when_asked_for(
    tmp_path: Path, options: list[str], variables: dict[str, str], wanted: bool
) -> None:
    done = cardwatch(tmp_path, "weeks", *options, code=3, entry=cli.main, **variables)
    assert ("Traceback" in done.err) == wanted
    assert len(done.errors) == 1


def test_a_terminal_that_cannot_show_a_character_is_no_failure(
    tmp_path: Path, portfolio: Path, monkeypatch: MonkeyPatch
) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    monkeypatch.setattr(sys, "argv", ["cardwatch", "weeks", "--source", str(portfolio)])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    narrow.seek(0)
    assert "17?23 November 2025" in narrow.read()


def test_json_is_utf_8_wherever_it_is_printed(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    write_parquet(portfolio_rows(60, 8), tmp_path / "data")
    narrow = io.TextIOWrapper(buffer := io.BytesIO(), encoding="ascii")
    options = ["--source", "data", "--format", "json", "--dry-run"]
    monkeypatch.setattr(sys, "stdout", narrow)
    monkeypatch.setattr(sys, "argv", ["cardwatch", "run", *options])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main()
    narrow.flush()
    assert "17–23 November 2025" in buffer.getvalue().decode("utf-8")


def test_config_show_tells_value_origin_and_meaning(tmp_path: Path) -> None:
    rows = cardwatch(tmp_path, "config", "show", "--format", "json", "--source", "here").out
    told = {row["key"]: row for row in json.loads(rows)}
    assert told["data_source.path"]["value"] == "here"
    assert told["model.contamination"]["value"] == "0.01"
    section = cardwatch(tmp_path, "config", "show", "model").out
    assert "model.contamination" in section
    assert "ranking.top_n" not in section
    inner = cardwatch(tmp_path, "config", "show", "output.database").out
    assert "output.database.enabled" in inner
    assert "output.format" not in inner
    one = cardwatch(tmp_path, "config", "show", "model.contamination").out
    assert "neither scores nor ranks" in " ".join(one.split())


def test_config_show_hides_secrets(tmp_path: Path) -> None:
    parts = {"DB_HOST": "db", "DB_NAME": "cards", "DB_USER": "me", "DB_PASSWORD": "open-sesame"}
    done = cardwatch(tmp_path, "config", "show", code=0, entry=cli.main, **parts)
    assert "open-sesame" not in done.out + done.err


def test_config_schema_is_the_schema_of_the_documentation(tmp_path: Path) -> None:
    printed = json.loads(cardwatch(tmp_path, "config", "schema").out)
    kept = ROOT / "docs" / "reference" / "config.schema.json"
    assert printed == json.loads(kept.read_text(encoding="utf-8"))


def test_config_check_reaches_the_source(tmp_path: Path, portfolio: Path) -> None:
    done = cardwatch(tmp_path, "config", "check", "--source", portfolio)
    assert "built-in defaults" in done.out
    assert "20 weeks" in done.out
    missing = cardwatch(tmp_path, "config", "check", code=3)
    assert "(datasamples)" in "".join(missing.errors)
