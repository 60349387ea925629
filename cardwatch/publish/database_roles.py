"""A role that may read what Power BI reads, and nothing else."""

from __future__ import annotations

from typing import Any

from cardwatch.publish.database_declared import DECLARED
from cardwatch.publish.database_objects import identifier, literal
from cardwatch.publish.database_upgrade import Upgrade

READABLE = ("anomaly_reports", *(view.name for view in DECLARED.views))
"""What the reader role may read."""


def reader_statements(schema: str, role: str) -> list[str]:
    """Return what makes a role that may only read, and grants it that; may be run again."""
    readable = ", ".join(f"{identifier(schema)}.{name}" for name in READABLE)
    return [
        f"DO $make$ BEGIN\n    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal(role)})"
        f" THEN\n        CREATE ROLE {identifier(role)} NOLOGIN;\n    END IF;\nEND $make$",
        f"GRANT USAGE ON SCHEMA {identifier(schema)} TO {identifier(role)}",
        f"GRANT SELECT ON {readable} TO {identifier(role)}",
    ]


def grant_reader(upgrade: Upgrade, role: str) -> bool:
    """Make the role and grant it what it may read, in the upgrade's transaction.

    Returns
    -------
    bool
        False where this user may not do that; nothing was granted then.
    """
    from psycopg.errors import InsufficientPrivilege

    upgrade.run("SAVEPOINT reader_role")
    try:
        for statement in reader_statements(upgrade.schema, role):
            upgrade.run(statement)
    except InsufficientPrivilege:
        upgrade.run("ROLLBACK TO SAVEPOINT reader_role")
        return False
    return _can_read(upgrade, role)


def _can_read(upgrade: Upgrade, role: str) -> bool:
    """Look: a grant by somebody who may not give it is only a warning."""
    answer: tuple[Any, ...] | None = upgrade.operations.execute(
        upgrade.connection,
        "SELECT has_schema_privilege(%(role)s, n.oid, 'USAGE') AND bool_and("
        "has_table_privilege(%(role)s, c.oid, 'SELECT')) FROM pg_namespace AS n "
        "INNER JOIN pg_class AS c ON c.relnamespace = n.oid "
        "WHERE n.nspname = %(schema)s AND c.relname = ANY(%(names)s) GROUP BY n.oid",
        {"role": role, "schema": upgrade.schema, "names": list(READABLE)},
    ).fetchone()
    return bool(answer and answer[0])
