"""Commands that score weeks: run and reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cardwatch.cli.options import (
    AllowPartial,
    ConfigFile,
    Debug,
    DryRun,
    Format,
    MonitoringFile,
    OutputDir,
    OutputFormat,
    SourcePath,
    Top,
    Week,
    load,
)


def run(
    reporting_week: Week = None,
    output_dir: OutputDir = None,
    source: SourcePath = None,
    config: ConfigFile = None,
    top: Top = None,
    dry_run: DryRun = False,
    allow_partial: AllowPartial = False,
    no_notify: Annotated[
        bool,
        typer.Option(
            "--no-notify", envvar="CARDWATCH_NO_NOTIFY", help="Tell nobody, by mail or chat."
        ),
    ] = False,
    output_format: Format = OutputFormat.TEXT,
    monitoring_config: MonitoringFile = None,
    debug: Debug = False,
) -> None:
    """Score a week, print the list with its reasons, and write the results."""
    from cardwatch.commands.runs import RunRequest, run_command

    loaded = load(config, source, output_dir, {"ranking.top_n": top})
    request = RunRequest(
        wanted=reporting_week,
        dry_run=dry_run,
        allow_partial=allow_partial,
        no_notify=no_notify,
        as_json=output_format == "json",
        given={"--source": source, "--config": config, "--output-dir": output_dir},
    )
    run_command(loaded.config, request, monitoring_config)


def backfill(
    first: Annotated[
        str,
        typer.Option(
            "--from", envvar="CARDWATCH_FROM", help="The first week: 2025-30, 2025-W31 or a date."
        ),
    ],
    last: Annotated[
        str | None,
        typer.Option(
            "--to",
            envvar="CARDWATCH_TO",
            help="The last week. Without it, the last complete one in the source.",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", envvar="CARDWATCH_FORCE", help="Run weeks that are done, too."),
    ] = False,
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going",
            envvar="CARDWATCH_KEEP_GOING",
            help="Go on with the next week after one that failed.",
        ),
    ] = False,
    output_dir: OutputDir = None,
    source: SourcePath = None,
    config: ConfigFile = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            envvar="CARDWATCH_DRY_RUN",
            help="Say which weeks would be run, and why; score and write nothing.",
        ),
    ] = False,
    output_format: Format = OutputFormat.TEXT,
    monitoring_config: MonitoringFile = None,
    debug: Debug = False,
) -> None:
    """Run the weeks of a range in order, and skip what is done.

    A week is done when it was run from the same rows, with the same settings, and with the same
    earlier scores. After an interruption the same command goes on where it stopped.
    """
    from cardwatch.commands.backfill import backfill_command

    backfill_command(
        load(config, source, output_dir).config,
        first,
        last,
        force=force,
        keep_going=keep_going,
        dry_run=dry_run,
        as_json=output_format == "json",
        monitoring=monitoring_config,
    )


def reproduce(
    manifest: Annotated[Path, typer.Argument(help="A run_YYYY-WW.json of an earlier run.")],
    source: SourcePath = None,
    debug: Debug = False,
) -> None:
    """Derive a recorded list again, and say 'identical' or what changed."""
    from cardwatch.commands.runs import reproduce_command

    reproduce_command(manifest, source)
