"""How much each feature's surprise counts, learnt from verdicts.

A feature's precision is the share of hits among the reviewed rows that had it among their reasons,
shrunk toward the share of hits among all reviewed rows by `prior` pseudo-reviews; its weight is the
ratio of the two, bounded. Older weeks count less, by half every `half_life` weeks, so that a change
in what analysts call meaningful is followed. Weights are multipliers of surprises: they can be
printed, read aloud, and taken back.

Figures behind the form and the constants are in ``docs/explanation/method.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cardwatch.review.verdicts import Review
from cardwatch.schema import FeatureWeight
from cardwatch.week import ReportingWeek

BOUNDS = (0.25, 2.5)
"""No feature is silenced, and none drowns the others."""


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
    reviews: Iterable[Review],
    week: ReportingWeek,
    codes: Mapping[str, str],
    *,
    prior: float,
    half_life: float,
) -> tuple[FeatureWeight, ...]:
    """Return the weight of every feature that reviewed rows had among their reasons, by name.

    Parameters
    ----------
    reviews : iterable of Review
        One per customer and week, the one that stands. Those of `week` and later are not looked at,
        nor those without reasons: they would move what the share of hits is held against, and no
        share.
    week : ReportingWeek
        The scored week.
    codes : mapping of feature to reason code
        The features there are; others, of an older catalogue, are passed over.
    prior : float
        Pseudo-reviews toward the overall share of hits, over 0.
    half_life : float
        Weeks after which a review counts half; infinity forgets nothing.

    Examples
    --------
    >>> learned_weights([], ReportingWeek.parse("2025-46"), {}, prior=10, half_life=6)
    ()
    """
    evidence = _Evidence()
    for review in reviews:
        weeks_ago = week - review.week
        if review.teaches and weeks_ago > 0:
            evidence.add(review, bool(review.verdict.is_hit), 0.5 ** (weeks_ago / half_life))
    overall = (evidence.overall.aged_hits + 1) / (evidence.overall.aged_rows + 2)
    return tuple(
        FeatureWeight(
            feature, codes[feature], tally.rows, tally.hits, _weight(tally, overall, prior)
        )
        for feature, tally in sorted(evidence.features.items())
        if feature in codes
    )


def _weight(tally: _Tally, overall: float, prior: float) -> float:
    precision = (tally.aged_hits + prior * overall) / (tally.aged_rows + prior)
    low, high = BOUNDS
    return round(min(max(precision / overall, low), high), 6)
