"""Figures of a backtest, by week and in all. Nothing here reads or computes a score.

Recall is a mean over the kinds, so that a kind whose cases take five customers each counts no more
than the others; its interval is over weeks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from cardwatch.backtesting.past import Past
from cardwatch.backtesting.trial import Refused, Sought, Trial
from cardwatch.case_kinds import Kind, Strength
from cardwatch.injection import Plan
from cardwatch.review.figures import CONFIDENCE, Figures, Rate, wilson
from cardwatch.week import ReportingWeek

FEWEST_WEEKS = 4
"""Weeks from which on an interval over weeks says anything."""


@dataclass(frozen=True)
class Share:
    """How many of some planted customers were found.

    Attributes
    ----------
    cases : int
        How many cases they belong to: customers of one case stand and fall together.
    """

    count: int
    customers: int
    cases: int

    @property
    def share(self) -> float:
        """The share itself."""
        return self.count / self.customers

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of a share seen in so many cases.

        >>> [round(each, 2) for each in Share(5, 10, 2).interval]
        [0.09, 0.91]
        """
        return wilson(self.share, self.cases)


@dataclass(frozen=True)
class Found:
    """Planted customers, at least one: on the list, among the first, and both without a case."""

    on_list: Share
    in_first: Share
    on_list_without: Share
    in_first_without: Share

    @classmethod
    def of(cls, sought: Sequence[Sought]) -> Found | None:
        """Count the planted customers that were found; None of nobody."""
        if not sought:
            return None
        kinds = Counter(each.kind for each in sought)
        cases = sum(number // kind.customers for kind, number in kinds.items())

        def share(found: Callable[[Sought], bool]) -> Share:
            return Share(sum(map(found, sought)), len(sought), cases)

        return cls(
            share(lambda each: each.on_list),
            share(lambda each: each.in_first),
            share(lambda each: each.on_list_without),
            share(lambda each: each.in_first_without),
        )

    @classmethod
    def by_kind(cls, sought: Sequence[Sought]) -> dict[Kind, Found]:
        """Count them kind by kind, in the order of the kinds."""
        groups: dict[Kind, list[Sought]] = {kind: [] for kind in Kind}
        for each in sought:
            groups[each.kind].append(each)
        return {kind: found for kind, those in groups.items() if (found := cls.of(those))}


@dataclass(frozen=True)
class Recall:
    """The shares of planted customers found, means over the kinds."""

    on_list: float
    in_first: float

    @classmethod
    def of(cls, sought: Sequence[Sought]) -> Recall | None:
        """Return the shares; None where nothing was planted."""
        kinds = Found.by_kind(sought).values()
        if not kinds:
            return None
        return cls(
            fmean(each.on_list.share for each in kinds),
            fmean(each.in_first.share for each in kinds),
        )


@dataclass(frozen=True)
class WeeklyMean:
    """A mean over weeks, with Student's 95% interval where there are enough of them.

    Weeks, not the cases of a week, are what is independent: those share the fit.
    """

    mean: float
    weeks: int
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, values: Sequence[float]) -> WeeklyMean | None:
        """Return the mean and its interval; None without a week.

        Examples
        --------
        >>> found = WeeklyMean.of([0.1, 0.2, 0.0, 0.1])
        >>> round(found.mean, 3), [round(each, 3) for each in found.interval]
        (0.1, [-0.03, 0.23])
        """
        weeks = len(values)
        if not weeks:
            return None
        mean = fmean(values)
        if weeks < FEWEST_WEEKS:
            return cls(mean, weeks, None)
        # Imported when it is used, as everywhere: it takes its time to load.
        from scipy.special import stdtrit

        reach = float(stdtrit(weeks - 1, (1 + CONFIDENCE) / 2))
        spread = reach * stdev(values) / math.sqrt(weeks)
        return cls(mean, weeks, (mean - spread, mean + spread))

    @property
    def differs(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True)
