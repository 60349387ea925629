"""The deployment guide's own command lines, in a folder laid out as the guide lays it out."""

from __future__ import annotations

import csv
import os
import re
import runpy
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import cardwatch

from cardwatch.week import ReportingWeek

ROOT = Path(__file__).parents[2]
GUIDE_COLUMNS = [
    "customer_id",
    "reporting_week",
    "anomaly_score",
    "anomaly_rank",
    "risk_category",
    "total_spend",
    "transaction_count",
    "mcc_diversity",
    "top_mcc",
    "top_mcc_spend",
]
OURS = ("CARDWATCH_", "DB_", "SMTP_", "LOG_LEVEL", "OUTPUT_DIR", "SLACK_")


def called(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(folder), "NO_COLOR": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def guides_entry() -> None:
    """Do what ``python main.py`` does, in this process."""
    sys.argv[0] = "main.py"
    runpy.run_path(str(ROOT / "main.py"), run_name="__main__")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anomaly-detection")
    shutil.copy(ROOT / "main.py", folder)
    for package in ("cardwatch", "src"):
        (folder / package).symlink_to(ROOT / package)
    for name in ("logs", "outputs", "config", "datasamples"):
        (folder / name).mkdir()
    shutil.copy(ROOT / "config" / "config.example.yaml", folder / "config" / "config.yaml")
    cardwatch(folder, "sample", "--customers", "300", "--weeks", "14")
    return folder


@pytest.fixture(scope="module")
def last_week() -> ReportingWeek:
    return ReportingWeek.containing(datetime.now(UTC).date()) - 1


def test_the_configuration_check_prints_the_configuration(installation: Path) -> None:
    done = called(
        installation, "-c", "from src.config import load_config; print(load_config())",
        DB_PASSWORD="open-sesame", DB_HOST="db", DB_NAME="cards", DB_USER="reader",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "contamination" in done.stdout
    assert "open-sesame" not in done.stdout + done.stderr


@pytest.mark.system
def test_the_connection_check_says_what_it_found(installation: Path) -> None:
    (installation / "temporary").mkdir()
    command = "from src.data.loader import DataLoader; loader = DataLoader(); "
    words = ("-W", "error", "-c", command + "loader.test_connection()")
    done = called(installation, *words, TMPDIR=str(installation / "temporary"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "14 weeks" in done.stdout
    assert list((installation / "temporary").iterdir()) == []


def test_the_pipeline_command_writes_the_list_with_the_guides_columns_first(
    installation: Path, last_week: ReportingWeek
) -> None:
    done = called(
        installation, "main.py", "--reporting-week", last_week.label, "--output-dir", "outputs",
        LOG_LEVEL="DEBUG", REPORT_ENABLED="false",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with (installation / "outputs" / f"anomalies_{last_week.label}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[: len(GUIDE_COLUMNS)] == GUIDE_COLUMNS
    assert len(rows) == 20
    assert {row["reporting_week"] for row in rows} == {last_week.label}
    log = (installation / "logs" / "app.log").read_text(encoding="utf-8")
    for detail in ("memory limit 800MB", "datasamples", "running category_norm.sql"):
        assert re.search(rf" DEBUG .*{detail}", log), detail


def test_the_runbooks_week_has_only_begun_so_the_last_complete_one_is_named(
    installation: Path, last_week: ReportingWeek
) -> None:
    now = datetime.now(UTC).date()
    words = ("--reporting-week", f"{now:%Y-%W}", "--output-dir", "outputs")
    done = cardwatch(installation, *words, code=3, entry=guides_entry)
    assert f"python main.py --reporting-week {last_week.label}" in done.err
    assert "Traceback" not in done.err


def test_a_week_that_is_not_in_the_source_is_one_line_and_exit_code_3(
    installation: Path, last_week: ReportingWeek
) -> None:
    absent = ReportingWeek(last_week.monday - timedelta(weeks=100))
    done = cardwatch(installation, "--reporting-week", absent.label, code=3, entry=guides_entry)
    assert done.errors
    assert last_week.label in done.err
    assert not (installation / "outputs" / f"anomalies_{absent.label}.csv").exists()
