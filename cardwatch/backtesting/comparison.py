"""Two configurations on the same weeks and cases: how far apart they are, and which finds more.

A difference is the challenger's figure minus the champion's, paired by week.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from cardwatch.backtesting.figures import Backtest, WeekFigures, WeeklyMean
from cardwatch.backtesting.trial import FIRST
from cardwatch.week import ReportingWeek


@dataclass(frozen=True)
class WeekContest:
    """One week under both.

    Attributes
    ----------
    shared : int
        Customers on both lists.
    only_champion, only_challenger : tuple of str
        Customers on one list only, in its order.
    rank_correlation : float or None
        Of the first customers by score; see `rank_correlation`.
    """

    week: ReportingWeek
    shared: int
    only_champion: tuple[str, ...]
    only_challenger: tuple[str, ...]
    rank_correlation: float | None


@dataclass(frozen=True)
class Contest:
    """Champion and challenger over the weeks that both could score."""

    champion: Backtest
    challenger: Backtest
    weeks: tuple[WeekContest, ...]
    on_list: WeeklyMean | None
    in_first: WeeklyMean | None
    hits: WeeklyMean | None
    churn: WeeklyMean | None

    @property
    def is_identical(self) -> bool:
        """Whether both list the same customers everywhere."""
        return not any(each.only_champion or each.only_challenger for each in self.weeks)

    @property
    def conclusion(self) -> str:
        """What may be said, and no more."""
        if not self.weeks:
            return "No week could be scored by both: there is nothing to compare."
        weeks = f"{len(self.weeks)} week" + "s" * (len(self.weeks) != 1)
        told = (
            (self.on_list, "share of the planted cases on the list"),
            (self.in_first, f"share of those among the first {FIRST}"),
            (self.hits, "share of hits among listed customers with a verdict"),
        )
        said = [_said(difference, figure) for difference, figure in told if difference]
        planted = (self.on_list, self.in_first)
        if self.is_identical and not any(each and each.mean for each in planted):
            tried = f"every one of {weeks}" if len(self.weeks) > 1 else "the one week"
            return f"Both list the same customers in {tried}."
        if not said:
            return (
                f"In {weeks} nothing says which of the two is better: that takes planted cases "
                "(--inject) or verdicts on what both list."
            )
        return f"In {weeks} {'; '.join(said)}."


def _said(difference: WeeklyMean, figure: str) -> str:
    points = 100 * difference.mean
    if not points and difference.interval in (None, (0.0, 0.0)):
        return f"both have the same {figure}"
    way = "higher" if points >= 0 else "lower"
    text = f"the challenger's {figure} is {abs(points):.1f} points {way}"
    if difference.interval is None:
        return f"{text}, in too few weeks to say more"
    low, high = (100 * each for each in difference.interval)
    verdict = "a difference is shown" if difference.differs else "no difference is shown"
    return f"{text} (95% interval {low:+.1f} to {high:+.1f}): {verdict}"


def compare_trials(champion: Backtest, challenger: Backtest) -> Contest:
    """Set two configurations side by side on the weeks that both could score."""
    others = {each.week: each for each in challenger.weeks}
    pairs = [(each, others[each.week]) for each in champion.weeks if each.week in others]
    return Contest(
        champion,
        challenger,
        tuple(_of_week(one, other) for one, other in pairs),
        on_list=_paired(pairs, lambda each: each.recall.on_list if each.recall else None),
        in_first=_paired(pairs, lambda each: each.recall.in_first if each.recall else None),
        hits=_paired(pairs, lambda each: each.hits.share),
        churn=_paired(pairs, lambda each: each.churn),
    )


def _paired(
    pairs: Sequence[tuple[WeekFigures, WeekFigures]],
    figure: Callable[[WeekFigures], float | None],
) -> WeeklyMean | None:
    both = ((figure(one), figure(other)) for one, other in pairs)
    return WeeklyMean.of([b - a for a, b in both if a is not None and b is not None])


def _of_week(one: WeekFigures, other: WeekFigures) -> WeekContest:
    champion, challenger = one.trial, other.trial
    both = set(champion.listed) & set(challenger.listed)
    return WeekContest(
        one.week,
        len(both),
        tuple(each for each in champion.listed if each not in both),
        tuple(each for each in challenger.listed if each not in both),
        rank_correlation(champion.first, challenger.first),
    )


def rank_correlation(one: Sequence[str], other: Sequence[str]) -> float | None:
    """Return Spearman's correlation over all who are in either list.

    Who is missing from a list has the place after its last. None where there is nothing to
    correlate.

    References
    ----------
    R. Fagin, R. Kumar, D. Sivakumar (2003). Comparing top k lists. SIAM Journal on Discrete
    Mathematics 17, 134-160.

    Examples
    --------
    >>> rank_correlation(["a", "b", "c"], ["a", "b", "c"])
    1.0
    >>> round(rank_correlation(["a", "b", "c"], ["b", "a", "d"]), 3)
    0.6
    """
    first = {customer: place for place, customer in enumerate(one)}
    second = {customer: place for place, customer in enumerate(other)}
    everybody = sorted(first.keys() | second.keys())
    left = [first.get(each, len(one)) for each in everybody]
    right = [second.get(each, len(other)) for each in everybody]
    if len(set(left)) < 2 or len(set(right)) < 2:
        return None
    if left == right:
        return 1.0
    return _correlation(left, right)


def _correlation(left: Sequence[float], right: Sequence[float]) -> float:
    middle, centre = fmean(left), fmean(right)
    product = sum((a - middle) * (b - centre) for a, b in zip(left, right, strict=True))
    spread = math.sqrt(sum((a - middle) ** 2 for a in left) * sum((b - centre) ** 2 for b in right))
    return product / spread
