"""The order in which tests begin: what takes minutes first, so that nobody waits for it at the end.

A test, or a module whose tests belong together, says so with ``pytest.mark.takes(SECONDS)``: about
how long it takes on two idle cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import pytest


def longest_first(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return the tests so that the share of every worker begins with its part of the longest.

    With ``--dist worksteal`` each worker begins at the front of one of as many equal shares, and
    one that has nothing left takes from the end of another's.
    """
    seconds: dict[object, float] = {}
    units: dict[object, list[pytest.Item]] = {}
    others: list[pytest.Item] = []
    for item in items:
        for node, mark in item.iter_markers_with_node("takes"):
            seconds[node] = float(mark.args[0])
            units.setdefault(node, []).append(item)
            break
        else:
            others.append(item)
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    busy = [0.0] * workers
    for unit in sorted(units, key=lambda unit: -seconds[unit]):
        least = busy.index(min(busy))
        shares[least] += units[unit]
        busy[least] += seconds[unit]
    rest, left = iter(others), len(items)
    for number, share in enumerate(shares):
        size = left // (workers - number)
        share += islice(rest, max(0, size - len(share)))
        left -= size
    return [item for share in shares for item in share] + list(rest)
