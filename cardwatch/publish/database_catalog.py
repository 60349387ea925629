"""What the database really holds, and how that differs from what is declared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cardwatch.publish.database_objects import Column, Expansion, Index, Table, View

if TYPE_CHECKING:
    from psycopg import Connection

    from cardwatch.publish.database_operations import DatabaseOperations

_RELATIONS = """\
SELECT c.relname::text, c.relkind::text, pg_get_userbyid(c.relowner)::text,
    pg_has_role(c.relowner, 'USAGE'),
    array(SELECT p FROM unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p
        WHERE c.relkind IN ('r', 'p', 'v') AND has_table_privilege(c.oid, p))
FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY(%(names)s)
"""
_COLUMNS = """\
SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    a.atthasdef OR a.attidentity <> ''
FROM pg_attribute AS a
INNER JOIN pg_class AS c ON c.oid = a.attrelid
INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY(%(names)s) AND c.relkind IN ('r', 'p', 'v')
    AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""
_INDEXES = """\
SELECT t.relname::text, i.relname::text, x.indisprimary, x.indisunique, x.indpred IS NOT NULL,
    array(SELECT a.attname::text FROM unnest(x.indkey) WITH ORDINALITY AS k (attribute, place)
        INNER JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.attribute
        WHERE k.place <= x.indnkeyatts ORDER BY k.place)
FROM pg_index AS x
INNER JOIN pg_class AS i ON i.oid = x.indexrelid
INNER JOIN pg_class AS t ON t.oid = x.indrelid
INNER JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE n.nspname = %(schema)s AND (t.relname = ANY(%(names)s) OR i.relname = ANY(%(names)s))
"""
_TABLES, _VIEWS = ("r", "p"), ("v",)
_SIZED = re.compile(r"(character varying|numeric)(?:\((\d+)(?:,(\d+))?\))?")


@dataclass(frozen=True)
class Problem:
    """One way in which the database is not as declared.

    `is_fault` tells what keeps Cardwatch from working from what is only worth knowing.
    """

    place: str
    observed: str
    expected: str = ""
    is_fault: bool = True

    @property
    def sentence(self) -> str:
        """The problem on one line."""
        return f"{self.place}: {self.observed}" + (f", not {self.expected}" * bool(self.expected))


@dataclass
class Relation:
    """A table or view as the database has it; `kind` is ``pg_class.relkind``."""

    name: str
    kind: str
    owner: str
    is_ours: bool
    privileges: frozenset[str]
    columns: dict[str, Column] = field(default_factory=dict)
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalog:
    """The relations and indexes of the declared names in one schema."""

    relations: dict[str, Relation]
    indexes: dict[str, tuple[str, Index]]
    """By name: the table that it is on, and the index."""


def read_catalog(
    connection: Connection[Any], operations: DatabaseOperations, schema: str, declared: Expansion
) -> Catalog:
    """Read what the schema has of the declared names; needs no privilege on any of them."""
    names = [table.name for table in declared.tables] + [view.name for view in declared.views]
    names += [index.name for table in declared.tables for index in table.indexes]
    given = {"schema": schema, "names": names}

    def rows(statement: str) -> Sequence[tuple[Any, ...]]:
        return operations.execute(connection, statement, given).fetchall()

    relations = {
        name: Relation(name, kind, owner, is_ours, frozenset(privileges))
        for name, kind, owner, is_ours, privileges in rows(_RELATIONS)
    }
    for table, name, kind, is_required, has_default in rows(_COLUMNS):
        rest = "NOT NULL" * is_required + " DEFAULT" * has_default
        relations[table].columns[name] = Column(name, kind, "", rest)
    indexes = {}
    for table, name, is_key, is_unique, has_where, columns in rows(_INDEXES):
        indexes[name] = table, Index(name, tuple(columns), "…" * has_where, is_unique)
        if is_key and table in relations:
            relations[table].key = tuple(columns)
    return Catalog(relations, indexes)


