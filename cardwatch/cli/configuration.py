"""The commands of ``cardwatch config``."""

from __future__ import annotations

from typing import Annotated

import typer

from cardwatch.cli.options import (
    ConfigFile,
    Debug,
    Format,
    OutputDir,
    OutputFormat,
    SourcePath,
    load,
)


def show(
    key: Annotated[
        str | None, typer.Argument(help="One setting by its dotted name, or one section.")
    ] = None,
    config: ConfigFile = None,
    source: SourcePath = None,
    output_dir: OutputDir = None,
    output_format: Format = OutputFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Show every setting in force, where it comes from and what it means; no secret is shown."""
    from cardwatch.commands.configuration import config_show_command

    config_show_command(load(config, source, output_dir), key, output_format == "json")


def schema(debug: Debug = False) -> None:
    """Print the JSON Schema of the configuration file."""
    from cardwatch.commands.configuration import config_schema_command

    config_schema_command()


def check(config: ConfigFile = None, source: SourcePath = None, debug: Debug = False) -> None:
    """Load the configuration, reach the source, and say what is wrong or that all is well."""
    from cardwatch.commands.configuration import config_check_command

    config_check_command(load(config, source))


def doctor(
    config: ConfigFile = None,
    source: SourcePath = None,
    output_dir: OutputDir = None,
    output_format: Format = OutputFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Check everything that a run needs and has left behind; nothing is changed.

    Configuration, output folder, source and its weeks, database; and of the published weeks,
    whether their files are whole and the rows they rest on still the same. Exits with 0 when all
    is well, with 1 when something should be looked at, else with the code of the first failure.
    """
    from cardwatch.commands.checkup import doctor_command

    doctor_command(lambda: load(config, source, output_dir), output_format == "json")
