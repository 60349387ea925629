"""The command that tells readers: notify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cardwatch.cli.options import ConfigFile, Debug, OutputDir, load


def notify(
    reporting_week: Annotated[
        str | None,
        typer.Option(
            envvar="CARDWATCH_REPORTING_WEEK",
            help="The week: 2025-46, 2025-W47 or a date in it. Without it, the newest.",
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            envvar="CARDWATCH_AGAIN",
            help="Tell those, too, who were told already, or may have been.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            envvar="CARDWATCH_DRY_RUN",
            help="Print the mail's text and who would get it; send nothing.",
        ),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            envvar="CARDWATCH_SAVE",
            help="Write the mail into a file (.eml) that mail programs open; send nothing.",
        ),
    ] = None,
    output_dir: OutputDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Tell the readers of a published list by mail and chat, each of them once.

    Exits with 7 where it is not certain that everybody was told.
    """
    from cardwatch.commands.notices import notify_command

    loaded = load(config, None, output_dir)
    notify_command(loaded.config, reporting_week, again=again, dry_run=dry_run, save=save)
