"""How well a ranking found what was planted in one week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

LISTED = 20
SEEN = 100
REASONS = 3
DRAWS = 2_000
DRAW_SEED = 1

DRIVERS: Mapping[str, frozenset[str]] = {
    "takeover": frozenset({"novelty"}),
    "bust_out": frozenset({"growth", "own_history", "events", "novelty"}),
    "card_test": frozenset({"ticket"}),
    "gambling": frozenset({"events", "novelty"}),
    "structured": frozenset({"novelty", "ticket", "events"}),
    "refund": frozenset({"events"}),
    "dormant": frozenset({"events"}),
    "drop": frozenset({"own_history", "peer_group"}),
    "growth": frozenset({"growth", "own_history"}),
    "collusion": frozenset({"novelty"}),
    "ticket": frozenset({"ticket"}),
}
"""Per planted kind, the families of which one should be among the first three reasons."""


@dataclass(frozen=True)
class Truth:
    """What is known about one week.

    Attributes
    ----------
    kinds : mapping of customer to kind
        Every positive.
    lookalikes : frozenset of customers
        Benign, and meant to be mistaken: negatives.
    left_out : frozenset of customers
        Neither positive nor negative: removed from the ranking before it is judged.
    """

    kinds: Mapping[str, str]
    lookalikes: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Tally:
    """Hits among a total."""

    hits: int = 0
    total: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.hits + other.hits, self.total + other.total)

    @property
    def share(self) -> float:
        """Hits over the total; 0 for nothing."""
        return self.hits / self.total if self.total else 0.0


@dataclass(frozen=True)
class WeekFigures:
    """One week's ranking, judged.

    Attributes
    ----------
    precision : float
        Share of positives among the first 20.
    average_precision, auc : float
    lookalikes : float
        Share of look-alikes among the first 20.
    recall : mapping of kind to Tally
        Positives among the first 100.
    reasons, reasons_seen : Tally
        Positives, and those among the first 100, with a driver of their kind in three reasons.
    """

    precision: float
    average_precision: float
    auc: float
    lookalikes: float
    recall: Mapping[str, Tally]
    reasons: Tally = field(default_factory=Tally)
    reasons_seen: Tally = field(default_factory=Tally)


def judge(
    scores: pd.Series, truth: Truth, reasons: Mapping[str, Sequence[str]] | None = None
) -> WeekFigures:
    """Judge one week's scores.

    Parameters
    ----------
    scores : pandas.Series
        Score by customer, best first among equals; higher is more anomalous.
    truth : Truth
    reasons : mapping of customer to families, optional
        The families of each customer's reasons, the first one first.
    """
    kept = scores[~scores.index.isin(list(truth.left_out))]
    kept = kept.sort_values(ascending=False, kind="stable")
    customers = [str(customer) for customer in kept.index]
    positive = [customer in truth.kinds for customer in customers]
    seen = set(customers[:SEEN])
    recall: dict[str, Tally] = {}
    told = told_seen = Tally()
    for customer in customers:
        kind = truth.kinds.get(customer)
        if kind is None:
            continue
        recall[kind] = recall.get(kind, Tally()) + Tally(customer in seen, 1)
        if reasons is not None and kind in DRIVERS:
            hit = Tally(bool(DRIVERS[kind] & set(reasons[customer][:REASONS])), 1)
            told += hit
            told_seen += hit if customer in seen else Tally()
    return WeekFigures(
        precision=mean(positive[:LISTED]),
        average_precision=float(average_precision_score(positive, kept)),
        auc=float(roc_auc_score(positive, kept)),
        lookalikes=mean(customer in truth.lookalikes for customer in customers[:LISTED]),
        recall=recall,
        reasons=told,
        reasons_seen=told_seen,
    )


@dataclass(frozen=True)
class Summary:
    """The figures of many weeks."""

    weeks: Sequence[WeekFigures]

    def mean_of(self, name: str) -> float:
        """Return the mean over weeks of one figure."""
        return mean(float(getattr(week, name)) for week in self.weeks)

    def spread_of(self, name: str) -> float:
        """Return the standard deviation over weeks of one figure."""
        values = [float(getattr(week, name)) for week in self.weeks]
        return stdev(values) if len(values) > 1 else 0.0

    def interval_of(self, name: str) -> tuple[float, float]:
        """Return the 95% bootstrap interval of the mean of one figure, drawing whole weeks."""
        values = np.array([float(getattr(week, name)) for week in self.weeks])
        draws = np.random.default_rng(DRAW_SEED).integers(0, len(values), (DRAWS, len(values)))
        low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
        return float(low), float(high)

    def tally_of(self, name: str) -> Tally:
        """Return one tally over all weeks."""
        return sum((getattr(week, name) for week in self.weeks), Tally())

    def recall_of(self, kind: str) -> Tally:
        """Return the recall of one kind over all weeks."""
        return sum((week.recall.get(kind, Tally()) for week in self.weeks), Tally())
