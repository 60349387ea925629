"""Events: refunds, return after silence, watched categories, and absence."""

from __future__ import annotations

import numpy as np

from cardwatch.features.block import Block
from cardwatch.features.portfolio import Portfolio
from cardwatch.features.rows import Ints
from cardwatch.features.window import Window
from cardwatch.robust import Floats

FULL_RETURN = 1.0
"""log1p(spend / level) from which a return is a whole one: 1.7 times the level. Of what is spent
beyond it other features speak, and a short absence with a large week is no long silence."""


def events(block: Block, portfolio: Portfolio, level: Floats) -> dict[str, Floats]:
    """Return the features of the family; NaN where they do not apply."""
    refunded, usual_refunded = refunds(block)
    risky, usual_risky = risky_spend(block)
    spend = np.nan_to_num(np.maximum(block.spend[:, -1], 0))
    present = {
        "refunds": np.log1p(np.maximum(refunded - usual_refunded, 0) / level),
        "return_after_silence": gap_weeks(block, portfolio.window)
        * np.minimum(np.log1p(spend / level), FULL_RETURN),
        "risky_categories": np.log1p(np.maximum(risky - usual_risky, 0) / level),
    }
    features = {name: np.where(block.has_rows, value, np.nan) for name, value in present.items()}
    features["absence"] = np.where(block.has_rows, np.nan, absence(block, portfolio.window))
    return features


def refunds(block: Block) -> tuple[Floats, Floats]:
    """Return this week's net refunds and the mean of the active reference weeks, currency units."""
    week = np.maximum(block.paid - block.spend, 0)
    history = np.nansum(week[:, : block.scored], axis=1)
    return np.nan_to_num(week[:, -1]), history / np.maximum(block.active_weeks, 1)


def risky_spend(block: Block) -> tuple[Floats, Floats]:
    """Return this week's spend in watched categories and the mean of active reference weeks."""
    history = np.nansum(block.risky[:, : block.scored], axis=1)
    return np.nan_to_num(block.risky[:, -1]), history / np.maximum(block.active_weeks, 1)


def gap_weeks(block: Block, window: Window) -> Ints:
    """Return the weeks without a transaction right before the scored one; 0 without history.

    A week in which nobody has a transaction is missing data, and nobody's silence.
    """
    if not window.weeks:
        return np.zeros(block.rows, dtype=np.int64)
    active = ~np.isnan(block.count[:, window.weeks])
    gap = active[:, ::-1].argmax(axis=1)
    return np.asarray(np.where(active.any(axis=1), gap, 0), dtype=np.int64)


def absence(block: Block, window: Window) -> Floats:
    """Return the surprise of the silence, in log10: how unlikely for someone so often active.

    A customer active in a share p of the weeks from first to last activity is silent for g weeks
    with probability (1 - p)^g; p is (active + ½) / (weeks + 1).
    """
    gap = gap_weeks(block, window)
    known = (np.asarray(window.weeks) >= block.first_week[:, None]).sum(axis=1)
    span = np.maximum(known - gap, 1)
    share = (block.active_weeks + 0.5) / (span + 1.0)
    return np.asarray(-(gap + 1) * np.log10(np.maximum(1 - np.minimum(share, 1), 1e-3)))
