"""Own-history z-scores that know how few transactions a week rests on.

A customer's week is compared with the median of their own baseline weeks. Its variance is the
squared own MAD, shrunk with six pseudo-weeks toward what a customer of that many transactions
shows: for counts on the Anscombe scale 1 + 1.3·s²·μ (a Poisson law has 1; s² is the overdispersion
of the portfolio), for logarithms a + b/μ. The median z of all customers in a week, the portfolio's
own shift (pay day, holidays), is removed. Anscombe (1948), Biometrika 35, 246–254.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cardwatch.robust import Floats, median_rows, spread_rows

PSEUDO_WEEKS = 6.0
MIN_BASELINE_WEEKS = 3
FIT_WEEKS = 5
MIN_FIT_CUSTOMERS = 50


@dataclass(frozen=True)
class NoiseModel:
    """Variance expected of a customer with usual count μ, and the portfolio's shift per week.

    ``anscombe``: 1 + intercept·0 + slope·1.3·μ; ``log``: intercept + slope/μ. `week_shift` in z,
    one entry per week of the window.
    """

    kind: Literal["anscombe", "log"]
    intercept: float
    slope: float
    week_shift: Floats

    def variance(self, usual_count: Floats) -> Floats:
        """Return the expected variance, shape of `usual_count`."""
        mu = np.maximum(usual_count, 0.5)
        if self.kind == "anscombe":
            return np.asarray(self.intercept + 1.3 * self.slope * mu)
        return np.asarray(self.intercept + self.slope / mu)


def own_z(values: Floats, baseline: slice, usual_count: Floats, model: NoiseModel) -> Floats:
    """Return each week's z against the own baseline; NaN under three active baseline weeks.

    Parameters
    ----------
    values : array of float, shape (n, W)
        One number per customer and week, NaN where inactive.
    baseline : slice
        The columns that make the baseline.
    usual_count : array of float, shape (n,)
        Median transactions of the baseline weeks.
    """
    return np.asarray(_raw_z(values, baseline, usual_count, model) - model.week_shift)


def fit_noise(
    values: Floats, baseline: slice, usual_count: Floats, kind: Literal["anscombe", "log"]
) -> NoiseModel:
    """Fit the variance law and the weekly shifts on a sample of customers."""
    base = values[:, baseline]
    weeks = (~np.isnan(base)).sum(axis=1)
    enough = weeks >= FIT_WEEKS
    variance = spread_rows(base, median_rows(base))[enough] ** 2
    mu = np.maximum(usual_count[enough], 0.5)
    if kind == "anscombe":
        intercept, slope = _fit_anscombe(variance, mu)
    else:
        intercept, slope = _fit_log(variance, mu)
    flat = NoiseModel(kind, intercept, slope, np.zeros(values.shape[1]))
    z = _raw_z(values, baseline, usual_count, flat)[enough]
    shift = np.nan_to_num(median_rows(z.T)) if len(z) else flat.week_shift
    return NoiseModel(kind, intercept, slope, shift)


def _raw_z(values: Floats, baseline: slice, usual_count: Floats, model: NoiseModel) -> Floats:
    base = values[:, baseline]
    weeks = (~np.isnan(base)).sum(axis=1)
    centre = median_rows(base)
    own = np.nan_to_num(spread_rows(base, centre)) ** 2
    prior = model.variance(usual_count)
    variance = (own * weeks + PSEUDO_WEEKS * prior) / (weeks + PSEUDO_WEEKS)
    floor = np.ones_like(prior) if model.kind == "anscombe" else 0.5 * prior
    deviation = np.sqrt(np.maximum(variance, floor))
    z = (values - centre[:, None]) / deviation[:, None]
    return np.asarray(np.where((weeks >= MIN_BASELINE_WEEKS)[:, None], z, np.nan))


def _fit_anscombe(variance: Floats, mu: Floats) -> tuple[float, float]:
    if len(variance) <= MIN_FIT_CUSTOMERS:
        return 1.0, 0.06
    return 1.0, max(float(np.median((variance - 1) / mu)), 0.005)


def _fit_log(variance: Floats, mu: Floats) -> tuple[float, float]:
    if len(variance) <= MIN_FIT_CUSTOMERS:
        return 0.1, 0.5
    capped = np.minimum(variance, np.quantile(variance, 0.95))
    x, y = 1 / mu, capped
    x_centred = x - x.mean()
    scatter = float((x_centred**2).sum())
    slope = float((x_centred * (y - y.mean())).sum()) / scatter if scatter > 0 else 0.0
    intercept = float(y.mean()) - slope * float(x.mean())
    return max(intercept, 0.01), max(slope, 0.01)
