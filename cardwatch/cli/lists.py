"""Commands that read and tell: explain, compare and report."""

from __future__ import annotations

from typing import Annotated

import typer

from cardwatch.cli.options import (
    AllowPartial,
    ConfigFile,
    Debug,
    Format,
    OutputDir,
    OutputFormat,
    SourcePath,
    Week,
    load,
)


def explain(
    customer: Annotated[str, typer.Argument(help="The customer_id.")],
    reporting_week: Week = None,
    source: SourcePath = None,
    config: ConfigFile = None,
    output_dir: OutputDir = None,
    allow_partial: AllowPartial = False,
    debug: Debug = False,
) -> None:
    """Tell the whole story of one customer: weeks, peers, surprises, merchant categories."""
    from cardwatch.commands.lists import explain_command

    loaded = load(config, source, output_dir)
    explain_command(loaded.config, customer, reporting_week, allow_partial)


def compare(
    earlier: Annotated[str, typer.Argument(help="The earlier week, for example 2025-45.")],
    later: Annotated[
        str | None, typer.Argument(help="The later week, for example 2025-46.")
    ] = None,
    superseded: Annotated[
        bool,
        typer.Option(
            "--superseded",
            envvar="CARDWATCH_SUPERSEDED",
            help="Compare one week's list with the list of the same week that it replaced.",
        ),
    ] = False,
    output_dir: OutputDir = None,
    config: ConfigFile = None,
    output_format: Format = OutputFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Say who is new on the list, who is back, who is gone, and why.

    With two weeks, between their lists; with one week and --superseded, what running it again
    changed.
    """
    from cardwatch.commands.lists import compare_command, compare_superseded_command

    if superseded == (later is not None):
        needed = "one week with --superseded, or two weeks"
        raise typer.BadParameter(f"compare needs {needed}", param_hint="LATER")
    loaded, as_json = load(config, None, output_dir), output_format == "json"
    if later is None:
        compare_superseded_command(loaded.config, earlier, as_json)
    else:
        compare_command(loaded.config, earlier, later, as_json)


def report(
    reporting_week: Annotated[
        str | None,
        typer.Option(
            "--reporting-week",
            envvar="CARDWATCH_REPORTING_WEEK",
            help="The published week: 2025-46, 2025-W47, a date in it, or 'last'. "
            "Without it, the newest one in the output folder.",
        ),
    ] = None,
    output_dir: OutputDir = None,
    config: ConfigFile = None,
    output_format: Format = OutputFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Make the page of a published week again, from its files.

    Nothing is scored. With the same settings the page has the same bytes as the run's own, as long
    as the files of the week and of those before it are the same.
    """
    from cardwatch.commands.pages import report_command

    loaded = load(config, None, output_dir)
    report_command(loaded.config, reporting_week, output_format == "json")
