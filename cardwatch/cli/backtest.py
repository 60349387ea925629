"""The command that tries past weeks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cardwatch.cli.options import ConfigFile, Debug, Format, OutputDir, OutputFormat, SourcePath
from cardwatch.cli.options import load as load_options


def backtest(
    weeks: Annotated[
        int,
        typer.Option(
            "--weeks", min=1, max=520, envvar="CARDWATCH_WEEKS", help="How many weeks to try."
        ),
    ],
    reporting_week: Annotated[
        str | None,
        typer.Option(
            "--reporting-week",
            envvar="CARDWATCH_REPORTING_WEEK",
            help="The last of them: 2025-46, 2025-W47, a date in it, or 'last'. "
            "Without it, the last complete week in the source.",
        ),
    ] = None,
    inject: Annotated[
        bool,
        typer.Option(
            "--inject",
            envvar="CARDWATCH_INJECT",
            help="Plant known cases, in memory only, and say how many are found.",
        ),
    ] = False,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            envvar="CARDWATCH_KIND",
            help="Plant only this kind, such as takeover; may be given more than once.",
        ),
    ] = None,
    strength: Annotated[
        list[str] | None,
        typer.Option(
            "--strength",
            envvar="CARDWATCH_STRENGTH",
            help="weak, medium or strong; may be given more than once. Without it, all in turn.",
        ),
    ] = None,
    per_kind: Annotated[
        int | None,
        typer.Option(
            "--per-kind",
            min=1,
            max=100,
            envvar="CARDWATCH_PER_KIND",
            help="Cases per kind and week. Without it, up to 3, and about 1% of the customers.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, envvar="CARDWATCH_SEED", help="Draws who is planted, and what."
        ),
    ] = 0,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            envvar="CARDWATCH_AGAINST",
            help="Another configuration file, tried on the same weeks and the same cases.",
        ),
    ] = None,
    show_customers: Annotated[
        bool,
        typer.Option(
            "--show-customers",
            envvar="CARDWATCH_SHOW_CUSTOMERS",
            help="With --against: name the customers that only one of the two lists.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            envvar="CARDWATCH_BACKTEST_OUTPUT",
            help="Write what was found to this file, as JSON. It holds customer ids.",
        ),
    ] = None,
    output_dir: OutputDir = None,
    source: SourcePath = None,
    config: ConfigFile = None,
    output_format: Format = OutputFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Say what the configuration would have listed in past weeks, and how good that was.

    Nothing in the output folder changes: lists, records and verdicts of the time are only read.
    """
    from cardwatch.commands.backtest import backtest_command
    from cardwatch.commands.backtest_options import (
        configuration_name,
        refuse_missing,
        wish_of,
    )

    wish = wish_of(kind, strength, per_kind, seed, is_asked=inject)
    loaded = load_options(config, source, output_dir)
    other = None
    if against is not None:
        refuse_missing(against)
        other = (str(against), load_options(against, source, output_dir).config)
    backtest_command(
        loaded.config,
        weeks,
        reporting_week,
        name=configuration_name(loaded.file),
        wish=wish,
        against=other,
        with_customers=show_customers,
        output=output,
        as_json=output_format == "json",
    )
