"""A standalone Spark cluster: a master and two workers, each executor a process of its own.

A Spark Connect server may run on it, whose clients have neither Spark nor Java.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from time import monotonic, sleep
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
import yaml
from command_line import ROOT, Outcome, environment
from prometheus_programs import free_port

PROGRAMS = ROOT / ".venv-spark" / "bin"
CLIENT = ROOT / ".venv" / "bin"
"""Where only Spark's client is installed."""
EXECUTOR = "CoarseGrainedExecutorBackend"
_PATIENCE = 120.0


@dataclass(frozen=True)
class Cluster:
    """Where the master listens, what shows its state, and the workers."""

    address: str
    page: str
    workers: tuple[psutil.Popen, ...]

    def executors(self) -> list[psutil.Process]:
        """Return the executors of whatever runs."""
        children = (each for worker in self.workers for each in worker.children(recursive=True))
        return [child for child in children if EXECUTOR in _words_of(child)]

    def state(self) -> dict[str, Any]:
        """Return what the master says of itself."""
        with urlopen(f"{self.page}/json/", timeout=10) as answer:
            return dict(json.load(answer))

    @property
    def settings(self) -> dict[str, Any]:
        """The section ``engine`` of a configuration for this cluster."""
        return {
            "type": "spark",
            "memory_limit": "300MB",
            "spark": {
                "master": self.address,
                "partitions": 3,
                "options": dict(_APPLICATION),
            },
        }


_APPLICATION = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.executor.memory": "512m",
    "spark.executor.cores": "1",
    "spark.ui.enabled": "false",
}


def _words_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it ended meanwhile
        return ""


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a master and two workers of one core each; skip the test where Spark cannot run."""
    if not (PROGRAMS / "spark-class").exists():
        pytest.skip(".venv-spark is not there: make test-spark builds it")
    if which("java") is None:
        pytest.skip("there is no Java: make test-system installs it")
    port, page = free_port(), free_port()
    address = f"spark://127.0.0.1:{port}"
    master = (
        "org.apache.spark.deploy.master.Master",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--webui-port",
        str(page),
    )
    with ExitStack() as started:
        started.enter_context(_program(folder / "master", *master))
        workers = tuple(
            started.enter_context(
                _program(folder / name, _WORKER, *_ONE_CORE, "--work-dir", name, address)
            )
            for name in ("one", "two")
        )
        made = Cluster(address, f"http://127.0.0.1:{page}", workers)
        _until(lambda: made.state()["aliveworkers"] == 2, "two workers")
        yield made


_WORKER = "org.apache.spark.deploy.worker.Worker"
_ONE_CORE = ("--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g")


@contextmanager
def connect(folder: Path, spark: Cluster, *options: str) -> Iterator[dict[str, Any]]:
    """Start a Connect server on a cluster; yield the section ``engine`` of its clients."""
    port = free_port()
    settings = {
        **_APPLICATION,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    words = ["org.apache.spark.deploy.SparkSubmit", "--master", spark.address, *options]
    for name, value in settings.items():
        words += ["--conf", f"{name}={value}"]
    server = "org.apache.spark.sql.connect.service.SparkConnectServer"
    with _program(folder, *words, "--class", server, "spark-internal"):
        _until(lambda: _listens(port), "Connect server")
        engine = spark.settings
        yield engine | {"spark": {"master": f"sc://127.0.0.1:{port}", "partitions": 3}}


@contextmanager
def _program(folder: Path, name: str, *words: str) -> Iterator[psutil.Popen]:
    folder.mkdir(parents=True)
    variables = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOG_DIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = psutil.Popen(
            [PROGRAMS / "spark-class", name, *words],
            cwd=folder,
            env={**os.environ, **variables, "PYSPARK_PYTHON": str(PROGRAMS / "python")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            for child in process.children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)):
        return True


def _until(holds: Any, what: str) -> None:
    end = monotonic() + _PATIENCE
    while monotonic() < end:
        try:
            if holds():
                return
        except OSError:
            pass
        sleep(0.2)
    raise TimeoutError(f"there were no {what} within {_PATIENCE:.0f} s")


@dataclass(frozen=True)
class SparkRun:
    """A run that was started."""

    process: psutil.Popen

    def wait_for(self, text: str) -> None:
        """Read what it logs up to a line with a text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"the run ended without saying: {text}")

    def end(self) -> Outcome:
        """Wait for it, and return what it printed since."""
        out, err = self.process.communicate(timeout=600)
        return Outcome(self.process.returncode, out, err)


@contextmanager
def spark_run(folder: Path, settings: dict[str, Any], *words: str) -> Iterator[SparkRun]:
    """Run on Spark with a configuration, in `folder`; what is left of it ends with the test.

    A client of Connect has no Java on its path.
    """
    is_client = settings["engine"]["spark"]["master"].startswith("sc://")
    programs, variables = PROGRAMS, {"LOG_LEVEL": "INFO"}
    if is_client:
        programs = CLIENT
        variables |= {"PATH": str(CLIENT), "JAVA_HOME": ""}
    (folder / "spark.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    with psutil.Popen(
        [programs / "cardwatch", "run", "--config", "spark.yaml", *words],
        cwd=folder,
        env={**environment(variables), "SPARK_LOCAL_IP": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield SparkRun(process)
        finally:
            if process.poll() is None:
                for child in (*process.children(recursive=True), process):
                    child.kill()