def problems(declared: Expansion, catalog: Catalog) -> Iterator[Problem]:
    """Yield every difference between what is declared and what is there."""
    for table in declared.tables:
        relation = catalog.relations.get(table.name)
        if relation is None:
            yield Problem(f"table {table.name}", "missing")
            continue
        yield from table_problems(table, relation)
        yield from index_problems(table, catalog)
    for view in declared.views:
        found = catalog.relations.get(view.name)
        if found is None:
            yield Problem(f"view {view.name}", "missing")
        else:
            yield from view_problems(view, found)


def table_problems(table: Table, relation: Relation) -> Iterator[Problem]:
    """Yield what keeps an existing table from being the declared one, and harmless differences."""
    if relation.kind not in _TABLES:
        yield Problem(table.name, "something that is no table")
        return
    for column in table.columns:
        place = f"column {table.name}.{column.name}"
        actual = relation.columns.get(column.name)
        if actual is None:
            yield Problem(place, "missing")
        else:
            yield from _column_problems(place, column, actual)
    for name in sorted(relation.columns.keys() - set(table.names)):
        extra = relation.columns[name]
        must = extra.is_required and not extra.fills_itself
        observed = "must have a value, and Cardwatch has none for it" if must else "not Cardwatch's"
        yield Problem(f"column {table.name}.{name}", observed, is_fault=must)
    if set(relation.key) != set(table.key):
        observed = f"primary key ({', '.join(relation.key)})" if relation.key else "no primary key"
        yield Problem(f"table {table.name}", observed, f"({', '.join(table.key)})")


def _column_problems(place: str, column: Column, actual: Column) -> Iterator[Problem]:
    if actual.type != column.catalog_type:
        fits = is_wider(actual.type, column.catalog_type)
        yield Problem(place, actual.type, column.catalog_type, is_fault=not fits)
    if actual.is_required and not (column.is_required or column.fills_itself):
        yield Problem(place, "NOT NULL", "one that may be empty")


def is_wider(actual: str, declared: str) -> bool:
    """Tell whether every value of the declared type fits the actual one unchanged.

    Examples
    --------
    >>> is_wider("text", "character varying(50)"), is_wider("numeric(12,1)", "numeric(12,2)")
    (True, False)
    """
    if (actual, declared) == ("bigint", "integer"):
        return True
    have, want = _SIZED.fullmatch(actual), _SIZED.fullmatch(declared)
    if want is None or (actual != "text" and have is None):
        return False
    if want[1] == "character varying":
        return actual == "text" or bool(
            have and have[1] == want[1] and (have[2] is None or int(have[2]) >= int(want[2] or 0))
        )
    return bool(have and have[1] == want[1] and (have[2] is None or _has_room(have, want)))


def _has_room(have: re.Match[str], want: re.Match[str]) -> bool:
    (digits, after), (wanted, wanted_after) = (
        (int(each[2]), int(each[3] or 0)) for each in (have, want)
    )
    return after >= wanted_after and digits - after >= wanted - wanted_after


def index_problems(table: Table, catalog: Catalog) -> Iterator[Problem]:
    """Yield the declared indexes that are missing, or are something else."""
    for index in table.indexes:
        place = f"index {index.name}"
        if index.name not in catalog.indexes:
            taken = catalog.relations.get(index.name)
            yield Problem(place, "a name that something else has" if taken else "missing")
            continue
        on, actual = catalog.indexes[index.name]
        if (on, actual.columns, actual.is_unique) != (table.name, index.columns, index.is_unique):
            observed = f"on {on}({', '.join(actual.columns)})"
            yield Problem(place, observed, f"on {table.name}({', '.join(index.columns)})")


def is_earlier_form(view: View, relation: Relation) -> bool:
    """Tell whether something is the view without its last columns, so that they can be appended."""
    declared = [(column.name, column.catalog_type) for column in view.columns]
    there = [(column.name, column.type) for column in relation.columns.values()]
    return relation.kind in _VIEWS and there == declared[: len(there)]


def view_problems(view: View, relation: Relation) -> Iterator[Problem]:
    """Yield what keeps something that exists from being the declared view."""
    if relation.kind not in _VIEWS:
        yield Problem(view.name, "something that is no view")
        return
    for column in view.columns:
        actual = relation.columns.get(column.name)
        if actual is None:
            yield Problem(f"column {view.name}.{column.name}", "missing")
