"""The JSON list as a report reads it: what it needs, and nothing that cannot be what it says."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, ValidationError

from cardwatch.errors import ConfigurationError
from cardwatch.schema import RiskCategory, Signal

OLDEST = 2
"""The first `format_version` that says of a customer what a report shows."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ReasonPart(_Part):
    """A reason, and its part of the customer's surprise_total."""

    sentence: str
    contribution: float
    mcc: str | None


class CategoryPart(_Part):
    """One merchant category of the week."""

    mcc: str
    name: str
    spend: float
    usual_spend: float
    is_new: bool


class WeekPart(_Part):
    """One week of a customer."""

    week_start: date
    spend: float | None


class UsualPart(_Part):
    """The customer's usual week."""

    spend: float | None
    transaction_count: float | None
    ticket: float | None


class PeersPart(_Part):
    """The week of the peer group."""

    group: int
    spend: float
    transaction_count: float
    ticket: float
    mcc_diversity: float


class CustomerPart(_Part):
    """One listed customer; the last two are what they are where an older version wrote it."""

    customer_id: str
    anomaly_score: float
    anomaly_rank: int
    risk_category: RiskCategory
    total_spend: float
    transaction_count: int
    mcc_diversity: int
    signal: Signal
    signal_rule: str
    history_weeks: int
    surprise_total: float
    reasons: tuple[ReasonPart, ...]
    categories: tuple[CategoryPart, ...]
    weeks: tuple[WeekPart, ...]
    usual: UsualPart
    peers: PeersPart
    rank_stability: float = 0.0
    guard: bool = False


class CoveragePart(_Part):
    """Who and what was counted."""

    rows_in: int
    rows_accepted: int
    rows_quarantined: int
    rows_scored_week: int
    customers_in: int
    customers_scored: int
    customers_absent: int
    customers_unscored: dict[str, int]


class FindingPart(_Part):
    """What one rule of the contract found."""

    sentence: str
    action: str
    rows: int
    customers: int


class PortfolioPart(_Part):
    """All customers' transactions of one week."""

    week_start: date
    spend: float
    transaction_count: int
    customers: int


class Document(_Part):
    """The JSON list; `portfolio` is empty where an older version wrote it."""

    format_version: int
    reporting_week: str
    week_start: date
    week: str
    detector: str
    customers: tuple[CustomerPart, ...]
    left_out_by_policy: dict[str, int]
    coverage: CoveragePart
    quarantine: tuple[FindingPart, ...]
    notes: tuple[str, ...]
    portfolio: tuple[PortfolioPart, ...] = ()


def read_document(text: str | bytes, where: str) -> Document:
    """Read a JSON list.

    Raises
    ------
    ConfigurationError
        If it is damaged, or older than `OLDEST`. The message shows no value of it.
    """
    try:
        document = Document.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or "the whole file"
        raise _unreadable(where, f"{field}: {first['type'].replace('_', ' ')}") from None
    if document.format_version < OLDEST:
        raise _unreadable(where, f"format_version {document.format_version}")
    return document


def _unreadable(where: str, observed: str) -> ConfigurationError:
    return ConfigurationError(
        "The list cannot be made into a report",
        where=where,
        observed=observed,
        expected=f"an anomalies_YYYY-WW.json of format_version {OLDEST} or later",
        next_step="Restore the file, or run the week again",
    )
