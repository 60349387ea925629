"""Commands that watch the system: health, verify and alert test."""

from __future__ import annotations

from typing import Annotated

import typer

from cardwatch.cli.options import (
    ConfigFile,
    Debug,
    Format,
    MonitoringFile,
    OutputDir,
    OutputFormat,
    SourcePath,
    load,
)


def health(
    config: ConfigFile = None,
    source: SourcePath = None,
    output_dir: OutputDir = None,
    monitoring_config: MonitoringFile = None,
    output_format: Format = OutputFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Check the health of the installation, and write health_check_latest.json.

    Exits with 0 where all is well, with 1 where somebody should look, with 2 where something is
    broken. No check takes longer than the monitoring settings allow. Who should know is told, where
    ENABLE_MONITORING is on.
    """
    from cardwatch.commands.monitoring import health_command

    health_command(
        lambda: load(config, source, output_dir), monitoring_config, output_format == "json"
    )


def verify(
    reporting_week: Annotated[
        str | None,
        typer.Option(
            envvar="CARDWATCH_REPORTING_WEEK",
            help="The week: 2025-46, 2025-W47 or a date in it. Without it, the newest.",
        ),
    ] = None,
    config: ConfigFile = None,
    output_dir: OutputDir = None,
    debug: Debug = False,
) -> None:
    """Check that a week's results are whole, in the folder and in the database."""
    from cardwatch.commands.monitoring import verify_command

    verify_command(load(config, None, output_dir).config, reporting_week)


def test(
    config: ConfigFile = None,
    monitoring_config: MonitoringFile = None,
    debug: Debug = False,
) -> None:
    """Send a test to every channel, and say what became of each; exits with 7 where one failed."""
    from cardwatch.commands.monitoring import alert_test_command

    alert_test_command(load(config, None).config, monitoring_config)
