"""What deploy/ has for systemd, sudo, logrotate, bash and Docker, by the tools of each of them."""

from __future__ import annotations

import configparser
import getpass
import grp
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prometheus_programs import program

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
TIMERS = [unit for unit in UNITS if unit.suffix == ".timer"]
SCRIPTS = [ROOT / "deploy.sh", *DEPLOY.rglob("*.sh"), ROOT / "tests/system/install.sh"]
GUIDES_HOME = "/opt/anomaly-detection"
EXPOSURE = 1.7
"""What `systemd-analyze security` says of every service, of 10; docs/DEPLOYMENT.md names it."""


def said_by(*command: str | Path) -> str:
    """Run a checker that must end well, and return all that it printed."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


class Unit(configparser.RawConfigParser):
    """A unit file: keys as they are written."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, interpolation=None, comment_prefixes=("#",))
        self.read(path, encoding="utf-8")

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.mark.system
def test_systemd_knows_every_key_of_every_unit(tmp_path: Path) -> None:
    """An unknown key is a line on standard error, and exit code 0."""
    analyze = program("systemd-analyze")
    started = tmp_path / "started"
    started.write_text("#!/bin/sh\n")
    started.chmod(0o755)
    for unit in UNITS:
        text = re.sub(
            rf"^(ExecStart=){GUIDES_HOME}\S+", rf"\1{started}", unit.read_text(), flags=re.M
        )
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    copies = [tmp_path / unit.name for unit in UNITS]
    assert said_by(analyze, "verify", "--man=no", *copies) == ""
    copies[0].write_text(copies[0].read_text().replace("NoNewPrivileges", "NoNewPrivilege"))
    assert "NoNewPrivilege" in said_by(analyze, "verify", "--man=no", copies[0])


@pytest.mark.system
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: str(unit.name))
def test_a_service_is_exposed_no_more_than_the_documentation_says(unit: Path) -> None:
    said = said_by(program("systemd-analyze"), "security", "--offline=true", "--no-pager", unit)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert level is not None, said
    assert float(level[1]) <= EXPOSURE
    page = (ROOT / "docs" / "DEPLOYMENT.md").read_text(encoding="utf-8")
    assert f"exposure level of {EXPOSURE}" in page


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: str(unit.name))
def test_a_service_has_its_user_its_path_and_the_variables(unit: Path) -> None:
    service = Unit(unit)["Service"]
    assert (service["User"], service["Group"]) == ("anomaly-detection", "anomaly-detection")
    assert service["EnvironmentFile"].lstrip("-") == f"{GUIDES_HOME}/.env"
    assert f"PATH={GUIDES_HOME}/venv/bin:/usr/local/bin:/usr/bin:/bin" in unit.read_text()
    assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")


def test_the_guides_name_of_the_web_interface_is_an_alias() -> None:
    unit = Unit(DEPLOY / "systemd" / "airflow-api-server.service")
    assert unit["Install"]["Alias"] == "airflow-webserver.service"


def test_the_exit_codes_that_are_tried_again_are_those_of_the_dag() -> None:
    service = Unit(DEPLOY / "systemd" / "cardwatch.service")["Service"]
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"].split() == ["1", "2", "4", "5"]
    assert service["ExecStart"].endswith(" run --reporting-week due")  # a late feed is no success


@pytest.mark.system
@pytest.mark.parametrize("unit", TIMERS, ids=lambda unit: str(unit.name))
def test_a_timer_is_understood(unit: Path) -> None:
    when = Unit(unit)["Timer"]["OnCalendar"]
    said = said_by(program("systemd-analyze"), "calendar", when)
    if unit.name == "cardwatch.timer":
        assert "Mon *-*-* 02:00:00 America/Chicago" in said


@pytest.mark.system
def test_sudo_reads_its_drop_in(tmp_path: Path) -> None:
    copy = tmp_path / "cardwatch"
    shutil.copy(DEPLOY / "sudoers.d" / "cardwatch", copy)
    copy.chmod(0o440)
    assert "parsed OK" in said_by(program("visudo"), "--check", "--strict", f"--file={copy}")


def test_sudo_allows_what_is_needed_for_the_units_and_nothing_else() -> None:
    text = (DEPLOY / "sudoers.d" / "cardwatch").read_text(encoding="utf-8")
    allowed = set(re.findall(r"^ +/usr/bin/systemctl (\w+ [^,\n]+?)(?:, \\)?$", text, re.M))
    names = {unit.name for unit in UNITS} | {"airflow-webserver.service"}
    names |= {name.removesuffix(".service") for name in names if name.startswith("airflow-")}
    names.add("airflow-webserver airflow-scheduler")
    assert allowed == {f"{verb} {name}" for verb in ("start", "stop", "restart") for name in names}
    rules = [line for line in text.splitlines() if line and line[0] not in "#C "]
    assert rules == [
        "anomaly-detection ALL = (root) NOPASSWD:"
        " CARDWATCH_START, CARDWATCH_STOP, CARDWATCH_RESTART"
    ]
    assert "*" not in text.replace("*.service", "")


def test_a_restart_by_the_script_is_one_that_sudo_allows() -> None:
    text = (DEPLOY / "lib" / "services.sh").read_text(encoding="utf-8")
    known = re.search(r"KNOWN_UNITS=\((.*?)\)", text, re.S)
    assert known is not None
    allowed = (DEPLOY / "sudoers.d" / "cardwatch").read_text(encoding="utf-8")
    for unit in known[1].split():
        for verb in ("stop", "restart"):
            assert re.search(rf"/usr/bin/systemctl {verb} {re.escape(unit)}(,|$)", allowed, re.M)


@pytest.mark.system
def test_logrotate_empties_the_log_of_health_checks_and_removes_airflows(tmp_path: Path) -> None:
    logrotate = program("logrotate")
    group = grp.getgrgid(os.getgid()).gr_name
    text = (DEPLOY / "logrotate.conf").read_text(encoding="utf-8")
    text = text.replace(GUIDES_HOME, str(tmp_path))
    text = text.replace("su anomaly-detection anomaly-detection", f"su {getpass.getuser()} {group}")
    rules = tmp_path / "rules"
    rules.write_text(text, encoding="utf-8")
    rules.chmod(0o644)
    run = tmp_path / "logs/airflow/dag_id=card/run_id=manual/task_id=run"
    run.mkdir(parents=True)
    log, attempt = tmp_path / "logs/health_checks.log", run / "attempt=1.log"
    log.write_text("a line\n")
    attempt.write_text("a line\n")
    shown = said_by(logrotate, "--debug", "--state", tmp_path / "state", rules)
    assert "error" not in shown.lower()
    assert str(log) in shown
    said_by(logrotate, "--force", "--state", tmp_path / "state", rules)
    assert (log.read_text(), log.with_name("health_checks.log.1").read_text()) == ("", "a line\n")
    assert not list(run.iterdir())


@pytest.mark.system
def test_shellcheck_has_nothing_to_say() -> None:
    assert said_by(program("shellcheck"), "--external-sources", *SCRIPTS) == ""


def test_every_return_names_its_status() -> None:
    """Within the trap of EXIT a bare one would return the status from before the trap."""
    for script in DEPLOY.rglob("*.sh"):
        code = re.sub(r"(?m)^ *#.*$", "", script.read_text(encoding="utf-8"))
        assert not re.search(r"\breturn\s*(;|\||&|\}|\)|$)", code, re.M), script


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_that_is_called_can_be(script: Path) -> None:
    called = script.read_text(encoding="utf-8").startswith("#!")
    assert os.access(script, os.X_OK) == called


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    assert said_by(hadolint, DEPLOY / "docker" / "Dockerfile") == ""


def test_the_image_holds_what_the_dockerfile_copies_and_no_secret() -> None:
    allowed = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert allowed[0] == "*"
    kept = {name[1:] for name in allowed if name.startswith("!")}
    text = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M)
        for name in shlex.split(line)[:-1]
    }
    assert copied == kept
    assert all((ROOT / name).exists() for name in kept)
    assert not kept & {".env", "config", "config/config.yaml", "."}
    assert re.search(r"^USER (?!root|0)", text, re.M)


def test_the_compose_file_names_what_is_there() -> None:
    path = DEPLOY / "docker" / "compose.yaml"
    compose = yaml.safe_load(path.read_text(encoding="utf-8"))
    run = compose["services"]["cardwatch"]
    context = (path.parent / run["build"]["context"]).resolve()
    assert context == ROOT
    assert (context / run["build"]["dockerfile"]).is_file()
    mounted = [
        volume.split(":")[0] for each in compose["services"].values() for volume in each["volumes"]
    ]
    assert {name for name in mounted if not name.startswith(".")} == set(compose["volumes"])
    assert run["read_only"] is True
    assert run["cap_drop"] == ["ALL"]
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
    for place in re.findall(r'"(/app/\w+)"', dockerfile):
        assert any(f":{place}" in volume for volume in run["volumes"])
