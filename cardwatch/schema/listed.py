"""The list, its reasons, and what is told of a run: what every sink renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from cardwatch.schema.delivered import Coverage, QuarantineCount
from cardwatch.schema.scored import CustomerFacts, FeatureWeight
from cardwatch.week import ReportingWeek

Signal = Literal["opportunity", "concern"]
RiskCategory = Literal["critical", "high", "medium", "low"]

RISK_CATEGORIES: tuple[RiskCategory, ...] = ("critical", "high", "medium", "low")

SNOOZED = "snoozed_"
"""What the name of a policy begins with where customers are snoozed; the scope follows."""


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
class Learning:
    """What was learnt from verdicts, and what it did to the list.

    Attributes
    ----------
    reviews : int
        Customers of earlier lists with a verdict that tells something.
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
            f"Learnt from {_counted(self.reviews, 'verdict')} on earlier lists: {said}",
            f"Without verdicts {_counted(self.moved_off, 'other customer')} would be listed, scored"
            f" as ever in unweighted_total; {_counted(self.guards, 'place')} at the end of the list"
            " go by that score",
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


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


@dataclass(frozen=True)
class Receipt:
    """What one sink wrote: names and sizes, for the person and the manifest."""

    sink: str
    written: tuple[str, ...]
    digests: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Sentences about what else the sink did or could not do, for example packing old weeks."""
