"""A PostgreSQL server that speaks TLS: a proxy before one that does not."""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import suppress
from pathlib import Path

import trustme
from tcp_proxy import Proxy

_SSL_REQUEST = struct.pack("!ii", 8, 80_877_103)
_GSS_REQUEST = struct.pack("!ii", 8, 80_877_104)


class TlsProxy(Proxy):
    """Answer PostgreSQL's request for TLS, and forward what is inside to a server without it.

    Parameters
    ----------
    target : int
        The port of 127.0.0.1 that it forwards to.
    *names : str
        The host names and addresses in its certificate.

    Attributes
    ----------
    encrypted : int
        Connections that became encrypted.
    """

    def __init__(self, target: int, *names: str) -> None:
        super().__init__(target)
        self._authority = trustme.CA()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(self._context)
        self.encrypted = 0

    def write_root(self, path: Path) -> Path:
        """Write the certificate of the authority that signed the proxy's."""
        self._authority.cert_pem.write_to_path(str(path))
        return path

    def greeted(self, client: socket.socket) -> socket.socket:
        client.settimeout(10)
        while (request := client.recv(8, socket.MSG_PEEK | socket.MSG_WAITALL)) == _GSS_REQUEST:
            client.recv(8)
            client.sendall(b"N")
        if request == _SSL_REQUEST:
            client.recv(8)
            client.sendall(b"S")
            wrapped = self._context.wrap_socket(client, server_side=True)
            self.encrypted += 1
            return wrapped
        with suppress(OSError):  # a client that would speak in the clear is turned away
            client.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError
