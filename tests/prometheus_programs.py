"""Programs of Prometheus' family, started and asked."""

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
