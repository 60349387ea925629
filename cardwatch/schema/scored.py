"""Features, facts and scores: what is known of customers before anybody is listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cardwatch.week import ReportingWeek


@dataclass(frozen=True)
class Feature:
    """One row of the feature catalogue.

    Attributes
    ----------
    name, family : str
        Column of the table ``feature``, and the family it competes in (one reason per family).
    unit : str
        Unit of the raw value, in words.
    side : {"upper", "two"}
        Whether only high values are surprising, or low ones too.
    code : str
        Reason code of the outputs.
    sentence, sentence_low : str
        What a person says when the value is high, and when it is low (two-sided features only).
        Words in braces are filled from `CustomerFacts`.
    shows : tuple of str
        The words that carry the observed value and the usual one (empty when there is none), and
        whose usual it is.
    doc : str
        How it is computed, and where the formula comes from.
    law : {"line", "shape", "surprise"}
        How a value becomes a surprise: beyond the body by a straight line, by a tail whose shape
        the body gives, or not at all, because it is -log10 of a probability already.
    weight : float
        How much its surprise counts before anything is learnt from verdicts, over 0.
    tapers : bool
        Whether a surprise that few customers reach grows slowly from there: what is rare already
        tells little more by being rarer.
    """

    name: str
    family: str
    unit: str
    side: Literal["upper", "two"]
    code: str
    sentence: str
    shows: tuple[str, str, str]
    doc: str
    sentence_low: str = ""
    law: Literal["line", "shape", "surprise"] = "line"
    weight: float = 1.0
    tapers: bool = False

    @property
    def words(self) -> str:
        """What it is called in sentences about it, such as ``large ticket``."""
        return self.code.replace("_", " ").lower()


UNMOVED = 0.05
"""Weights nearer to 1 than this are not worth a sentence."""


@dataclass(frozen=True)
class FeatureWeight:
    """What was learnt of one feature from verdicts.

    Attributes
    ----------
    reviewed, hits : int
        Reviewed customers with the feature among their reasons, and the hits among them, as
        counted.
    weight : float
        What its surprise is multiplied by; these customers counted by the age of their list.
    """

    feature: str
    code: str
    reviewed: int
    hits: int
    weight: float

    @property
    def is_moved(self) -> bool:
        """Whether the weight is noticeably other than 1."""
        return abs(self.weight - 1) >= UNMOVED

    @property
    def sentence(self) -> str:
        """The weight and why, for people.

        >>> FeatureWeight("refunds", "REFUNDS", 14, 2, 0.4031).sentence
        'Refunds: 2 of 14 confirmed → × 0.4'
        """
        words = self.code.replace("_", " ").capitalize()
        return f"{words}: {self.hits:,} of {self.reviewed:,} confirmed → × {self.weight:.2g}"


@dataclass(frozen=True)
class CategoryFacts:
    """One merchant category of one customer: the scored week beside what is usual there.

    Amounts in currency units. `usual_spend` is the customer's mean weekly spend there over the
    active reference weeks, `usual_spend_share` and `usual_count_share` its share of all they paid
    and did in them; `usual_ticket` the category's median spend per transaction, moved by how
    much the customer's tickets usually differ from such norms. `others_new` customers came new to
    it this week, `others_new_usual` is the mean of earlier weeks.
    """

    mcc: str
    spend: float
    transaction_count: int
    usual_spend: float
    usual_spend_share: float
    usual_count_share: float
    is_new: bool
    usual_ticket: float
    users_share: float
    others_new: int = 0
    others_new_usual: float = 0.0


@dataclass(frozen=True)
class CustomerFacts:
    """What sentences about one customer are made of; amounts in currency units.

    Attributes
    ----------
    weekly_spend, weekly_count : tuple, one entry per week of the window, oldest first
        None for a week without transactions.
    usual_spend, usual_count, usual_ticket : float or None
        Own medians over the baseline weeks (t-12 to t-4).
    peers : mapping
        Medians of the peer group: ``spend, count, ticket, categories, concentration``.
    features : mapping
        The raw feature values; None where a feature does not apply.
    drivers : mapping
        Per feature made of merchant categories, the category that decided it.
    """

    customer_key: int
    weekly_spend: tuple[float | None, ...]
    weekly_count: tuple[int | None, ...]
    usual_spend: float | None
    usual_count: float | None
    usual_ticket: float | None
    peer_group: int
    peers: Mapping[str, float]
    level: float
    history_weeks: int
    active_weeks: int
    gap_weeks: int
    refunds: float
    usual_refunds: float
    risky: float
    usual_risky: float
    categories: tuple[CategoryFacts, ...]
    features: Mapping[str, float | None]
    drivers: Mapping[str, str]


@dataclass(frozen=True)
class FeatureTable:
    """One row per customer in the engine's table ``feature``.

    `columns` lists the catalogued features that could be built, in catalogue order.
    """

    week: ReportingWeek
    columns: tuple[str, ...]
    rows_with_spend: int
    rows_absent: int
    reference_weeks_used: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scored:
    """Every customer's score, in the engine's table ``score``, and the detector's state as JSON."""

    detector: str
    families: tuple[str, ...]
    state: Mapping[str, object]


@dataclass(frozen=True)
class Distributions:
    """What a week records for later weeks to be held against. No customer can be found in it.

    Attributes
    ----------
    score_quantiles : mapping
        Of the scores of all customers, by probability as text.
    customers : int
        How many were scored.
    weeks : int
        Weeks with rows, the scored one among them: features of a shorter past spread otherwise.
    histograms : mapping
        Per feature, how many customers are in each bin; see `cardwatch.histograms`.
    categories : mapping
        Per merchant category, how many customers bought in it.
    """

    score_quantiles: Mapping[str, float]
    customers: int
    weeks: int
    histograms: Mapping[str, tuple[int, ...]]
    categories: Mapping[str, int]


@dataclass(frozen=True)
class Attribution:
    """One family's part in one customer's score, and the feature that spoke for the family.

    `is_high` tells whether the feature's value is above the portfolio's usual, or below it.
    `feature` is empty where nothing in the family can be a reason: its part is not positive, or the
    customer has no value there.
    """

    family: str
    feature: str
    contribution: float
    is_high: bool
