"""One process, one command: a failure is one line on standard error and an exit code."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import typer

from cardwatch.errors import CardwatchError

INTERRUPTED = 130
"""How a shell sees a command that the keyboard stopped."""


def guarded(command: Callable[..., object]) -> None:
    """Run a command and end the process: a failure is one line, and an exit code that tells why."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no "×" is no failure
            stream.reconfigure(errors="replace")
    try:
        ended = command(standalone_mode=False)
    except CardwatchError as error:
        _fail(error.message, error.exit_code)
    except typer.TyperException as error:  # an option or an argument
        _fail(_usage(error), error.exit_code)
    except Exception as error:  # the last resort: one line, never a row's values
        _fail(
            f"Something unexpected happened ({type(error).__name__}). "
            "Run again with --debug to see where",
            1,
        )
    if ended == INTERRUPTED:
        _fail("Stopped by the keyboard; nothing was left half written", INTERRUPTED)
    sys.exit(ended if isinstance(ended, int) else 0)


def _usage(error: typer.TyperException) -> str:
    """Say what is wrong with the command as it was typed; nothing where help was printed."""
    text = " ".join(error.format_message().split())
    context: typer.Context | None = getattr(error, "ctx", None)
    if not text or context is None:
        return text
    return f"{text.rstrip('.')}. `{context.command_path} --help` says more"


def _fail(message: str, code: int) -> NoReturn:
    if _wants_traceback() and sys.exc_info()[0]:
        traceback.print_exc()
    if message:
        typer.echo(f"cardwatch: error: {message}", err=True)
    sys.exit(code)


def _wants_traceback() -> bool:
    """Look by oneself: an error may come before the options are parsed."""
    off = ("", "0", "f", "false", "n", "no", "off")
    return "--debug" in sys.argv or os.environ.get("CARDWATCH_DEBUG", "").lower() not in off
