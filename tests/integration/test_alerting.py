"""Alerts to a real mail server and a real HTTP server: each problem once, and its end."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as TimeOfDay
from pathlib import Path
from time import monotonic, sleep

import pytest
import trustme
from message_servers import HttpServer, http_server, mail_server
from pydantic import SecretStr

from cardwatch.config import Config
from cardwatch.errors import ConfigurationError
from cardwatch.monitoring.alert_state import Problem, Severity
from cardwatch.monitoring.alerting import Alerter
from cardwatch.monitoring.settings import AlertSettings, MonitoringSettings, QuietHours

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DISK = Problem("health:disk", "warn", "health check disk: warn", "Found: 3 GB free")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def config_of(folder: Path, threshold: Severity = "warn", **notify: object) -> Config:
    return Config.model_validate(
        {
            "environment": "staging",
            "output": {"directory": folder},
            "monitoring": {"enabled": True, "alert_threshold": threshold},
            "notify": notify,
        }
    )


def alerter(folder: Path, clock: Callable[[], datetime], *urls: str, **alerts: object) -> Alerter:
    notify = alerts.pop("notify", {})
    threshold = alerts.pop("threshold", "warn")
    channels = tuple(SecretStr(url) for url in urls)
    settings = AlertSettings.model_validate(
        {"channels": channels, "attempts": 1, "wait_seconds": 0, "timeout_seconds": 10, **alerts}
    )
    config = config_of(folder, threshold, **notify)  # type: ignore[arg-type]
    return Alerter(config, MonitoringSettings(alerts=settings), clock)


def url_of(server: HttpServer) -> str:
    return f"json://127.0.0.1:{server.port}/hook"


def texts(server: HttpServer) -> list[str]:
    return [json.loads(body)["message"] for body in server.bodies]


def test_a_problem_is_told_once_until_it_changes_and_its_end_is_told(
    tmp_path: Path, hook: HttpServer, clock: Clock
) -> None:
    def told(*problems: Problem) -> list[str]:
        # Each time another process, which knows what is in the state file alone.
        before = len(hook.bodies)
        alerter(tmp_path, clock, url_of(hook), max_per_hour=99).tell(problems, "health:")
        return texts(hook)[before:]

    assert told(DISK) == ["WARN: health check disk: warn\nFound: 3 GB free"]
    assert json.loads(hook.bodies[0])["title"] == "[staging] health check disk: warn"
    other_words = Problem(DISK.key, DISK.severity, DISK.title, "Found: 2 GB free")
    assert told(other_words) == []
    worse = Problem(DISK.key, "critical", "health check disk: fail", "Found: none free")
    assert told(worse) == ["CRITICAL: health check disk: fail\nFound: none free"]
    assert told() == ["RESOLVED: health check disk: fail"]
    assert told() == []


def test_the_end_of_a_run_says_nothing_of_the_health(
    tmp_path: Path, hook: HttpServer, clock: Clock
) -> None:
    told = alerter(tmp_path, clock, url_of(hook))
    told.tell([DISK], "health:")
    told.tell([], "run")
    assert len(hook.bodies) == 1


def test_what_is_less_serious_than_the_threshold_is_not_sent(
    tmp_path: Path, hook: HttpServer, clock: Clock
) -> None:
    told = alerter(tmp_path, clock, url_of(hook), threshold="critical")
    assert told.tell([DISK], "health:") == ()
    assert hook.bodies == []


def test_a_channel_that_fails_is_told_the_next_time_and_stops_no_other(
    tmp_path: Path, hook: HttpServer, clock: Clock
) -> None:
    with http_server(500, 200) as failing:
        told = alerter(tmp_path, clock, url_of(failing), url_of(hook))
        first, second = told.tell([DISK], "health:")
        assert "500" in first.problem
        assert second.problem == ""
        assert [each.problem for each in told.tell([DISK], "health:")] == [""]
    assert (len(failing.bodies), len(hook.bodies)) == (2, 1)


@pytest.mark.system
def test_a_server_that_asks_for_patience_gets_it_at_once_or_the_next_time(
    tmp_path: Path, clock: Clock
) -> None:
    with http_server(429, 200) as busy:
        told = alerter(tmp_path, clock, url_of(busy), attempts=2, wait_seconds=1.1)
        [delivery] = told.tell([DISK], "health:")
        assert delivery.problem == ""
        assert len(busy.bodies) == 2
    with http_server(429, 200, patience=1.5) as busier:
        told = alerter(tmp_path, clock, url_of(busier), attempts=2, wait_seconds=0.1)
        [delivery] = told.tell([DISK], "health:")
        assert "429" in delivery.problem
        sleep(1.7)
        [delivery] = told.tell([DISK], "health:")
        assert delivery.problem == ""


def test_a_server_that_never_answers_holds_nobody_up_for_longer_than_the_limit(
    tmp_path: Path, hook: HttpServer, clock: Clock
) -> None:
    with http_server(None) as silent:
        told = alerter(tmp_path, clock, url_of(silent), url_of(hook), timeout_seconds=1)
        begun = monotonic()
        dead, alive = told.tell([DISK], "health:")
        assert monotonic() - begun < 8
    assert dead.problem
    assert alive.problem == ""


def test_no_channel_is_written_to_more_often_than_it_may(
    tmp_path: Path, hook: HttpServer, clock: Clock
) -> None:
    told = alerter(tmp_path, clock, url_of(hook), max_per_hour=2)
    names = ("disk", "memory", "source")
    problems = [Problem(f"health:{name}", "warn", name, "") for name in names]
    for number in range(1, 4):
        told.tell(problems[:number], "health:")
    assert len(hook.bodies) == 2
    clock.now += timedelta(hours=1)
    told.tell(problems, "health:")
    assert texts(hook)[-1] == "WARN: source"


def test_in_quiet_hours_only_what_is_critical_is_sent_and_the_rest_follows(
    tmp_path: Path, hook: HttpServer, clock: Clock
) -> None:
    night = QuietHours(begin=TimeOfDay(11), end=TimeOfDay(13), timezone="UTC")
    told = alerter(tmp_path, clock, url_of(hook), quiet_hours=night)
    fire = Problem("health:source", "critical", "source", "")
    told.tell([DISK, fire], "health:")
    assert texts(hook) == ["CRITICAL: source"]
    clock.now += timedelta(hours=1)
    told.tell([DISK], "health:")
    assert texts(hook)[-1] == (
        "WARN: health check disk: warn\nFound: 3 GB free\n\nRESOLVED: source"
    )


def test_an_event_waits_for_the_end_of_the_quiet_hours_and_for_a_dead_channel(
    tmp_path: Path, hook: HttpServer, clock: Clock
) -> None:
    done = Problem("run:done", "info", "cardwatch run of 2026-46", "20 listed", is_event=True)
    night = QuietHours(begin=TimeOfDay(11), end=TimeOfDay(13), timezone="UTC")
    with http_server(500, 200) as failing:
        urls = (url_of(hook), url_of(failing))
        told = alerter(tmp_path, clock, *urls, threshold="info", quiet_hours=night)
        assert told.tell([done], "run") == ()
        clock.now += timedelta(hours=1)
        assert [bool(each.problem) for each in told.tell([], "health:")] == [False, True]
        assert [each.problem for each in told.tell([], "health:")] == [""]
        assert told.tell([], "run") == ()
        expected = "INFO: cardwatch run of 2026-46\n20 listed"
        assert texts(hook) == [expected]
        assert texts(failing) == [expected] * 2


def test_a_run_that_failed_is_told_by_the_health_check_where_it_could_not_be(
    tmp_path: Path, clock: Clock
) -> None:
    failed = Problem("run", "critical", "run failed", "no data")
    with http_server(500, 200) as server:
        told = alerter(tmp_path, clock, url_of(server))
        told.tell([failed], "run")
        told.tell([DISK], "health:")
        told.tell([DISK], "health:")
        assert texts(server)[1:] == [
            "CRITICAL: run failed\nno data\n\nWARN: health check disk: warn\nFound: 3 GB free"
        ]
        told.tell([], "run")
        assert texts(server)[-1] == "RESOLVED: run failed"


def test_secrets_and_card_numbers_are_masked(
    tmp_path: Path, hook: HttpServer, clock: Clock
) -> None:
    notify = {"smtp_password": "open sesame"}
    url = url_of(hook).replace("://", "://cards:no%20entry@")
    told = alerter(tmp_path, clock, url, notify=notify)
    text = f"refused open sesame and no entry at {url} for 4111 1111 1111 1111"
    told.tell([Problem("run", "critical", "run failed", text)], "run")
    assert texts(hook) == [
        "CRITICAL: run failed\nrefused [secret] and [secret] at [secret] for [card number]"
    ]
    state = (tmp_path / "alert_state.json").read_text()
    for secret in (str(hook.port), "open sesame", "no entry", "4111"):
        assert secret not in state


def test_a_damaged_state_is_begun_anew(tmp_path: Path, hook: HttpServer, clock: Clock) -> None:
    (tmp_path / "alert_state.json").write_text("{half")
    alerter(tmp_path, clock, url_of(hook)).tell([DISK], "health:")
    alerter(tmp_path, clock, url_of(hook)).tell([DISK], "health:")
    assert len(hook.bodies) == 1


def test_slacks_webhook_gets_what_slack_reads(
    tmp_path: Path, hook: HttpServer, clock: Clock
) -> None:
    notify = {"slack_webhook_url": hook.url}
    alerter(tmp_path, clock, notify=notify).tell([DISK], "health:")
    assert json.loads(hook.bodies[0]) == {"text": "WARN: health check disk: warn\nFound: 3 GB free"}


# Mail


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_mail_goes_to_everybody_in_plain_text(tmp_path: Path, clock: Clock) -> None:
    with mail_server() as server:
        told = alerter(
            tmp_path,
            clock,
            mail_to=("team@bank.test", "lead@bank.test"),
            mail_from="cardwatch@bank.test",
            smtp_security="none",
            notify={"smtp_server": "127.0.0.1", "smtp_port": server.port},
        )
        assert [each.problem for each in told.tell([DISK], "health:")] == [""]
    assert [each["To"] for each in server.messages] == ["team@bank.test, lead@bank.test"]
    assert server.messages[0]["Subject"] == "[staging] health check disk: warn"
    body = server.messages[0].get_body(("plain",))
    assert body is not None
    assert "Found: 3 GB free" in body.get_content()


@pytest.mark.parametrize(("password", "problem"), [("let me in", ""), ("wrong", "channel refused")])
def test_mail_goes_encrypted_and_with_a_login(
    tmp_path: Path,
    clock: Clock,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    problem: str,
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    notify = {
        "smtp_server": "localhost",
        "smtp_user": "cardwatch@bank.test",
        "smtp_password": password,
    }
    with mail_server(context) as server:
        told = alerter(tmp_path, clock, notify={**notify, "smtp_port": server.port})
        [delivery] = told.tell([DISK], "health:")
    assert bool(delivery.problem) == bool(problem)
    assert password not in delivery.problem
    assert set(server.logins) == {("cardwatch@bank.test", password)}
    assert [message["To"] for message in server.messages] == (
        [] if problem else ["cardwatch@bank.test"]
    )


def test_mail_without_an_address_says_what_to_set(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(ConfigurationError, match="no address to come from"):
        alerter(tmp_path, clock, notify={"smtp_server": "mail.bank.test"})
