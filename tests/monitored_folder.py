"""An installation in which two weeks were run, and its health."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Outcome, cardwatch
from small_portfolio import WEEK, portfolio_rows, write_parquet

from cardwatch.cli import health_main
from cardwatch.monitoring.health_checks import CHECKS

ON = {"ENABLE_MONITORING": "true"}


@pytest.fixture(scope="session")
def two_weeks_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two weeks were run; not to be changed."""
    folder = tmp_path_factory.mktemp("installation")
    write_parquet(portfolio_rows(), folder / "data")
    (folder / "config").mkdir()
    for week in (WEEK - 1, WEEK):
        run(folder, "--reporting-week", week.label)
    return folder


@pytest.fixture
def installation(tmp_path: Path, two_weeks_run: Path) -> Path:
    """A copy of that folder, for one test to change."""
    return Path(shutil.copytree(two_weeks_run, tmp_path / "installation"))


def run(folder: Path, *words: str, code: int = 0, **variables: str) -> Outcome:
    on: dict[str, Any] = {**ON, **variables}
    return cardwatch(folder, "run", "--source", "data", *words, code=code, **on)


def monitored(folder: Path, settings: str) -> None:
    (folder / "config" / "monitoring_config.yaml").write_text(settings, encoding="utf-8")


def health(folder: Path, code: int, *words: str, **variables: str) -> dict[str, dict[str, Any]]:
    """Run the health check; returns its findings by name, as the report has them."""
    on: dict[str, Any] = {**ON, **variables}
    done = cardwatch(folder, "--source", "data", *words, code=code, entry=health_main, **on)
    assert done.errors == []
    report = json.loads((folder / "outputs" / "health_check_latest.json").read_text())
    assert report["exit_code"] == code
    assert [each["name"] for each in report["checks"]] == list(CHECKS)
    return {each["name"]: each for each in report["checks"]}
