"""Time, CPU seconds and peak memory of a child process, as the operating system counted them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

CORES = 2


@dataclass(frozen=True)
class Usage:
    """What one run of a child process took.

    Attributes
    ----------
    wall_seconds : float
        From its start to its end, interpreter start-up included.
    cpu_seconds : float
        In user and system mode, over all its threads.
    peak_mb : float
        The most memory it held at once, in 10^6 bytes.
    said : str
        What it printed.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    said: str = ""


def pin_to_cores(count: int = CORES) -> None:
    """Let this process and its children run on `count` cores only, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def measured(command: Sequence[str], settings: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end and return what it took.

    Parameters
    ----------
    command : sequence of str
    settings : mapping, optional
        Environment variables beside the inherited ones.

    Raises
    ------
    SystemExit
        If the command fails, with the end of what it said.
    """
    threads = {name: str(CORES) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    environment = {**os.environ, **threads, **(settings or {})}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        begin = time.perf_counter()
        # The peak that the system reports starts at this process's own size, so it must stay small.
        child = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}\nfailed:\n{text[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e6, text)


def machine() -> str:
    """Return one line about where the figures were measured."""
    names = ("duckdb", "pyarrow", "numpy", "pandas", "scikit-learn")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} cores of {_processor()}, {platform.system()}, "
        f"Python {platform.python_version()}, {libraries}"
    )


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
