"""Commands about customers who need not be listed for a while: snooze, snoozes and wake."""

from __future__ import annotations

from typing import Annotated

import typer

from cardwatch.cli.options import ConfigFile, Debug, Format, OutputDir, OutputFormat, load

Customer = Annotated[str, typer.Argument(help="The customer_id, as on the list.")]
Family = Annotated[
    str | None,
    typer.Option(
        "--family",
        envvar="CARDWATCH_FAMILY",
        help="Only while the leading reason is of this family, such as events.",
    ),
]
Category = Annotated[
    str | None,
    typer.Option(
        "--mcc",
        envvar="CARDWATCH_MCC",
        help="Only while the leading reason is about this merchant category.",
    ),
]


def snooze(
    customer: Customer,
    owner: Annotated[
        str,
        typer.Option("--owner", envvar="CARDWATCH_OWNER", help="Who looks after the customer."),
    ],
    reason: Annotated[
        str, typer.Option("--reason", envvar="CARDWATCH_REASON", help="Why, in a few words.")
    ],
    until: Annotated[
        str,
        typer.Option(
            "--until", envvar="CARDWATCH_UNTIL", help="The last day of it, such as 2026-02-28."
        ),
    ],
    family: Family = None,
    mcc: Category = None,
    reporting_week: Annotated[
        str | None,
        typer.Option(
            "--reporting-week",
            envvar="CARDWATCH_REPORTING_WEEK",
            help="The week of the list. Without it, the newest list with the customer.",
        ),
    ] = None,
    output_dir: OutputDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Keep a customer off the lists of the weeks to come while the reason stays what it was.

    The customer is scored and counted all the same, and is listed again when another reason leads,
    when the risk category rises, or after the last day.
    """
    from cardwatch.commands.snooze import snooze_command

    if family and mcc:
        raise typer.BadParameter("give --family or --mcc, not both", param_hint="--mcc")
    loaded = load(config, None, output_dir)
    said = {"owner": owner, "reason": reason}
    scope = {"family": family or "", "mcc": mcc or ""}
    snooze_command(loaded.config, customer, reporting_week, until, said=said, scope=scope)


def snoozes(
    output_dir: OutputDir = None,
    config: ConfigFile = None,
    output_format: Format = OutputFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Show whom the lists leave out, who looks after them, why and until when."""
    from cardwatch.commands.snooze import snoozes_command

    snoozes_command(load(config, None, output_dir).config, output_format == "json")


def wake(
    customer: Customer,
    family: Family = None,
    mcc: Category = None,
    output_dir: OutputDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """End the snoozes of a customer, or the one of a family or merchant category."""
    from cardwatch.commands.snooze import wake_command

    scope = {"family": family or "", "mcc": mcc or ""}
    wake_command(load(config, None, output_dir).config, customer, scope)
