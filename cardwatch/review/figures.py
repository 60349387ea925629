"""How good the lists were, by the verdicts on them: rates with the uncertainty of few verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from cardwatch.review.verdicts import Review
from cardwatch.week import ReportingWeek

CONFIDENCE = 0.95
NO_REASON = "not known"
"""The family of customers whose reasons were not there when the verdict was recorded."""


@dataclass(frozen=True)
class Rate:
    """A share of reviewed customers; `of` may be 0."""

    count: int
    of: int

    @property
    def share(self) -> float | None:
        """The share itself; None of nobody."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """The interval that holds the true share with 95% confidence.

        References
        ----------
        E. B. Wilson (1927). Probable inference, the law of succession, and statistical inference.
        Journal of the American Statistical Association 22, 209-212.

        Examples
        --------
        >>> low, high = Rate(8, 20).interval
        >>> round(low, 4), round(high, 4)
        (0.2188, 0.6134)
        """
        return wilson(self.count / self.of, self.of) if self.of else (0.0, 1.0)


def wilson(share: float, trials: int) -> tuple[float, float]:
    """Return Wilson's interval of a share that was seen in so many independent trials."""
    z, n, p = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), trials, share
    centre, weight = p + z * z / (2 * n), 1 + z * z / n
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max((centre - spread) / weight, 0.0), min((centre + spread) / weight, 1.0)


@dataclass(frozen=True)
class Figures:
    """What the verdicts on some customers say.

    Attributes
    ----------
    hits : Rate
        Confirmed risks and opportunities, of the verdicts that are not unclear.
    acted : Rate
        Customers about whom something was done, of all reviewed.
    """

    reviewed: int
    hits: Rate
    acted: Rate

    @classmethod
    def of(cls, reviews: Sequence[Review]) -> Figures:
        """Count reviews, one per customer and week."""
        told = [each.verdict.is_hit for each in reviews if each.verdict.is_hit is not None]
        acted = sum(bool(each.action_taken.strip()) for each in reviews)
        return cls(len(reviews), Rate(sum(told), len(told)), Rate(acted, len(reviews)))


@dataclass(frozen=True)
class WeekFigures:
    """One week's list.

    Attributes
    ----------
    listed : int or None
        Its length; None where the list is no longer in the folder.
    not_reviewed : tuple of str
        Listed customers without a verdict, in rank order.
    """

    week: ReportingWeek
    listed: int | None
    figures: Figures
    not_reviewed: tuple[str, ...]

    @property
    def elsewhere(self) -> int:
        """Verdicts on customers of the week who are not on its list as it is now."""
        if self.listed is None:
            return 0
        return self.figures.reviewed - (self.listed - len(self.not_reviewed))


@dataclass(frozen=True)
class ReviewReport:
    """The lists of some weeks, oldest first, and their verdicts by the leading reason's family."""

    weeks: tuple[WeekFigures, ...]
    families: Mapping[str, Figures]
    overall: Figures


def review_report(
    reviews: Iterable[Review],
    lists: Mapping[ReportingWeek, Sequence[str]],
    families: Mapping[str, str],
    weeks: int,
) -> ReviewReport:
    """Return the figures of the newest weeks that have a list or a verdict.

    Parameters
    ----------
    reviews : iterable of Review
        One per customer and week, the one that stands.
    lists : mapping of week to customer ids
        The lists that are there, in rank order.
    families : mapping of feature to family
        The catalogue's.
    weeks : int
        How many weeks.
    """
    by_week: dict[ReportingWeek, list[Review]] = {week: [] for week in lists}
    for each in reviews:
        by_week.setdefault(each.week, []).append(each)
    chosen = {week: by_week[week] for week in sorted(by_week)[-weeks:]}
    everything = [each for of_week in chosen.values() for each in of_week]
    by_family: dict[str, list[Review]] = {}
    for each in everything:
        leading = each.features[0] if each.features else ""
        by_family.setdefault(families.get(leading, NO_REASON), []).append(each)
    return ReviewReport(
        weeks=tuple(_of_week(week, chosen[week], lists.get(week)) for week in chosen),
        families={name: Figures.of(by_family[name]) for name in sorted(by_family)},
        overall=Figures.of(everything),
    )


def _of_week(
    week: ReportingWeek, reviews: Sequence[Review], listed: Sequence[str] | None
) -> WeekFigures:
    done = {each.customer_id for each in reviews}
    rest = tuple(customer for customer in listed or () if customer not in done)
    return WeekFigures(week, None if listed is None else len(listed), Figures.of(reviews), rest)
