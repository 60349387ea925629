"""How well a ranking found what was planted in one week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean

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
    strengths : mapping of customer to strength
        How strong the positives are, where that is known.
    lookalikes : frozenset of customers
        Benign, and meant to be mistaken: negatives.
    left_out : frozenset of customers
        Neither positive nor negative: removed from the ranking before it is judged.
    """

    kinds: Mapping[str, str]
    lookalikes: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    strengths: Mapping[str, str] = field(default_factory=dict)


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
    recall : mapping of (kind, strength) to Tally
        Positives among the first 100.
    listed : tuple of text
        The first 20 customers.
    reasons, reasons_seen : Tally
        Positives, and those among the first 100, with a driver of their kind in three reasons.
    firm, shaky : Tally
        Positives among the listed who stay on the list without any one family, and among the rest.
    churn : Tally
        Of the first 20, those who were not among the first 20 of the week before.
    """

    precision: float
    average_precision: float
    auc: float
    lookalikes: float
    recall: Mapping[tuple[str, str], Tally]
    listed: tuple[str, ...] = ()
    reasons: Tally = field(default_factory=Tally)
    reasons_seen: Tally = field(default_factory=Tally)
    firm: Tally = field(default_factory=Tally)
    shaky: Tally = field(default_factory=Tally)
    churn: Tally = field(default_factory=Tally)

    def after(self, before: WeekFigures | None) -> WeekFigures:
        """Return the figures with the churn since the week before, where there is one."""
        if before is None:
            return self
        new = [customer not in before.listed for customer in self.listed]
        return replace(self, churn=Tally(sum(new), len(new)))


def judge(
    scores: pd.Series,
    truth: Truth,
    reasons: Mapping[str, Sequence[str]] | None = None,
    firm: Mapping[str, bool] | None = None,
) -> WeekFigures:
    """Judge one week's scores.

    Parameters
    ----------
    scores : pandas.Series
        Score by customer, best first among equals; higher is more anomalous.
    truth : Truth
    reasons : mapping of customer to families, optional
        The families of each customer's reasons, the first one first.
    firm : mapping of customer to bool, optional
        Who of the listed stays on the list without any one family.
    """
    kept = scores[~scores.index.isin(list(truth.left_out))]
    kept = kept.sort_values(ascending=False, kind="stable")
    customers = [str(customer) for customer in kept.index]
    positive = [customer in truth.kinds for customer in customers]
    seen = set(customers[:SEEN])
    recall: dict[tuple[str, str], Tally] = {}
    told = told_seen = Tally()
    for customer in customers:
        kind = truth.kinds.get(customer)
        if kind is None:
            continue
        cell = kind, truth.strengths.get(customer, "")
        recall[cell] = recall.get(cell, Tally()) + Tally(customer in seen, 1)
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
        listed=tuple(customers[:LISTED]),
        reasons=told,
        reasons_seen=told_seen,
        firm=_hits(truth, firm or {}, True),
        shaky=_hits(truth, firm or {}, False),
    )


def _hits(truth: Truth, firm: Mapping[str, bool], wanted: bool) -> Tally:
    """Count the positives among the listed who stand firm, or who do not."""
    listed = [each for each, stands in firm.items() if stands == wanted]
    judged = [each in truth.kinds for each in listed if each not in truth.left_out]
    return Tally(sum(judged), len(judged))


@dataclass(frozen=True)
class Figure:
    """A share over many weeks: its mean, what a week differs from it, and the interval it is in.

    Attributes
    ----------
    mean : float
        All hits among all of all weeks; for a mean of weeks, that.
    spread : float
        Standard deviation over weeks.
    low, high : float
        The 95% bootstrap interval of `mean`, drawing whole weeks.
    weeks : int
        Weeks with anything to count.
    total : int
        What was counted.
    """

    mean: float
    spread: float
    low: float
    high: float
    weeks: int
    total: int

    @classmethod
    def of(cls, tallies: Sequence[tuple[float, int]]) -> Figure:
        """Sum up weeks, each as (hits, total); weeks with a total of 0 do not count."""
        counted = np.array([tally for tally in tallies if tally[1]], dtype=np.float64)
        if not counted.size:
            return cls(0.0, 0.0, 0.0, 0.0, 0, 0)
        weeks = len(counted)
        shares = counted[:, 0] / counted[:, 1]
        chosen = np.random.default_rng(DRAW_SEED).integers(0, weeks, (DRAWS, weeks))
        drawn = counted[chosen].sum(axis=1)
        low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
        hits, total = counted.sum(axis=0)
        return cls(
            mean=float(hits / total),
            spread=float(shares.std(ddof=1)) if weeks > 1 else 0.0,
            low=float(low),
            high=float(high),
            weeks=weeks,
            total=int(total),
        )


@dataclass(frozen=True)
class Summary:
    """The figures of many weeks."""

    weeks: Sequence[WeekFigures]

    def of(self, name: str) -> Figure:
        """Return the mean over weeks of one figure."""
        return Figure.of([(float(getattr(week, name)), 1) for week in self.weeks])

    def tally(self, name: str) -> Figure:
        """Return one tally over all weeks."""
        tallies: list[Tally] = [getattr(week, name) for week in self.weeks]
        return Figure.of([(tally.hits, tally.total) for tally in tallies])

    def everything(self) -> Figure:
        """Return the recall of all kinds together."""
        tallies = [sum(week.recall.values(), Tally()) for week in self.weeks]
        return Figure.of([(tally.hits, tally.total) for tally in tallies])

    def recall(self, kind: str, strength: str | None = None) -> Figure:
        """Return the recall of one kind over all weeks: of one strength, or of all."""
        tallies = [
            sum(
                (
                    tally
                    for (its, strong), tally in week.recall.items()
                    if its == kind and strength in (None, strong)
                ),
                Tally(),
            )
            for week in self.weeks
        ]
        return Figure.of([(tally.hits, tally.total) for tally in tallies])
