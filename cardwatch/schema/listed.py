"""The list, its reasons, and what is told of a run: what every sink renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from cardwatch.schema.delivered import Coverage, QuarantineCount
from cardwatch.schema.scored import CustomerFacts, Distributions, FeatureWeight
from cardwatch.week import ReportingWeek
from cardwatch.wording import counted

Signal = Literal["opportunity", "concern"]
RiskCategory = Literal["critical", "high", "medium", "low"]

RISK_CATEGORIES: tuple[RiskCategory, ...] = ("critical", "high", "medium", "low")

SNOOZED = "snoozed_"
"""What the name of a policy begins with where customers are snoozed; the scope follows."""


def policy_words(name: str) -> str:
    """Return what keeps customers off the list, of a key of ``left_out_by_policy``.

    >>> policy_words("snoozed_customer"), policy_words("min_spend")
    ('a snooze of the customer', 'ranking.min_spend')
    """
    return name.replace(SNOOZED, "a snooze of the ") if SNOOZED in name else f"ranking.{name}"


@dataclass(frozen=True)
class Reason:
    """One reason why a customer is listed, as a machine and as a person would say it.

    Attributes
    ----------
    code : str
        The reason code, for example ``NEW_MERCHANT_CATEGORY``.
    value, usual : float or None
        Observed and usual, in `unit`; `usual_basis` says whose usual it is (``own median``,
        ``peer median``, ``category norm``).
    contribution : float
        This reason's share of the customer's surprise_total, in the same unit.
    """

    code: str
    family: str
    feature: str
    value: float
    usual: float | None
    usual_basis: str
    unit: str
    contribution: float
    sentence: str
    mcc: str | None = None


@dataclass(frozen=True)
class ListedCustomer:
    """One row of the list, and the facts that its reasons were made of."""

    customer_id: str
    anomaly_score: float
    anomaly_rank: int
    risk_category: RiskCategory
    total_spend: Decimal
    transaction_count: int
    mcc_diversity: int
    top_mcc: str
    top_mcc_spend: Decimal
    signal: Signal
    signal_rule: str
    history_weeks: int
    surprise_total: float
    reasons: tuple[Reason, ...]
    contributions: Mapping[str, float]
    """Every family's contribution; they add up to surprise_total. `reasons` are the largest."""
    facts: CustomerFacts
    rank_stability: float = 1.0
    """Share of the lists without one family of features that the customer stays on."""
    guard: bool = False
    """Whether the customer is here by the score that verdicts have not weighed."""


@dataclass(frozen=True)
class Thresholds:
    """The scores from which a customer is medium (flagged), high or critical, and their origin."""

    critical: float
    high: float
    medium: float
    source: str
    weeks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """The list, and what was decided about those who are not on it."""

    week: ReportingWeek
    listed: tuple[ListedCustomer, ...]
    thresholds: Thresholds
    categories: Mapping[str, int]
    flagged: int
    left_out_by_policy: Mapping[str, int]
    score_quantiles: Mapping[str, float]
    """Quantiles of this week's scores, by probability as text, recorded for the weeks to come."""


@dataclass(frozen=True)
class PortfolioWeek:
    """All customers' transactions of one week of the window; spend is net of refunds."""

    week: ReportingWeek
    spend: Decimal
    transaction_count: int
    customers: int


@dataclass(frozen=True)
class PeerGroup:
    """One group of customers who spend alike: its part of the portfolio and of the list.

    Attributes
    ----------
    group : int
        Its number, of this run only.
    spend, transaction_count : float
        Medians of its customers' week, by which it is known.
    customers, listed : int
        How many were scored, and how many of them are on the list.
    by_lot : tuple of two int
        As many would be listed, 99 times in 100, if the list were drawn from everybody by lot.
    """

    group: int
    spend: float
    transaction_count: float
    customers: int
    listed: int
    by_lot: tuple[int, int]

    @property
    def stands_out(self) -> bool:
        """Whether the list has more or fewer of it than chance would give."""
        return not self.by_lot[0] <= self.listed <= self.by_lot[1]


