"""Commands about the data: validate, weeks and sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cardwatch.cli.options import (
    AllowPartial,
    ConfigFile,
    Debug,
    Format,
    OutputFormat,
    SourcePath,
    Week,
    load,
)


def validate(
    reporting_week: Week = None,
    source: SourcePath = None,
    config: ConfigFile = None,
    allow_partial: AllowPartial = False,
    output_format: Format = OutputFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Check a week's data against the contract; score and write nothing."""
    from cardwatch.commands.data import validate_command

    loaded = load(config, source)
    validate_command(loaded.config, reporting_week, allow_partial, output_format == "json")


def weeks(
    reporting_week: Annotated[
        str | None,
        typer.Option(
            envvar="CARDWATCH_REPORTING_WEEK",
            help="Say only whether this week is over and has rows; exits with 3 where not.",
        ),
    ] = None,
    source: SourcePath = None,
    config: ConfigFile = None,
    output_format: Format = OutputFormat.TEXT,
    debug: Debug = False,
) -> None:
    """List the weeks in the source, with rows, customers and spend, or look for one of them."""
    from cardwatch.commands.data import week_command, weeks_command

    loaded = load(config, source).config
    if reporting_week is not None:
        week_command(loaded, reporting_week, output_format == "json")
    else:
        weeks_command(loaded, output_format == "json")


def sample(
    customers: Annotated[
        int, typer.Option(min=1, envvar="CARDWATCH_CUSTOMERS", help="Customers to make.")
    ] = 20_000,
    weeks: Annotated[
        int, typer.Option(min=1, max=520, envvar="CARDWATCH_WEEKS", help="Weeks to make.")
    ] = 26,
    seed: Annotated[
        int, typer.Option(min=0, envvar="CARDWATCH_SEED", help="The same seed, the same portfolio.")
    ] = 7,
    output_dir: Annotated[
        Path, typer.Option(envvar="CARDWATCH_SAMPLE_DIR", help="The folder to fill.")
    ] = Path("datasamples"),
    debug: Debug = False,
) -> None:
    """Make a portfolio to try Cardwatch on, with planted cases and their labels."""
    from cardwatch.commands.data import sample_command

    sample_command(customers, weeks, seed, output_dir)
