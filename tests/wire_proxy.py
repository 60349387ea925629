"""A TCP proxy that follows what a PostgreSQL client says, and interferes at its n-th message."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from typing import Literal

from tcp_proxy import Direction, Proxy

Moment = Literal["before", "after"]

Deed = Callable[[bytes], bytes | None]
"""Given what is about to be forwarded, returns what is forwarded instead; None cuts."""

_NAMES = {
    b"Q": "query", b"P": "parse", b"B": "bind", b"D": "describe", b"E": "execute", b"S": "sync",
    b"C": "close", b"H": "flush", b"X": "terminate", b"p": "password",
    b"d": "copy data", b"c": "copy done", b"f": "copy fail",
}  # fmt: skip


def cut(data: bytes) -> None:
    """Break the connection."""
    del data


def fail(message: bytes) -> bytes:
    """Put a statement that fails in the place of the one that is sent."""
    wrong = b"SELECT injected()\0"
    if message[:1] == b"Q":
        return _message(b"Q", wrong)
    name, _, types = message[5:].split(b"\0", 2)
    return _message(b"P", name + b"\0" + wrong + types)


def do(action: Callable[[], object]) -> Deed:
    """Do something while client and server wait, and let them go on."""

    def done(data: bytes) -> bytes:
        action()
        return data

    return done


class MessageProxy(Proxy):
    """Forward to a server of 127.0.0.1 in the clear, and do something at one message.

    Parameters
    ----------
    target : int
        The port of the server.
    at : int
        The message, counted from 1 over all connections; 0 is none. A goodbye does not count: it
        may be met before or after the greeting of the next connection.
    deed : callable
        What is done: `cut`, `fail` (statements only), or `do` something.
    moment : str
        ``before`` the server is sent the message, or ``after`` it began to answer: then it is the
        answer that is at stake.

    Attributes
    ----------
    seen : list of str
        What the client said, message by message; the text too, where it is a statement.
    done : int
        How often the moment has come: 0 or 1.
    """

    def __init__(
        self, target: int, at: int = 0, deed: Deed = cut, moment: Moment = "before"
    ) -> None:
        super().__init__(target)
        self._at = at
        self._deed = deed
        self._moment = moment
        self._ours = _Unread()
        self._lock = threading.Lock()
        self._awaits_answer = False
        self.seen: list[str] = []
        self.done = 0

    def greeted(self, client: socket.socket) -> socket.socket:
        self._ours.begin()
        return client

    def passed(self, data: bytes, direction: Direction) -> tuple[bytes, bool]:
        with self._lock:
            return self._passed(data, direction)

    def _passed(self, data: bytes, direction: Direction) -> tuple[bytes, bool]:
        if direction == "to_client":
            answer = self._interfere(data) if self._awaits_answer else data
            return answer or b"", answer is None
        self._ours.data += data
        whole = b""
        while message := self._ours.take():
            if (name := _described(message)) == "terminate":
                whole += message
                continue
            self.seen.append(name)
            if len(self.seen) == self._at and self._moment == "before":
                changed = self._interfere(message)
                if changed is None:
                    return whole, True
                message = changed
            self._awaits_answer |= len(self.seen) == self._at and self._moment == "after"
            whole += message
        return whole, False

    def _interfere(self, data: bytes) -> bytes | None:
        self._awaits_answer = False
        self.done += 1
        return self._deed(data)


class _Unread(threading.local):
    """What a connection has sent and is no whole message yet; each connection has its thread."""

    def begin(self) -> None:
        self.data = b""
        self._is_greeting = True

    def take(self) -> bytes:
        """Take the next whole message; empty where there is none yet."""
        letter = 0 if self._is_greeting else 1  # what a session begins with has none
        if len(self.data) < letter + 4:
            return b""
        (length,) = struct.unpack_from("!I", self.data, letter)
        if len(self.data) < letter + length:
            return b""
        self._is_greeting = False
        message, self.data = self.data[: letter + length], self.data[letter + length :]
        return message


def _message(letter: bytes, body: bytes) -> bytes:
    return letter + struct.pack("!I", len(body) + 4) + body


def _described(message: bytes) -> str:
    name = _NAMES.get(message[:1], "startup")
    if name == "query":
        return f"query {message[5:-1].decode()}"
    if name == "parse":
        return f"parse {message[5:].split(bytes(1))[1].decode()}"
    return name
