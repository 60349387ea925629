from __future__ import annotations

import re
import string
import traceback

import filelock
import psycopg
import pytest
import sqlalchemy.exc
from psycopg import errors

from cardwatch.database import causes
from cardwatch.database.address import DatabaseAddress
from cardwatch.database.causes import BY_SQLSTATE, Cause, cause_of
from cardwatch.database.faults import is_database_error, is_transient, translated
from cardwatch.errors import PublishError, SourceError

ADDRESS = DatabaseAddress.parse("postgresql://reader:p%40ss%2Fw@db.bank.com/cards")
OdbcError = type("Error", (Exception,), {"__module__": "pyodbc"})
CAUSES = {name: each for name, each in vars(causes).items() if isinstance(each, Cause)}


@pytest.mark.parametrize("name", CAUSES)
def test_every_cause_has_a_sentence_and_a_next_step_in_known_words(name: str) -> None:
    cause = CAUSES[name]
    fields = {field for _, field, _, _ in string.Formatter().parse(cause.what) if field}
    assert fields <= {"user", "named"}
    assert "{" not in cause.next_step
    assert cause.what[0].isupper()
    assert cause.what[-1] not in ".:"
    assert cause.next_step[-1] not in "."


def test_every_sqlstate_of_the_server_has_a_cause_or_is_of_a_kind_that_needs_none() -> None:
    needless = (
        "00 01 02 03 09 0B 0F 0L 0P 0Z 10 20 21 24 25 26 27 2B 2D 2F 34 38 39 3B 44 72 F0 HV P0"
    )
    found = {getattr(each, "sqlstate", None) for each in vars(errors).values()}
    known = sorted(each for each in found if isinstance(each, str))
    assert len(known) > 200
    for sqlstate in known:
        assert sqlstate[:2] in needless.split() or cause_of(sqlstate, ""), sqlstate


def test_only_what_may_pass_by_itself_is_tried_again() -> None:
    transient = {name for name, cause in CAUSES.items() if cause.is_transient}
    assert transient == {
        "NO_SERVER",
        "CONNECT_TIMEOUT",
        "DNS_FAILED",
        "TOO_MANY_CONNECTIONS",
        "STARTING",
        "SHUT_DOWN",
        "CLOSED_AT_ONCE",
        "CONNECTION_LOST",
        "LOCKED",
        "CONFLICT",
        "OUT_OF_MEMORY",
    }


@pytest.mark.parametrize(
    ("sqlstate", "cause"),
    [
        ("28P01", causes.WRONG_PASSWORD),
        ("53100", causes.DISK_FULL),
        ("53200", causes.OUT_OF_MEMORY),
        ("57P01", causes.SHUT_DOWN),
        ("57P03", causes.STARTING),
        ("08006", causes.CONNECTION_LOST),
        ("40P01", causes.CONFLICT),
        ("40001", causes.CONFLICT),
        ("22P02", causes.BAD_VALUE),
        ("25006", causes.READ_ONLY),
    ],
)
def test_a_sqlstate_has_its_cause_before_its_class_has(sqlstate: str, cause: Cause) -> None:
    assert cause_of(sqlstate, "") is cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("FATAL:  sorry, too many clients already", causes.TOO_MANY_CONNECTIONS),
        (
            "FATAL:  remaining connection slots are reserved for roles with SUPERUSER",
            causes.TOO_MANY_CONNECTIONS,
        ),
        ("FATAL:  the database system is starting up", causes.STARTING),
        ("FATAL:  the database system is shutting down", causes.STARTING),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", no encryption', causes.NOT_ADMITTED),
        ('FATAL:  role "reader" does not exist', causes.NO_USER),
        ("session is read-only", causes.READ_ONLY),
        ("FATAL:  unsupported startup parameter: options", causes.SETTING_REFUSED),
        ("could not receive data from server: Connection timed out", causes.CONNECTION_LOST),
        ("connection to server at 1.2.3.4 failed: Connection timed out", causes.CONNECT_TIMEOUT),
        ("[Errno -3] Temporary failure in name resolution", causes.DNS_FAILED),
        ("failed to resolve host 'x': [Errno -2] Name or service not known", causes.UNKNOWN_HOST),
        ("no such table: weekly", causes.NO_TABLE),
        ("(1146, \"Table 'cards.weekly' doesn't exist\")", causes.NO_TABLE),
        ("(1045, \"Access denied for user 'reader'@'db'\")", causes.WRONG_PASSWORD),
    ],
)
def test_libpqs_text_has_its_cause_where_there_is_no_sqlstate(text: str, cause: Cause) -> None:
    assert cause_of("", text) is cause


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('relation "weekly" does not exist\nLINE 1: SELECT secret', "weekly"),
        ("relation »weekly« existiert nicht", "weekly"),
        ("Relation „weekly“ existiert nicht", "weekly"),
        ("la relation « weekly » n'existe pas", "weekly"),
        ('リレーション"weekly"は存在しません', "weekly"),
        ("nothing in quotes", "configured"),
    ],
)
def test_what_the_server_named_is_found_in_any_language(text: str, named: str) -> None:
    with (
        pytest.raises(SourceError) as caught,
        translated(ADDRESS, SourceError, table="configured"),
    ):
        raise errors.UndefinedTable(text)
    assert f"There is no table {named} (" in caught.value.message
    assert "secret" not in caught.value.message


