"""Row-wise medians and spreads that skip NaN, and the signed logarithm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MAD_TO_SD = 1.4826
"""Scales the median absolute deviation to the standard deviation of a normal law."""


def slog(x: Floats) -> Floats:
    """Return sign(x) · ln(1 + abs(x))."""
    return np.asarray(np.sign(x) * np.log1p(np.abs(x)))


def median_rows(x: Floats) -> Floats:
    """Return the median of each row of `x`, shape (n, m), over its non-NaN entries, else NaN."""
    if x.shape[1] == 0:
        return np.full(len(x), np.nan)
    ordered = np.sort(x, axis=1)
    present = (~np.isnan(x)).sum(axis=1)
    rows = np.arange(len(x))
    low = ordered[rows, np.maximum(present - 1, 0) // 2]
    high = ordered[rows, np.minimum(present // 2, x.shape[1] - 1)]
    return np.asarray(np.where(present > 0, (low + high) / 2, np.nan))


def spread_rows(x: Floats, centre: Floats) -> Floats:
    """Return 1.4826 · median of abs(x - centre) of each row, over its non-NaN entries."""
    return MAD_TO_SD * median_rows(np.abs(x - centre[:, None]))


def median(x: Floats) -> float:
    """Return the median of the non-NaN entries of `x`; NaN when there are none."""
    present = x[~np.isnan(x)]
    return float(np.median(present)) if len(present) else float("nan")


def spread(x: Floats) -> float:
    """Return 1.4826 · the median absolute deviation of the non-NaN entries of `x`."""
    return MAD_TO_SD * median(np.abs(x - median(x)))
