"""How far a week's scores and features are from those of the weeks before.

References
----------
Siddiqi, N. (2006), "Credit Risk Scorecards", ch. 8: the population stability index
PSI = Σ (a - e) ln(a / e) over bins, with a the share now and e the expected one; below 0.1 stable,
above 0.25 a shift.

Yurdakul, B., Naranjo, J. (2020), "Statistical properties of the population stability index",
Journal of Risk Model Validation 14 (4): where nothing changed, the index of B bins is about
(1/n + 1/m) times a chi-squared variable of B - 1 degrees of freedom, for n and m customers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from statistics import mean, median
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cardwatch.histograms import OTHER, Histogram
from cardwatch.manifest import RunManifest
from cardwatch.merchant_categories import mcc_name
from cardwatch.robust import Floats
from cardwatch.schema import Distributions, Drift, Shift

WEEKS = 6
"""How many comparable weeks before make the expectation, as for the risk categories."""
FEATURE_WEEKS = 3
"""With fewer before, nobody can tell how much a feature usually moves from week to week."""
CHANCE = 1e-4
"""How often, where nothing changed, one of a week's thirty indices is over what chance makes."""
_PROBABILITIES = (0.5, 0.75, 0.9, 0.95, 0.99)
"""Where the expectation is cut into bins: what a run records begins at the median."""
_LEAST_SHARE = 1e-4
"""A bin is never taken for quite empty, whose logarithm has no end."""
_BIN_SHARE = 0.1
"""Of the customers expected, at least as many are in a bin of a feature, but for the last two."""
_LAST_SHARE = 0.01
"""In the last one, of high values, which for refunds and the like few customers have."""
_CATEGORY_SHARE = 0.005
_CATEGORIES_NAMED = 2
_DIGITS = 6

CATEGORIES = "merchant_categories"
"""What the mix of merchant categories is called among the features."""

T = TypeVar("T")
Categories = Mapping[str, int]

Quantiles = Mapping[str, float]
"""A distribution: values by probability as text."""


def comparable_runs(
    current: RunManifest, earlier: Sequence[RunManifest]
) -> tuple[RunManifest, ...]:
    """Return the weeks before that the current week is held against, oldest first.

    Those that the run has recorded; for a run that recorded none, the newest comparable ones.
    """
    before = sorted((run for run in earlier if run.week < current.week), key=lambda run: run.week)
    if current.drift is not None:
        return tuple(run for run in before if run.reporting_week in current.drift.weeks)
    return tuple([run for run in before if run.score_basis == current.score_basis][-WEEKS:])


def drift_of(current: RunManifest, earlier: Sequence[RunManifest]) -> Drift:
    """Return the drift that a run recorded; that of its scores, where it recorded none."""
    if current.drift is not None:
        return current.drift
    before = {run.reporting_week: run.distributions for run in comparable_runs(current, earlier)}
    return measure_drift(current.distributions, before, {})


def measure_drift(
    now: Distributions, before: Mapping[str, Distributions], words: Mapping[str, str]
) -> Drift:
    """Hold a week against those before: its scores, its features and its merchant categories.

    Parameters
    ----------
    before : mapping of week label to Distributions
        Of weeks whose scores compare.
    words : mapping of feature to str
        The features that are looked at, and what they are called.
    """
    weeks = list(before.values())
    alike = [each for each in weeks if each.weeks == now.weeks]
    features = [
        shift
        for name, called in words.items()
        if (shift := _feature_shift(name, called, now, alike)) is not None
    ]
    if (categories := _category_shift(now, weeks)) is not None:
        features.append(categories)
    features.sort(key=lambda shift: -shift.psi)
    return Drift(tuple(before), _score_shift(now, weeks), tuple(features))


def _score_shift(now: Distributions, before: Sequence[Distributions]) -> Shift | None:
    if not before:
        return None
    index = psi(now.score_quantiles, _median_of([each.score_quantiles for each in before]))
    if index is None:
        return None
    customers = mean(each.customers for each in before)
    return Shift("", "scores", index, by_chance(len(_PROBABILITIES) + 1, now.customers, customers))


def _feature_shift(
    name: str, words: str, now: Distributions, before: Sequence[Distributions]
) -> Shift | None:
    known = [each.histograms[name] for each in before if name in each.histograms]
    if len(known) < FEATURE_WEEKS or name not in now.histograms:
        return None
    found = histogram_index(now.histograms[name], known)
    return Shift(name, words, *_beside_usual(found, known, histogram_index)) if found else None


def _category_shift(now: Distributions, before: Sequence[Distributions]) -> Shift | None:
    known = [each.categories for each in before if each.categories]
    if len(known) < FEATURE_WEEKS or not now.categories:
        return None
    found = category_index(now.categories, known)
    if found is None:
        return None
    words = f"merchant categories, most of all {' and '.join(found.farthest)}"
    return Shift(CATEGORIES, words, *_beside_usual(found, known, category_index))


@dataclass(frozen=True)
class Index:
    """A population stability index, and the bins that move it most.

    Attributes
    ----------
    mean, chance : float
        What it is on average, and what it exceeds once in `1 / CHANCE` times, where each of the
        counted is drawn by itself.
    """

    psi: float
    mean: float
    chance: float
    farthest: tuple[str, ...] = ()


