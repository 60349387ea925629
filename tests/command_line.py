"""Commands run in this process as a shell would run them, with what they printed."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from cardwatch.cli import main

ROOT = Path(__file__).parents[1]
CONFIGURED_BY = ("CARDWATCH_", "DB_", "SMTP_", "SLACK_", "LOG_", "OUTPUT_", "ENABLE_", "ALERT_")
QUIET = {"LOG_LEVEL": "WARNING", "NO_COLOR": "1", "REPORT_ENABLED": "false"}
"""Pages for people are made where a test is about them: they take longer than the small runs."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it printed."""

    exit_code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines of standard error that tell of a failure."""
        return [line for line in self.err.splitlines() if line.startswith("cardwatch: error: ")]


def cardwatch(
    folder: Path,
    *arguments: str | Path,
    code: int = 0,
    entry: Callable[[], None] = main,
    **variables: str,
) -> Outcome:
    """Run a command in `folder` and check its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        mock.patch.object(sys, "argv", ["cardwatch", *map(str, arguments)]),
        mock.patch.dict(os.environ, environment(variables), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        exit_code = _exit_code(entry)
    done = Outcome(exit_code, out.getvalue(), err.getvalue())
    assert done.exit_code == code, f"exit code {done.exit_code}, not {code}\n{done.out}\n{done.err}"
    return done


def start(
    folder: Path, *arguments: str | Path, first: str = "", **variables: str
) -> subprocess.Popen[str]:
    """Start a command in a process of its own, in `folder`; `first` is Python run before it.

    The keyboard stops it as it does in a terminal, even where the tests run in the background.
    """
    keyboard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{keyboard}\n{first}\nfrom cardwatch.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env={**environment(variables), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a command: nothing of this process configures it."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith(CONFIGURED_BY)}
    return {**kept, **QUIET, **variables}


def _exit_code(entry: Callable[[], None]) -> int:
    try:
        entry()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder, by relative path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def failure(done: Outcome) -> str:
    """Return the one line that a failed command leaves, once nothing else was printed."""
    assert done.out == ""
    assert "Traceback" not in done.err
    [line] = done.err.splitlines()
    assert line.startswith("cardwatch: error: ")
    assert len(line) < 1000
    return line
