"""What can be wrong with a database, how each cause shows itself, and what to do about it.

PostgreSQL and ODBC drivers give a SQLSTATE once a session stands. Before that libpq gives only
text, which the server may have translated: what is not recognised there is shown as it is.

The texts of SQL Server, MySQL, Oracle and SQLite are those of their drivers' documentation.

References
----------
PostgreSQL documentation, appendix A, "PostgreSQL Error Codes".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """One cause, in the words of the message.

    Attributes
    ----------
    what : str
        What is wrong; ``{user}`` and ``{named}`` (what the server named) are filled in.
    next_step : str
        What to do about it.
    is_transient : bool
        Whether it may pass by itself within minutes.
    when_writing : str
        What to do where results were being written, if that is something else.
    """

    what: str
    next_step: str
    is_transient: bool = False
    when_writing: str = ""


NO_SERVER = Cause(
    "No database server answers",
    "Check host and port, that the server runs, and that a firewall lets this machine through",
    is_transient=True,
)
NOT_POSTGRESQL = Cause(
    "What answers at this host and port is not a PostgreSQL server",
    "Check the port; PostgreSQL's is 5432 unless its administrator chose another",
)
CONNECT_TIMEOUT = Cause(
    "The database server did not answer in time",
    "Check host and port, and that a firewall lets this machine through, or raise"
    " connect_timeout_seconds",
    is_transient=True,
)
UNKNOWN_HOST = Cause(
    "There is no machine of that name", "Check the host, and that this machine's DNS knows it"
)
DNS_FAILED = Cause(
    "The name service did not answer",
    "Check this machine's DNS, or give the host's address",
    is_transient=True,
)
WRONG_PASSWORD = Cause(
    "The database refused the password of user {user}",
    "Check DB_USER and DB_PASSWORD, or the user and password of the connection string; the user may"
    " also not exist",
)
NO_PASSWORD = Cause(
    "The database wants a password and none is set",
    "Set DB_PASSWORD, or put the password into the connection string",
)
NO_USER = Cause(
    "The database has no user {named}", "Check DB_USER, or the user of the connection string"
)
NOT_ADMITTED = Cause(
    "The server admits no such connection (user, database, address of this machine, encryption)",
    "Ask the database's administrator for a line in pg_hba.conf, or set sslmode as they say",
)
NO_LOGIN = Cause(
    "The user {user} may not log in",
    "Ask the database's administrator for LOGIN, or for another user",
)
NO_DATABASE = Cause(
    "The server has no such database", "Check DB_NAME, or the end of the connection string"
)
MAY_NOT_CONNECT = Cause(
    "The user {user} may not connect to this database",
    "Ask the database's administrator for: GRANT CONNECT ON DATABASE … TO …",
)
NO_TABLE = Cause(
    "There is no table {named}",
    "Check data_source.table and data_source.schema (upper and lower case count); a schema whose"
    " USAGE was not granted hides its tables",
    when_writing="`cardwatch db upgrade` makes it; check output.database.schema",
)
NO_SCHEMA = Cause(
    "There is no schema {named}",
    "Check data_source.schema; upper and lower case count",
    when_writing="Check output.database.schema; upper and lower case count",
)
NO_COLUMN = Cause(
    "There is no column {named}",
    "data_source.columns maps our names of the columns to those of the table",
    when_writing="`cardwatch db check` says how the tables differ, `cardwatch db upgrade` amends",
)
NO_PRIVILEGE = Cause(
    "The user {user} has no privilege for {named}",
    "Ask the database's administrator for the privilege: GRANT USAGE ON SCHEMA, GRANT SELECT ON the"
    " table",
    when_writing="Ask the database's administrator for the privileges of the role that writes",
)
TLS_REFUSED = Cause(
    "The server offers no encryption (TLS), and it is required",
    "Ask the database's administrator to turn TLS on; sslmode: prefer or disable gives up on it",
)
TLS_UNTRUSTED = Cause(
    "The server's certificate is not trusted",
    "Name the authority that signed it: sslrootcert=/path/to/ca.pem in the connection string",
)
TLS_WRONG_HOST = Cause(
    "The server's certificate is for another host name",
    "Use the host name in the certificate, or have it issued for this one",
)
TLS_NO_ROOT = Cause(
    "The certificate that the server is checked against cannot be read",
    "Check sslrootcert in the connection string, or put it at ~/.postgresql/root.crt",
)
TLS_FAILED = Cause(
    "The encrypted connection (TLS) could not be made",
    "Check the port and sslmode, and the certificates with the database's administrator",
)
TOO_MANY_CONNECTIONS = Cause(
    "The server has too many connections already",
    "Try again later, or ask the database's administrator for more",
    is_transient=True,
)
STARTING = Cause(
    "The server is starting up or shutting down", "Try again in a minute", is_transient=True
)
SHUT_DOWN = Cause(
    "The server shut down, or its administrator ended the connection",
    "Try again once the server is up",
    is_transient=True,
)
CLOSED_AT_ONCE = Cause(
    "The server closed the connection before a session stood",
    "Check the port; the server's log has its reason",
    is_transient=True,
)
CONNECTION_LOST = Cause(
    "The connection to the database broke", "Try again; check the network", is_transient=True
)
STATEMENT_TIMEOUT = Cause(
    "The database took too long for one statement",
    "Raise statement_timeout_seconds, or ask for an index on the week",
)
CANCELLED = Cause(
    "The statement was cancelled",
    "If it ran for statement_timeout_seconds, raise them; else ask the administrator why",
)
LOCKED = Cause(
    "Another session holds the table", "Try again when it has finished", is_transient=True
)
CONFLICT = Cause("Another session was in the way", "Try again", is_transient=True)
DISK_FULL = Cause("The server's disk is full", "Ask the database's administrator for space")
OUT_OF_MEMORY = Cause(
    "The server ran out of memory", "Try again later, or ask its administrator", is_transient=True
)
LIMIT = Cause("A limit of the server was reached", "Ask the database's administrator which and why")
READ_ONLY = Cause(
    "The database takes no writing: it is a standby, or set to read only",
    "Reading needs none: check data_source.query",
    when_writing="Use the address of the primary server and a user that may write",
)
SYNTAX = Cause(
    "The database does not understand the statement",
    "Check data_source.query by running it as it stands",
    when_writing="`cardwatch db check` says how the tables differ from what is written",
)
BAD_VALUE = Cause(
    "A value does not fit the type that the database was asked for",
    "Check the types of the table's columns, and data_source.query",
    when_writing="`cardwatch db check` says how the tables differ from what is written",
)
CONSTRAINT = Cause(
    "The database refused a row because of a constraint",
    "`cardwatch db check` says how the tables differ; nothing but Cardwatch may write them",
)
SETTING_REFUSED = Cause(
    "The server refused a setting of the connection",
    "Behind a connection pooler, use a pool in session mode that accepts the parameter options",
)
NO_DRIVER = Cause(
    "The driver that the connection string names is not installed on this machine",
    "Install it, or name one that `odbcinst -q -d` lists",
)
CRASHED = Cause(
    "The server reported a fault of its own",
    "Ask the database's administrator to read its log",
)

BY_SQLSTATE: Mapping[str, Cause] = {
    "08001": NO_SERVER,
    "08004": NOT_ADMITTED,
    "08": CONNECTION_LOST,
    "0A": SYNTAX,
    "22": BAD_VALUE,
    "23": CONSTRAINT,
    "25006": READ_ONLY,
    "25P03": CONNECTION_LOST,
    "25P04": STATEMENT_TIMEOUT,
    "28P01": WRONG_PASSWORD,
    "28": NOT_ADMITTED,
    "3D000": NO_DATABASE,
    "3F000": NO_SCHEMA,
    "40": CONFLICT,
    "42501": NO_PRIVILEGE,
    "42703": NO_COLUMN,
    "42P01": NO_TABLE,
    "42S02": NO_TABLE,
    "42S22": NO_COLUMN,
    "42": SYNTAX,
    "53100": DISK_FULL,
    "53200": OUT_OF_MEMORY,
    "53300": TOO_MANY_CONNECTIONS,
    "53": LIMIT,
    "54": LIMIT,
    "55P03": LOCKED,
    "55": CANCELLED,
    "57014": CANCELLED,
    "57P03": STARTING,
    "57P04": NO_DATABASE,
    "57": SHUT_DOWN,
    "58": CRASHED,
    "HYT": CONNECT_TIMEOUT,
    "IM": NO_DRIVER,
    "XX": CRASHED,
}
"""Causes by SQLSTATE, or by how it begins; the longest beginning counts."""

_BY_TEXT = (
    (r"statement timeout|transaction timeout", STATEMENT_TIMEOUT),
    (r"lock timeout", LOCKED),
    (r"does not support SSL|SSL was required|sslmode value .* invalid when SSL", TLS_REFUSED),
    (r"does not match host name", TLS_WRONG_HOST),
    (r"root certificate file .*(does not exist|could not)|could not read root cert", TLS_NO_ROOT),
    (r"certificate verify failed|unable to get local issuer|self[- ]signed", TLS_UNTRUSTED),
    (r"invalid response to SSL negotiation|expected authentication request", NOT_POSTGRESQL),
    (r"wrong version number|unencrypted data after SSL|record layer failure", NOT_POSTGRESQL),
    (r"unsupported frontend protocol|invalid length of startup", NOT_POSTGRESQL),
    (r"no pg_hba\.conf entry|pg_hba\.conf rejects", NOT_ADMITTED),
    (r"no password supplied", NO_PASSWORD),
    (
        r"authentication failed for user|Login failed for user|Access denied for user|ORA-01017",
        WRONG_PASSWORD,
    ),
    (r'role "[^"]*" does not exist', NO_USER),
    (r"is not permitted to log in", NO_LOGIN),
    (r'database "[^"]*" does not exist|no such database|unable to open database', NO_DATABASE),
    (r"Cannot open database|Unknown database|ORA-12514", NO_DATABASE),
    (r"permission denied for database|does not have CONNECT privilege", MAY_NOT_CONNECT),
    (r"no such table|Table '.*' doesn't exist|ORA-00942", NO_TABLE),
    (r"no such column|Unknown column|ORA-00904", NO_COLUMN),
    (r"Can't open lib|No module named|Data source name not found", NO_DRIVER),
    (r"too many (clients|connections)|connection slots are reserved", TOO_MANY_CONNECTIONS),
    (r"(system|server) is (starting up|shutting down|not yet accepting|in recovery)", STARTING),
    (r"pgbouncer cannot connect|server login (has been )?fail", STARTING),
    (r"terminating connection|administrator command", SHUT_DOWN),
    (r"session is read-only|read-only database", READ_ONLY),
    (r"Temporary failure in name resolution", DNS_FAILED),
    (
        r"could not translate host name|failed to resolve host|Name or service not known"
        r"|nodename nor servname|No address associated",
        UNKNOWN_HOST,
    ),
    (r"connection to server .* failed: server closed the connection", CLOSED_AT_ONCE),
    (r"could not (send|receive)", CONNECTION_LOST),
    (r"timeout expired|timed out|Connection timeout", CONNECT_TIMEOUT),
    (r"unsupported startup parameter|unrecognized configuration parameter", SETTING_REFUSED),
    (
        r"Connection refused|No route to host|Network is unreachable|No such file or directory"
        r"|server was not found|Can't connect to|ORA-12541",
        NO_SERVER,
    ),
    (r"SSL (error|SYSCALL)|SSL connection", TLS_FAILED),
    (
        r"server closed the connection|connection is (lost|closed|bad)|Connection reset|Broken pipe"
        r"|no connection to the server|connection not open",
        CONNECTION_LOST,
    ),
    (r"No space left on device|disk full", DISK_FULL),
)

_VAGUE = ("01000", "28000", "42000", "57014", "08001", "08P01", "HY000")
"""SQLSTATEs that several causes share, so that the text decides first."""

_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), cause) for pattern, cause in _BY_TEXT)


def cause_of(sqlstate: str, text: str) -> Cause | None:
    """Return the cause that a driver's SQLSTATE or text shows, or None.

    Examples
    --------
    >>> cause_of("42P01", "").what
    'There is no table {named}'
    """
    if not sqlstate or sqlstate in _VAGUE:
        for pattern, cause in _PATTERNS:
            if pattern.search(text):
                return cause
    for length in range(len(sqlstate), 1, -1):
        if found := BY_SQLSTATE.get(sqlstate[:length]):
            return found
    return None
