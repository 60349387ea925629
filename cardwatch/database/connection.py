"""Connect to PostgreSQL: with time-outs, read-only where only reading is meant."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cardwatch.database.address import DatabaseAddress

if TYPE_CHECKING:
    import psycopg

# A dead peer is noticed after a minute while we wait for it. Where it owes us the receipt of what
# we sent it has five: a server that waits for a lock during a COPY reads nothing meanwhile.
_KEEPALIVE = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "300000",
}

# A client that vanished without a goodbye keeps its locks until the server notices: by its own
# defaults after two hours.
_SERVERS_KEEPALIVE = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "15",
    "tcp_keepalives_count": "4",
}


def session_parameters(
    *,
    read_only: bool,
    connect_timeout: float,
    statement_timeout: float,
    application_name: str = "cardwatch",
) -> dict[str, str]:
    """Return libpq's parameters of a session, for `DatabaseAddress.dsn` and ``uri``.

    Parameters
    ----------
    read_only : bool
        Whether the server is told to refuse everything that writes.
    connect_timeout : float
        Seconds for each address of a host; whole seconds, rounded up.
    statement_timeout : float
        Seconds for one statement; 0 is without limit.
    """
    options = {
        "statement_timeout": str(math.ceil(statement_timeout * 1000)),
        "TimeZone": "UTC",
        **_SERVERS_KEEPALIVE,
        **({"default_transaction_read_only": "on"} if read_only else {}),
    }
    return {
        **_KEEPALIVE,
        "connect_timeout": str(math.ceil(connect_timeout)),
        "application_name": application_name,
        "client_encoding": "UTF8",
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
    }


def connect(
    address: DatabaseAddress,
    *,
    read_only: bool,
    connect_timeout: float,
    statement_timeout: float,
    application_name: str = "cardwatch",
    autocommit: bool = False,
) -> psycopg.Connection:
    """Open a connection; times are in UTC, text is UTF-8.

    Raises
    ------
    psycopg.Error
        If there is none to be had; `cardwatch.database.faults.translated` says why.
    """
    import psycopg

    parameters = session_parameters(
        read_only=read_only,
        connect_timeout=connect_timeout,
        statement_timeout=statement_timeout,
        application_name=application_name,
    )
    return psycopg.connect(address.dsn(**parameters), autocommit=autocommit)
