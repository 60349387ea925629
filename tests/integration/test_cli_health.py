"""``cardwatch health``, ``verify`` and ``weeks`` on a small portfolio."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, cardwatch
from message_servers import HttpServer
from monitored_folder import health, monitored, run
from postgres import Database
from small_portfolio import WEEK
from tcp_proxy import listener

from cardwatch.config import Config, LoadedConfig
from cardwatch.monitoring.findings import Finding
from cardwatch.monitoring.health_checks import CHECKS, check_health
from cardwatch.monitoring.settings import MonitoringSettings, read_settings
from cardwatch.monitoring.surroundings import Surroundings, last_due


def test_every_check_says_what_it_found_and_what_was_expected(installation: Path) -> None:
    found = health(installation, 1)
    # The portfolio is of last year: its newest week is not the last one that is over.
    assert found["latest-week"]["status"] == "warn"
    assert found["latest-week"]["next_step"]
    ok = {name for name, each in found.items() if each["status"] == "ok"}
    assert ok >= {"configuration", "source", "outputs", "disk", "drift", "coverage", "log-errors"}
    assert found["drift"]["measured"].startswith("PSI 0.")
    for name, each in found.items():
        assert each["measured"], name
        assert each["runbook"] == f"docs/RUNBOOK.md#{name}"
        assert each["status"] in ("ok", "unknown") or each["next_step"]


def test_a_file_that_was_altered_fails_the_check_of_the_outputs(installation: Path) -> None:
    listed = installation / "outputs" / f"anomalies_{WEEK.label}.csv"
    listed.write_text("customer_id\n")
    found = health(installation, 2)
    assert found["outputs"]["status"] == "fail"
    assert listed.name in found["outputs"]["measured"]
    assert found["outputs"]["next_step"].endswith(f"--reporting-week {WEEK.label}")


def test_thresholds_come_from_the_monitoring_settings(installation: Path) -> None:
    monitored(installation, "health: {disk_warn_gb: 100000000, coverage_warn_share: 1}\n")
    found = health(installation, 1)
    assert found["disk"]["status"] == "warn"
    assert "at least 1e+08 GB free" in found["disk"]["expected"]


@pytest.mark.system
def test_a_failed_run_is_told_by_the_health_check_until_one_succeeds(
    installation: Path, hook: HttpServer
) -> None:
    monitored(installation, f'alerts: {{channels: ["json://127.0.0.1:{hook.port}/x"]}}\n')
    run(installation, "--reporting-week", "2019-10", code=3)
    found = health(installation, 2)
    assert "ended with exit code 3" in found["last-run"]["measured"]
    assert found["log-errors"]["status"] == "ok"
    told = "\n".join(json.loads(body)["message"] for body in hook.bodies)
    assert told.count("CRITICAL: ") == 1
    assert "cardwatch run of 2019-10 failed" in told
    run(installation, "--reporting-week", WEEK.label)
    assert "exit code" not in health(installation, 1)["last-run"]["measured"]


def test_a_configuration_that_cannot_be_read_is_a_report_too(installation: Path) -> None:
    (installation / "config" / "config.yaml").write_text("outptu: {}\n")
    found = health(installation, 2)
    assert "outptu is not a setting" in found["configuration"]["measured"]
    assert {each["status"] for name, each in found.items() if name != "configuration"} == {
        "unknown"
    }


def test_a_database_that_never_answers_does_not_hang_the_check(installation: Path) -> None:
    monitored(installation, "health: {timeout_seconds: 3}\n")
    with listener(None) as port:
        (installation / "config" / "config.yaml").write_text(
            "output: {database: {enabled: true, connect_timeout_seconds: 60}}\n"
        )
        url = f"postgresql://reader:hunter2@127.0.0.1:{port}/cards"
        found = health(installation, 2, DB_CONNECTION_STRING=url)
    for name in ("database", "published-table"):
        assert found[name]["status"] == "fail"
        assert found[name]["measured"] == "no answer within 3 seconds"
    assert found["source"]["status"] == "ok"
    assert "hunter2" not in (installation / "outputs" / "health_check_latest.json").read_text()


def test_a_check_that_breaks_is_a_finding_and_stops_no_other(tmp_path: Path) -> None:
    def broken(around: Surroundings) -> Finding:
        raise ZeroDivisionError

    around = Surroundings(LoadedConfig(Config()), MonitoringSettings(), datetime.now(UTC))
    report = check_health(around, {"broken": broken, "memory": CHECKS["memory"]})
    assert [each.status for each in report.checks] == ["fail", "ok"]
    assert "ZeroDivisionError" in report.checks[0].measured


@pytest.mark.system
def test_the_database_is_compared_with_the_files(installation: Path, database: Database) -> None:
    (installation / "config" / "config.yaml").write_text("output: {database: {enabled: true}}\n")
    url: Any = {"OUTPUT_DB_CONNECTION_STRING": database.url}
    cardwatch(installation, "db", "upgrade", **url)
    cardwatch(installation, "publish", "--all-missing", **url)
    found = health(installation, 1, **url)
    assert found["published-table"]["measured"].endswith("2 of 2 weeks the same")
    assert [found[name]["status"] for name in ("published-table", "database", "clock")] == (
        ["ok"] * 3
    )
    done = cardwatch(installation, "verify", **url)
    assert f"Week {WEEK.label}" in done.out
    assert "database" in done.out
    newest = f"WHERE reporting_week = '{WEEK.label}'"
    database.execute(f"UPDATE anomaly_runs SET is_current = false {newest}")
    found = health(installation, 2, **url)
    assert found["published-table"]["status"] == "fail"
    said = cardwatch(installation, "verify", code=6, **url).errors
    assert f"cardwatch publish --reporting-week {WEEK.label}" in said[0]
    monitored(installation, "health: {timeout_seconds: 3}\n")
    with database.connect() as connection:
        connection.execute("LOCK TABLE anomaly_runs IN ACCESS EXCLUSIVE MODE")
        found = health(installation, 2, **url)
        assert found["published-table"]["measured"] == "no answer within 3 seconds"
        assert found["database"]["status"] == "ok"


def test_a_password_that_expires_is_said_in_time(installation: Path, database: Database) -> None:
    (installation / "config" / "config.yaml").write_text("output: {database: {enabled: true}}\n")
    soon = (datetime.now(UTC) + timedelta(days=9)).date()
    monitored(
        installation,
        "health: {credentials_expire: {Power BI: 2020-01-01}}\n".replace(
            "2020-01-01", '"2020-01-01"'
        ),
    )
    with database.role() as user:
        database.execute(f"ALTER ROLE {user[0]} VALID UNTIL '{soon}'")
        url = database.url_as(*user)
        found = health(installation, 2, OUTPUT_DB_CONNECTION_STRING=url)["credentials"]
    assert f"is valid until {soon}" in found["measured"]
    assert "Power BI expired on 2020-01-01" in found["measured"]
    assert found["status"] == "fail"


# The other commands


def test_verify_says_that_a_week_is_whole_or_what_is_amiss(installation: Path) -> None:
    assert "files whole in outputs" in cardwatch(installation, "verify").out
    words = ("verify", "--reporting-week", WEEK.label)
    (installation / "outputs" / f"scores_{WEEK.label}.parquet").unlink()
    [said] = cardwatch(installation, *words, code=6).errors
    assert f"scores_{WEEK.label}.parquet is missing" in said
    [said] = cardwatch(installation, "verify", "--reporting-week", "2019-10", code=6).errors
    assert "There are no results of week 2019-10" in said


def test_weeks_looks_for_one_week(installation: Path) -> None:
    words = ("weeks", "--source", "data", "--reporting-week")
    assert "is over and has rows" in cardwatch(installation, *words, WEEK.label).out
    [said] = cardwatch(installation, *words, "2019-10", code=3).errors
    assert "There are no rows for week 2019-10" in said
    [said] = cardwatch(installation, *words, "2060-10", code=3).errors
    assert "has not begun" in said
    assert f"--reporting-week {WEEK.label}" in said
    assert "--allow-partial" not in said  # this command has no such option


# As the guide calls it


@pytest.mark.system
def test_the_cron_line_works_in_the_shell_of_cron(installation: Path) -> None:
    documented = [
        line
        for line in (ROOT / "docs" / "DEPLOYMENT.md").read_text(encoding="utf-8").splitlines()
        if "src.monitoring.health_checks" in line and line.startswith("0 * * * * ")
    ]
    command = documented[0].removeprefix("0 * * * * ").replace("/opt/anomaly-detection", ".")
    for name in ("cardwatch", "src"):
        (installation / name).symlink_to(ROOT / name)
    (installation / "venv" / "bin").mkdir(parents=True)
    # Not a link, which would lead Python away from the libraries of this environment.
    python = installation / "venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(installation), "CARDWATCH_SOURCE": "data"}
    done = subprocess.run(["sh", "-c", command], cwd=installation, env=environment, check=False)
    log = (installation / "logs" / "health_checks.log").read_text()
    assert "Health: warn" in log, log
    assert done.returncode == 1
    report = json.loads((installation / "outputs" / "health_check_latest.json").read_text())
    assert report["status"] == "warn"


# The schedule


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-23T07:59:00+00:00", "2026-11-16T08:00:00+00:00"),
        ("2026-11-23T08:00:00+00:00", "2026-11-23T08:00:00+00:00"),
        ("2026-03-09T07:00:00+00:00", "2026-03-09T07:00:00+00:00"),
        ("2026-01-01T00:00:00+00:00", "2025-12-29T08:00:00+00:00"),
    ],
)
def test_a_run_is_due_on_mondays_at_two_in_chicago(now: str, due: str) -> None:
    schedule = MonitoringSettings().schedule
    found = last_due(schedule, datetime.fromisoformat(now))
    assert found == datetime.fromisoformat(due)


def test_the_example_holds_the_defaults() -> None:
    path = ROOT / "config" / "monitoring_config.example.yaml"
    assert read_settings(path, {}) == MonitoringSettings()