class WeekFigures:
    """One week.

    Attributes
    ----------
    kept : Rate or None
        Of the list of the week before, how many are listed again; None for a week without one.
    published : Rate or None
        Of the list that was published then, how many are listed here; None where there is none.
    hits : Rate
        Confirmed risks and opportunities among those listed here, of those with a verdict that
        tells; verdicts are on lists that were published.
    places_taken : Rate
        Places of the list that the planted cases take, all planted at once.
    """

    trial: Trial
    kept: Rate | None
    published: Rate | None
    hits: Rate
    recall: Recall | None
    places_taken: Rate

    @property
    def week(self) -> ReportingWeek:
        """The week."""
        return self.trial.week

    @property
    def churn(self) -> float | None:
        """The share of the list of the week before that is not listed again."""
        return None if self.kept is None or self.kept.share is None else 1 - self.kept.share


@dataclass(frozen=True)
class Summary:
    """All weeks together; means are over weeks, None where no week has the figure."""

    listed: float
    flagged_share: float
    churn: float | None
    published: Rate
    hits: Rate
    found: Found | None
    found_by: Mapping[Kind, Mapping[Strength, Found]]
    found_by_kind: Mapping[Kind, Found]
    recall_on_list: WeeklyMean | None
    recall_in_first: WeeklyMean | None
    places_taken: Rate


@dataclass(frozen=True)
class Backtest:
    """What a configuration would have done in some past weeks.

    Attributes
    ----------
    weeks : tuple of WeekFigures
        Those that could be scored, oldest first; never empty.
    refused : tuple of Refused
        Those that could not.
    plans : mapping of week to Plan
        What was planted; empty where nothing was.
    """

    weeks: tuple[WeekFigures, ...]
    refused: tuple[Refused, ...]
    plans: Mapping[ReportingWeek, Plan]

    @property
    def summary(self) -> Summary:
        """All weeks together."""
        trials = [each.trial for each in self.weeks]
        churn = [each.churn for each in self.weeks if each.churn is not None]
        sought = [each for trial in trials for each in trial.sought]
        recalls = [each.recall for each in self.weeks if each.recall is not None]
        return Summary(
            listed=fmean(len(each.listed) for each in trials),
            flagged_share=fmean(each.flagged / max(each.scored, 1) for each in trials),
            churn=fmean(churn) if churn else None,
            published=_total(each.published for each in self.weeks),
            hits=_total(each.hits for each in self.weeks),
            found=Found.of(sought),
            found_by=_by_strength(sought),
            found_by_kind=Found.by_kind(sought),
            recall_on_list=WeeklyMean.of([each.on_list for each in recalls]),
            recall_in_first=WeeklyMean.of([each.in_first for each in recalls]),
            places_taken=_total(each.places_taken for each in self.weeks),
        )


def _by_strength(sought: Sequence[Sought]) -> dict[Kind, dict[Strength, Found]]:
    found: dict[Kind, dict[Strength, Found]] = {}
    for strength in Strength:
        those = [each for each in sought if each.strength is strength]
        for kind, each in Found.by_kind(those).items():
            found.setdefault(kind, {})[strength] = each
    return {kind: found[kind] for kind in Kind if kind in found}


def figures_of(
    trials: Sequence[Trial],
    past: Past,
    refused: Sequence[Refused] = (),
    plans: Mapping[ReportingWeek, Plan] | None = None,
) -> Backtest:
    """Return the figures of weeks that were tried, oldest first."""
    by_week = {each.week: each for each in trials}
    return Backtest(
        tuple(_of_week(each, by_week.get(each.week - 1), past) for each in trials),
        tuple(refused),
        plans or {},
    )


def _of_week(trial: Trial, before: Trial | None, past: Past) -> WeekFigures:
    here = set(trial.listed)
    published = past.lists.get(trial.week)
    verdicts = Figures.of(
        [each for each in past.reviews.get(trial.week, ()) if each.customer_id in here]
    )
    return WeekFigures(
        trial,
        kept=None if before is None else _shared(before.listed, here),
        published=None if published is None else _shared(published, here),
        hits=verdicts.hits,
        recall=Recall.of(trial.sought),
        places_taken=Rate(trial.places_taken, len(trial.listed) if trial.sought else 0),
    )


def _shared(those: Sequence[str], here: set[str]) -> Rate:
    return Rate(len(here & set(those)), len(those))


def _total(rates: Iterable[Rate | None]) -> Rate:
    held = [each for each in rates if each is not None]
    return Rate(sum(each.count for each in held), sum(each.of for each in held))
