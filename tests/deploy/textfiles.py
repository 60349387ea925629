"""Metrics files as a run and a health check write them, and the programs that read them.

The names are those of the monitoring; values are those of an ordinary week, or of a bad one.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

SECONDS = 60
LABELLED = (
    "cardwatch_build_info{version,score_version}",
    "cardwatch_last_run_timestamp_seconds",
    "cardwatch_last_run_success",
    "cardwatch_last_run_exit_code",
    "cardwatch_last_success_timestamp_seconds",
    "cardwatch_reporting_week_start_timestamp_seconds",
    "cardwatch_run_duration_seconds{step}",
    "cardwatch_rows{state,reason}",
    "cardwatch_customers{state}",
    "cardwatch_anomalies{risk_category}",
    "cardwatch_score_drift_psi",
    "cardwatch_spend_total_ratio",
    "cardwatch_rows_ratio",
    "cardwatch_health_status{check}",
    "cardwatch_health_timestamp_seconds",
    "cardwatch_disk_free_bytes{place}",
)
"""Every metric with its labels, as agreed between those who write and those who read them."""

NAMES = {text.partition("{")[0] for text in LABELLED}


def run_metrics(now: float, *, success: bool = True) -> str:
    return f"""\
cardwatch_build_info{{version="1.0.0",score_version="2"}} 1
cardwatch_last_run_timestamp_seconds {now}
cardwatch_last_run_success {int(success)}
cardwatch_last_run_exit_code {0 if success else 3}
cardwatch_last_success_timestamp_seconds {now}
cardwatch_reporting_week_start_timestamp_seconds {now - 7 * 86400}
cardwatch_run_duration_seconds{{step="read"}} 0.5
cardwatch_run_duration_seconds{{step="features"}} 4.5
cardwatch_rows{{state="accepted",reason=""}} 9950
cardwatch_rows{{state="quarantined",reason="DUPLICATE_ROW"}} 50
cardwatch_customers{{state="scored"}} 990
cardwatch_customers{{state="unscored"}} 10
cardwatch_anomalies{{risk_category="critical"}} 2
cardwatch_anomalies{{risk_category="high"}} 8
cardwatch_score_drift_psi 0.02
cardwatch_spend_total_ratio 1.01
cardwatch_rows_ratio 0.99
"""


def health_metrics(now: float, *, status: int = 0, free_bytes: float = 5e10) -> str:
    return f"""\
cardwatch_health_status{{check="disk"}} {status}
cardwatch_health_status{{check="drift"}} 0
cardwatch_health_timestamp_seconds {now}
cardwatch_disk_free_bytes{{place="outputs"}} {free_bytes}
"""


def program(name: str) -> str:
    """Return the path of a Debian program, or skip the test."""
    found = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed: sudo tests/system/install.sh")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(url: str, **query: str) -> Any:
    with urlopen(f"{url}?{urlencode(query)}" if query else url, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text[:1] in b"{[" else text.decode()


def until(ask: Callable[[], Any], what: str) -> Any:
    """Ask until the answer is true; servers that are not there yet answer nothing."""
    end = monotonic() + SECONDS
    while monotonic() < end:
        try:
            if answer := ask():
                return answer
        except (URLError, ConnectionError, TimeoutError):
            pass
        sleep(0.1)
    raise AssertionError(f"not within {SECONDS} s: {what}")


@contextmanager
def started(folder: Path, *words: str) -> Iterator[None]:
    """Run a server for as long as the test needs it, with its output in a file."""
    log = folder / f"{Path(words[0]).name}.log"
    with log.open("w", encoding="utf-8") as out, ExitStack() as stack:
        server = subprocess.Popen(words, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        stack.callback(server.wait)
        stack.callback(server.kill)
        yield