@dataclass(frozen=True)
class Learning:
    """What was learnt from verdicts, and what it did to the list.

    Attributes
    ----------
    reviews : int
        Customers of earlier lists whose verdict teaches something: not unclear, reasons known.
    weights : tuple of FeatureWeight
        By name of the feature; empty where nothing was learnt.
    moved_off : int
        Customers who would be on the list without the weights.
    guards : int
        Customers who are on it without them.
    remark : str
        Why verdicts that are there were not used; empty otherwise.
    """

    reviews: int = 0
    weights: tuple[FeatureWeight, ...] = ()
    moved_off: int = 0
    guards: int = 0
    remark: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the list should know: the weights, and what they did."""
        if not self.weights:
            return (self.remark,) if self.remark else ()
        moved = sorted((each for each in self.weights if each.is_moved), key=lambda w: w.weight)
        said = "; ".join(each.sentence for each in moved) or "they move no reason noticeably"
        return (
            f"Learnt from {counted(self.reviews, 'verdict')} on earlier lists: {said}",
            f"Without verdicts {counted(self.moved_off, 'other customer')} would be listed, scored"
            f" as ever in unweighted_total; {counted(self.guards, 'place')} at the end of the list"
            " go by that score",
        )


@dataclass(frozen=True)
class Shift:
    """How far one distribution is from those of the weeks before.

    Attributes
    ----------
    feature : str
        Empty for the scores.
    words : str
        What is distributed, for people.
    psi : float
        Population stability index; see `cardwatch.drift`.
    usual : float
        As much is usual: what chance alone exceeds once in ten thousand times with so few customers
        or, where that is more, how far one of the weeks before is from the others.
    """

    feature: str
    words: str
    psi: float
    usual: float

    def is_over(self, limit: float) -> bool:
        """Whether it is over a limit, and over what is usual."""
        return self.psi > max(limit, self.usual)


@dataclass(frozen=True)
class Drift:
    """How the week is distributed beside the weeks before: scores, and features from the farthest.

    `weeks` are those it is held against; without any there is nothing to tell. `scores` are None
    without a comparable week, and `features` empty without three of an equally long past.
    """

    weeks: tuple[str, ...] = ()
    scores: Shift | None = None
    features: tuple[Shift, ...] = ()

    def scores_judged(
        self, moved: float, shifted: float
    ) -> Literal["usual", "moved", "shifted"] | None:
        """Return what is said of the scores, by two limits; None without a week before."""
        if self.scores is None:
            return None
        if not self.scores.is_over(moved):
            return "usual"
        return "shifted" if self.scores.is_over(shifted) else "moved"

    def features_over(self, limit: float) -> tuple[Shift, ...]:
        """Return the features of which it is said that they moved, from the farthest."""
        return tuple(each for each in self.features if each.is_over(limit))

    def notes(self, moved: float, shifted: float) -> tuple[str, ...]:
        """Say what moved, where it matters, over the two limits of the index."""
        before = f"in the {counted(len(self.weeks), 'week')} before"
        notes = []
        judged = self.scores_judged(moved, shifted)
        if self.scores is not None and judged != "usual":
            far = judged == "shifted"
            notes.append(
                f"The scores are spread otherwise than {before} (PSI {self.scores.psi:.2f}): "
                + ("find out why before you rely on this list" if far else "look what changed")
            )
        if over := self.features_over(moved):
            named = [f"{each.words} (PSI {each.psi:.2f})" for each in over[:_NAMED]]
            named += [counted(len(over) - _NAMED, "other")] * (len(over) > _NAMED)
            listed = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
            notes.append(
                f"Spread otherwise than {before}: {listed}. Look whether merchants were coded "
                "anew, pay day or a holiday moved, or rows are missing"
            )
        return tuple(notes)


_NAMED = 5
"""Features that a sentence names."""


@dataclass(frozen=True)
class WeekReport:
    """Numbers and words of one run; every sink renders this and nothing else."""

    week: ReportingWeek
    ranking: Ranking
    coverage: Coverage
    findings: tuple[QuarantineCount, ...]
    notes: tuple[str, ...]
    detector: str
    families: tuple[str, ...]
    numbering: Literal["guide", "iso"] = "guide"
    portfolio: tuple[PortfolioWeek, ...] = ()
    """The weeks of the window, oldest first, the scored one last."""
    learning: Learning = Learning()
    drift: Drift = Drift()
    distributions: Distributions | None = None
    """Recorded for the weeks to come."""
    peer_groups: tuple[PeerGroup, ...] = ()


@dataclass(frozen=True)
class Receipt:
    """What one sink wrote: names and sizes, for the person and the manifest."""

    sink: str
    written: tuple[str, ...]
    digests: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Sentences about what else the sink did or could not do, for example packing old weeks."""
