"""How much each feature's surprise counts, learnt from verdicts.

A feature's precision is the share of hits among the reviewed rows that had it among their reasons,
shrunk toward the share of hits among all reviewed rows by `prior` pseudo-reviews; its weight is the
ratio of the two, bounded. Older weeks count less, by half every `half_life` weeks, so that a change
in what analysts call meaningful is followed. Weights are multipliers of surprises: they can be
printed, read aloud, and taken back.

Figures behind the form and the constants are in ``docs/explanation/method.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cardwatch.review.verdicts import Review
from cardwatch.week import ReportingWeek

BOUNDS = (0.25, 2.5)
"""No feature is silenced, and none drowns the others."""
UNMOVED = 0.05
"""Weights nearer to 1 than this are not worth a sentence."""


@dataclass(frozen=True)
class FeatureWeight:
    """What was learnt of one feature.

    Attributes
    ----------
    reviewed, hits : int
        Reviewed rows with the feature among their reasons, and the hits among them, as counted.
    weight : float
        What its surprise is multiplied by; these rows counted by their age.
    """

    feature: str
    reviewed: int
    hits: int
    weight: float

    @property
    def is_moved(self) -> bool:
        """Whether the weight is noticeably other than 1."""
        return abs(self.weight - 1) >= UNMOVED


@dataclass
class _Tally:
    rows: int = 0
    hits: int = 0
    aged_rows: float = 0.0
    aged_hits: float = 0.0

    def add(self, is_hit: bool, age: float) -> None:
        self.rows += 1
        self.hits += is_hit
        self.aged_rows += age
        self.aged_hits += age * is_hit


@dataclass
class _Evidence:
    overall: _Tally = field(default_factory=_Tally)
    features: dict[str, _Tally] = field(default_factory=dict)

    def add(self, review: Review, is_hit: bool, age: float) -> None:
        self.overall.add(is_hit, age)
        for feature in dict.fromkeys(review.features):
            self.features.setdefault(feature, _Tally()).add(is_hit, age)


def learned_weights(
    reviews: Iterable[Review], week: ReportingWeek, *, prior: float, half_life: float | None
) -> tuple[FeatureWeight, ...]:
    """Return the weight of every feature that reviewed rows had among their reasons, by name.

    Parameters
    ----------
    reviews : iterable of Review
        One per customer and week, the one that stands. Those of `week` and later are not looked at.
    week : ReportingWeek
        The scored week.
    prior : float
        Pseudo-reviews toward the overall share of hits, over 0.
    half_life : float or None
        Weeks after which a review counts half; None forgets nothing.

    Examples
    --------
    >>> learned_weights([], ReportingWeek.parse("2025-46"), prior=10, half_life=6)
    ()
    """
    evidence = _Evidence()
    for review in reviews:
        is_hit, weeks_ago = review.verdict.is_hit, week - review.week
        if is_hit is not None and weeks_ago > 0:
            evidence.add(review, is_hit, 0.5 ** (weeks_ago / half_life) if half_life else 1.0)
    overall = (evidence.overall.aged_hits + 1) / (evidence.overall.aged_rows + 2)
    return tuple(
        FeatureWeight(feature, tally.rows, tally.hits, _weight(tally, overall, prior))
        for feature, tally in sorted(evidence.features.items())
    )


def _weight(tally: _Tally, overall: float, prior: float) -> float:
    precision = (tally.aged_hits + prior * overall) / (tally.aged_rows + prior)
    low, high = BOUNDS
    return round(min(max(precision / overall, low), high), 6)
