"""What runs tell of themselves: metrics, alerts, and the alert test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

import pytest
from command_line import cardwatch, start
from message_servers import HttpServer, http_server
from monitored_folder import health, monitored, run
from prometheus_client.parser import text_string_to_metric_families
from small_portfolio import WEEK


def metrics(path: Path) -> dict[tuple[str, str], float]:
    """Return the values of a metrics file by name and labels."""
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_a_run_writes_metrics_whether_it_fails_or_not(installation: Path) -> None:
    (installation / "metrics").mkdir()
    monitored(installation, "metrics: {textfile_directory: metrics}\n")
    run(installation, "--reporting-week", WEEK.label)
    path = installation / "metrics" / "cardwatch.prom"
    found = metrics(path)
    assert found["cardwatch_last_run_success", ""] == 1
    assert found["cardwatch_customers", "scored"] > 100
    assert found["cardwatch_rows", ",accepted"] > 1000
    assert found["cardwatch_run_duration_seconds", "features"] > 0
    assert found["cardwatch_rows_ratio", ""] > 0
    monday = datetime.fromtimestamp(
        found["cardwatch_reporting_week_start_timestamp_seconds", ""], UTC
    )
    assert monday.date() == WEEK.monday
    run(installation, "--reporting-week", "2019-10", code=3)
    failed = metrics(path)
    assert failed["cardwatch_last_run_success", ""] == 0
    assert failed["cardwatch_last_run_exit_code", ""] == 3
    kept = ("cardwatch_last_success_timestamp_seconds", "")
    assert failed[kept] == found[kept]
    health(installation, 2)
    checked = metrics(installation / "metrics" / "cardwatch_health.prom")
    assert checked["cardwatch_health_status", "outputs"] == 0
    assert checked["cardwatch_health_status", "last-run"] == 2
    assert checked["cardwatch_disk_free_bytes", str(installation / "outputs")] > 0


def test_metrics_are_pushed_to_a_gateway(installation: Path, hook: HttpServer) -> None:
    monitored(installation, f'metrics: {{pushgateway: "http://127.0.0.1:{hook.port}"}}\n')
    run(installation, "--reporting-week", WEEK.label)
    assert "cardwatch_last_run_success 1.0" in hook.bodies[0]


@pytest.mark.system
def test_a_run_that_fails_is_an_alert_and_the_next_good_one_its_end(
    installation: Path, hook: HttpServer
) -> None:
    monitored(installation, f'alerts: {{channels: ["json://127.0.0.1:{hook.port}/x"]}}\n')
    for _ in range(2):
        run(installation, "--reporting-week", "2019-10", code=3)
    run(installation, "--reporting-week", WEEK.label)
    run(installation, "--reporting-week", WEEK.label)
    failed, resolved = (json.loads(body)["message"] for body in hook.bodies)
    assert failed.startswith("CRITICAL: cardwatch run of 2019-10 failed with exit code 3")
    assert resolved == "RESOLVED: cardwatch run of 2019-10 failed with exit code 3"


def test_whoever_wants_to_hear_of_every_run_does(installation: Path, hook: HttpServer) -> None:
    url = f"json://127.0.0.1:{hook.port}/x"
    monitored(installation, f'alerts: {{channels: ["{url}"]}}\n')
    run(installation, "--reporting-week", WEEK.label, ALERT_THRESHOLD="info")
    assert json.loads(hook.bodies[0])["message"].startswith(
        f"INFO: cardwatch run of {WEEK.label}\n20 customers listed"
    )


@pytest.mark.system
def test_monitoring_that_fails_changes_nothing_about_a_run(installation: Path) -> None:
    settings = (
        "metrics: {textfile_directory: nowhere/at/all}\n"
        'alerts: {channels: ["json://127.0.0.1:1/x"], wait_seconds: 0}\n'
    )
    monitored(installation, settings)
    done = run(installation, "--reporting-week", WEEK.label, ALERT_THRESHOLD="info")
    assert "Monitoring: The metrics cannot be written (nowhere/at/all/cardwatch.prom)" in done.err
    assert "Monitoring: an alert by channel 1, json 127.0.0.1 was not sent" in done.err
    monitored(installation, "alrts: {}\n")
    done = run(installation, "--reporting-week", WEEK.label)
    assert "Monitoring: alrts is not a setting" in done.err
    assert "Did you mean alerts?" in done.err


def test_what_monitoring_could_not_do_is_said_once_and_logged(installation: Path) -> None:
    monitored(installation, "metrics: {textfile_directory: nowhere/at/all}\n")
    done = run(installation, "--reporting-week", "2019-10", code=3)
    said = "The metrics cannot be written (nowhere/at/all/cardwatch.prom)"
    assert done.err.count(said) == 1
    log = (installation / "logs" / "app.log").read_text(encoding="utf-8")
    assert f" WARNING  run=- week=2019-10 cardwatch: monitoring: {said}" in log


def test_where_monitoring_is_off_nothing_is_left_behind(
    installation: Path, hook: HttpServer
) -> None:
    (installation / "outputs" / "last_run.json").unlink()
    (installation / "metrics").mkdir()
    channel = f"json://127.0.0.1:{hook.port}/x"
    monitored(
        installation,
        f'metrics: {{textfile_directory: metrics}}\nalerts: {{channels: ["{channel}"]}}\n',
    )
    run(installation, "--reporting-week", "2019-10", code=3, ENABLE_MONITORING="false")
    found = health(installation, 1, ENABLE_MONITORING="false")
    assert "runs are not watched" in found["configuration"]["measured"]
    assert not (installation / "outputs" / "last_run.json").exists()
    assert list((installation / "metrics").iterdir()) == []
    assert hook.bodies == []


@pytest.mark.system
def test_a_channel_that_never_answers_does_not_keep_the_command_from_ending(
    installation: Path,
) -> None:
    with http_server(None) as silent:
        url = f"json://127.0.0.1:{silent.port}/x?rto=60"
        monitored(installation, f'alerts: {{channels: ["{url}"], timeout_seconds: 1}}\n')
        with start(installation, "alert", "test") as command:
            while command.poll() is None and not silent.bodies:
                sleep(0.05)
            asked = monotonic()
            said = command.stdout.read() if command.stdout else ""  # until its end
            assert monotonic() - asked < 15  # the server would keep it for 30 seconds
    assert "no answer within 1 seconds" in said
    assert command.returncode == 7


def test_an_alert_test_says_what_became_of_each_channel(
    installation: Path, hook: HttpServer
) -> None:
    [said] = cardwatch(installation, "alert", "test", code=2).errors
    assert "No channel is configured" in said
    urls = [f"json://127.0.0.1:{port}/x" for port in (hook.port, 1)]
    monitored(installation, f"alerts: {{channels: {json.dumps(urls)}, attempts: 1}}\n")
    done = cardwatch(installation, "alert", "test", code=7)
    first, second = done.out.splitlines()
    assert first == "channel 1, json 127.0.0.1: sent"
    assert second.startswith("channel 2, json 127.0.0.1: ")
    assert "1 of 2 channels did not take the test" in done.errors[0]
