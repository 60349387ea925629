"""Calls that block in a driver, beside what else there is to do, and end when Ctrl-C is pressed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TypeVar

Answer = TypeVar("Answer")


def interruptible(call: Callable[[], Answer], cancel: Callable[[], object]) -> Answer:
    """Return what a call returns; where the keyboard interrupts it, cancel it first.

    The main thread only waits: while it is in a driver it hears of no signal, or the driver takes
    the signal for itself and reports a cancelled statement.

    Parameters
    ----------
    call : callable
        Blocks for as long as it likes.
    cancel : callable
        Makes `call` end soon; called from the main thread.

    Raises
    ------
    KeyboardInterrupt
        Once `call` has ended.

    Examples
    --------
    >>> interruptible(lambda: 6 * 7, cancel=lambda: None)
    42
    """
    return awaited(begun(call), cancel)


def begun(call: Callable[[], Answer]) -> Future[Answer]:
    """Begin a call in a thread of its own, for `awaited`."""
    answer: Future[Answer] = Future()
    threading.Thread(target=_answer, args=(answer, call), daemon=True).start()
    return answer


def awaited(answer: Future[Answer], cancel: Callable[[], object]) -> Answer:
    """Return the answer of a call that was begun; as `interruptible` does."""
    try:
        return answer.result()
    except KeyboardInterrupt:
        given_up(answer, cancel)
        raise


def given_up(answer: Future[Answer], cancel: Callable[[], object]) -> None:
    """Cancel a call whose answer nobody wants, and return once it has ended."""
    if not answer.done():
        with suppress(Exception):  # it may have ended by itself
            cancel()
        wait([answer])


def _answer(answer: Future[Answer], call: Callable[[], Answer]) -> None:
    try:
        answer.set_result(call())
    except BaseException as error:
        answer.set_exception(error)
