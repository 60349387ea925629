"""Encryption that a server lacks, and certificates that are not the right ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from database_drivers import EVERY_DRIVER, Run, fault
from tls_proxy import TlsProxy

from cardwatch.database.address import DatabaseAddress
from demo.postgres_server import PostgresServer


@pytest.fixture(scope="module")
def plain_server() -> Iterator[PostgresServer]:
    """A server on this machine that offers no TLS."""
    with PostgresServer() as server:
        yield server


@EVERY_DRIVER
@pytest.mark.parametrize("sslmode", ["require", "verify-full"])
def test_encryption_that_the_server_does_not_offer(
    plain_server: PostgresServer, run: Run, sslmode: str
) -> None:
    error = fault(plain_server.url(), run, sslmode=sslmode)
    assert "offers no encryption (TLS), and it is required" in error.message
    assert not error.retryable


@EVERY_DRIVER
def test_a_certificate_that_nobody_trusts(
    plain_server: PostgresServer, run: Run, tmp_path: Path
) -> None:
    with TlsProxy(plain_server.port, "127.0.0.1") as proxy, TlsProxy(1, "127.0.0.1") as other:
        root = other.write_root(tmp_path / "other.pem")
        url = f"{through(plain_server, proxy.port)}?sslrootcert={root}&sslmode=verify-ca"
        error = fault(url, run)
    assert "certificate is not trusted" in error.message


@EVERY_DRIVER
def test_a_certificate_for_another_host(
    plain_server: PostgresServer, run: Run, tmp_path: Path
) -> None:
    with TlsProxy(plain_server.port, "db.bank.com") as proxy:
        root = proxy.write_root(tmp_path / "root.pem")
        url = f"{through(plain_server, proxy.port)}?sslrootcert={root}&sslmode=verify-full"
        error = fault(url, run)
    assert "certificate is for another host name" in error.message


@EVERY_DRIVER
def test_a_root_certificate_that_is_not_there(plain_server: PostgresServer, run: Run) -> None:
    with TlsProxy(plain_server.port, "127.0.0.1") as proxy:
        url = f"{through(plain_server, proxy.port)}?sslrootcert=/nowhere/ca.pem&sslmode=verify-ca"
        error = fault(url, run)
    assert "checked against cannot be read" in error.message


@EVERY_DRIVER
@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_an_encrypted_connection_stands(
    plain_server: PostgresServer, run: Run, tmp_path: Path, sslmode: str
) -> None:
    with TlsProxy(plain_server.port, "127.0.0.1") as proxy:
        root = proxy.write_root(tmp_path / "root.pem")
        url = f"{through(plain_server, proxy.port)}?sslrootcert={root}"
        run(DatabaseAddress.parse(url, sslmode=sslmode))
        assert proxy.encrypted >= 1  # ADBC makes one connection more


def through(server: PostgresServer, port: int) -> str:
    return server.url().replace(f":{server.port}/", f":{port}/")
