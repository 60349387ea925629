"""A deployment that fails, is stopped or is killed at each of the commands it consists of."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Installation, clone, executable, make_origin, put_back

pytestmark = pytest.mark.system

SHIMMED = ("git", "install", "ln", "mkdir", "mktemp", "mv", "rm")
SHIM = """\
#!/usr/bin/env bash
# Counts the commands of a deployment, and does harm at one of them. Its group is the deployment.
if [[ -n ${{COUNTED-}} ]]; then
    echo "{name} $*" >>"${{COUNTED}}"
    mapfile -t counted <"${{COUNTED}}"
    ((${{#counted[@]}} != HARM_AT)) || case ${{HARM}} in
        fail) exit 1 ;;
        *) kill -s "${{HARM}}" 0; sleep 60 ;;
    esac
fi
exec {real} "$@"
"""
CODES = {"fail": (0, 1, 2), "TERM": (0, 1, 143), "KILL": (-signal.SIGKILL,)}
PATHS = ("main.py", "src", "deploy.sh", "deploy/rollback.sh", "venv/bin/python", "docs",
         "config/config.example.yaml")  # fmt: skip


def sabotaged(place: Installation) -> Installation:
    """Put shims before the commands of the system and of the sandbox."""
    programs = Path(place.variables["DEPLOY_INSTALL"]).parent / "shims"
    programs.mkdir()
    for name in SHIMMED:
        executable(programs / name, SHIM.format(name=name, real=shutil.which(name)))
    variables = {**place.variables, "PATH": f"{programs}{os.pathsep}{place.variables['PATH']}"}
    for name in ("DEPLOY_INSTALL", "DEPLOY_SYSTEMCTL"):
        real = variables[name]
        variables[name] = str(executable(programs / name, SHIM.format(name=name, real=real)))
    return Installation(place.folder, variables)


def prepare(folder: Path, *, deployed: bool) -> Installation:
    origin = make_origin(folder / "origin")
    place = clone(origin, folder / "anomaly-detection", folder / "programs")
    place.write("config/config.yaml", "environment: production\n")
    place.write(".env", "DB_HOST=db1\n")
    place.run("bash", place.variables["DEPLOY_INSTALL"], str(place.folder))
    if deployed:
        place.deploy("v1.0.0")
    place.release("v1.1.0")
    shutil.copytree(folder, folder.with_name("saved"), symlinks=True)
    return sabotaged(place)


def attempt(place: Installation, harm: str, number: int) -> int:
    """Deploy v1.1.0, with harm at one command; returns the exit code."""
    counted = place.folder.parent / "counted"
    counted.unlink(missing_ok=True)
    variables = {**place.variables, "COUNTED": str(counted), "HARM": harm, "HARM_AT": str(number)}
    with (place.folder.parent / "said").open("wb") as said:
        done = subprocess.run(
            ["./deploy.sh", "v1.1.0"],
            cwd=place.folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            timeout=120,
            check=False,
        )
    return done.returncode


def restore(place: Installation) -> None:
    """Put everything back to where the first attempt began."""
    running = Path("programs", "calls.running")
    if (saved := place.folder.parent.with_name("saved") / running).exists():
        shutil.copy(saved, place.folder.parent / running)
    for name in ("anomaly-detection", "origin"):
        put_back(place.folder.parent.with_name("saved") / name, place.folder.parent / name)


def assert_whole(place: Installation, versions: tuple[str, ...]) -> None:
    """Every path of the guide leads to a version that works, and what is configured is there."""
    missing = [name for name in PATHS if not (place.folder / name).exists()]
    assert not missing
    place.run("venv/bin/cardwatch", "config", "show")
    assert (place.folder / ".env").read_text() == "DB_HOST=db1\n"
    assert (place.folder / "config/config.yaml").read_text() == "environment: production\n"
    found = (place.folder / "main.py").resolve().parent
    assert (found / "version").read_text() in versions


def kept(place: Installation) -> dict[str, str]:
    """What a deployment that failed leaves as it was: all but backups and the complete release.

    A file that was to replace another one (``*.new``) may be left; the next deployment takes it.
    """
    made = ("deployments.log", ".deploy.lock", "releases/v1.1.0", ".backup", ".new")
    return {name: text for name, text in place.state().items() if not any(m in name for m in made)}


@pytest.mark.parametrize(
    ("harm", "deployed", "first", "step"),
    [
        *[pytest.param("fail", True, n, 3, id=f"fails {n + 1} of 3") for n in range(3)],
        pytest.param("TERM", True, 0, 4, id="stopped"),
        *[pytest.param("KILL", True, n * 3, 6, id=f"killed {n + 1} of 2") for n in range(2)],
        *[pytest.param("KILL", False, n * 4, 8, id=f"at the first {n + 1} of 2") for n in range(2)],
    ],
)
@pytest.mark.takes(30)
def test_at_whichever_command_a_deployment_breaks_off(
    tmp_path: Path, harm: str, deployed: bool, first: int, step: int
) -> None:
    """At every command, or every third or fourth where another sweep goes the same way at each.

    A sweep is parted, so that it is not the last that everything else waits for.
    """
    place = prepare(tmp_path / "place", deployed=deployed)
    before = kept(place)
    assert attempt(place, harm, 0) == 0
    commands = (place.folder.parent / "counted").read_text().splitlines()
    assert len(commands) > 30
    for number, command in list(enumerate(commands, 1))[first::step]:
        restore(place)
        code = attempt(place, harm, number)
        said = (place.folder.parent / "said").read_text()
        try:
            assert code in CODES[harm]
            if harm == "KILL":
                if deployed:
                    assert_whole(place, ("v1.0.0", "v1.1.0"))
                    place.deploy("v1.1.0")
                else:  # one path, perhaps the script's own, may be between checkout and release
                    places = ("deploy", "releases/v1.0.0/deploy")
                    [script, *_] = [p for p in places if (place.folder / p / "lib").exists()]
                    place.run("bash", f"{script}/deploy.sh", "v1.1.0")
                assert (place.folder / "previous").readlink().name == "v1.0.0"
            elif code:
                assert kept(place) == before
                assert place.running == "v1.0.0"
                continue
            assert_whole(place, ("v1.1.0",))
            assert place.current == place.running == "v1.1.0"
            assert not list(place.folder.glob(".deploying*"))
        except AssertionError as error:
            what = f"{harm} at {number}, {command}: exit code {code}\n{said}"
            raise AssertionError(f"{what}\n{error}") from error


def test_a_switch_that_was_killed_is_taken_back_before_anything_else(tmp_path: Path) -> None:
    place = prepare(tmp_path / "place", deployed=True)
    attempt(place, "KILL", 0)
    commands = (place.folder.parent / "counted").read_text().splitlines()
    restarting = next(n for n, text in enumerate(commands, 1) if "SYSTEMCTL restart" in text)
    agains: list[Callable[[], str]] = [lambda: place.deploy("v1.2.0", code=1), place.rollback]
    for again in agains:
        restore(place)
        place.release("v1.2.0", crashes="")
        assert attempt(place, "KILL", restarting) == -signal.SIGKILL
        assert place.current == "v1.1.0"
        said = again()
        assert "the deployment of v1.1.0 was killed" in said
        assert place.current == place.running == "v1.0.0"
        assert place.journal[1][:3] == ["killed", "v1.0.0", "v1.1.0"]
