"""What every notifier that is registered keeps to, on a real server of its kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from message_servers import HttpServer, MailServer, http_server, mail_server
from notices_examples import failure_notice, list_notice

from cardwatch.config import Config
from cardwatch.notify.base import SENT, Notifier, ToldByAlerts
from cardwatch.wiring import NOTIFIERS

TEAM = "team@bank.example"


@dataclass
class Servers:
    """One server of each kind, and how many messages they took."""

    mail: MailServer
    hook: HttpServer

    @property
    def taken(self) -> int:
        return len(self.mail.messages) + len(self.hook.bodies)

    def config(self, **changes: object) -> Config:
        notify = {
            "smtp_server": "127.0.0.1",
            "smtp_port": self.mail.port,
            "smtp_security": "none",
            "smtp_user": "cardwatch@bank.example",
            "slack_webhook_url": f"{self.hook.url}/secret-token",
            "email": {"enabled": True, "to": [TEAM]},
            "chat": {"enabled": True},
            **changes,
        }
        return Config.model_validate({"notify": notify})


@pytest.fixture(params=sorted(NOTIFIERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def servers() -> Iterator[Servers]:
    with mail_server() as mail, http_server() as hook:
        yield Servers(mail, hook)


def opened(name: str, config: Config, alerts: ToldByAlerts | None = None) -> Notifier:
    notifier = NOTIFIERS[name](config, alerts or ToldByAlerts())
    assert notifier is not None
    assert notifier.name == name
    return notifier


def test_it_is_off_until_it_is_turned_on(name: str) -> None:
    assert NOTIFIERS[name](Config(), ToldByAlerts()) is None


@pytest.mark.parametrize("notice", [list_notice(), failure_notice()], ids=["list", "failure"])
def test_it_tells_both_kinds_of_notices_and_says_so_first(
    name: str, servers: Servers, notice: object
) -> None:
    notifier = opened(name, servers.config())
    told: list[tuple[list[str], int]] = []
    receivers = notifier.receivers(notice)  # type: ignore[arg-type]
    outcomes = notifier.send(
        notice,  # type: ignore[arg-type]
        receivers,
        handing_over=lambda each: told.append((list(each), servers.taken)),
        timeout=10,
    )
    assert outcomes == dict.fromkeys(receivers, SENT)
    assert told == [(list(receivers), 0)]
    assert servers.taken == 1


def test_neither_place_nor_receivers_show_a_secret(name: str, servers: Servers) -> None:
    notifier = opened(name, servers.config(smtp_password="let me in"))
    shown = f"{notifier.place} {notifier.receivers(list_notice())}"
    assert "secret-token" not in shown
    assert "let me in" not in shown


def test_what_is_raised_before_handing_over_keeps_the_message_back(
    name: str, servers: Servers
) -> None:
    def stop(receivers: Sequence[str]) -> None:
        raise LookupError(receivers[0])

    notifier = opened(name, servers.config())
    notice = list_notice()
    with pytest.raises(LookupError):
        notifier.send(notice, notifier.receivers(notice), handing_over=stop, timeout=10)
    assert servers.taken == 0


def test_a_server_that_is_down_is_an_outcome_and_no_error(name: str) -> None:
    with mail_server() as mail, http_server() as hook:
        gone = Servers(mail, hook)
    notifier, notice = opened(name, gone.config()), list_notice()
    receivers = notifier.receivers(notice)
    outcomes = notifier.send(notice, receivers, handing_over=lambda each: None, timeout=5)
    assert set(outcomes) == set(receivers)
    assert all(each.status != "sent" and each.problem for each in outcomes.values())


def test_who_gets_the_alert_gets_no_notice_of_a_failure(name: str, servers: Servers) -> None:
    alerts = ToldByAlerts(frozenset({TEAM}), chat=True)
    notifier = opened(name, servers.config(), alerts)
    assert notifier.receivers(failure_notice()) == ()
    assert len(notifier.receivers(list_notice())) == 1
    never = {"email": {"enabled": True, "to": [TEAM], "on_failure": False}}
    quiet = servers.config(**never, chat={"enabled": True, "on_failure": False})
    assert opened(name, quiet).receivers(failure_notice()) == ()


def test_an_http_error_is_certain_and_no_answer_is_not() -> None:
    for answer, status in ((500, "failed"), (None, "unsure")):
        with mail_server() as mail, http_server(answer) as hook:
            notifier = opened("chat", Servers(mail, hook).config())
            receivers = notifier.receivers(list_notice())
            [outcome] = notifier.send(
                list_notice(), receivers, handing_over=lambda each: None, timeout=1
            ).values()
        assert outcome.status == status, outcome
