"""The few things that are asked of the database, in one place.

Everything goes through `DatabaseOperations`, so that a test can make the n-th one fail, or end the
process there, for every n.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cardwatch.config import OutputDatabaseConfig
from cardwatch.database.address import DatabaseAddress
from cardwatch.database.connection import connect

if TYPE_CHECKING:
    from psycopg import Connection, Cursor


class DatabaseOperations:
    """What is asked of a server. Each operation calls `before` first and `after` when it is done.

    The operations, as the hooks see them: ``connect``, ``execute`` and ``copy`` with the statement,
    ``send`` for each part of a copy, and ``commit``.
    """

    def before(self, operation: str, statement: str) -> None:
        """Run before each operation; the seam where a test injects a fault."""

    def after(self, operation: str, statement: str) -> None:
        """Run after each operation; here a test loses the answer."""

    def connect(
        self, address: DatabaseAddress, config: OutputDatabaseConfig, *, read_only: bool = False
    ) -> Connection[Any]:
        """Open a connection; its first statement begins a transaction."""
        from psycopg import IsolationLevel

        self.before("connect", "")
        connection = connect(
            address,
            read_only=read_only,
            connect_timeout=config.connect_timeout_seconds,
            statement_timeout=config.statement_timeout_seconds,
        )
        # A lock that was waited for is of use only if what the other one committed is seen.
        connection.isolation_level = IsolationLevel.READ_COMMITTED
        self.after("connect", "")
        return connection

    def execute(
        self,
        connection: Connection[Any],
        statement: str,
        given: Mapping[str, object] | None = None,
    ) -> Cursor[Any]:
        """Run one statement; without `given` a percent sign is one."""
        self.before("execute", statement)
        cursor = connection.execute(statement.encode(), given)
        self.after("execute", statement)
        return cursor

    def copy(self, connection: Connection[Any], statement: str, parts: Iterable[bytes]) -> None:
        """Send rows to a ``COPY … FROM STDIN``."""
        self.before("copy", statement)
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for part in parts:
                self.before("send", statement)
                copy.write(part)
                self.after("send", statement)
        self.after("copy", statement)

    def commit(self, connection: Connection[Any]) -> None:
        """Commit; everything since the last commit stands, or nothing."""
        self.before("commit", "COMMIT")
        connection.commit()
        self.after("commit", "COMMIT")
