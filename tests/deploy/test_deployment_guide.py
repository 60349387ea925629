"""docs/DEPLOYMENT.md as a newcomer follows it: every command is run, or what it names is there."""

from __future__ import annotations

import json
import os
import re
import shlex
import ssl
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pytest
import trustme
from command_line import cardwatch
from database_tables import load
from message_servers import mail_server
from postgres import Database
from product import INSTALL, make_product
from sandbox import ROOT, Installation, clone, executable, make_origin

PAGE = (ROOT / "docs" / "DEPLOYMENT.md").read_text(encoding="utf-8")
HOME = "/opt/anomaly-detection"
DAG_ID = "card_portfolio_anomaly_detection"

WALKED = (
    "Step 1: Environment variables", "Step 2: Application configuration",
    "Step 4: Create Python virtual environment", "Step 3: Validate configuration",
    "Step 2: Set up the health check", "Step 3: Test monitoring", "Deployment",
    "Scenario 1: bad deployment", "Scenario 2: configuration issues", "Scenario 3: database issues",
)  # fmt: skip
UNDER_AIRFLOW = ("Step 1: Initialize Airflow", "Step 3: Deploy DAG", "Step 5: Verify Airflow")
BY_AN_ADMINISTRATOR = (
    "sudo useradd --create-home --shell /bin/bash anomaly-detection",
    "sudo install -d -o anomaly-detection -g anomaly-detection /opt/anomaly-detection",
    "sudo apt update",
    "sudo apt install -y python3.11 python3.11-venv git curl",
    "sudo su - anomaly-detection",
    "sudo -u postgres createuser --pwprompt airflow",
    "sudo -u postgres createdb --owner airflow airflow",
    "sudo systemctl daemon-reload",
    "sudo apt install -y prometheus-node-exporter",
    "sudo install -d -o anomaly-detection -g anomaly-detection -m 755"
    " /var/lib/node_exporter/textfile",
    "echo 'ARGS=\"--collector.textfile.directory=/var/lib/node_exporter/textfile\"'"
    " | sudo tee -a /etc/default/prometheus-node-exporter",
    "sudo systemctl restart prometheus-node-exporter",
)
ELSEWHERE = (
    "git clone https://github.com/your-org/card-portfolio-anomaly-detection.git .",  # sandbox.clone
    "git checkout v1.0.0",  # as well
    "nano .env",
    "airflow standalone",  # tests/dag, which also finds the logs
    f"ls -t logs/airflow/dag_id={DAG_ID}/*/*/*.log",
)


