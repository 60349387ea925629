"""Try again where a fault may pass by itself, after a longer and longer while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cardwatch.database.faults import is_transient

if TYPE_CHECKING:
    from tenacity import RetryCallState, Retrying

LOGGER = logging.getLogger(__name__)


def retrying(
    attempts: int,
    *,
    first_wait: float = 0.5,
    longest_wait: float = 20.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Retrying:
    """Return what calls a function, or runs a block, up to `attempts` times.

    Only transient faults are tried again (`is_transient`); the last error leaves as it came.

    Parameters
    ----------
    attempts : int
        At least 1.
    first_wait, longest_wait : float
        Seconds; the wait doubles from attempt to attempt, up to a random half more.

    Examples
    --------
    >>> retrying(3)(lambda: "done")
    'done'
    """
    # Imported when it is used: it loads asyncio.
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

    def note(state: RetryCallState) -> None:
        LOGGER.warning(
            "The database failed for the moment; attempt %d of %d in %.1f s",
            state.attempt_number + 1,
            attempts,
            state.next_action.sleep if state.next_action else 0.0,
        )

    return Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait_exponential_jitter(
            multiplier=first_wait, max=longest_wait, jitter=first_wait / 2
        ),
        retry=retry_if_exception(is_transient),
        sleep=sleep,
        before_sleep=note,
        reraise=True,
    )
