"""Work on independent pieces by several threads at once, in the order of the pieces.

For array formulas: numpy lets go of the interpreter while it computes, so threads do run at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def mapped(
    function: Callable[[Piece], Result], pieces: Iterable[Piece], threads: int
) -> Iterator[Result]:
    """Yield ``function(piece)`` for each piece, in their order, whatever the number of threads.

    Pieces are taken from their iterator by the caller's own thread, and only as fast as results are
    wanted: no more than `threads` + 1 of them are held at once.

    Examples
    --------
    >>> list(mapped(len, ["a", "bcd", "ef"], threads=2))
    [1, 3, 2]
    """
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[Result]] = deque()
        for piece in pieces:
            begun.append(pool.submit(function, piece))
            if len(begun) > threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
