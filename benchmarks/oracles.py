"""Scores by someone who is told the planted cases: bounds for whoever is not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.judge import LISTED, SEEN
from benchmarks.surprises import MEMBERS, WEIGHTS, SurprisingWeek, by_family, summed
from cardwatch.case_kinds import Strength
from cardwatch.features.catalog import FAMILIES
from cardwatch.robust import Floats

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Figures = Mapping[str, float]
Goal = Callable[[Floats], float]

SUSPECTS = 800
"""Harmless customers of a week that a search or a fit looks at: those with the most surprising
feature. The figures reported are of everybody."""
STEPS = ((0.5, 0.7, 1.4, 2.0), (0.85, 1.18), (0.95, 1.05))
"""What one weight after the other is multiplied by, until none helps any more."""
NEAR = "near "
KICKS = 300
KICKED = 4
SEED = 1
DRAWS = 10_000


def suspects(week: SurprisingWeek) -> Bools:
    """Return whom a search looks at: everybody labelled, and the likeliest of the rest."""
    most = (week.surprise * WEIGHTS).max(axis=1)
    chosen = week.kinds() != ""
    chosen |= np.isin(week.customers, list(week.truth.lookalikes))
    chosen[np.argsort(-most, kind="stable")[:SUSPECTS]] = True
    return np.asarray(chosen)


class Board:
    """The suspects of many weeks, whose places are found again quickly for other weights."""

    def __init__(self, weeks: Sequence[SurprisingWeek]) -> None:
        kept = [suspects(week) for week in weeks]
        chosen = list(zip(weeks, kept, strict=True))
        surprise = np.concatenate([week.surprise[mask] for week, mask in chosen])
        self._members = [surprise[:, members].astype(np.float32) for members in MEMBERS]
        self._known: list[tuple[bytes, Floats]] = [(b"", np.zeros(0))] * len(MEMBERS)
        self._ends = np.cumsum([mask.sum() for mask in kept])[:-1]
        self._labels = [_Labels.of(week, mask) for week, mask in chosen]

    def figures(self, weights: Floats) -> Figures:
        """Return P@20, AP, who is spared and, per kind, the recall@100 at medium strength.

        ``spared`` is the share of the first 20 who are no look-alikes. ``near`` of a kind is smooth
        where its recall is not: the mean of 100 over the place.
        """
        alone = np.column_stack([self._alone(f, weights) for f in range(len(MEMBERS))])
        found: dict[str, list[Floats]] = {}
        for total, labels in zip(np.split(summed(alone), self._ends), self._labels, strict=True):
            place = places(total)
            planted = np.sort(place[labels.planted])
            for name, values in (
                ("precision", [(planted <= LISTED).sum() / LISTED]),
                ("average_precision", [np.mean(np.arange(1, planted.size + 1) / planted)]),
                ("spared", [1 - (place[labels.alike] <= LISTED).sum() / LISTED]),
            ):
                found.setdefault(name, []).append(np.array(values))
            for kind, its in labels.medium.items():
                found.setdefault(kind, []).append(place[its] <= SEEN)
                found.setdefault(f"{NEAR}{kind}", []).append(np.minimum(1, SEEN / place[its]))
        return {name: float(np.concatenate(parts).mean()) for name, parts in found.items()}

    def _alone(self, family: int, weights: Floats) -> Floats:
        """Return a family's surprise; a search changes one or a few of them at a time."""
        its = weights[MEMBERS[family]].astype(np.float32)
        if self._known[family][0] != its.tobytes():
            self._known[family] = its.tobytes(), (self._members[family] * its).max(axis=1)
        return self._known[family][1]


@dataclass(frozen=True)
class _Labels:
    """Positions of the planted, the look-alikes, and per kind those of medium strength."""

    planted: Ints
    alike: Ints
    medium: Mapping[str, Ints]

    @classmethod
    def of(cls, week: SurprisingWeek, mask: Bools) -> _Labels:
        customers, kinds = week.customers[mask], week.kinds()[mask]
        strengths = [week.truth.strengths.get(customer) for customer in customers]
        medium = np.array([strength == Strength.MEDIUM for strength in strengths])
        return cls(
            np.flatnonzero(kinds != ""),
            np.flatnonzero(np.isin(customers, list(week.truth.lookalikes))),
            {
                kind: np.flatnonzero(medium & (kinds == kind))
                for kind in sorted(set(kinds[medium]) - {""})
            },
        )


def places(scores: Floats) -> NDArray[np.int64]:
    """Return each one's place, 1 for the highest score; of equals, the first of them."""
    return np.searchsorted(np.sort(-scores), -scores) + 1


def fitted_weights(goal: Goal, start: Floats = WEIGHTS) -> Floats:
    """Return constant weights that raise `goal` as far as steps and kicks from the start do."""
    best, value = start, goal(start)

    def took(trial: Floats) -> bool:
        nonlocal best, value
        if (reached := goal(trial)) <= value:
            return False
        best, value = trial, reached
        return True

    def stepped(steps: Sequence[float]) -> bool:
        marks = np.eye(best.size, dtype=np.bool_)
        return any([took(np.where(mark, best * step, best)) for mark in marks for step in steps])

    for steps in STEPS:
        while stepped(steps):
            pass
    rng = np.random.default_rng(SEED)
    for _ in range(KICKS):
        kick = np.zeros(best.size)
        kick[rng.choice(best.size, KICKED, replace=False)] = 0.3 * rng.standard_normal(KICKED)
        took(best * np.exp(kick))
    return best


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
    kept = [suspects(week) for week in weeks]
    rows = np.concatenate([week.surprise[mask] for week, mask in zip(weeks, kept, strict=True)])
    kinds = np.concatenate([week.kinds()[mask] for week, mask in zip(weeks, kept, strict=True)])
    with threadpool_limits(1):  # on a busy machine threads that wait for each other cost minutes
        return model.fit(rows, kinds == kind if kind else kinds != "")


def believed(model: Any, week: SurprisingWeek) -> Floats:
    """Return how much a model that was told believes of each customer of a week."""
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
