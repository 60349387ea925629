"""How often a customer bought in the places used before, beside what is usual once there.

A week of many errands has more purchases because it has more places. Whoever lives on a larger
scale buys more often in each of them.
"""

from __future__ import annotations

import numpy as np

from cardwatch.features.block import Block
from cardwatch.robust import Floats

ANSCOMBE = 0.375
LEAST_RATE = 1e-9


def purchases_z(block: Block) -> Floats:
    """Return the z of the week's purchases in the visited places used before, shape (n,).

    A place where a customer makes λ purchases a week has λ / (1 - e^-λ) in a week with any: the
    mean of a Poisson law without its zero. The sums over the visited places are compared on
    Anscombe's scale, where a Poisson count has variance 1 whatever its mean. 0 where no such place
    was visited.
    """
    cells = block.cells
    usual = (cells.history_count > 0) & (cells.spend > 0)
    weekly = cells.history_count / np.maximum(block.active_weeks, 1)[cells.row]
    weekly = np.maximum(weekly, LEAST_RATE)
    once_there = weekly / -np.expm1(-weekly)
    bought, expected = (
        cells.sums(np.where(usual, number, 0), block.rows) for number in (cells.count, once_there)
    )
    return np.asarray(2 * (np.sqrt(bought + ANSCOMBE) - np.sqrt(expected + ANSCOMBE)))
