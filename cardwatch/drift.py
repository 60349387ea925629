"""How far a week's scores have moved from those of the weeks before.

References
----------
Siddiqi, N. (2006), "Credit Risk Scorecards", ch. 8: the population stability index
PSI = Σ (a - e) ln(a / e) over bins, with a the share now and e the expected one; below 0.1 stable,
above 0.25 a shift.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median

from cardwatch.manifest import RunManifest

WEEKS = 6
"""How many comparable weeks before make the expectation, as for the risk categories."""
_PROBABILITIES = (0.5, 0.75, 0.9, 0.95, 0.99)
"""Where the expectation is cut into bins: what a run records begins at the median."""
_LEAST_SHARE = 1e-4
"""A bin is never taken for quite empty, whose logarithm has no end."""

Quantiles = Mapping[str, float]
"""A distribution: values by probability as text."""


def comparable_runs(
    current: RunManifest, earlier: Sequence[RunManifest]
) -> tuple[RunManifest, ...]:
    """Return the newest weeks before whose scores compare with the current week's, oldest first."""
    fitting = (
        run for run in earlier if run.week < current.week and run.score_basis == current.score_basis
    )
    return tuple(sorted(fitting, key=lambda run: run.week)[-WEEKS:])


def score_drift(current: RunManifest, earlier: Sequence[RunManifest]) -> float | None:
    """Return the PSI of a week's scores against the median of the weeks before.

    Returns
    -------
    float or None
        None where no comparable week came before, or too few quantiles were recorded.
    """
    comparable = comparable_runs(current, earlier)
    if not comparable:
        return None
    expected = _median_of([run.score_quantiles for run in comparable])
    return psi(current.score_quantiles, expected)


def psi(current: Quantiles, expected: Quantiles) -> float | None:
    """Return the population stability index between two distributions given by quantiles.

    Between two quantiles, and from zero to the lowest, a distribution is taken to be linear.

    Examples
    --------
    >>> usual = {"0.5": 0.2, "0.9": 0.5, "1": 1.0}
    >>> psi(usual, usual)
    0.0
    >>> psi({"0.5": 0.3, "0.9": 0.6, "1": 1.0}, usual) > 0.1
    True
    """
    now, then = _points(current), _points(expected)
    if len(now) < 2 or len(then) < 2:
        return None
    cuts = [_value_at(then, share) for share in _PROBABILITIES]
    a = _shares([_share_below(now, cut) for cut in cuts])
    e = _shares([_share_below(then, cut) for cut in cuts])
    return round(sum((x - y) * math.log(x / y) for x, y in zip(a, e, strict=True)), 6)


def _median_of(quantiles: Sequence[Quantiles]) -> Quantiles:
    shared = set(quantiles[0]).intersection(*quantiles[1:])
    return {key: median(each[key] for each in quantiles) for key in shared}


def _points(quantiles: Quantiles) -> list[tuple[float, float]]:
    """Return (probability, value), both ascending."""
    points = sorted((float(key), value) for key, value in quantiles.items())
    highest, ascending = 0.0, [(0.0, 0.0)] if points and points[0][0] else []
    for share, value in points:
        highest = max(highest, value)
        ascending.append((share, highest))
    return ascending


def _value_at(points: list[tuple[float, float]], share: float) -> float:
    for (low, start), (high, end) in pairwise(points):
        if low <= share <= high:
            return start + (end - start) * (share - low) / (high - low)
    return points[0][1] if share < points[0][0] else points[-1][1]


def _share_below(points: list[tuple[float, float]], value: float) -> float:
    if value >= points[-1][1]:
        return 1.0
    if value < points[0][1]:
        return 0.0
    for (low, start), (high, end) in pairwise(points):
        if start <= value < end:
            return low + (high - low) * (value - start) / (end - start)
    return 1.0


def _shares(below: list[float]) -> list[float]:
    edges = [0.0, *below, 1.0]
    return [max(high - low, _LEAST_SHARE) for low, high in pairwise(edges)]
