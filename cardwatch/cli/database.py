"""Commands about the database that results are written to: publish, db upgrade, db check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cardwatch.cli.options import ConfigFile, Debug, MonitoringFile, OutputDir, load


def publish(
    reporting_week: Annotated[
        str | None,
        typer.Option(
            "--reporting-week",
            envvar="CARDWATCH_REPORTING_WEEK",
            help="The week to send: 2025-46, 2025-W47, a date in it, or 'last'. Without it, the "
            "newest one in the output folder.",
        ),
    ] = None,
    all_missing: Annotated[
        bool,
        typer.Option(
            "--all-missing",
            envvar="CARDWATCH_ALL_MISSING",
            help="Send every week of the output folder whose newest run the database lacks.",
        ),
    ] = False,
    output_dir: OutputDir = None,
    config: ConfigFile = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            envvar="CARDWATCH_DRY_RUN",
            help="Check everything and say what would be written, but write nothing.",
        ),
    ] = False,
    monitoring_config: MonitoringFile = None,
    debug: Debug = False,
) -> None:
    """Send what the files of a week say to the database; safe to repeat."""
    from cardwatch.commands.database import publish_command

    loaded = _load(config, output_dir)
    publish_command(
        loaded.config,
        reporting_week,
        all_missing=all_missing,
        dry_run=dry_run,
        monitoring=monitoring_config,
    )


def upgrade(
    sql: Annotated[
        bool,
        typer.Option(
            "--sql",
            envvar="CARDWATCH_SQL",
            help="Print the statements, for a database administrator to run, and reach nothing.",
        ),
    ] = False,
    reader_role: Annotated[
        str | None,
        typer.Option(
            "--reader-role",
            envvar="CARDWATCH_READER_ROLE",
            help="Also make this role, such as cardwatch_reader, where there is none, and let it "
            "read anomaly_reports and the views for BI, and nothing else.",
        ),
    ] = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Make the tables and views that are missing; those that are there stay as they are."""
    from cardwatch.commands.database import upgrade_command

    upgrade_command(_load(config).config, as_sql=sql, reader_role=reader_role)


def check(config: ConfigFile = None, debug: Debug = False) -> None:
    """Say what is missing or different in the database, and what this user may not do there."""
    from cardwatch.commands.database import check_command

    check_command(_load(config).config)


def _load(config: Path | None, output_dir: Path | None = None) -> Any:
    """Return the configuration with the database turned on: these commands are about it."""
    return load(config, None, output_dir, {"output.database.enabled": True})
