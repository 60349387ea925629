"""Telling the readers of a list: once each, recorded, and never at the cost of the run."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Outcome, cardwatch, start
from message_servers import HttpServer, MailServer, mail_server
from published_weeks import WEEK, publish

from cardwatch.config import Config
from cardwatch.engine import Engine
from cardwatch.errors import PublishError
from cardwatch.news import read_news
from cardwatch.notify.side_by_side import side_by_side
from cardwatch.outputs import OutputFile
from cardwatch.wiring import open_teller

TEAM = ["team@bank.example", "lead@bank.example"]
IDS = {"C-104233": 1, "=cmd|' /C calc'!A1": 2, "<b>X-77123</b>": 3}
NOTIFY = ("notify", "--reporting-week", WEEK.label)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two published weeks; not to be changed."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "outputs").mkdir()
    (folder / "config").mkdir()
    for week, listed in ((WEEK - 1, {"C-104233": 1, "C-999": 2}), (WEEK, IDS)):
        with Engine(memory_limit="200MB", threads=1, temp_directory=folder) as engine:
            publish(folder / "outputs", engine, listed, week=week, others={"Z-1": 9})
    return folder


@pytest.fixture
def folder(tmp_path: Path, published: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "here"))


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


def configure(folder: Path, port: int, *, email: dict[str, Any] | None = None, **more: Any) -> None:
    notify = {
        "smtp_server": "127.0.0.1",
        "smtp_port": port,
        "smtp_security": "none",
        "smtp_user": "cardwatch@bank.example",
        "timeout_seconds": 5,
        "attempts": 1,
        "email": {"enabled": True, "to": TEAM, "charts": False, **(email or {})},
        **more,
    }
    settings = {"environment": "staging", "portfolio": {"currency": "EUR"}, "notify": notify}
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def config_of(folder: Path, **notify: Any) -> Config:
    output = {"directory": folder / "outputs"}
    return Config.model_validate({"output": output, "notify": notify})


def record(folder: Path) -> list[dict[str, Any]]:
    path = folder / "outputs" / f"notices_{WEEK.label}.json"
    found: list[dict[str, Any]] = json.loads(path.read_bytes())["notices"]
    return found


def statuses(folder: Path) -> dict[str, str]:
    return {each["receiver"]: each["status"] for each in record(folder)}


def body(server: MailServer, kind: str = "plain") -> str:
    found = server.messages[-1].get_body((kind,))
    assert found is not None
    text: str = found.get_content()
    return text


# What is told


def test_ids_are_masked_in_every_part_of_a_mail_unless_told_otherwise(
    folder: Path, mail: MailServer
) -> None:
    configure(folder, mail.port, email={"attach": "csv"})
    cardwatch(folder, *NOTIFY)
    for id_text in (*IDS, "C-999"):
        assert id_text.encode() not in mail.messages[0].as_bytes()
        for part in mail.messages[0].walk():
            if not part.is_multipart():
                assert id_text not in str(part.get_content())
    assert "1. •••233" in body(mail)
    [attached] = mail.messages[0].iter_attachments()
    assert attached.get_filename() == f"anomalies_{WEEK.label}_masked.csv"

    configure(folder, mail.port, email={"attach": "csv"}, mask_ids=False)
    cardwatch(folder, *NOTIFY, "--again")
    assert "1. C-104233" in body(mail)
    assert "<b>X-77123</b>" not in body(mail, "html")
    [attached] = mail.messages[1].iter_attachments()
    same = folder / "outputs" / OutputFile.LIST_CSV.of(WEEK)
    assert attached.get_payload(decode=True) == same.read_bytes()


def test_a_mail_tells_what_changed_since_the_week_before(folder: Path, mail: MailServer) -> None:
    configure(folder, mail.port)
    cardwatch(folder, *NOTIFY)
    assert mail.messages[0]["Subject"] == (
        f"[staging] Card anomalies, week {WEEK.display()}: 3 listed, 2 new, 1 gone"
    )
    text = " ".join(body(mail).split())
    assert "high · concern · rank 1 the week before" in text
    assert "- ••• (was 2): " in text  # of a short id nothing is shown


def test_charts_are_pictures_inside(folder: Path, mail: MailServer) -> None:
    configure(folder, mail.port, email={"charts": True, "details": 1})
    cardwatch(folder, *NOTIFY)
    [picture] = [part for part in mail.messages[0].walk() if part["Content-ID"]]
    assert picture.get_content_type() == "image/png"
    assert picture.get_content().startswith(b"\x89PNG")
    assert f"cid:{str(picture['Content-ID']).strip('<>')}" in body(mail, "html")


def test_the_chat_is_told_in_a_few_lines(folder: Path, mail: MailServer, hook: HttpServer) -> None:
    configure(
        folder,
        mail.port,
        email={"enabled": False},
        chat={"enabled": True},
        slack_webhook_url=hook.url,
    )
    cardwatch(folder, *NOTIFY)
    cardwatch(folder, *NOTIFY)
    [said] = hook.bodies
    lines = json.loads(said)["text"].splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("1. •••233 (high · concern · rank 1 the week before): Spent 1,200")
    assert hook.url not in (folder / "outputs" / f"notices_{WEEK.label}.json").read_text()


def test_a_list_that_is_not_the_one_of_its_run_is_not_told(folder: Path) -> None:
    path = folder / "outputs" / OutputFile.LIST_JSON.of(WEEK)
    path.write_text(path.read_text().replace("1200.5", "1.5"))
    with pytest.raises(PublishError, match="not the one that its run wrote"):
        read_news(config_of(folder), WEEK)
    path.unlink()
    with pytest.raises(PublishError, match="packed or gone"):
        read_news(config_of(folder), WEEK)


def test_a_dry_run_and_a_saved_mail_are_sent_to_nobody(folder: Path, mail: MailServer) -> None:
    configure(folder, mail.port)
    shown = cardwatch(folder, *NOTIFY, "--dry-run").out
    assert shown.startswith("Subject: [staging] Card anomalies")
    assert "To: team@bank.example, lead@bank.example" in shown
    cardwatch(folder, *NOTIFY, "--save", "list.eml")
    assert b"Subject: [staging] Card" in (folder / "list.eml").read_bytes()
    assert mail.messages == []
    assert not (folder / "outputs" / f"notices_{WEEK.label}.json").exists()


# Once each


def test_nobody_is_told_twice_and_who_is_new_is_told(folder: Path, mail: MailServer) -> None:
    configure(folder, mail.port)
    assert "sent to 2 receivers" in cardwatch(folder, *NOTIFY).err
    assert "sent before to 2 receivers" in cardwatch(folder, *NOTIFY).err
    assert len(mail.messages) == 1
    configure(folder, mail.port, email={"to": [*TEAM, "new@bank.example"]})
    cardwatch(folder, *NOTIFY)
    assert mail.envelopes[1:] == [["new@bank.example"]]
    cardwatch(folder, *NOTIFY, "--again")
    assert len(mail.envelopes[2]) == 3
    assert mail.messages[2]["Message-ID"] == mail.messages[0]["Message-ID"]


def test_another_list_of_the_week_is_told_as_a_revision(
    folder: Path, mail: MailServer, engine: Engine
) -> None:
    configure(folder, mail.port)
    cardwatch(folder, *NOTIFY)
    publish(folder / "outputs", engine, {"C-104233": 2, "C-555555": 1})
    cardwatch(folder, *NOTIFY)
    assert "revised: Card anomalies" in mail.messages[1]["Subject"]
    cardwatch(folder, *NOTIFY)
    assert len(mail.messages) == 2


def test_a_refused_receiver_is_recorded_and_tried_again_alone(
    folder: Path, mail: MailServer
) -> None:
    configure(folder, mail.port)
    mail.refused = {TEAM[0]: "550 no such user here"}
    failed = cardwatch(folder, *NOTIFY, code=7)
    [line] = failed.errors
    assert "550 no such user here" in line
    assert f"cardwatch notify --reporting-week {WEEK}" in line
    assert statuses(folder) == {TEAM[0]: "failed", TEAM[1]: "sent"}
    mail.refused = {}
    cardwatch(folder, *NOTIFY)
    assert mail.envelopes == [[TEAM[1]], [TEAM[0]]]


def test_what_a_server_that_is_down_did_not_get_is_sent_when_it_is_back(folder: Path) -> None:
    with mail_server() as down:
        pass
    configure(folder, down.port)
    assert "nothing answers there" in cardwatch(folder, *NOTIFY, code=7).err
    assert set(statuses(folder).values()) == {"failed"}
    with mail_server() as server:
        configure(folder, server.port)
        cardwatch(folder, *NOTIFY)
        assert len(server.messages) == 1


def test_of_a_server_that_hangs_nobody_knows_so_it_is_not_sent_again_by_itself(
    folder: Path, mail: MailServer
) -> None:
    configure(folder, mail.port, timeout_seconds=1)
    mail.seconds = 30.0
    [line] = cardwatch(folder, *NOTIFY, code=7).errors
    assert "after the message was handed over" in line
    assert "--again" in line
    assert set(statuses(folder).values()) == {"unsure"}
    mail.seconds = 0.0
    configure(folder, mail.port)
    cardwatch(folder, *NOTIFY, code=7)
    assert len(mail.messages) == 1
    cardwatch(folder, *NOTIFY, "--again")
    assert len(mail.messages) == 2
    assert set(statuses(folder).values()) == {"sent"}


def test_a_server_that_hangs_at_once_is_tried_again_the_next_time(
    folder: Path, mail: MailServer
) -> None:
    configure(folder, mail.port, timeout_seconds=0.5)
    mail.is_slow_to_greet, mail.seconds = True, 30.0
    cardwatch(folder, *NOTIFY, code=7)
    assert set(statuses(folder).values()) == {"failed"}
    mail.is_slow_to_greet, mail.seconds = False, 0.0
    configure(folder, mail.port)
    cardwatch(folder, *NOTIFY)
    assert len(mail.messages) == 1


@pytest.mark.system
def test_a_process_that_was_killed_while_sending_is_not_followed_by_a_second_mail(
    folder: Path, mail: MailServer
) -> None:
    configure(folder, mail.port, timeout_seconds=30)
    mail.seconds = 30.0
    process = start(folder, *NOTIFY)
    try:
        assert mail.has_read.wait(60)
        process.send_signal(signal.SIGKILL)
    finally:
        process.communicate(timeout=30)
    mail.seconds = 0.0
    done = cardwatch(folder, *NOTIFY, code=7)
    assert "may have reached 2 receivers before, so it was not sent again" in done.err
    assert len(mail.messages) == 1
    cardwatch(folder, *NOTIFY, "--again")
    assert len(mail.messages) == 2


@pytest.mark.system
def test_of_two_processes_at_once_only_one_sends(folder: Path, mail: MailServer) -> None:
    configure(folder, mail.port, timeout_seconds=60)
    mail.seconds = 0.5
    processes = [start(folder, *NOTIFY) for _ in range(2)]
    done = [each.communicate(timeout=120) for each in processes]
    assert [each.returncode for each in processes] == [0, 0]
    assert len(mail.messages) == 1
    assert sorted("sent before" in err for _, err in done) == [False, True]


def test_of_two_that_send_at_once_only_one_does(folder: Path, mail: MailServer) -> None:
    mail.seconds = 0.3
    server = {"smtp_server": "127.0.0.1", "smtp_port": mail.port, "smtp_security": "none"}
    email = {"enabled": True, "to": TEAM, "sender": "a@bank.example", "charts": False}
    config = config_of(folder, **server, email=email)
    told = side_by_side([lambda: open_teller(config).tell(lambda: read_news(config, WEEK))] * 2, 60)
    assert len(mail.messages) == 1
    assert sorted(len(each[0].already) for each in told if isinstance(each, tuple)) == [0, 2]


def test_nothing_is_sent_where_it_cannot_be_recorded(folder: Path, mail: MailServer) -> None:
    configure(folder, mail.port)
    (folder / "outputs" / f"notices_{WEEK.label}.json").write_text("{half")
    [line] = cardwatch(folder, *NOTIFY, code=7).errors
    assert "record of who was told cannot be read" in line
    assert mail.messages == []


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ({"enabled": False}, "Nobody is to be told"),
        ({"to": []}, "The mail has nobody to go to"),
        ({"to": ["team@bank.example\r\nBcc: x@y.example"]}, "notify.email.to"),
        ({"sender": "Team <a@b.example>, c"}, "notify.email.sender"),
    ],
)
def test_settings_that_lead_nowhere_are_said(
    folder: Path, mail: MailServer, email: dict[str, Any], said: str
) -> None:
    configure(folder, mail.port, email=email)
    done: Outcome = cardwatch(folder, *NOTIFY, code=7 if email == {"to": []} else 2)
    assert said in done.errors[0]
    assert mail.messages == []
