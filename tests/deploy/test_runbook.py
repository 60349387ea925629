"""The commands of the runbook, run as they stand on an installation that was deployed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from message_servers import http_server
from postgres import Database
from product import INSTALL, make_product
from sandbox import ROOT, Installation, clone, executable
from test_deploy_drill import CONFIGURATION

from cardwatch.week import ReportingWeek

RUNBOOK = ROOT / "docs" / "RUNBOOK.md"
LAST = ReportingWeek.containing(datetime.now(UTC).date()) - 1
PLACES = {
    "/opt/anomaly-detection": ".",
    "2025-46": LAST.label,
    "2025-45": (LAST - 1).label,
    "2025-30": (LAST - 1).label,
    "CUSTOMER": f'"$(sed -n 2p outputs/anomalies_{LAST.label}.csv | cut -d, -f1)"',
}
OF_THE_MACHINE = (
    "sudo",
    "systemctl",
    "journalctl",
    "airflow",
    "ls -t logs/airflow",
    "python dags/",
)
"""Need services: units are compared with those in ``deploy/systemd``, Airflow has its own tests."""
CHANGES = (
    "deploy/rollback.sh code VERSION", "deploy/rollback.sh configuration", "ln -sfn",
    "deploy/rollback.sh source primary", "releases/VERSION", "deploy.sh",
)  # fmt: skip
"""What the drill of the deployment does; here a dry run has to do."""
FAILED = "exit code"
PROGRAMS = r"(?:cardwatch|python|tail|grep|du|df|free|deploy/\S+|ln|\./deploy\.sh) "


def blocks(text: str) -> list[str]:
    fenced = re.findall(r"^ *```bash\n(.*?)^ *```", text, re.M | re.S)
    return ["\n".join(line.strip() for line in block.splitlines()) for block in fenced]


def inline(text: str) -> list[str]:
    without = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    return [each for each in re.findall(r"`([^`\n]+)`", without) if re.match(PROGRAMS, each)]


def scripts() -> Iterator[str]:
    """Return every block but those that need services, and every command within a sentence."""
    text = RUNBOOK.read_text(encoding="utf-8")
    for block in [*blocks(text), *inline(text)]:
        lines = [line for line in block.splitlines() if not line.startswith(OF_THE_MACHINE)]
        if not lines or lines[0].startswith(("cd ", *CHANGES)):
            continue
        script = "\n".join(lines)
        for written, here in PLACES.items():
            script = script.replace(written, here)
        yield script


def test_units_and_scripts_that_the_runbook_names_exist() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    files = {path.name for path in (ROOT / "deploy" / "systemd").iterdir()}
    aliases = re.findall(r"^Alias=(\S+)", "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "deploy" / "systemd").iterdir()
    ), re.M)  # fmt: skip
    known = {name.rpartition(".")[0] for name in [*files, *aliases]} | {*files, *aliases}
    named = re.findall(r"(?:systemctl (?:re)?(?:start|status)|journalctl -u) ([^`\n]+)", text)
    units = {word for words in named for word in words.split() if not word.startswith("-")}
    assert units - {"today", "yesterday", "100"} <= known
    for script in re.findall(r"(?:\./|deploy/)\w+\.sh", text):
        assert (ROOT / script).is_file()


@pytest.fixture
def deployed(tmp_path: Path, database: Database) -> Installation:
    make_product(tmp_path / "origin")
    place = clone(tmp_path / "origin", tmp_path / "anomaly-detection", tmp_path / "programs")
    executable(tmp_path / "programs" / "install", INSTALL)
    place.write("config/config.yaml", CONFIGURATION.format(folder=place.folder))
    place.write(".env", f"OUTPUT_DB_CONNECTION_STRING={database.url}\n").chmod(0o600)
    place.write("config/database.backup.env", "DB_HOST=standby\n").chmod(0o600)
    place.run("bash", place.variables["DEPLOY_INSTALL"], str(place.folder), "requirements.txt")
    program = str(place.folder / "venv" / "bin" / "cardwatch")
    place.run(program, "db", "upgrade")
    place.run(program, "sample", "--customers", "300", "--weeks", "16")
    place.run(program, "run", "--reporting-week", (LAST - 1).label)
    place.deploy("v1.1.0")
    return place


@pytest.mark.system
@pytest.mark.takes(100)
def test_the_commands_of_the_runbook_do_what_they_say(deployed: Installation) -> None:
    found = list(dict.fromkeys(scripts()))
    assert len(found) > 20, "the runbook's commands are not found any more"
    # A run first: the others look at what it leaves.
    found.sort(key=lambda script: "main.py --reporting-week last --output-dir" not in script)
    with http_server() as hook:
        deployed.write(
            "config/monitoring_config.yaml",
            f'alerts: {{channels: ["json://127.0.0.1:{hook.port}/x"]}}\n'
            "health: {disk_warn_gb: 0, disk_fail_gb: 0, memory_warn_gb: 0}\n",
        )
        deployed.write(
            "config/config.yaml",
            CONFIGURATION.format(folder=deployed.folder)
            + f'notify: {{slack_webhook_url: "{hook.url}", chat: {{enabled: true}}}}\n',
        )
        said = {script: in_shell(deployed, script) for script in found}
    failed = [f"{script}\n{text}" for script, text in said.items() if text.startswith(FAILED)]
    assert not failed, "\n".join(failed)
    assert "identical" in next(text for script, text in said.items() if "reproduce" in script)
    assert "Health: ok" in said["python -m src.monitoring.health_checks"]
    assert "sent" in said["python -m src.monitoring.alerting"]
    # Only the chat of the readers is written to in Slack's way; alerts have another channel here.
    assert any("text" in json.loads(body) for body in hook.bodies), "cardwatch notify told nobody"


def in_shell(place: Installation, script: str) -> str:
    # As an operator has it who typed the first block; grep ends with 1 where nothing is found.
    pipe = "" if script.startswith("grep") else "set -o pipefail; "
    done = subprocess.run(
        ["bash", "-e", "-c", f"source venv/bin/activate; {pipe}{script}"],
        cwd=place.folder,
        env=place.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return done.stdout if done.returncode == 0 else f"{FAILED} {done.returncode}\n{done.stdout}"
