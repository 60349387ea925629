"""Doing several things at once that may hang, without waiting for those that do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Generic, TypeVar

Result = TypeVar("Result")


class _Doer(threading.Thread, Generic[Result]):
    """Does one thing; may be left behind when the time is over."""

    def __init__(self, task: Callable[[], Result]) -> None:
        super().__init__(name="message", daemon=True)
        self._task = task
        self.result: Result | Exception | None = None

    def run(self) -> None:
        try:
            self.result = self._task()
        except Exception as error:
            self.result = error


def side_by_side(
    tasks: Sequence[Callable[[], Result]], timeout: float
) -> list[Result | Exception | None]:
    """Return what each task returned or raised, None where it was not done in time.

    Parameters
    ----------
    timeout : float
        Seconds for all of them together. What is not done by then goes on without anybody waiting,
        and ends with the process.
    """
    doers = [_Doer(task) for task in tasks]
    until = monotonic() + timeout
    for doer in doers:
        doer.start()
    for doer in doers:
        doer.join(max(0.0, until - monotonic()))
    return [doer.result for doer in doers]
