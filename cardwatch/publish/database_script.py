"""The statements of an upgrade as text, for somebody else to run."""

from __future__ import annotations

from collections.abc import Iterator

import cardwatch
from cardwatch.publish.database_declared import DECLARED, HEAD, VERSION_TABLE
from cardwatch.publish.database_locks import lock_key
from cardwatch.publish.database_objects import identifier
from cardwatch.publish.database_roles import reader_statements


def upgrade_script(schema: str, reader_role: str | None = None) -> str:
    """Return what `cardwatch db upgrade` does as SQL, whatever version the database is of.

    Examples
    --------
    >>> upgrade_script("public").splitlines()[-1]
    'COMMIT;'
    """
    role = reader_statements(schema, reader_role) if reader_role else ()
    statements = ("BEGIN", *_statements(schema), *role, "COMMIT")
    head = (
        f"-- Cardwatch {cardwatch.__version__}: its tables and views, version {HEAD}.\n"
        "-- Safe to run again. Afterwards `cardwatch db check` says whether all is there.\n"
    )
    return head + "".join(f"{statement};\n" for statement in statements)


def _statements(schema: str) -> Iterator[str]:
    yield f"SELECT pg_advisory_xact_lock({lock_key('upgrade', schema)})"
    if schema != "public":
        yield f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}"
    yield f"SET LOCAL search_path TO {identifier(schema)}"
    yield from DECLARED.statements()
    yield (
        f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (\n    version_num VARCHAR(32) NOT NULL,\n"
        f"    CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num)\n)"
    )
    yield f"DELETE FROM {VERSION_TABLE} WHERE version_num < '{HEAD}'"
    yield (
        f"INSERT INTO {VERSION_TABLE} SELECT '{HEAD}'\n"
        f"WHERE NOT EXISTS (SELECT FROM {VERSION_TABLE})"
    )
