"""Which cases the generated portfolio holds: how many of which kind, in which week and block."""

from __future__ import annotations

import numpy as np

from cardwatch.case_kinds import COLLUDERS, Kind
from cardwatch.sources.sample_cells import Purpose, stream

SINGLE_KINDS = tuple(kind for kind in Kind if kind.customers == 1)
RAMP_KIND = "bust_out_ramp"
"""The three rising weeks before a bust-out's peak: neither a case nor an ordinary week."""
FIRST_CASE_WEEK = 12
"""Position of the first week with cases: twelve reference weeks lie before it."""
SMALLEST_FULL_PORTFOLIO = 500
"""Below this many customers only some kinds are planted in a week, in turn, and no collusion."""


def plan(seed: int, sizes: list[int], weeks: int) -> list[list[tuple[int, Kind]]]:
    """Return, per block, the (week position, kind) of every case; a collusion is one entry.

    Parameters
    ----------
    sizes : list of int
        Customers per block.
    """
    rng = stream(seed, Purpose.PLAN)
    blocks: list[list[tuple[int, Kind]]] = [[] for _ in sizes]
    shares = np.array(sizes) / sum(sizes)
    for week in range(FIRST_CASE_WEEK, weeks):
        for kind in _kinds(sum(sizes), week):
            blocks[rng.choice(len(sizes), p=shares)].append((week, kind))
    return blocks


def _kinds(customers: int, week: int) -> list[Kind]:
    """Return the cases of one week: 35 customers among 6,000, rising with the square root."""
    if customers < SMALLEST_FULL_PORTFOLIO:
        singles, groups = max(1, customers * 2 // 65), 0
    else:
        wanted = round(35 * (customers / 6_000) ** 0.5)
        groups = max(1, round(wanted / 35))
        singles = max(len(SINGLE_KINDS), wanted - COLLUDERS * groups)
    turn = week * singles
    kinds = [SINGLE_KINDS[(turn + at) % len(SINGLE_KINDS)] for at in range(singles)]
    return [*kinds, *[Kind.COLLUSION] * groups]
