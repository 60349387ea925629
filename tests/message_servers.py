"""Real servers that messages go to, on free ports of 127.0.0.1: one for mail, one for HTTP."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


@dataclass
class MailServer:
    """A mail server, and what it has taken.

    Attributes
    ----------
    refused : mapping of str to str
        What it answers to some receivers.
    answer : str
        What it answers to a message that it has read.
    seconds : float
        How long it takes before it answers, to a message or, with `is_slow_to_greet`, at once.
    envelopes : list
        The receivers of each message.
    """

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    envelopes: list[list[str]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    answer: str = "250 OK"
    seconds: float = 0.0
    is_slow_to_greet: bool = False
    has_read: threading.Event = field(default_factory=threading.Event)

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, name: str, lines: list[str]
    ) -> list[str]:
        session.host_name = name
        if self.is_slow_to_greet:
            await asyncio.sleep(self.seconds)
        return lines

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.has_read.set()
        if self.answer.startswith("250"):
            self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
            self.envelopes.append(list(envelope.rcpt_tos))
        await asyncio.sleep(self.seconds)
        return self.answer

    def login(self, server: Any, session: Any, envelope: Any, kind: str, data: Any) -> AuthResult:
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"let me in", handled=False)


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None) -> Iterator[MailServer]:
    """Run a mail server; with a context it wants STARTTLS and a login."""
    server = MailServer()
    secure: dict[str, Any] = {"tls_context": tls, "require_starttls": True, "auth_required": True}
    sessions: list[SMTP] = []
    loop = asyncio.new_event_loop()

    def session() -> SMTP:
        options = secure if tls else {}
        sessions.append(SMTP(server, authenticator=server.login, loop=loop, **options))
        return sessions[-1]

    async def end() -> None:
        listening.close()
        for each in sessions:
            if each.transport is not None:
                each.transport.close()
        others = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)  # the transports close in the loop's next round

    listening = loop.run_until_complete(loop.create_server(session, "127.0.0.1", 0))
    server.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass
class HttpServer:
    """An HTTP server that answers POST as it is told, the last answer again and again.

    With 429 it asks for `patience` seconds, and answers that to whoever comes before they are over.
    """

    port: int = 0
    answers: Sequence[int | None] = (200,)
    patience: float = 1.0
    bodies: list[str] = field(default_factory=list)
    again_at: float = 0.0
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def http_server(*answers: int | None, patience: float = 1.0) -> Iterator[HttpServer]:
    """Run an HTTP server; None is an answer that never comes."""
    told = HttpServer(answers=answers or (200,), patience=patience)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            told.bodies.append(body)
            answer = told.answers[min(len(told.bodies), len(told.answers)) - 1]
            if answer is None:
                told.closing.wait(30)
                return
            if answer == 429 or monotonic() < told.again_at:
                answer, told.again_at = 429, monotonic() + told.patience
            self.send_response(answer)
            if answer == 429:
                self.send_header("Retry-After", f"{told.patience:g}")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_PUT = do_POST

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield told
    finally:
        told.closing.set()
        server.shutdown()
        thread.join(10)
        server.server_close()