def test_a_line_of_the_server_that_is_not_known_is_shown_without_the_password() -> None:
    text = 'connection failed: FATAL: Passwort-Authentifizierung "p@ss/w" p%40ss%2Fw fehlgeschlagen'
    with pytest.raises(SourceError) as caught, translated(ADDRESS, SourceError):
        raise psycopg.OperationalError(text)
    shown = "".join(traceback.format_exception(caught.value))
    assert "Passwort-Authentifizierung" in caught.value.observed
    assert "p@ss/w" not in shown
    assert "p%40ss%2Fw" not in shown
    assert "psql" in caught.value.next_step
    assert not caught.value.retryable


def test_text_from_inside_a_session_is_not_repeated() -> None:
    with pytest.raises(SourceError) as caught, translated(ADDRESS, SourceError):
        raise psycopg.DatabaseError("row customer-4711 is wrong")
    assert "4711" not in "".join(traceback.format_exception(caught.value))
    assert "DatabaseError" in caught.value.message


def test_a_sqlstate_of_an_extension_is_named_by_its_number() -> None:
    with pytest.raises(PublishError, match="SQLSTATE P0001"), translated(ADDRESS, PublishError):
        raise errors.RaiseException("customer-4711")


@pytest.mark.parametrize(
    ("sqlstate", "text", "said"),
    [
        ("28000", "Login failed for user 'reader'. (18456)", "refused the password of user reader"),
        (
            "42000",
            'Cannot open database "cards" requested by the login. (4060)',
            "no such database",
        ),
        ("42S02", "Invalid object name 'weekly'. (208)", "There is no table weekly"),
        ("42S22", "Invalid column name 'mcc'. (207)", "There is no column mcc"),
        ("HYT00", "Login timeout expired (0)", "did not answer in time"),
        ("08001", "SSL Provider: certificate verify failed: self-signed", "not trusted"),
        ("08001", "A network-related error: server was not found", "No database server answers"),
        ("08S01", "Communication link failure", "connection to the database broke"),
        ("01000", "Can't open lib 'ODBC Driver 18 for SQL Server'", "driver"),
        ("IM002", "Data source name not found and no default driver specified", "driver"),
        ("HY000", "customer-4711", "SQLSTATE HY000"),
    ],
)
def test_what_sql_servers_driver_says_has_the_same_causes(
    sqlstate: str, text: str, said: str
) -> None:
    inner = OdbcError(sqlstate, f"[{sqlstate}] [Microsoft][ODBC Driver 18]{text}")
    with pytest.raises(SourceError) as caught, translated(ADDRESS, SourceError):
        raise sqlalchemy.exc.OperationalError("SELECT", {}, inner)
    assert said in caught.value.message
    assert "4711" not in caught.value.message


def test_the_next_step_is_another_one_where_results_are_written() -> None:
    steps = []
    for error_class in (SourceError, PublishError):
        with pytest.raises(error_class) as caught, translated(ADDRESS, error_class):
            raise errors.UndefinedTable('relation "anomaly_runs" does not exist')
        steps.append(caught.value.next_step)
    assert "data_source.table" in steps[0]
    assert "cardwatch db upgrade" in steps[1]


def test_sqlalchemys_errors_are_those_inside_them() -> None:
    inner = errors.UndefinedTable('relation "weekly" does not exist')
    error = sqlalchemy.exc.ProgrammingError("SELECT secret", {}, inner)
    with (
        pytest.raises(SourceError, match="There is no table weekly"),
        translated(ADDRESS, SourceError),
    ):
        raise error
    lost = sqlalchemy.exc.OperationalError("SELECT", {}, errors.AdminShutdown("x"))
    assert is_transient(lost)


@pytest.mark.parametrize(
    ("error", "is_ours"),
    [
        (ConnectionResetError(104, "reset"), True),
        (TimeoutError("timed out"), True),
        (filelock.Timeout("lock"), False),
        (OSError("[libpq] PQgetCopyData() failed: server closed the connection"), True),
        (OSError(28, "No space left on device"), False),
        (OSError("[libpq]", "x"), False),
        (ValueError("[libpq]"), False),
    ],
)
def test_only_errors_of_databases_and_networks_are_translated(
    error: Exception, is_ours: bool
) -> None:
    assert is_database_error(error) is is_ours


def test_sqlstates_are_listed_once_and_look_like_one() -> None:
    assert all(re.fullmatch("[0-9A-Z]{2,5}", sqlstate) for sqlstate in BY_SQLSTATE)
