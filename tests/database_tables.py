"""Puts rows into a database as a delivery would, and opens a source over them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pyarrow as pa
from postgres import Database
from psycopg import sql
from pydantic import SecretStr

from cardwatch.config import DataSourceConfig
from cardwatch.engine import Engine
from cardwatch.sources.database import DatabaseSource
from cardwatch.sources.dialects import database_source
from cardwatch.sources.quoting import identifier


def load(
    database: Database,
    rows: pa.Table,
    table: str = "card_transactions",
    types: Mapping[str, str] | None = None,
) -> None:
    """Make a table of rows; `types` are its columns' types where they are not text."""
    declared = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL((types or {}).get(name, "text")))
        for name in rows.column_names
    )
    name = sql.Identifier(*table.split("."))
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(name, declared))
        with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(name)) as copy:
            for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                copy.write_row(row)


def load_sqlite(
    path: Path,
    rows: pa.Table,
    table: str = "card_transactions",
    types: Mapping[str, str] | None = None,
) -> None:
    """Make a table of rows in an SQLite file, as `load` does."""
    declared = ", ".join(
        f"{identifier(name)} {(types or {}).get(name, 'text')}" for name in rows.column_names
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE {identifier(table)} ({declared})")
        connection.executemany(
            f"INSERT INTO {identifier(table)} VALUES ({', '.join('?' * rows.num_columns)})",
            zip(*(column.to_pylist() for column in rows.columns), strict=True),
        )


def source_of(
    url: str,
    engine: Engine,
    *,
    has_cache: bool = False,
    timezone: str = "UTC",
    **settings: object,
) -> DatabaseSource:
    """Open a source; `settings` are those of ``data_source``."""
    config = DataSourceConfig.model_validate(
        {"type": "database", "connection_string": SecretStr(url), **settings}
    )
    return database_source(
        config, engine, timezone=timezone, numbering="guide", has_cache=has_cache
    )
