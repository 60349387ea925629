"""The options that commands share, and the configuration that they choose."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class OutputFormat(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


Week = Annotated[
    str | None,
    typer.Option(
        "--reporting-week",
        envvar="CARDWATCH_REPORTING_WEEK",
        help="The week to score: 2025-46, 2025-W47, a date in it, 'last', or 'due': the last "
        "complete week of the calendar. Without it, the last complete week in the source.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="CARDWATCH_CONFIG",
        help="The configuration file. Without it, config/config.yaml, or the built-in defaults.",
    ),
]
SourcePath = Annotated[
    str | None,
    typer.Option(
        "--source",
        envvar="CARDWATCH_SOURCE",
        help="Where the data is: a file, a folder or a glob (data_source.path).",
    ),
]
OutputDir = Annotated[
    Path | None,
    typer.Option(
        "--output-dir",
        envvar="CARDWATCH_OUTPUT_DIR",
        help="The folder for results (output.directory).",
    ),
]
Top = Annotated[
    int | None,
    typer.Option(
        "--top", min=1, envvar="CARDWATCH_TOP", help="Length of the list (ranking.top_n)."
    ),
]
Format = Annotated[
    OutputFormat,
    typer.Option("--format", envvar="CARDWATCH_FORMAT", help="Text for people, JSON for machines."),
]
MonitoringFile = Annotated[
    Path | None,
    typer.Option(
        "--monitoring-config",
        envvar="CARDWATCH_MONITORING_CONFIG",
        help="The monitoring settings. Without it, config/monitoring_config.yaml, or defaults.",
    ),
]
AllowPartial = Annotated[
    bool,
    typer.Option(
        "--allow-partial",
        envvar="CARDWATCH_ALLOW_PARTIAL",
        help="Take a week that is not over as it is.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        envvar="CARDWATCH_DRY_RUN",
        help="Do everything but write: what would be read and written, and who enters or leaves.",
    ),
]
Debug = Annotated[
    bool,
    typer.Option("--debug", envvar="CARDWATCH_DEBUG", help="Show the traceback of an error."),
]


def load(
    config: Path | None,
    source: str | None,
    output_dir: Path | None = None,
    overrides: dict[str, object] | None = None,
) -> Any:
    """Return the loaded configuration, with what the command line says on top of it."""
    from cardwatch.config import read_config

    given = {
        "data_source.path": source,
        "data_source.type": None if source is None else "files",
        "output.directory": None if output_dir is None else str(output_dir),
    }
    return read_config(config, overrides=given | (overrides or {}))
