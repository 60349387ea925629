"""One message to a real mail server, and what each kind of trouble there means."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from time import monotonic

import pytest
import trustme
from message_servers import MailServer as Server
from message_servers import mail_server

from cardwatch.config import SmtpSecurity
from cardwatch.notify.base import SENT, Outcome
from cardwatch.notify.mail import MailServer, envelope

SENDER = "cardwatch@bank.example"
TEAM = ("team@bank.example", "lead@bank.example")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with mail_server(context) as server:
        yield server


def message(*receivers: str) -> EmailMessage:
    found = envelope(SENDER, receivers or TEAM, "A list", identifier="1", moment=datetime.now(UTC))
    found.set_content("It is there.")
    return found


def send(
    port: int,
    to: Sequence[str] = TEAM,
    *,
    timeout: float = 5,
    password: str = "",
    security: SmtpSecurity = "none",
) -> dict[str, Outcome]:
    host = "localhost" if password else "127.0.0.1"
    server = MailServer(host, port, "cardwatch", password, security)
    return dict(server.send(message(), SENDER, to, timeout=timeout))


def test_everybody_is_on_one_message() -> None:
    with mail_server() as server:
        assert send(server.port) == dict.fromkeys(TEAM, SENT)
    [taken] = server.messages
    assert taken["To"] == ", ".join(TEAM)
    assert taken["From"] == f"Cardwatch <{SENDER}>"
    assert server.envelopes == [list(TEAM)]


def test_the_connection_is_encrypted_before_the_login(secure: Server) -> None:
    assert send(secure.port, password="let me in", security="starttls") == dict.fromkeys(TEAM, SENT)
    assert secure.logins == [("cardwatch", "let me in")]


def test_a_refused_login_is_certain_and_is_not_tried_again(secure: Server) -> None:
    for outcome in send(secure.port, password="wrong one", security="starttls").values():
        assert (outcome.status, outcome.may_pass) == ("failed", False)
        assert "refused the login" in outcome.problem
        assert "wrong one" not in outcome.problem


def test_a_server_whose_certificate_nobody_vouches_for_gets_no_password(
    secure: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    outcomes = send(secure.port, password="let me in", security="starttls")
    assert "certificate is not trusted" in outcomes[TEAM[0]].problem
    assert secure.logins == []


def test_a_server_that_cannot_encrypt_gets_nothing() -> None:
    with mail_server() as server:
        outcomes = send(server.port, security="starttls")
    assert {each.status for each in outcomes.values()} == {"failed"}
    assert "smtp_security" in outcomes[TEAM[0]].problem
    assert server.messages == []


def test_a_refused_receiver_keeps_it_from_nobody_else() -> None:
    refused = {TEAM[0]: "550 no such user here", "full@bank.example": "452 mailbox full"}
    with mail_server() as server:
        server.refused = refused
        outcomes = send(server.port, (*TEAM, "full@bank.example"))
    assert outcomes[TEAM[1]] == SENT
    assert "550 no such user here" in outcomes[TEAM[0]].problem
    assert (outcomes[TEAM[0]].status, outcomes[TEAM[0]].may_pass) == ("failed", False)
    assert outcomes["full@bank.example"].may_pass
    assert server.envelopes == [[TEAM[1]]]


@pytest.mark.parametrize(
    ("answer", "may_pass"), [("554 looks like spam", False), ("451 later", True)]
)
def test_a_refused_message_is_certain(answer: str, may_pass: bool) -> None:
    with mail_server() as server:
        server.answer = answer
        [outcome] = send(server.port, TEAM[:1]).values()
    assert outcome == Outcome("failed", f"the server answered {answer}", may_pass)


def test_a_server_that_is_down_took_nothing_and_may_come_back() -> None:
    with mail_server() as server:
        pass
    [outcome] = send(server.port, TEAM[:1]).values()
    assert outcome == Outcome("failed", "nothing answers there", may_pass=True)


def test_a_server_that_hangs_before_it_has_the_message_took_nothing() -> None:
    begun = monotonic()
    with mail_server() as server:
        server.is_slow_to_greet, server.seconds = True, 30.0
        [outcome] = send(server.port, TEAM[:1], timeout=0.3).values()
    assert (outcome.status, outcome.problem) == ("failed", "the server did not answer in time")
    assert monotonic() - begun < 5


def test_of_a_server_that_hangs_after_it_has_the_message_nobody_knows() -> None:
    with mail_server() as server:
        server.seconds = 30.0
        [outcome] = send(server.port, TEAM[:1], timeout=0.3).values()
    assert outcome.status == "unsure"
    assert not outcome.may_pass
    assert outcome.problem == "the server did not answer in time after the message was handed over"


def test_what_is_raised_before_handing_over_keeps_the_message_back() -> None:
    def stop(receivers: Sequence[str]) -> None:
        raise LookupError(receivers[0])

    with mail_server() as server, pytest.raises(LookupError):
        MailServer("127.0.0.1", server.port, security="none").send(
            message(), SENDER, TEAM, timeout=5, handing_over=stop
        )
    assert server.messages == []


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b"])
def test_no_header_can_be_slipped_in(end: str) -> None:
    subject = f"Week 46{end}Bcc: everybody@elsewhere.example{end}{end}A body"
    found = envelope(SENDER, TEAM, subject, identifier="1", moment=datetime.now(UTC))
    raw = found.as_bytes()
    assert b"\nBcc" not in raw
    assert found["Bcc"] is None
    for address in (f"a@b.example{end}Bcc: c@d.example", f"a{end}@b.example"):
        with pytest.raises(ValueError):
            envelope(address, TEAM, "", identifier="1", moment=datetime.now(UTC))
        with pytest.raises(ValueError):
            envelope(SENDER, [address], "", identifier="1", moment=datetime.now(UTC))
