"""The command line, put together.

Heavy modules are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated

import typer
from typer.main import get_command

import cardwatch
from cardwatch.cli import (
    backtest,
    configuration,
    data,
    database,
    lists,
    monitoring,
    notices,
    review,
    runs,
    snooze,
)
from cardwatch.cli.process import guarded

app = typer.Typer(
    name="cardwatch",
    help="A weekly list of the card customers whose spending does not look like itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"cardwatch {cardwatch.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Find the card customers whose week does not look like itself, and say why."""


for command in (
    runs.run,
    runs.backfill,
    data.validate,
    data.weeks,
    lists.explain,
    lists.compare,
    lists.report,
    runs.reproduce,
    backtest.backtest,
    database.publish,
    notices.notify,
    monitoring.verify,
    monitoring.health,
    configuration.doctor,
    data.sample,
):
    app.command()(command)

config_app = typer.Typer(help="Show, check and describe the configuration.", no_args_is_help=True)
for each in (configuration.show, configuration.schema, configuration.check):
    config_app.command()(each)
app.add_typer(config_app, name="config")

database_app = typer.Typer(
    help="Prepare and check the database that results go to.", no_args_is_help=True
)
for one in (database.upgrade, database.check):
    database_app.command()(one)
app.add_typer(database_app, name="db")


review_app = typer.Typer(
    help="Record what listed customers turned out to be, and see what comes of the lists.",
    no_args_is_help=True,
)
review_app.command("set")(review.set_verdict)
review_app.command("import")(review.import_reviews)
review_app.command()(review.report)
review_app.command()(snooze.snooze)
review_app.command()(snooze.snoozes)
review_app.command()(snooze.wake)
app.add_typer(review_app, name="review")


alert_app = typer.Typer(help="Try the channels that alerts go to.", no_args_is_help=True)
alert_app.command()(monitoring.test)
app.add_typer(alert_app, name="alert")


def main() -> None:
    """Run the command line; the entry point ``cardwatch``."""
    guarded(_whole())


@cache
def _whole() -> Callable[..., object]:
    """Return every command, put together once however often a process runs one."""
    return get_command(app)


def run_main() -> None:
    """Run ``cardwatch run``; the entry point ``main.py``."""
    _alone(runs.run)


def health_main() -> None:
    """Run ``cardwatch health``; the guide's ``python -m src.monitoring.health_checks``."""
    _alone(monitoring.health)


def alert_test_main() -> None:
    """Run ``cardwatch alert test``; the guide's ``python -m src.monitoring.alerting``."""
    _alone(monitoring.test)


def _alone(command: Callable[..., None]) -> None:
    guarded(_only(command))


@cache
def _only(command: Callable[..., None]) -> Callable[..., object]:
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(help=command.__doc__)(command)
    return get_command(alone)
