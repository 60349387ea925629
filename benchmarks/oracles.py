"""Scores by someone who is told the planted cases: bounds for whoever is not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binom
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.surprises import WEIGHTS, SurprisingWeek, by_family
from cardwatch.features.catalog import FAMILIES
from cardwatch.robust import Floats

SEED = 1
DRAWS = 10_000
ONE_THREAD = 1
"""On a busy machine threads that wait for each other cost minutes."""


def trees() -> Any:
    """Return gradient-boosted trees, not fitted yet."""
    return HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.1, l2_regularization=1.0, random_state=SEED
    )


def logistic() -> Any:
    """Return a logistic regression, not fitted yet."""
    return LogisticRegression(max_iter=2_000)


def told(model: Any, weeks: Sequence[SurprisingWeek], kind: str = "") -> Any:
    """Return a model that was told of every planted case of some weeks, or of one kind's alone."""
    kept = [week.suspects() for week in weeks]
    rows = np.concatenate([week.surprise[mask] for week, mask in zip(weeks, kept, strict=True)])
    kinds = np.concatenate([week.kinds()[mask] for week, mask in zip(weeks, kept, strict=True)])
    with threadpool_limits(ONE_THREAD):
        return model.fit(rows, kinds == kind if kind else kinds != "")


def believed(model: Any, week: SurprisingWeek) -> Floats:
    """Return how much a model that was told believes of each customer of a week."""
    with threadpool_limits(ONE_THREAD):
        return np.asarray(model.decision_function(week.surprise))


@dataclass(frozen=True)
class Dominators:
    """How many harmless customers are at least as surprising as one case, in every respect.

    With a hundred of them no score that rises with these surprises has the case among the first
    hundred.

    Attributes
    ----------
    features, families : int
        In every feature; in every family, by the product's weights.
    sizes : int
        In the largest family, whichever it is, in the second largest and so on: no decay helps.
    driver : int
        More surprising in what the case is about, whatever else: who had to be told apart by that
        which the case does not show.
    """

    features: int
    families: int
    sizes: int
    driver: int

    @classmethod
    def of(cls, week: SurprisingWeek, at: int, drivers: Collection[str]) -> Dominators:
        """Count those of one customer, whose kind is about some families."""
        harmless = week.kinds() == ""
        families = by_family(week.surprise * WEIGHTS)
        about = [FAMILIES.index(family) for family in sorted(drivers)]

        def over(rows: Floats) -> int:
            return int((rows[harmless] >= rows[at]).all(axis=1).sum())

        largest = families[:, about].max(axis=1)
        return cls(
            features=over(week.surprise),
            families=over(families),
            sizes=over(np.sort(families)),
            driver=int((largest[harmless] > largest[at]).sum()),
        )


@dataclass(frozen=True)
class Chance:
    """How probable it is that as few cases are found, if nothing but chance differs.

    Attributes
    ----------
    binomial : float
        Each case found with the probability of the weeks it is held against.
    weeks : float
        Whole weeks drawn from those.
    mixed : float
        Whole weeks drawn from those and these together, each once: what is held against is known
        no better than from its own cases.
    """

    binomial: float
    weeks: float
    mixed: float

    @classmethod
    def of(cls, here: Floats, there: Floats) -> Chance:
        """Hold weeks against others, each with a row (found, planted)."""
        rng = np.random.default_rng(SEED)
        found, planted = here.sum(axis=0)
        drawn = there[rng.integers(0, len(there), (DRAWS, len(here)))].sum(axis=1)
        both = np.concatenate([here, there])
        dealt = both[rng.random((DRAWS, len(both))).argsort(axis=1)[:, : len(here)]].sum(axis=1)

        def as_few(sums: Floats) -> float:
            return float((sums[:, 0] / sums[:, 1] <= found / planted).mean())

        share = there[:, 0].sum() / there[:, 1].sum()
        return cls(float(binom.cdf(found, planted, share)), as_few(drawn), as_few(dealt))
