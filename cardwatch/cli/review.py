"""Commands about what analysts found: set, import and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cardwatch.cli.options import ConfigFile, Debug, Format, OutputDir, OutputFormat, load

ListWeek = Annotated[
    str,
    typer.Option(
        "--reporting-week",
        envvar="CARDWATCH_REPORTING_WEEK",
        help="The week of the list: 2025-46, 2025-W47 or a date in it.",
    ),
]
Reviewer = Annotated[
    str | None,
    typer.Option(
        "--reviewer",
        envvar="CARDWATCH_REVIEWER",
        help="Who decided. Without it, the user who is logged in.",
    ),
]


def set_verdict(
    customer: Annotated[str, typer.Argument(help="The customer_id, as on the list.")],
    reporting_week: ListWeek,
    verdict: Annotated[
        str,
        typer.Option(
            "--verdict",
            envvar="CARDWATCH_VERDICT",
            help="confirmed_risk, opportunity, expected, data_error or unclear.",
        ),
    ],
    cause: Annotated[
        str, typer.Option("--cause", envvar="CARDWATCH_CAUSE", help="What was behind it.")
    ] = "",
    action_taken: Annotated[
        str,
        typer.Option(
            "--action-taken", envvar="CARDWATCH_ACTION_TAKEN", help="What was done about it."
        ),
    ] = "",
    note: Annotated[
        str, typer.Option("--note", envvar="CARDWATCH_NOTE", help="Anything else.")
    ] = "",
    reviewer: Reviewer = None,
    output_dir: OutputDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Record what a listed customer turned out to be; a later verdict stands in its place."""
    from cardwatch.commands.review import set_command

    set_command(
        load(config, None, output_dir).config,
        customer,
        reporting_week,
        verdict,
        said={"cause": cause, "action_taken": action_taken, "note": note},
        reviewer=reviewer,
    )


def import_reviews(
    file: Annotated[Path | None, typer.Argument(help="A reviews_YYYY-WW.csv, filled in.")] = None,
    from_database: Annotated[
        bool,
        typer.Option(
            "--from-database",
            envvar="CARDWATCH_FROM_DATABASE",
            help="Take them from the table anomaly_reviews, as every run does by itself where "
            "output.database.enabled is true.",
        ),
    ] = False,
    reviewer: Reviewer = None,
    output_dir: OutputDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Take over the verdicts of a filled-in sheet: all of them, or none where a line is bad.

    Lines without a verdict are passed over. Importing the same file again adds nothing.
    """
    from cardwatch.commands.review import import_command, import_stored_command

    if from_database == (file is not None):
        raise typer.BadParameter("give a file, or --from-database", param_hint="FILE")
    if file is None:
        import_stored_command(
            load(config, None, output_dir, {"output.database.enabled": True}).config
        )
    else:
        import_command(load(config, None, output_dir).config, file, reviewer)


def report(
    weeks: Annotated[
        int,
        typer.Option(
            "--weeks", min=1, envvar="CARDWATCH_WEEKS", help="How many weeks, the newest ones."
        ),
    ] = 13,
    output_dir: OutputDir = None,
    config: ConfigFile = None,
    output_format: Format = OutputFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Say how good the lists were: hit rate and acted-upon rate, by week and family of reasons.

    Each with its 95% interval and beside its goal; and who on the lists has no verdict yet.
    """
    from cardwatch.commands.review import report_command

    report_command(load(config, None, output_dir).config, weeks, output_format == "json")
