"""Calls that block in a driver, and end when Ctrl-C is pressed."""

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
    if threading.current_thread() is not threading.main_thread():
        return call()
    answer: Future[Answer] = Future()
    threading.Thread(target=_answer, args=(answer, call), daemon=True).start()
    try:
        return answer.result()
    except KeyboardInterrupt:
        with suppress(Exception):  # it may have ended by itself
            cancel()
        wait([answer])
        raise


def _answer(answer: Future[Answer], call: Callable[[], Answer]) -> None:
    try:
        answer.set_result(call())
    except BaseException as error:
        answer.set_exception(error)
