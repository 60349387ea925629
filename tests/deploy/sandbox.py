"""An installation in a folder of its own: real git tags, stand-ins for product and systemctl."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "A. Tester",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A. Tester",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}
UNITS = "airflow-scheduler.service cardwatch.timer"
ELSEWHERE = shutil.ignore_patterns("alertmanager", "docker", "grafana", "powerbi", "prometheus")
"""What no deployment looks into; hundreds of places are made and compared without it."""

CARDWATCH = """\
# Stands in for the program: does what the file `behaviour` of its release says.
import fnmatch, os, pathlib, sys
release = pathlib.Path(__file__).resolve().parents[1]
def main():
    words = " ".join(sys.argv[1:])
    with open(os.environ.get("CALLS", os.devnull), "a") as calls:
        print(release.name, words, file=calls)
    refused = (release / "behaviour").read_text()
    if refused and fnmatch.fnmatch(words, refused):
        sys.exit(2)
    if words.startswith("config show output.database.enabled"):
        print('"value": "true"')
    elif words.startswith("config"):
        version = (release / "version").read_text()
        sys.exit(2 * (f"not for {version}" in pathlib.Path("config/config.yaml").read_text()))
"""
MAIN = """\
import pathlib, sys
if "--help" not in sys.argv:
    pathlib.Path("outputs").mkdir()
    pathlib.Path("outputs/anomalies_2025-46.csv").touch()
    pathlib.Path("outputs/run_2025-46.json").touch()
"""
INSTALL = """\
#!/usr/bin/env bash
set -eu
cd "$1"
[[ ! -e uninstallable ]] || { echo "no matching distribution" >&2; exit 1; }
mkdir -p venv/bin
printf '#!/bin/sh\\nPYTHONPATH="${PYTHONPATH:-%s}" exec %s -S "$@"\\n' "$1" "$PYTHON" \\
    >venv/bin/python
printf '#!/bin/sh\\nexec "%s" -c "from cardwatch.cli import main; main()" "$@"\\n' \\
    "$1/venv/bin/python" >venv/bin/cardwatch
