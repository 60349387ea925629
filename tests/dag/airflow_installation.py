"""Airflow with a folder and a database of its own; ``make test-airflow`` builds what it needs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
DAG_ID = "card_portfolio_anomaly_detection"
MINUTES = 60


def environment_of(version: int) -> Path:
    """Return the programs of an environment, or skip the test where it was not built."""
    programs = ROOT / {3: ".venv-airflow", 2: ".venv-airflow-2"}[version] / "bin"
    if not (programs / "airflow").exists():
        pytest.skip(f"{programs.parent.name} is not there: make test-airflow builds it")
    return programs


@dataclass
class Airflow:
    """One installation of Airflow over one installation of Cardwatch.

    Attributes
    ----------
    programs : pathlib.Path
        The ``bin`` of its environment.
    home : pathlib.Path
        Its own folder.
    work : pathlib.Path
        The installation of Cardwatch whose runs it starts.
    """

    programs: Path
    home: Path
    work: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TZ") if name in os.environ}
        return {
            **kept,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "CARDWATCH_HOME": str(self.work),
            "CARDWATCH_PYTHON": sys.executable,
            "CARDWATCH_RETRY_SECONDS": "1",
            "CARDWATCH_WAIT_SECONDS": "1",
            "LOG_LEVEL": "WARNING",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            **self.variables,
        }

    def cli(self, *words: str, code: int | None = 0, minutes: float = 5) -> str:
        """Run Airflow's command line; returns all it printed."""
        done = subprocess.run(
            [self.programs / "airflow", *words],
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=minutes * MINUTES,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout[-8_000:]
        return done.stdout

    def python(self, program: str, folder: Path = ROOT / "dags") -> Any:
        """Run a program in Airflow's environment, and return the JSON on its last line."""
        done = subprocess.run(
            [self.programs / "python", "-c", program],
            env=self.environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=3 * MINUTES,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-8_000:]
        return json.loads(done.stdout.splitlines()[-1])

    @contextmanager
    def standing(self) -> Iterator[Callable[[], bool]]:
        """Run all services as ``airflow standalone`` does; yields whether they are all up."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        log = self.home / "standalone.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [self.programs / "airflow", "standalone"],
                env={
                    **self.environment,
                    "PATH": f"{self.programs}{os.pathsep}{self.environment['PATH']}",
                    "AIRFLOW__API__HOST": "127.0.0.1",
                    "AIRFLOW__API__PORT": str(port),
                    "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
                    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
                },
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def is_up() -> bool:
            said = log.read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None, said[-8_000:]
            address = f"http://127.0.0.1:{port}/api/v2/monitor/health"
            try:
                with urlopen(address, timeout=30) as answer:
                    told = json.load(answer)
            except OSError:
                return False
            names = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            return all(told[name]["status"] == "healthy" for name in names)

        try:
            yield is_up
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(happened: Callable[[], bool], what: str, minutes: float = 4) -> None:
    """Wait until something is so."""
    until = monotonic() + minutes * MINUTES
    while not happened():
        assert monotonic() < until, f"{what} did not come in time"
        sleep(0.5)