def _beside_usual(
    found: Index, weeks: Sequence[T], index: Callable[[T, Sequence[T]], Index | None]
) -> tuple[float, float]:
    """Return an index, and how much of it is usual: by chance, or from one week to the next.

    Counts jump with pay days and with what the peer groups happen to be, and a customer's purchases
    come together, which is no sampling: an index beyond chance is held against those of the weeks
    before, each beside the others. How many times what it should be by chance the middle one of
    them is, as much more is put down to chance (overdispersion: McCullagh and Nelder 1989, section
    4.5). The oddest of them is passed over, so that one bad week does not excuse this one.
    """
    if found.psi <= found.chance:
        return found.psi, found.chance
    rest = ([*weeks[:place], *weeks[place + 1 :]] for place in range(len(weeks)))
    each = (index(week, others) for week, others in zip(weeks, rest, strict=True))
    known = [one for one in each if one is not None]
    indices = sorted(one.psi for one in known)
    dispersion = max(median(one.psi / one.mean for one in known), 1.0) if known else 1.0
    usual = max(dispersion * found.chance, indices[-2] if len(indices) > 1 else 0.0)
    return found.psi, round(usual, _DIGITS)


def histogram_index(now: Histogram, before: Sequence[Histogram]) -> Index | None:
    """Return the index of a feature.

    Neighbouring bins are put together until each holds a tenth of what is expected, the last one
    a hundredth; customers to whom the feature does not apply stay a bin of their own.

    Returns
    -------
    Index or None
        None where nobody was counted, or all are in one bin.
    """
    counts, expected = np.array(now), np.mean(np.array(before), axis=0)
    starts = _bins(expected, counts)
    found = _terms(np.add.reduceat(counts, starts), np.add.reduceat(expected, starts))
    return Index(round(float(found[0].sum()), _DIGITS), *found[1:]) if found else None


def category_index(now: Categories, before: Sequence[Categories]) -> Index | None:
    """Return the index of the merchant categories that customers bought in.

    Those of fewer than one in 200 purchases, now and before, are counted together.
    """
    names = sorted({*now, *chain.from_iterable(before)})
    counts = np.array([now.get(name, 0) for name in names], dtype=np.float64)
    weeks = [[week.get(name, 0) for name in names] for week in before]
    expected = np.array(weeks, dtype=np.float64).mean(axis=0)
    shares = np.maximum(counts / max(counts.sum(), 1), expected / max(expected.sum(), 1))
    large = (shares >= _CATEGORY_SHARE) & (np.array(names) != OTHER)
    folded = [np.append(each[large], each[~large].sum()) for each in (counts, expected)]
    found = _terms(*folded)
    if found is None:
        return None
    terms, usually, chance = found
    called = [f"{mcc_name(name)} ({name})" for name in np.array(names)[large]]
    order = np.argsort(-terms[:-1], kind="stable")[:_CATEGORIES_NAMED]
    named = tuple(called[at] for at in order)
    return Index(round(float(terms.sum()), _DIGITS), usually, chance, named)


def _terms(now: Floats, expected: Floats) -> tuple[Floats, float, float] | None:
    """Return the terms of the index, and their sum's mean and `CHANCE` quantile; None of one bin.

    Half a customer is added to every bin, so that none is empty. The weeks before share most of
    their customers, so that all of them count as one week.
    """
    if len(now) < 2 or not now.sum() or not expected.sum():
        return None
    a, e = ((each + 0.5) / (each + 0.5).sum() for each in (now, expected))
    customers = float(now.sum()), float(expected.sum())
    mean_by_chance = (len(now) - 1) * _either(*customers)
    return (a - e) * np.log(a / e), mean_by_chance, by_chance(len(now), *customers)


def by_chance(bins: int, now: float, usual: float) -> float:
    """Return what the index of so many bins exceeds once in ten thousand times by chance alone.

    Examples
    --------
    >>> by_chance(10, 300, 300), by_chance(10, 30_000, 30_000)
    (0.2248, 0.002248)
    """
    # Imported when it is used: SciPy takes half a second to load, and most readers measure nothing.
    from scipy.special import chdtri

    return round(float(chdtri(bins - 1, CHANCE)) * _either(now, usual), _DIGITS)


def _either(now: float, usual: float) -> float:
    return 1 / max(now, 1) + 1 / max(usual, 1)


def _bins(expected: Floats, now: npt.NDArray[np.int64]) -> list[int]:
    """Return where the bins begin that are counted together."""
    starts, held, last = [0], 0.0, len(expected) - 1
    shares = [each / max(each.sum(), 1) for each in (expected, now)]
    for place in range(last):
        rest = max(share[place:last].sum() for share in shares)
        if held >= _BIN_SHARE and rest >= _LAST_SHARE:
            starts.append(place)
            held = 0.0
        held += shares[0][place]
    return [*starts, last] if expected[last] or now[last] else starts


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
    return round(sum((x - y) * math.log(x / y) for x, y in zip(a, e, strict=True)), _DIGITS)


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
