from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from cardwatch.config.environment import Variables
from cardwatch.database.address import DatabaseAddress
from cardwatch.errors import ConfigurationError

PASSWORDS = ["p@ss:w/o#r%d&", "a b", "\"quo'te", "back\\slash", "ü€😀", "%41", "=;?", "'"]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@pytest.fixture(autouse=True)
def no_libpq_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)


def made(password: str, host: str = "db.bank.com") -> DatabaseAddress:
    parts = {"DB_HOST": host, "DB_NAME": "cards", "DB_USER": "reader", "DB_PASSWORD": password}
    return DatabaseAddress.parse(str(Variables(process=parts).get("DB_CONNECTION_STRING")))


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_reaches_every_driver_as_it_is(password: str) -> None:
    address = made(password)
    assert address.password == password
    for text in (address.dsn(), address.uri()):
        assert conninfo_to_dict(text)["password"] == password
    assert address.sqlalchemy_url.query["password"] == password


@given(user=TEXT, password=TEXT, database=TEXT)
def test_any_user_password_and_database_survive(user: str, password: str, database: str) -> None:
    parts = {"DB_HOST": "h", "DB_NAME": database, "DB_USER": user, "DB_PASSWORD": password}
    parts = {name: f"x{value}" for name, value in parts.items()}  # no blank or empty ends
    address = DatabaseAddress.parse(str(Variables(process=parts).get("DB_CONNECTION_STRING")))
    for text in (address.dsn(), address.uri()):
        found = conninfo_to_dict(text)
        assert (found["user"], found["password"]) == (f"x{user}", f"x{password}")
        assert found["dbname"] == f"x{database}"


def test_nothing_shown_of_an_address_has_the_password_or_the_user_in_it() -> None:
    address = made("hunter2")
    assert address.origin == "database cards on db.bank.com:5432"
    assert "hunter2" not in repr(address) + str(address)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("postgresql://u:p@db/cards", "database cards on db:5432"),
        ("postgres://u@db:6000/cards", "database cards on db:6000"),
        ("postgresql+psycopg2://u@db/cards", "database cards on db:5432"),
        ("PostgreSQL://db/cards", "database cards on db:5432"),
        ("host=db port=7 dbname=cards password='a b'", "database cards on db:7"),
        ("postgresql://u@[::1]:6/cards", "database cards on [::1]:6"),
        ("postgresql://a:1,b:2/cards", "database cards on a:1, b:2"),
        ("postgresql://a,b/cards?port=9", "database cards on a:9, b:9"),
        ("postgresql:///cards?host=/var/run/pg", "database cards on /var/run/pg"),
        ("postgresql:///cards", "database cards"),
        ("postgresql://db/ca%2Frds", "database ca/rds on db:5432"),
        ("  postgresql://db/cards\n", "database cards on db:5432"),
        ("sqlite:///data/cards.db", "sqlite database data/cards.db"),
        ("mssql+pyodbc://u:p@db:1433/cards", "mssql database cards on db:1433"),
    ],
)
def test_every_form_names_its_database(url: str, origin: str) -> None:
    assert DatabaseAddress.parse(url).origin == origin


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("::1", True),
        ("/var/run/postgresql", True),
        ("db.bank.com", False),
        ("10.0.0.1", False),
        ("localhost.bank.com", False),
        ("0.0.0.0", False),
        ("localhost,db.bank.com", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, is_loopback: bool) -> None:
    address = DatabaseAddress.parse(f"host={host} dbname=cards")
    assert address.is_loopback is is_loopback
    assert address.sslmode == ("prefer" if is_loopback else "require")


def test_an_address_behind_the_name_decides_what_loopback_is() -> None:
    remote = DatabaseAddress.parse("host=localhost hostaddr=10.0.0.1 dbname=cards")
    assert remote.sslmode == "require"


def test_a_host_from_the_environment_of_libpq_is_not_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGHOST", "db.bank.com")
    address = DatabaseAddress.parse("postgresql:///cards")
    assert (address.host, address.sslmode) == ("db.bank.com", "require")


@pytest.mark.parametrize(
    ("url", "setting", "sslmode"),
    [
        ("postgresql://db/cards", None, "require"),
        ("postgresql://db/cards", "disable", "disable"),
        ("postgresql://db/cards?sslmode=verify-full", "disable", "verify-full"),
        ("postgresql://localhost/cards", "require", "require"),
        ("postgresql://db/cards?sslrootcert=system", None, "verify-full"),
        ("postgresql://db/cards?sslrootcert=/ca.pem", None, "require"),
        ("postgresql://localhost/cards?service=s", None, "require"),
    ],
)
def test_encryption_is_the_urls_then_the_settings_then_required_of_others(
    url: str, setting: str | None, sslmode: str
) -> None:
    address = DatabaseAddress.parse(url, sslmode=setting)
    assert address.sslmode == sslmode
    assert conninfo_to_dict(address.dsn())["sslmode"] == sslmode
    assert conninfo_to_dict(address.uri())["sslmode"] == sslmode


def test_parameters_of_the_url_are_kept_and_ours_are_added() -> None:
    address = DatabaseAddress.parse(
        "postgresql://db/cards?sslrootcert=/ca.pem&options=-c%20search_path%3Dcards"
    )
    found = conninfo_to_dict(address.dsn(options="-c TimeZone=UTC", connect_timeout="3"))
    assert found["sslrootcert"] == "/ca.pem"
    assert found["options"] == "-c search_path=cards -c TimeZone=UTC"
    assert found["connect_timeout"] == "3"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:hun@ter2@db/cards",
        "postgresql://reader:hun/ter2@db/cards",
        "postgresql://reader:hunter2%zz@db/cards",
        "postgresql://reader:hunter2@db:port/cards",
        "postgresql://reader:hunter2@db:70000/cards",
        "postgresql://reader:hunter2@db",
        "postgresql://reader:hunter2@db/cards?nonsense=1",
        "postgresql://reader:hunter2@db/cards%00",
        "host=db password=hunter2",
        "password=hunter2 nonsense",
        "hunter2",
        "://hunter2",
        "nonsense dialect://u:hunter2@db/x",
        "mssql+pyodbc://u:hunter2@db:port/x",
    ],
)
def test_what_cannot_be_understood_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DatabaseAddress.parse(SecretStr(url), where="data_source.connection_string")
    shown = "".join(traceback.format_exception(caught.value))
    assert "(data_source.connection_string)" in caught.value.message
    assert "hunter2" not in shown
    assert "ter2" not in shown
    assert "postgresql://user:password@host:port/name" in shown or "a port from 1" in shown
