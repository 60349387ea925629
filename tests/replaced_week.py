"""A week's results that a newer run replaces, whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from published_weeks import (
    QuickOperations,
    config,
    contents,
    fill_engine,
    listed_customer,
    manifest,
    week_report,
)

from cardwatch.engine import Engine
from cardwatch.publish.files import FileSink
from cardwatch.publish.operations import FileOperations

ROOT = Path(__file__).parents[1]
TESTS = Path(__file__).parent


class FaultyOperations(QuickOperations):
    """Fails at the n-th operation: just there, or there and ever after."""

    def __init__(self, at: int, number: int = errno.EIO, *, for_good: bool = False) -> None:
        self.at = at
        self.number = number
        self.for_good = for_good
        self.count = 0
        self.seen: list[str] = []

    def before(self, operation: str, path: Path) -> None:
        self.count += 1
        self.seen.append(operation)
        if self.count == self.at or (self.for_good and self.count > self.at):
            raise OSError(self.number, os.strerror(self.number), str(path))


class ReplacedWeek:
    """One week's results twice: an older run and a newer one that no longer writes the JSON."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.engine = engine
        fill_engine(engine, {"C-1": 1, "C-2": 2, "C-3": 3})
        self.start = folder / "start"
        self.write_old(self.start)
        self.old = contents(self.start)
        done = self.copy(folder / "done")
        self.write_new(done, FileOperations())
        self.new = contents(done)

    def copy(self, folder: Path) -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.start, folder)
        return folder

    def write_old(self, folder: Path) -> None:
        report = week_report([listed_customer("C-1", 1)])
        FileSink(config(folder), operations=QuickOperations()).write(
            report, self.engine, manifest(report, run_id="old")
        )

    def write_new(self, folder: Path, operations: FileOperations) -> None:
        report = week_report([listed_customer("C-2", 1), listed_customer("C-3", 2)])
        sink = FileSink(config(folder, "csv"), operations=operations)
        sink.write(report, self.engine, manifest(report, run_id="new"))


OLD_PACKED = "archive/week_2025-46.superseded-2025-11-24.old.tar.gz"


def whoever_was_replaced(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files without what the manifest says of the run before."""
    line = re.compile(rb'"supersedes_run_id": [^\n]*\n')
    return {name: line.sub(b"", content) for name, content in files.items()}


def without_archive(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name != OLD_PACKED}


@pytest.fixture(scope="session")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplacedWeek]:
    """The week that tests publish copies of; not to be changed."""
    folder = tmp_path_factory.mktemp("publish")
    with Engine("500MB", 1, folder) as engine:
        yield ReplacedWeek(folder, engine)


def operations_of(write: Callable[[FileOperations], None]) -> list[str]:
    counting = FaultyOperations(at=0)
    write(counting)
    return counting.seen


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(TESTS)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
