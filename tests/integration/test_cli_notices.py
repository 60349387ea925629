"""What ``cardwatch run`` tells the readers of its list, and that it never costs the run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Outcome, cardwatch
from message_servers import HttpServer, MailServer, mail_server
from small_portfolio import WEEK, portfolio_rows, write_parquet

from cardwatch.outputs import OutputFile

TEAM, OPERATOR = "team@bank.example", "operator@bank.example"
RESULTS = tuple(
    kind.of(WEEK)
    for kind in (
        OutputFile.LIST_CSV,
        OutputFile.LIST_JSON,
        OutputFile.SCORES,
        OutputFile.QUARANTINE,
    )
)
"""Files whose bytes tell nothing of the run that wrote them."""
RECORD = f"notices_{WEEK.label}.json"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a week was run and nobody told; not to be changed."""
    folder = tmp_path_factory.mktemp("plain")
    write_parquet(portfolio_rows(60, 14), folder / "data")
    run(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, plain: Path) -> Path:
    shutil.copytree(plain / "data", tmp_path / "data")
    (tmp_path / "config").mkdir()
    return tmp_path


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


def run(folder: Path, *words: str, code: int = 0, **variables: str) -> Outcome:
    week = () if "--reporting-week" in words else ("--reporting-week", WEEK.label)
    named: dict[str, Any] = variables
    return cardwatch(folder, "run", "--source", "data", *week, *words, code=code, **named)


def configure(folder: Path, port: int, output: dict[str, Any] | None = None, **email: Any) -> None:
    notify = {
        "smtp_server": "127.0.0.1",
        "smtp_port": port,
        "smtp_security": "none",
        "smtp_user": "cardwatch@bank.example",
        "attempts": 1,
        "email": {"enabled": True, "to": [TEAM], "charts": False, **email},
    }
    settings = {"notify": notify, "output": output or {}}
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def body(server: MailServer) -> str:
    found = server.messages[-1].get_body(("plain",))
    assert found is not None
    return " ".join(str(found.get_content()).split())


def kinds(folder: Path) -> list[tuple[str, str]]:
    notices = json.loads((folder / "outputs" / RECORD).read_bytes())["notices"]
    return [(each["kind"], each["status"]) for each in notices]


@pytest.mark.system
def test_a_list_is_mailed_once_however_often_its_week_is_run(
    folder: Path, plain: Path, mail: MailServer
) -> None:
    configure(folder, mail.port)
    assert "The mail was sent to 1 receiver (mail through 127.0.0.1" in run(folder).err
    assert "The mail was sent before to 1 receiver" in run(folder).err
    assert len(mail.messages) == 1
    manifest = folder / "outputs" / OutputFile.MANIFEST.of(WEEK)
    assert json.loads(manifest.read_bytes())["run_id"] not in body(mail)
    log = (folder / "logs" / "app.log").read_text()
    assert TEAM not in log

    def results(outputs: Path) -> dict[str, bytes]:
        return {name: (outputs / name).read_bytes() for name in RESULTS}

    assert results(folder / "outputs") == results(plain / "outputs")


def test_a_mail_server_that_is_down_costs_no_run_and_is_recorded(folder: Path) -> None:
    with mail_server() as down:
        pass
    configure(folder, down.port)
    done = run(folder)
    assert "The mail was not sent to 1 receiver: nothing answers there" in done.err
    assert kinds(folder) == [("list", "failed")]
    assert "WARNING" in next(
        line for line in (folder / "logs" / "app.log").read_text().splitlines() if "notice:" in line
    )


def test_settings_without_a_receiver_cost_no_run(folder: Path, mail: MailServer) -> None:
    configure(folder, mail.port, to=[])
    assert "notify.email.to" in run(folder).err
    assert mail.messages == []


def test_who_is_told_gets_the_json_list_made_whatever_the_format(
    folder: Path, mail: MailServer
) -> None:
    configure(folder, mail.port, {"format": "csv"})
    run(folder)
    assert (folder / "outputs" / OutputFile.LIST_JSON.of(WEEK)).is_file()
    assert len(mail.messages) == 1


@pytest.mark.system
def test_nobody_is_told_of_old_weeks_dry_runs_and_where_it_is_not_wanted(
    folder: Path, plain: Path, mail: MailServer
) -> None:
    shutil.copytree(plain / "outputs", folder / "outputs")
    configure(folder, mail.port)
    run(folder, "--dry-run")
    run(folder, "--no-notify")
    before = (WEEK - 1).label
    told = run(folder, "--reporting-week", before)
    assert f"`cardwatch notify --reporting-week {before}` tells" in told.err
    assert mail.messages == []
    cardwatch(folder, "notify", "--reporting-week", before)
    assert len(mail.messages) == 1


def test_a_run_that_failed_is_told_in_short_and_once_until_it_is_over(
    folder: Path, mail: MailServer
) -> None:
    configure(folder, mail.port)
    shutil.move(folder / "data", folder / "elsewhere")
    done = run(folder, code=3)
    run(folder, code=3)
    [message] = mail.messages
    assert "failed in step read" in message["Subject"]
    [line] = done.errors
    said = body(mail)
    assert line.removeprefix("cardwatch: error: ")[:60] in said
    assert "Error:" in said and "Run:" in said
    assert f"Log: {folder / 'logs' / 'app.log'} on " in said.replace("  ", " ")
    assert kinds(folder) == [("failure", "sent")]

    shutil.move(folder / "elsewhere", folder / "data")
    run(folder)
    assert kinds(folder) == [("list", "sent")]
    assert len(mail.messages) == 2


def test_the_run_in_a_failure_is_the_one_in_the_log(folder: Path, mail: MailServer) -> None:
    configure(folder, mail.port)
    (folder / "data" / "spend.parquet").write_bytes(b"no parquet")
    run(folder, code=3)
    run_id = body(mail).split("Run: ")[1].split()[0]
    assert f"run={run_id} week=" in (folder / "logs" / "app.log").read_text()


def test_a_failed_run_sends_nobody_two_mails(
    folder: Path, mail: MailServer, hook: HttpServer
) -> None:
    configure(folder, mail.port, to=[TEAM, OPERATOR.title()])
    settings = {"alerts": {"mail_to": [OPERATOR], "attempts": 1}}
    (folder / "config" / "monitoring_config.yaml").write_text(yaml.safe_dump(settings))
    shutil.rmtree(folder / "data")
    run(folder, code=3, ENABLE_MONITORING="true", SLACK_WEBHOOK_URL=hook.url)
    assert sorted(mail.envelopes) == [[OPERATOR], [TEAM]]
    alert = next(each for each in mail.messages if each["To"] == OPERATOR)
    text = alert.get_body(("plain",))
    assert text is not None
    for name in ("Step: read", "Run: 20", "Log: /"):
        assert name in text.get_content()
    assert len(hook.bodies) == 1


def test_a_week_that_cannot_be_read_is_told_to_nobody(folder: Path, mail: MailServer) -> None:
    configure(folder, mail.port)
    run(folder, "--reporting-week", "2025-99", code=2)
    assert mail.messages == []
