"""What the database holds, declared: tables, columns, indexes and views, and the SQL of each.

A migration is one `Expansion`. An expansion can only add, so an older Cardwatch keeps working on
the tables of a newer one. Every statement may be run again: what is there stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

_CATALOG_NAMES = {
    "FLOAT": "double precision",
    "INT": "integer",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMPTZ": "timestamp with time zone",
    "VARCHAR": "character varying",
    "DECIMAL": "numeric",
}
_TYPE = re.compile(r"(?P<name>[A-Za-z ]+?)\s*(?P<size>\([\d, ]+\))?")


@dataclass(frozen=True)
class Column:
    """One column of a table or view.

    Attributes
    ----------
    type : str
        As the statement that makes the table spells it.
    rest : str
        What follows the type there, such as ``NOT NULL``.
    """

    name: str
    type: str
    comment: str
    rest: str = ""

    @property
    def sql(self) -> str:
        """The column in the statement that makes its table."""
        return f"{self.name} {self.type} {self.rest}".rstrip()

    @property
    def is_required(self) -> bool:
        """Whether every row has a value."""
        return "NOT NULL" in self.rest

    @property
    def fills_itself(self) -> bool:
        """Whether the database gives it a value that was left out."""
        return "GENERATED" in self.rest or "DEFAULT" in self.rest

    @property
    def catalog_type(self) -> str:
        """The type as PostgreSQL spells it.

        Examples
        --------
        >>> Column("total_spend", "DECIMAL(12, 2)", "").catalog_type
        'numeric(12,2)'
        """
        match = _TYPE.fullmatch(self.type)
        if match is None:
            return self.type
        name = _CATALOG_NAMES.get(match["name"].upper(), match["name"].lower())
        return name + (match["size"] or "").replace(" ", "")


@dataclass(frozen=True)
class Index:
    """One index, besides the one of the key."""

    name: str
    columns: tuple[str, ...]
    where: str = ""
    is_unique: bool = False


@dataclass(frozen=True)
class Table:
    """One table; `key` is its primary key."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    indexes: tuple[Index, ...] = ()
    references: str = ""
    """A further constraint, such as ``FOREIGN KEY (run_id) REFERENCES anomaly_runs``."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    @property
    def written(self) -> tuple[Column, ...]:
        """The columns that a publication writes: all but those that count themselves."""
        return tuple(each for each in self.columns if "GENERATED" not in each.rest)


@dataclass(frozen=True)
class View:
    """One view; its columns are cast to their types in `query`."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    query: str


@dataclass(frozen=True)
class Expansion:
    """What one migration adds.

    Attributes
    ----------
    columns : dict
        New columns of tables that an earlier migration made, by table.
    views : tuple of View
        New views, and earlier ones with columns appended.
    privileges : dict
        New tables and views that get the privileges others have been granted, by name.
    """

    tables: tuple[Table, ...] = ()
    columns: dict[str, tuple[Column, ...]] = field(default_factory=dict)
    views: tuple[View, ...] = ()
    privileges: dict[str, str] = field(default_factory=dict)

    def statements(self) -> Iterator[str]:
        """Yield the statements that add it, each harmless where it was run before."""
        for table in self.tables:
            yield from table_statements(table)
        for name, columns in self.columns.items():
            for column in columns:
                yield f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column.sql}"
                yield _comment(f"COLUMN {name}.{column.name}", column.comment)
        for view in self.views:
            yield from view_statements(view)
        for name, like in self.privileges.items():
            yield grants_like(name, like)


def combined(expansions: Iterable[Expansion]) -> Expansion:
    """Return what several migrations add together: whole tables, the last form of each view."""
    tables: dict[str, Table] = {}
    views: dict[str, View] = {}
    privileges: dict[str, str] = {}
    for each in expansions:
        tables |= {table.name: table for table in each.tables}
        for name, columns in each.columns.items():
            tables[name] = replace(tables[name], columns=(*tables[name].columns, *columns))
        views |= {view.name: view for view in each.views}
        privileges |= each.privileges
    return Expansion(
        tables=tuple(tables.values()), views=tuple(views.values()), privileges=privileges
    )


def table_statements(table: Table) -> Iterator[str]:
    """Yield what makes a table with its indexes and comments."""
    parts = [column.sql for column in table.columns]
    parts.append(f"PRIMARY KEY ({', '.join(table.key)})")
    parts += [table.references] if table.references else []
    body = ",\n    ".join(parts)
    yield f"CREATE TABLE IF NOT EXISTS {table.name} (\n    {body}\n)"
    yield from map(_make_index, (table.name,) * len(table.indexes), table.indexes)
    yield _comment(f"TABLE {table.name}", table.comment)
    for column in table.columns:
        yield _comment(f"COLUMN {table.name}.{column.name}", column.comment)


def _make_index(table: str, index: Index) -> str:
    unique = "UNIQUE " if index.is_unique else ""
    where = f" WHERE {index.where}" if index.where else ""
    columns = ", ".join(index.columns)
    return f"CREATE {unique}INDEX IF NOT EXISTS {index.name} ON {table}({columns}){where}"


def view_statements(view: View) -> Iterator[str]:
    """Yield what makes a view with its comments."""
    yield f"CREATE OR REPLACE VIEW {view.name} AS\n{view.query.strip()}"
    yield _comment(f"VIEW {view.name}", view.comment)
    for column in view.columns:
        yield _comment(f"COLUMN {view.name}.{column.name}", column.comment)


def grants_like(name: str, like: str) -> str:
    """Return what gives the roles of one relation the same privileges on another.

    Nothing happens where this user may not grant them.
    """
    return f"""\
DO $like$ DECLARE each record; BEGIN
    IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = '{name}'::regclass), 'USAGE') THEN
        RETURN;
    END IF;
    FOR each IN
        SELECT a.privilege_type AS verb,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role
        FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE c.oid = '{like}'::regclass AND a.grantee <> c.relowner
            AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format('GRANT %s ON {name} TO %s', each.verb, each.role);
    END LOOP;
END $like$"""


def _comment(what: str, text: str) -> str:
    return f"COMMENT ON {what} IS {literal(text)}"


def identifier(name: str) -> str:
    """Quote a name that a user chose.

    Examples
    --------
    >>> print(identifier('a "b" c'))
    "a ""b"" c"
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text of our own, for a statement that takes no parameters.

    Examples
    --------
    >>> literal("the customer's")
    "'the customer''s'"
    """
    return "'" + text.replace("'", "''") + "'"
