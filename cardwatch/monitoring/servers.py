"""The database servers that a configuration names, asked for little things."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from cardwatch.config import Config
from cardwatch.database.address import POSTGRESQL, DatabaseAddress
from cardwatch.database.connection import connect
from cardwatch.database.faults import translated
from cardwatch.errors import CardwatchError, PublishError, SourceError
from cardwatch.wiring import output_address

Shown = TypeVar("Shown")

_SECONDS = 10.0
_SSL_REQUEST = struct.pack("!II", 8, 80_877_103)
"""PostgreSQL documentation, "Message Formats", SSLRequest."""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL database in use."""

    address: DatabaseAddress
    is_written: bool

    @property
    def error_class(self) -> type[CardwatchError]:
        """What is raised where it cannot be used."""
        return PublishError if self.is_written else SourceError


def servers_of(config: Config) -> Sequence[Server]:
    """Return the PostgreSQL databases that runs read and write, each once."""
    found: list[Server] = []
    source = config.data_source
    if source.type == "database" and source.connection_string:
        address = DatabaseAddress.parse(source.connection_string, sslmode=source.sslmode)
        if address.dialect == POSTGRESQL:
            found.append(Server(address, is_written=False))
    if config.output.database.enabled:
        written = Server(output_address(config), is_written=True)
        found = [each for each in found if each.address.dsn() != written.address.dsn()]
        found.append(written)
    return found


def ask(server: Server, statement: str) -> Sequence[tuple[Any, ...]]:
    """Return the rows of a statement.

    Raises
    ------
    SourceError, PublishError
        If the server cannot be reached, or refuses.
    """
    with (
        translated(server.address, server.error_class),
        closing(
            connect(
                server.address,
                read_only=True,
                connect_timeout=_SECONDS,
                statement_timeout=_SECONDS,
            )
        ) as connection,
    ):
        return connection.execute(statement.encode()).fetchall()


def server_clock(server: Server) -> datetime:
    """Return the server's time."""
    [[moment]] = ask(server, "SELECT clock_timestamp()")
    return moment if isinstance(moment, datetime) else datetime.now(UTC)


def password_expiry(server: Server) -> datetime | None:
    """Return when the password of the user expires; None where never, or where it is not told."""
    rows = ask(server, "SELECT rolvaliduntil FROM pg_roles WHERE rolname = current_user")
    found = rows[0][0] if rows else None
    return found if isinstance(found, datetime) else None


def certificate_expiry(server: Server) -> datetime | None:
    """Return until when the server's certificate is valid; None where it shows none.

    Whoever signed it: whether it is trusted is for the drivers to judge.

    Raises
    ------
    OSError
        If it cannot be reached, or its certificate has expired (`ssl.SSLCertVerificationError`).
    """
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    shown = _handshake(server, anyone, lambda line: line.getpeercert(binary_form=True))
    if shown is None:
        return None
    # Python takes a certificate apart only once it has verified it: here, against itself.
    itself = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    itself.check_hostname = False
    itself.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    itself.load_verify_locations(cadata=shown)
    parts = _handshake(server, itself, lambda line: line.getpeercert()) or {}
    text = str(parts.get("notAfter", ""))
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC) if text else None


def _handshake(
    server: Server, context: ssl.SSLContext, look: Callable[[ssl.SSLSocket], Shown]
) -> Shown | None:
    with _offered(server) as line:
        if line is None:
            return None
        with context.wrap_socket(line) as secured:
            return look(secured)


@contextmanager
def _offered(server: Server) -> Iterator[socket.socket | None]:
    """Ask a server for encryption; yields None where it has none to offer."""
    host, port = server.address.host.split(",")[0], server.address.port.split(",")[0] or "5432"
    if not host or host.startswith("/"):
        yield None
        return
    with socket.create_connection((host, int(port)), timeout=_SECONDS) as line:
        line.sendall(_SSL_REQUEST)
        yield line if line.recv(1) == b"S" else None
