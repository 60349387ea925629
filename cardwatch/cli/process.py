"""One process, one command: a failure is one line on standard error and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

import typer

from cardwatch.errors import CardwatchError

INTERRUPTED = 130
"""How a shell sees a command that the keyboard stopped."""
TERMINATED = 143
"""How a shell sees a command that was asked to end: by systemd, Airflow, a container or `kill`."""

_STOPPED = "nothing was left half written. The same command resumes"


def guarded(command: Callable[..., object]) -> None:
    """Run a command and end the process: a failure is one line, and an exit code that tells why."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no "×" is no failure
            stream.reconfigure(errors="replace")
    with _heeding_requests() as asked:
        try:
            ended = command(standalone_mode=False)
        except CardwatchError as error:
            _fail(error.message, error.exit_code)
        except typer.TyperException as error:  # an option or an argument
            _fail(_usage(error), error.exit_code)
        except Exception as error:  # the last resort: one line, never a row's values
            if not asked:
                _fail(
                    f"Something unexpected happened ({_named(error)}). "
                    "Run again with --debug to see where",
                    1,
                )
            ended = INTERRUPTED  # a library took the interruption for a failure of its own
    if ended == INTERRUPTED:
        if signal.SIGTERM in asked:
            _end_terminated()
        _fail(f"Stopped by the keyboard; {_STOPPED}", INTERRUPTED)
    sys.exit(ended if isinstance(ended, int) else 0)


@contextmanager
def _heeding_requests() -> Iterator[list[int]]:
    """Let SIGTERM stop a command as the keyboard does; yield what holds the signals that came.

    What a command has open it closes then: its spill folder, its locks, a transaction.
    """
    asked: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        again = number in asked
        asked.append(number)
        if number == signal.SIGINT or not again:  # a second SIGTERM would disturb the tidying up
            raise KeyboardInterrupt

    heeded = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # or else it is ignored
        heeded.append(signal.SIGINT)
    before = {number: signal.getsignal(number) for number in heeded}
    with suppress(ValueError):  # only the main thread may
        for number in heeded:
            signal.signal(number, stop)
    try:
        yield asked
    finally:
        with suppress(ValueError):
            for number, handler in before.items():
                signal.signal(number, handler)


def _end_terminated() -> NoReturn:
    """Say so, and die of the signal: systemd calls that a clean end, and no failure to alert of."""
    _say(f"Stopped by a request to end (SIGTERM); {_STOPPED}")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
    sys.exit(TERMINATED)  # the first process of a container does not die of it


def _usage(error: typer.TyperException) -> str:
    """Say what is wrong with the command as it was typed; nothing where help was printed."""
    text = " ".join(error.format_message().split())
    context: typer.Context | None = getattr(error, "ctx", None)
    if not text or context is None:
        return text
    end = "" if text.endswith("?") else "."
    return f"{text.rstrip('.')}{end} `{context.command_path} --help` says more"


def _fail(message: str, code: int) -> NoReturn:
    if _wants_traceback() and sys.exc_info()[0]:
        traceback.print_exc()
    if message:
        _say(message)
    sys.exit(code)


def _named(error: Exception) -> str:
    """Return an error's class, with the system's own words for what it refused."""
    reason = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__


def _say(message: str) -> None:
    typer.echo(f"cardwatch: error: {message}", err=True)


def _wants_traceback() -> bool:
    """Look by oneself: an error may come before the options are parsed."""
    off = ("", "0", "f", "false", "n", "no", "off")
    return "--debug" in sys.argv or os.environ.get("CARDWATCH_DEBUG", "").lower() not in off
