"""The settings of features, detector and list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from cardwatch.config.section import Section, SettingPath, setting
from cardwatch.config.values import as_mcc, expected

Family = Literal["own_history", "growth", "peer_group", "novelty", "ticket", "events"]
Mcc = Annotated[str, BeforeValidator(as_mcc)]


class FeatureConfig(Section):
    """What a customer's week is compared with."""

    reference_weeks: int = setting(
        12, "Weeks before the scored one that make its baseline.", unit="weeks", ge=1, le=52
    )
    use_cache: bool = setting(
        False,
        "Keep the roll-up of each week on disk, so that the next run reads only what is new."
        " Changes no result.",
    )
    cache_dir: SettingPath = setting(
        Path("cache"), "The folder of those roll-ups; it may be deleted at any time.", unit="path"
    )
    peer_groups: int = setting(
        10, "Groups of customers with a similar mix of spending.", unit="groups", ge=1, le=100
    )
    risky_mccs: tuple[Mcc, ...] = setting(
        ("7995", "6051", "4829", "6010", "6011"),
        "Merchant categories in which a rise counts as an event: gambling, quasi-cash, money"
        " transfer, manual and automatic cash.",
        unit="four-digit merchant category codes",
    )


class ModelConfig(Section):
    """How a week's strangeness becomes a score."""

    detector: Literal["surprise", "isolation_forest"] = setting(
        "surprise", "Sum of surprises, whose terms are the reasons, or scikit-learn's forest."
    )
    contamination: float = setting(
        0.01,
        "The share of customers to flag. It changes neither scores nor ranks, only the flag and"
        " the cuts between the risk categories.",
        unit="share of scored customers",
        gt=0,
        le=0.5,
    )
    random_state: int = setting(
        42,
        "The seed of the peer groups and of the forest; the same seed and rows give the same list.",
        ge=0,
        le=2**32 - 1,
    )
    decay: float = setting(
        0.25,
        "The weight of each further feature family in the sum, as a multiple of the one before:"
        " 1, 0.25, 0.0625, and so on from the most to the least surprising.",
        unit="factor",
        ge=0,
        le=1,
    )
    tail: Literal["averaged", "body"] = setting(
        "averaged",
        "Where the slope beyond the observed tail comes from: the body and the top 2% averaged, or"
        " the body alone.",
    )
    absent_cap: float = setting(
        3.0,
        "The surprise that a customer without rows this week approaches, so that absence cannot"
        " crowd the list; that of one customer in √n where this is less.",
        unit="surprise",
        ge=0,
        le=100,
    )
    n_estimators: int = setting(
        500, "Trees of the isolation forest.", unit="trees", ge=1, le=10_000
    )
    max_samples: int = setting(
        256, "Customers that each tree of the forest sees.", unit="customers", ge=2, le=1_000_000
    )


class SignalRule(Section):
    """One rule that reads a customer's reasons as an opportunity or a concern."""

    name: str = Field(
        min_length=1, max_length=80, description="What the rule is called beside its signal."
    )
    families: tuple[Family, ...] = setting((), "Feature families of the reason.")
    codes: tuple[Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")], ...] = setting(
        (), "Codes of the reason."
    )
    any_reason: bool = setting(
        False, "Whether each of a customer's reasons is looked at, or only the leading one."
    )
    signal: Literal["opportunity", "concern"] = Field(description="What it means when it matches.")

    @model_validator(mode="after")
    def _matches_something(self) -> SignalRule:
        if not self.families and not self.codes:
            raise expected("at least one family or code in the rule")
        return self


DEFAULT_SIGNALS = (
    SignalRule(
        name="watched categories",
        codes=("WATCHED_CATEGORIES",),
        any_reason=True,
        signal="concern",
    ),
    SignalRule(name="rising for weeks", codes=("GROWTH_OVER_FOUR_WEEKS",), signal="concern"),
    SignalRule(name="many small tickets", codes=("MANY_SMALL_TICKETS",), signal="concern"),
    SignalRule(name="unusual tickets", families=("ticket",), signal="concern"),
    SignalRule(name="new categories", families=("novelty",), signal="concern"),
    SignalRule(name="refunds", codes=("REFUNDS",), signal="concern"),
    SignalRule(name="return after silence", codes=("RETURN_AFTER_SILENCE",), signal="concern"),
    SignalRule(name="gone silent", codes=("ABSENCE",), signal="concern"),
    SignalRule(
        name="many new customers in one category",
        codes=("MANY_NEW_LARGE_SPENDERS",),
        any_reason=True,
        signal="concern",
    ),
    SignalRule(name="growth", families=("growth",), signal="opportunity"),
)
"""Growth is business to win, unless it looks like a bust-out (a climb over weeks, cash-like
spending) or like collusion: to call one of those an opportunity costs more than a second look at a
good customer."""


class RankingConfig(Section):
    """Who is on the list, and what the list says about them."""

    top_n: int = setting(20, "Length of the list.", unit="customers", ge=1, le=100_000)
    min_spend: float = setting(
        0.0,
        "Customers who spent less this week are scored and counted, but not listed.",
        unit="account currency",
        ge=0,
    )
    min_transactions: int = setting(
        0,
        "Customers with fewer transactions this week are scored and counted, but not listed.",
        unit="transactions",
        ge=0,
    )
    peer_group_cap: float | None = setting(
        None,
        "The most of the list that may be customers of one peer group, by score; those beyond it"
        " are scored and counted, but not listed. null sets no limit.",
        unit="share of top_n",
        gt=0,
        le=1,
    )
    signals: tuple[SignalRule, ...] = setting(
        DEFAULT_SIGNALS,
        "Rules that read a customer's reasons, by family or code, as an opportunity or a concern."
        " Without any_reason only the leading one counts. The first rule that matches decides."
        " Families: own_history, growth, peer_group, novelty, ticket, events.",
    )
    default_signal: Literal["opportunity", "concern"] = setting(
        "concern", "The signal where no rule matches."
    )


class DriftConfig(Section):
    """From where on it is told that a week is distributed otherwise than the weeks before."""

    moved_psi: float = setting(
        0.1,
        "Population stability index of the scores or of a feature above which a sentence says so,"
        " unless chance alone explains it.",
        unit="PSI",
        gt=0,
    )
    shifted_psi: float = setting(
        0.25, "Index of the scores above which the list is not to be relied on.", unit="PSI", gt=0
    )


class ReviewConfig(Section):
    """What is learnt from the verdicts of those who read the lists."""

    learn: bool = setting(
        True,
        "Whether verdicts on earlier lists weigh the scores. Without verdicts it changes nothing;"
        " switched off, scores are what they would be without any.",
    )
    half_life_weeks: float = setting(
        6.0,
        "After so many weeks a verdict counts half, so that a change in what is wanted shows.",
        unit="weeks",
        gt=0,
        le=1_000,
    )
    prior: float = setting(
        10.0,
        "How many verdicts like the average one a reason is given to begin with: the more, the"
        " slower a weight leaves 1.",
        unit="verdicts",
        gt=0,
        le=10_000,
    )
    guards: int = setting(
        2,
        "The last places of the list that go by the score without weights, so that what verdicts"
        " moved down is still looked at.",
        unit="customers",
        ge=0,
        le=1_000,
    )
    goal_hit_rate: float = setting(
        0.6,
        "The share of reviewed customers that should turn out a confirmed risk or an opportunity.",
        unit="share of reviewed customers",
        ge=0,
        le=1,
    )
    goal_acted_rate: float = setting(
        0.3,
        "The share of reviewed customers about whom something should have been done.",
        unit="share of reviewed customers",
        ge=0,
        le=1,
    )
