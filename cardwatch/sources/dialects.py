"""Which adapter reads from which database."""

from __future__ import annotations

from cardwatch.config import DataSourceConfig
from cardwatch.config.values import table_parts
from cardwatch.database.address import POSTGRESQL, DatabaseAddress
from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError
from cardwatch.sources.columns import ColumnSettings
from cardwatch.sources.database import DatabaseSource
from cardwatch.sources.snapshots import Database
from cardwatch.sources.week_values import WeekReader
from cardwatch.week import Numbering

_SETTING = "data_source.connection_string"


def database_source(
    config: DataSourceConfig,
    engine: Engine,
    *,
    timezone: str,
    numbering: Numbering,
    has_cache: bool = False,
) -> DatabaseSource:
    """Return the source of a configured database; nothing is connected to yet.

    Parameters
    ----------
    has_cache : bool
        Whether most reference weeks are likely to be known already.

    Raises
    ------
    ConfigurationError
        If no database is named, or no driver for it is installed.
    """
    columns = {str(ours): theirs for ours, theirs in config.columns.items()}
    return DatabaseSource(
        open_database(config),
        engine,
        WeekReader(timezone, numbering, config.date_format),
        ColumnSettings(config.shape, columns),
        piecemeal=has_cache,
        roll_up=config.roll_up,
        attempts=config.attempts,
    )


def open_database(config: DataSourceConfig) -> Database:
    """Return the adapter of a configured database.

    Raises
    ------
    ConfigurationError
        If no database is named, or no driver for it is installed.
    """
    if config.connection_string is None:
        raise ConfigurationError(
            "No database is named",
            where=_SETTING,
            next_step="Set DB_HOST, DB_NAME, DB_USER and DB_PASSWORD, or DB_CONNECTION_STRING",
        )
    address = DatabaseAddress.parse(
        config.connection_string, sslmode=config.sslmode, where=_SETTING
    )
    schema = (config.schema_name,) if config.schema_name else ()
    table = () if config.query else (*schema, *table_parts(config.table))
    # Imported when they are used: a run over files needs no database driver.
    if address.dialect != POSTGRESQL:
        from cardwatch.sources.sqlalchemy import OtherDatabase

        return OtherDatabase(address, table=table, query=config.query or "")
    from cardwatch.sources.postgres import PostgresDatabase

    return PostgresDatabase(
        address,
        table=table,
        query=config.query or "",
        connect_timeout=config.connect_timeout_seconds,
        statement_timeout=config.statement_timeout_seconds,
    )
