"""Whether the database is as this version needs it: what is missing, different or newer."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cardwatch.config import OutputDatabaseConfig
from cardwatch.database.address import DatabaseAddress
from cardwatch.database.faults import translated
from cardwatch.errors import PublishError
from cardwatch.publish.database_catalog import Problem, problems, read_catalog
from cardwatch.publish.database_declared import DECLARED, HEAD, VERSION_TABLE, VERSIONS
from cardwatch.publish.database_objects import identifier
from cardwatch.publish.database_operations import DatabaseOperations
from cardwatch.publish.database_transaction import TABLES, missing_privileges

if TYPE_CHECKING:
    from psycopg import Connection

OLDEST_SERVER = 13


@dataclass(frozen=True)
class DatabaseState:
    """What `check_database` found.

    Attributes
    ----------
    server : str
        Version of the server, and the user that looked.
    version : str or None
        The newest migration that was run; None for none, or where the user may not see it.
    found : tuple of Problem
        Faults and what is only worth knowing.
    """

    server: str
    version: str | None
    found: tuple[Problem, ...]

    @property
    def faults(self) -> tuple[Problem, ...]:
        """What keeps Cardwatch from working."""
        return tuple(problem for problem in self.found if problem.is_fault)


def check_database(
    address: DatabaseAddress,
    config: OutputDatabaseConfig,
    operations: DatabaseOperations | None = None,
) -> DatabaseState:
    """Look at the schema, and change nothing.

    Raises
    ------
    PublishError
        If the database cannot be reached.
    """
    operations = operations or DatabaseOperations()
    with (
        translated(address, PublishError),
        closing(operations.connect(address, config, read_only=True)) as connection,
    ):
        return _state(connection, operations, config.schema_name)


def _state(
    connection: Connection[Any], operations: DatabaseOperations, schema: str
) -> DatabaseState:
    catalog = read_catalog(connection, operations, schema, DECLARED)
    found = list(problems(DECLARED, catalog))
    number, server, user = operations.execute(
        connection,
        "SELECT current_setting('server_version_num')::integer / 10000, "
        "current_setting('server_version'), current_user::text",
    ).fetchone() or (0, "", "")
    if TABLES.keys() <= catalog.relations.keys():
        lacking = missing_privileges(catalog, schema, user)
        found += [Problem(f"user {user}", f"{said}; {grant}") for said, grant in lacking]
    if number < OLDEST_SERVER:
        found.append(Problem("server", f"PostgreSQL {server}", f"{OLDEST_SERVER} or newer"))
    version, problem = _version(connection, operations, schema)
    found += [problem] if problem else []
    return DatabaseState(f"PostgreSQL {server}, user {user}", version, tuple(found))


def _version(
    connection: Connection[Any], operations: DatabaseOperations, schema: str
) -> tuple[str | None, Problem | None]:
    name = f"{identifier(schema)}.{VERSION_TABLE}"
    visible = operations.execute(
        connection,
        "SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_class AS c INNER JOIN pg_namespace "
        "AS n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relname = %(name)s",
        {"schema": schema, "name": VERSION_TABLE},
    ).fetchone()
    if visible is None:
        return None, Problem("version", "none", HEAD)
    if not visible[0]:
        return None, Problem("version", "unknown, as this user may not see it", is_fault=False)
    found = operations.execute(connection, f"SELECT version_num FROM {name}").fetchone()
    version = str(found[0]) if found else None
    if version == HEAD:
        return version, None
    if version is None or version in VERSIONS:
        return version, Problem("version", version or "none", HEAD)
    newer = f"{version}, of a newer Cardwatch; this one, of {HEAD}, works on it"
    return version, Problem("version", newer, is_fault=False)
