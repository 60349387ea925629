"""Encrypted connections to a server with OpenSSL, and none to a server without."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pytest
import trustme
from command_line import cardwatch
from debian import postgres_binaries
from small_portfolio import WEEK, as_csv, portfolio_rows, read_json

from cardwatch.database.address import DatabaseAddress
from cardwatch.database.connection import connect, session_parameters
from cardwatch.database.faults import translated
from cardwatch.errors import SourceError
from cardwatch.outputs import OutputFile
from demo.postgres_server import PostgresServer

pytestmark = pytest.mark.system

HOST = "db.bank.example"
ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

Ask = Callable[[DatabaseAddress], bool]


def by_psycopg(address: DatabaseAddress) -> bool:
    with connect(address, read_only=True, connect_timeout=5, statement_timeout=5) as connection:
        row = connection.execute(ENCRYPTED).fetchone()
        return row is not None and bool(row[0])


def by_adbc(address: DatabaseAddress) -> bool:
    parameters = session_parameters(read_only=True, connect_timeout=5, statement_timeout=5)
    with (
        closing(adbc.connect(address.uri(**parameters))) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute(ENCRYPTED)
        row = cursor.fetchone()
        return row is not None and bool(row[0])


BY_EVERY_DRIVER = pytest.mark.parametrize("is_encrypted", [by_psycopg, by_adbc])


@pytest.fixture(autouse=True)
def names_lead_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name lead to loopback: to libpq it is still the name of another machine."""
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[PostgresServer]:
    """Debian's server with a certificate for HOST, which takes encrypted connections alone."""
    with PostgresServer(binaries=postgres_binaries()) as running:
        certificate = authority.issue_cert(HOST)
        crt, key = running.data / "server.crt", running.data / "server.key"
        certificate.cert_chain_pems[0].write_to_path(str(crt))
        certificate.private_key_pem.write_to_path(str(key))
        owner = running.data.stat()
        for path in (crt, key):
            path.chmod(0o600)
            shutil.chown(path, owner.st_uid, owner.st_gid)
        running.psql("-c", "ALTER SYSTEM SET ssl = on")
        rules = running.data / "pg_hba.conf"
        rules.write_text(re.sub(r"(?m)^host\b", "hostssl", rules.read_text()))
        running.stop()
        running.start()
        yield running


@pytest.fixture(scope="module")
def plain() -> Iterator[PostgresServer]:
    with PostgresServer(binaries=postgres_binaries()) as running:
        yield running


@pytest.fixture
def root(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "root.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def named(server: PostgresServer, host: str = HOST, **parameters: object) -> str:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"{server.url().replace('@127.0.0.1:', f'@{host}:')}?{query}"


def refusal(ask: Ask, url: str) -> str:
    address = DatabaseAddress.parse(url)
    with pytest.raises(SourceError) as caught, translated(address, SourceError):
        ask(address)
    assert address.password not in caught.value.message
    return caught.value.message


@BY_EVERY_DRIVER
def test_a_named_host_is_asked_for_encryption_unsaid(
    server: PostgresServer, is_encrypted: Ask
) -> None:
    assert is_encrypted(DatabaseAddress.parse(named(server)))


@BY_EVERY_DRIVER
@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_a_certificate_of_the_trusted_authority_is_taken(
    server: PostgresServer, root: Path, is_encrypted: Ask, sslmode: str
) -> None:
    url = named(server, sslmode=sslmode, sslrootcert=root)
    assert is_encrypted(DatabaseAddress.parse(url))


@BY_EVERY_DRIVER
@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_a_certificate_of_another_authority_is_refused(
    server: PostgresServer, tmp_path: Path, is_encrypted: Ask, sslmode: str
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    said = refusal(is_encrypted, named(server, sslmode=sslmode, sslrootcert=other))
    assert "certificate is not trusted" in said


@BY_EVERY_DRIVER
def test_a_certificate_for_another_name_is_refused(
    server: PostgresServer, root: Path, is_encrypted: Ask
) -> None:
    url = named(server, "other.bank.example", sslmode="verify-full", sslrootcert=root)
    assert "certificate is for another host name" in refusal(is_encrypted, url)


@BY_EVERY_DRIVER
def test_a_named_host_without_encryption_is_refused(
    plain: PostgresServer, is_encrypted: Ask
) -> None:
    assert "offers no encryption (TLS), and it is required" in refusal(is_encrypted, named(plain))


@BY_EVERY_DRIVER
def test_encryption_is_given_up_only_where_that_is_said(
    plain: PostgresServer, is_encrypted: Ask
) -> None:
    assert not is_encrypted(DatabaseAddress.parse(named(plain, sslmode="disable")))


@BY_EVERY_DRIVER
def test_this_machine_is_not_asked_for_encryption(
    plain: PostgresServer, is_encrypted: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGHOSTADDR")
    assert not is_encrypted(DatabaseAddress.parse(plain.url()))


def test_a_week_is_read_and_published_encrypted(
    server: PostgresServer, root: Path, tmp_path: Path
) -> None:
    url = named(server, sslmode="verify-full", sslrootcert=root)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE card_transactions (customer_id text, reporting_week text, mcc text,"
            " spend_amount numeric(12, 2), transaction_count integer, avg_ticket_amount numeric)"
        )
        rows = portfolio_rows()
        names = ", ".join(rows.column_names)
        copy = f"COPY card_transactions ({names}) FROM STDIN (FORMAT csv, HEADER)"
        with cursor.copy(copy.encode()) as stream:
            stream.write(as_csv(rows))
    config = tmp_path / "config" / "config.yaml"
    config.parent.mkdir()
    settings = {"data_source": {"type": "database"}, "output": {"database": {"enabled": True}}}
    config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    cardwatch(tmp_path, "db", "upgrade", DB_CONNECTION_STRING=url)
    cardwatch(tmp_path, "run", "--reporting-week", WEEK.label, DB_CONNECTION_STRING=url)
    listed = read_json(tmp_path / "outputs" / OutputFile.LIST_JSON.of(WEEK))["customers"]
    assert server.psql("-Atc", "SELECT count(*) FROM anomaly_reports").strip() == str(len(listed))
