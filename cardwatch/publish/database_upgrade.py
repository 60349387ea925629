"""Bring the database's tables and views up to what this version needs: all of it, or nothing.

The migrations are Alembic's revisions, run here without its command line: the version table is
``cardwatch_alembic_version`` in the configured schema. What is already there is adopted when it
fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardwatch.config import OutputDatabaseConfig
from cardwatch.database.address import DatabaseAddress
from cardwatch.errors import PublishError
from cardwatch.publish import migrations
from cardwatch.publish.database_catalog import (
    Problem,
    Relation,
    index_problems,
    is_earlier_form,
    problems,
    read_catalog,
    table_problems,
    view_problems,
)
from cardwatch.publish.database_declared import DECLARED, HEAD, VERSION_TABLE, VERSIONS
from cardwatch.publish.database_locks import hold_until_commit, lock_key
from cardwatch.publish.database_objects import (
    Expansion,
    Table,
    identifier,
    table_statements,
    view_statements,
)
from cardwatch.publish.database_operations import DatabaseOperations

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from psycopg import Connection
    from sqlalchemy import Connection as AlchemyConnection


@dataclass
class Upgrade:
    """One upgrade under way, in one transaction of `connection`.

    `before` is the version that was found, None for none; `notes` say what else there is to know.
    """

    connection: Connection[Any]
    operations: DatabaseOperations
    schema: str
    before: str | None = None
    notes: list[str] = field(default_factory=list)

    def run(self, statement: str) -> None:
        """Run one statement."""
        self.operations.execute(self.connection, statement)

    def expand(self, expansion: Expansion) -> None:
        """Add what a migration adds; a table that is there already is adopted, or refused."""
        catalog = read_catalog(self.connection, self.operations, self.schema, expansion)
        for table in expansion.tables:
            relation = catalog.relations.get(table.name)
            found = list(index_problems(table, catalog))
            _refuse(each for each in found if each.observed != "missing")
            if relation is not None:
                self._adopt(table, relation, [each.place for each in found])
            if relation is None or relation.is_ours:
                for statement in table_statements(table):
                    self.run(statement)
        for view in expansion.views:
            there = catalog.relations.get(view.name)
            if there is not None and not is_earlier_form(view, there):
                _refuse(view_problems(view, there))
        for statement in replace(expansion, tables=()).statements():
            self.run(statement)

    def _adopt(self, table: Table, relation: Relation, missing_indexes: list[str]) -> None:
        _refuse(table_problems(table, relation))
        if not relation.is_ours and missing_indexes:
            raise PublishError(
                f"The table {table.name} belongs to {relation.owner}",
                where=f"schema {self.schema}",
                observed=f"no {missing_indexes[0]}",
                next_step="Hand its owner the statements of: cardwatch db upgrade --sql",
            )
        self.notes.append(f"{table.name} was there already and was adopted, with its rows")

    def repair(self) -> None:
        """Make again what somebody removed, and refuse what is not as declared."""
        found = [each for each in self._problems() if each.observed == "missing"]
        gone = {each.place.split(" ")[-1] for each in found}
        tables = tuple(
            table
            for table in DECLARED.tables
            if gone & {table.name, *(index.name for index in table.indexes)}
        )
        views = tuple(view for view in DECLARED.views if view.name in gone)
        for statements in (*map(table_statements, tables), *map(view_statements, views)):
            for statement in statements:
                self.run(statement)
        if self.before is not None:
            self.notes += [f"{name} was missing and was made again" for name in sorted(gone)]
        _refuse(self._problems())

    def _problems(self) -> Iterator[Problem]:
        catalog = read_catalog(self.connection, self.operations, self.schema, DECLARED)
        return problems(DECLARED, catalog)


def _refuse(found: Iterator[Problem]) -> None:
    for problem in found:
        if problem.is_fault:
            raise PublishError(
                "Something of that name is there already, and does not fit",
                where=problem.place,
                observed=problem.observed,
                expected=problem.expected,
                next_step="Rename it, or change it as docs/reference/database.md says; then run "
                "`cardwatch db upgrade` again",
            )


@contextmanager
def upgrading(
    address: DatabaseAddress,
    config: OutputDatabaseConfig,
    *,
    lock_seconds: float = 60.0,
    operations: DatabaseOperations | None = None,
) -> Iterator[Upgrade]:
    """Run every migration that is missing; the block may add statements before the commit.

    Parameters
    ----------
    address : DatabaseAddress
        The database, as a user that may make tables there.
    config : OutputDatabaseConfig
        The schema and the time-outs.
    lock_seconds : float
        How long to wait for another upgrade.
    operations : DatabaseOperations, optional
        What reaches the server; a test passes one that fails.

    Raises
    ------
    PublishError
        If a table does not fit or belongs to somebody else, or the user may not make tables.
    """
    from psycopg.errors import InsufficientPrivilege

    operations = operations or DatabaseOperations()
    connection = operations.connect(address, config)
    try:
        with _alchemy(connection, operations) as alchemy:
            upgrade = Upgrade(connection, operations, config.schema_name)
            _upgrade(upgrade, alchemy, lock_seconds)
            yield upgrade
            operations.commit(connection)
    except InsufficientPrivilege:
        raise PublishError(
            f"The user {address.user} may not make tables there",
            where=f"schema {config.schema_name}, {address.origin}",
            next_step="Hand the database's administrator the statements of: "
            "cardwatch db upgrade --sql",
        ) from None
    finally:
        with suppress(Exception):  # the outcome stands; a server that is gone closes by itself
            connection.close()


def _upgrade(upgrade: Upgrade, alchemy: AlchemyConnection, lock_seconds: float) -> None:
    schema = identifier(upgrade.schema)
    key = lock_key("upgrade", upgrade.schema)
    hold_until_commit(
        upgrade.connection, upgrade.operations, key, lock_seconds, "upgrading this schema"
    )
    found = upgrade.operations.execute(
        upgrade.connection,
        "SELECT 1 FROM pg_namespace WHERE nspname = %(name)s",
        {"name": upgrade.schema},
    )
    if found.fetchone() is None:
        upgrade.run(f"CREATE SCHEMA {schema}")
    upgrade.run(f"SET LOCAL search_path TO {schema}")
    context = _migration_context(alchemy, upgrade.schema)
    upgrade.before = context.get_current_revision()
    if is_newer(upgrade.before):
        upgrade.notes.append(f"Made by a newer Cardwatch (version {upgrade.before}): it stays")
    else:
        scripts = _scripts()
        missing = scripts.iterate_revisions(HEAD, upgrade.before or "base")
        for script in reversed(list(missing)):
            script.module.upgrade(upgrade.expand)
        context.stamp(scripts, HEAD)
    upgrade.repair()


def is_newer(version: str | None) -> bool:
    """Tell whether a newer Cardwatch made this version of the tables; we can work on them."""
    return version is not None and version not in VERSIONS


@contextmanager
def _alchemy(
    connection: Connection[Any], operations: DatabaseOperations
) -> Iterator[AlchemyConnection]:
    """Lend an open connection to SQLAlchemy, whose statements pass the same seam."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)

    def before(_: object, __: object, statement: str, *___: object) -> None:
        operations.before("execute", statement)

    def after(_: object, __: object, statement: str, *___: object) -> None:
        operations.after("execute", statement)

    with engine.connect() as alchemy:
        event.listen(alchemy, "before_cursor_execute", before)
        event.listen(alchemy, "after_cursor_execute", after)
        alchemy.begin()
        yield alchemy


def _migration_context(alchemy: AlchemyConnection, schema: str) -> MigrationContext:
    from alembic.runtime.migration import MigrationContext

    options = {"version_table": VERSION_TABLE, "version_table_schema": schema}
    return MigrationContext.configure(alchemy, opts=options)


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    folder = str(Path(migrations.__file__).parent)
    return ScriptDirectory(folder, version_locations=[folder])