chmod +x venv/bin/*
"""
SYSTEMCTL = """\
#!/usr/bin/env bash
# Stands in for systemctl: a unit is down while the version in place has a file `crashes`, does not
# start with a file `unstartable`, and comes and goes with a file `flaps`.
echo "$*" >>"${CALLS}"
case $1 in
    is-enabled) [[ " ${ENABLED} " == *" ${*: -1} "* ]] ;;
    is-active) [[ ! -e ${INSTALLATION}/current/crashes ]] ;;
    restart)
        [[ ! -e ${INSTALLATION}/current/unstartable ]] || exit 1
        readlink "${INSTALLATION}/current" >"${CALLS}.running"
        ;;
    show) [[ ! -e ${INSTALLATION}/current/flaps ]] && echo NRestarts=0 || date +%N ;;
esac
"""


@dataclass(frozen=True)
class Installation:
    """A folder as the guide's /opt/anomaly-detection, beside the repository it was cloned from."""

    folder: Path
    variables: dict[str, str]

    @property
    def origin(self) -> Path:
        return self.folder.parent / "origin"

    @property
    def calls(self) -> list[str]:
        file = Path(self.variables["CALLS"])
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    @property
    def current(self) -> str | None:
        link = self.folder / "current"
        return link.readlink().name if link.is_symlink() else None

    @property
    def running(self) -> str:
        """The version whose services were started last."""
        return Path(self.variables["CALLS"] + ".running").read_text(encoding="utf-8").strip()[9:]

    @property
    def journal(self) -> list[list[str]]:
        text = (self.folder / "deployments.log").read_text(encoding="utf-8")
        return [line.split("\t")[1:] for line in text.splitlines()]

    def run(self, *words: str, code: int = 0, **variables: str) -> str:
        """Run a command in the folder, check its exit code, and return all that it printed."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def deploy(self, *words: str, code: int = 0, **variables: str) -> str:
        return self.run("./deploy.sh", *words, code=code, **variables)

    def rollback(self, *words: str, code: int = 0, **variables: str) -> str:
        return self.run("deploy/rollback.sh", *words, code=code, **variables)

    def release(self, version: str, **files: str) -> None:
        """Commit a version in the origin and tag it; `files` are written first."""
        release(self.origin, version, **files)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def state(self) -> dict[str, str]:
        """Return what is at every path, but for git's own: to compare before with after."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if ".git" in path.relative_to(self.folder).parts:
                continue
            if path.is_symlink():
                found[str(path)] = str(path.readlink())
            elif path.is_file():
                found[str(path)] = path.read_bytes().hex()
        return found


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **GIT}, check=True, capture_output=True
    )


def release(origin: Path, version: str, **files: str) -> None:
    for name, text in {"version": version, **files}.items():
        (origin / name).parent.mkdir(exist_ok=True)
        (origin / name).write_text(text, encoding="utf-8")
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message", f"release {version}")
    git(origin, "tag", version)


def put_back(saved: Path, folder: Path) -> None:
    """Make a folder what its copy is; what is the same already is left, which is nearly all."""
    there = {entry.name: entry for entry in os.scandir(folder)}
    for entry in os.scandir(saved):
        found = there.pop(entry.name, None)
        if found is None or _identity(found) != _identity(entry):
            if found is not None:
                _remove(found)
            _copy(entry, folder / entry.name)
        elif entry.is_dir(follow_symlinks=False):
            put_back(Path(entry.path), Path(found.path))
    for entry in there.values():
        _remove(entry)


def _identity(entry: os.DirEntry[str]) -> tuple[object, ...]:
    """Return what tells a path that was changed since it was copied."""
    if entry.is_symlink():
        return (str(Path(entry).readlink()),)
    facts = entry.stat(follow_symlinks=False)
    changes = () if entry.is_dir() else (facts.st_size, facts.st_mtime_ns)
    return (facts.st_mode, *changes)


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry)
    else:
        Path(entry).unlink()


def _copy(entry: os.DirEntry[str], to: Path) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.copytree(entry, to, symlinks=True)
    else:
        shutil.copy2(entry, to, follow_symlinks=False)


def executable(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def make_origin(folder: Path) -> Path:
    """Make a repository with our deploy/ and the stand-in for the rest, and the tag v1.0.0."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main", "--template=")
    shutil.copy(ROOT / "deploy.sh", folder)
    shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=ELSEWHERE)
    for name in ("cardwatch", "src", "config", "docs"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
    for name in ("config.example.yaml", "monitoring_config.example.yaml"):
        (folder / "config" / name).write_text("environment: production\n", encoding="utf-8")
    (folder / "cardwatch" / "cli.py").write_text(CARDWATCH, encoding="utf-8")
    (folder / "main.py").write_text(MAIN, encoding="utf-8")
    (folder / "requirements.txt").write_text("", encoding="utf-8")
    (folder / ".gitignore").write_text("venv/\n.env\nconfig/config.yaml\n", encoding="utf-8")
    release(folder, "v1.0.0", behaviour="")
    return folder


def clone(origin: Path, folder: Path, programs: Path) -> Installation:
    """Clone as the guide does, and set the stand-ins for systemctl and pip."""
    programs.mkdir(exist_ok=True)
    git(origin.parent, "clone", "--quiet", "--template=", str(origin), str(folder))
    git(folder, "checkout", "--quiet", "v1.0.0")
    variables = {
        **GIT,
        "PATH": os.environ["PATH"],
        "HOME": str(programs),
        "PYTHON": sys.executable,
        "CALLS": str(programs / "calls"),
        "ENABLED": UNITS,
        "INSTALLATION": str(folder),
        "DEPLOY_SYSTEMCTL": str(executable(programs / "systemctl", SYSTEMCTL)),
        "DEPLOY_INSTALL": str(executable(programs / "install", INSTALL)),
        "DEPLOY_WAIT_SECONDS": "0",
        "DEPLOY_SETTLE_SECONDS": "0",
    }
    return Installation(folder, variables)
