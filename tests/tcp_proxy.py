"""A TCP proxy that cuts a connection after so many bytes, as a broken network would."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Literal, Self

Direction = Literal["to_server", "to_client"]

_CHUNK = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Forward every connection to a port of 127.0.0.1.

    Attributes
    ----------
    port : int
        Where it listens, on 127.0.0.1.
    forwarded : dict
        Bytes forwarded so far, of all connections, by direction.
    connections : int
        Connections accepted so far.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.forwarded: dict[Direction, int] = {"to_server": 0, "to_client": 0}
        self.connections = 0
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def greeted(self, client: socket.socket) -> socket.socket:
        """Return the client's socket once it is ready to be forwarded."""
        return client

    def passed(self, data: bytes, direction: Direction) -> tuple[bytes, bool]:
        """Return what is forwarded of some bytes, and whether the connection is cut after them."""
        del direction
        return data, False

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def _accept(self) -> None:
        while not self._closing.is_set():
            with suppress(OSError, ValueError):  # closed meanwhile
                if select.select([self._listener], [], [], 0.05)[0]:
                    client, _ = self._listener.accept()
                    self.connections += 1
                    thread = threading.Thread(target=self._serve, args=(client,))
                    self._threads.append(thread)
                    thread.start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            ready = self.greeted(client)
            with ready, socket.create_connection(("127.0.0.1", self._target)) as server:
                self._relay(ready, server)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        for source, sink, direction in self._arrivals(client, server):
            if not (data := source.recv(_CHUNK)):
                return
            allowed, is_cut = self.passed(data, direction)
            sink.sendall(allowed)
            self.forwarded[direction] += len(allowed)
            if is_cut:
                _reset(client, server)
                return

    def _arrivals(
        self, client: socket.socket, server: socket.socket
    ) -> Iterator[tuple[socket.socket, socket.socket, Direction]]:
        while not self._closing.is_set():
            pending = getattr(client, "pending", lambda: 0)
            ready = [client] if pending() else select.select([client, server], [], [], 0.05)[0]
            if client in ready:
                yield client, server, "to_server"
            if server in ready:
                yield server, client, "to_client"


class CuttingProxy(Proxy):
    """Cut a connection, as a broken network would, after exactly so many bytes in one direction.

    Parameters
    ----------
    target : int
        The port of 127.0.0.1 that it forwards to.
    after_bytes : int or None
        Bytes of all connections together after which the one in use is reset; None never cuts, and
        counts alone.
    direction : str
        Which bytes count: ``to_client`` (what the server says) or ``to_server``.
    cuts : int
        How many connections are cut, each after that many more bytes; later ones pass whole.

    Attributes
    ----------
    cut : int
        Connections cut so far.
    """

    def __init__(
        self,
        target: int,
        *,
        after_bytes: int | None = None,
        direction: Direction = "to_client",
        cuts: int = 1,
    ) -> None:
        super().__init__(target)
        self._after_bytes = after_bytes
        self._direction = direction
        self._cuts = cuts
        self._counted = 0
        self._lock = threading.Lock()
        self.cut = 0

    def passed(self, data: bytes, direction: Direction) -> tuple[bytes, bool]:
        if self._after_bytes is None or direction != self._direction:
            return data, False
        with self._lock:
            if self.cut >= self._cuts:
                return data, False
            room = self._after_bytes - self._counted
            if len(data) < room:
                self._counted += len(data)
                return data, False
            self.cut += 1
            self._counted = 0
            return data[:room], True


@contextmanager
def listener(answer: bytes | None) -> Iterator[int]:
    """Listen on a free port with something that is no PostgreSQL server; yields the port.

    It answers whatever a client says with these bytes and closes; None never answers.
    """
    closing = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while not closing.is_set():
                if not select.select([server], [], [], 0.05)[0]:
                    continue
                client, _ = server.accept()
                with suppress(OSError), client:
                    client.settimeout(10)
                    client.recv(_CHUNK)
                    if answer is None:
                        closing.wait(20)
                    else:
                        client.sendall(answer)
                        # Closing on what was not read yet would reset the connection, and the
                        # client might never see the answer.
                        client.shutdown(socket.SHUT_WR)
                        while client.recv(_CHUNK):
                            pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            closing.set()
            thread.join(timeout=10)


def _reset(*ends: socket.socket) -> None:
    """Close sockets with a reset, as a broken network does, rather than with a goodbye."""
    for end in ends:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            end.close()