def blocks() -> Iterator[tuple[str, list[str]]]:
    """Headings and the commands of the blocks below them, in order."""
    heading = ""
    for part in re.finditer(r"^#+ ([^\n]+)$|^ *```(?:bash|text)\n(.*?)^ *```", PAGE, re.M | re.S):
        if part[1]:
            heading = part[1]
        elif part[2] and not part[2].startswith(HOME):
            text = part[2].replace("\\\n", " ")
            yield heading, [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def commands_of(heading: str) -> list[str]:
    return [
        command
        for found, commands in blocks()
        if found == heading
        for command in commands
        if command not in ELSEWHERE and not is_for_an_administrator(command)
    ]


def is_for_an_administrator(command: str) -> bool:
    return command.startswith("sudo ") or "| sudo " in command


def test_every_command_is_run_by_a_test_or_is_an_administrators() -> None:
    for heading, commands in blocks():
        for command in commands:
            known = (
                heading in WALKED
                or heading in UNDER_AIRFLOW
                or command in ELSEWHERE
                or is_for_an_administrator(command)
                or command == f"cd {HOME}"
            )
            assert known, f"{heading}: {command}"
    assert set(WALKED) | set(UNDER_AIRFLOW) <= {heading for heading, _ in blocks()}


def test_what_an_administrator_installs_and_starts_is_there() -> None:
    units = {unit.name for unit in (ROOT / "deploy" / "systemd").iterdir()}
    for command in (c for _, commands in blocks() for c in commands if is_for_an_administrator(c)):
        words = shlex.split(command)
        if command in BY_AN_ADMINISTRATOR:
            continue
        if words[:3] == ["sudo", "systemctl", "enable"]:
            names = {word if "." in word else f"{word}.service" for word in words[4:]}
            assert names <= units, command
            continue
        assert words[:2] == ["sudo", "install"], command
        for source in (word for word in words[2:-1] if word.startswith("deploy/")):
            assert list(ROOT.glob(source)), command


def here(text: str, folder: Path) -> str:
    return text.replace(HOME, str(folder))


def set_variables(file: Path, **variables: str) -> None:
    """Do what the guide's reader does in an editor: set some, and take out what is not used."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines()
             if line.partition("=")[0] not in variables]  # fmt: skip
    lines += [f"{name}='{value}'" for name, value in variables.items() if value]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.system
@pytest.mark.takes(60)
def test_a_newcomer_gets_from_a_clone_to_a_rollback(tmp_path: Path, database: Database) -> None:
    make_product(tmp_path / "origin")
    place = clone(tmp_path / "origin", tmp_path / "anomaly-detection", tmp_path / "programs")
    executable(tmp_path / "programs" / "install", INSTALL)
    cardwatch(tmp_path, "sample", "--customers", "200", "--weeks", "14")
    rows = ds.dataset(tmp_path / "datasamples").to_table()
    load(database, rows, types={"spend_amount": "numeric", "transaction_count": "integer"})

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    trusted = {"SSL_CERT_FILE": str(tmp_path / "authority.pem")}

    def follow(heading: str, code: int = 0, until: str = "set -e") -> str:
        script = here("\n".join([until, *commands_of(heading)]), place.folder)
        path = f"{place.folder}/venv/bin:{place.variables['PATH']}"
        return place.run("bash", "-c", script, code=code, PATH=path, **trusted)

    for file in ("origin/.env.example", "origin/config/production.example.yaml"):
        changed = here((tmp_path / file).read_text(encoding="utf-8"), place.folder)
        (place.folder / file.removeprefix("origin/")).write_text(changed, encoding="utf-8")
    with mail_server(tls) as mail:
        follow("Step 1: Environment variables")
        set_variables(
            place.folder / ".env", DB_CONNECTION_STRING=database.url, SLACK_WEBHOOK_URL="",
            SMTP_SERVER="localhost", SMTP_PORT=str(mail.port), SMTP_PASSWORD="let me in",
        )  # fmt: skip
        follow("Step 2: Application configuration")
        place.run("git", "checkout", ".env.example", "config/production.example.yaml")
        follow("Step 4: Create Python virtual environment")
        assert place.current == "v1.0.0"
        said = follow("Step 3: Validate configuration", code=1)  # doctor: no run yet
        assert "14 weeks" in said
        assert database.url not in said

        cron = commands_of("Step 2: Set up the health check")[-1].removeprefix("0 * * * * ")
        place.run("env", "-i", "sh", "-c", here(cron, place.folder), code=2)  # no run yet
        place.run("venv/bin/python", "main.py")
        nothing_fails = f"{here(cron, place.folder)} || [ $? = 1 ]"
        place.run("env", "-i", "sh", "-c", nothing_fails)
        report = json.loads((place.folder / "outputs/health_check_latest.json").read_text())
        assert report["status"] in ("ok", "warn")
        assert (place.folder / "logs/health_checks.log").stat().st_size > 0

        follow("Step 3: Test monitoring", until="set +e")
        assert mail.messages

        assert "would install v1.1.0" in follow("Deployment")
        assert place.current == "v1.1.0"
        follow("Scenario 1: bad deployment")
        assert place.current == "v1.0.0"
        follow("Scenario 2: configuration issues")
        place.write("config/database.backup.env", f"DB_CONNECTION_STRING={database.url}?x=\n")
        assert ".env is as it was" in follow("Scenario 3: database issues", code=2)
        place.write("config/database.backup.env", f"DB_CONNECTION_STRING={database.url}\n")
        follow("Scenario 3: database issues")


@pytest.mark.airflow
@pytest.mark.takes(60)
def test_airflows_part_of_it_works_as_written(tmp_path: Path, database: Database) -> None:
    airflow = ROOT / ".venv-airflow"
    if not (airflow / "bin/airflow").exists():
        pytest.skip(".venv-airflow is not there: make test-airflow builds it")
    place = tmp_path / "anomaly-detection"
    place.mkdir()
    (place / "airflow").mkdir()
    (place / "dags").symlink_to(ROOT / "dags")
    (place / "venv").symlink_to(airflow)
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    (place / ".env").write_text(here(example, place), encoding="utf-8")
    address = database.url.replace("postgresql://", "postgresql+psycopg2://")
    set_variables(place / ".env", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=address)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    installation = Installation(place, kept)

    commands = ["set -e"]
    for heading in UNDER_AIRFLOW:
        commands += commands_of(heading)
    said = installation.run("bash", "-c", here("\n".join(commands), place))
    assert 'User "admin" created' in said
    assert said.count(DAG_ID) > 2
    with database.connect() as connection:
        [state] = connection.execute("SELECT state::text FROM dag_run").fetchall()
    assert state == ("queued",)


def test_a_value_in_single_quotes_is_read_alike_by_the_shell_and_the_program(
    tmp_path: Path,
) -> None:
    place = clone(make_origin(tmp_path / "origin"), tmp_path / "place", tmp_path / "programs")
    value = 'a b#c$d&e;f(g)<h>|"i\\j`'
    place.write(".env", f"DB_PASSWORD='{value}'\n")
    program = "import os, sys; sys.exit(os.environ['DB_PASSWORD'] != sys.argv[1])"
    python = place.variables["PYTHON"]
    place.run("bash", "-c", 'set -a; source .env; "$@"', "_", python, "-c", program, value)
    with_env = str(ROOT / "deploy" / "lib" / "with_env.py")
    place.run(python, with_env, python, "-c", program, value)
