"""What a source delivers, and what the contract accepts of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Literal

from cardwatch.week import ReportingWeek

Shape = Literal["weekly", "transactions"]

WEEKLY_COLUMNS = ("customer_id", "reporting_week", "mcc", "spend_amount", "transaction_count")
WEEKLY_OPTIONAL = ("avg_ticket_amount",)
TRANSACTION_COLUMNS = ("customer_id", "transaction_time", "mcc", "amount")
TRANSACTION_OPTIONAL = ("currency",)


@dataclass(frozen=True)
class WeekSummary:
    """What a source holds for one week: rows, distinct customers and net spend."""

    week: ReportingWeek
    rows: int
    customers: int
    spend: Decimal


@dataclass(frozen=True)
class Delivery:
    """The rows of a run's weeks as a source delivered them: nothing cast, altered or dropped.

    Attributes
    ----------
    select : callable
        Given weeks, returns the text of a SELECT over the engine that reads just those weeks. Its
        columns, weekly shape: ``customer_id, week_value VARCHAR, week_start DATE, mcc,
        spend_amount, transaction_count, avg_ticket_amount, source_file VARCHAR``; transactions:
        ``customer_id, week_value, week_start, transaction_time, mcc, amount, currency,
        source_file``; and then `extra_columns`. Values keep the type they were delivered
        in (text in a CSV). ``week_start`` is NULL where the week or time cannot be read; such rows
        come with the scored week, so that they are quarantined rather than lost.
    content_key : callable
        Given a week, a text that changes whenever that week's delivered content changes; None where
        the source cannot tell without reading (the week is then never cached).
    extra_columns : tuple of str
        Further text columns of the delivery, scanned for card numbers and otherwise unused.
    origin : str
        What the data is called in messages, without secrets: a path, or server and table.
    notes : tuple of str
        Sentences for the reader about the delivery, for example a file given twice.
    summed : callable
        Given weeks, the portfolio's currency, the largest amount and the longest id, the SELECT of
        what the source added up: ``week_start, customer_id, mcc, spend_cents, transaction_count,
        has_seconds``, of rows that surely break no rule, hold no long digits and are no copies.
        `select` leaves them out from then on. Empty where nothing is added up.
    release : callable
        Called once every wanted week was selected: the source lets go of what it holds open.
    rows : int or None
        Rows of all the weeks, where the source counted them on the way; those that it may add up
        itself are left out.
    """

    week: ReportingWeek
    reference_weeks: tuple[ReportingWeek, ...]
    shape: Shape
    select: Callable[[Sequence[ReportingWeek]], str]
    content_key: Callable[[ReportingWeek], str | None]
    origin: str
    extra_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    summed: Callable[[Sequence[ReportingWeek], str, float, int], str] = lambda *asked: ""
    release: Callable[[], None] = lambda: None
    rows: int | None = None


@dataclass(frozen=True)
class QuarantineCount:
    """How much one rule set aside or remarked on.

    `customers` is 0 where the finding is about the delivery as a whole.
    """

    reason: str
    sentence: str
    action: str
    rows: int
    customers: int


@dataclass(frozen=True)
class Coverage:
    """The two identities of a run, over the window and over the scored week.

    ``rows_in == rows_accepted + rows_quarantined`` and
    ``customers_in == customers_scored + sum(customers_unscored.values())``.
    `rows_in` counts delivered rows; `cells` counts accepted customer × week × MCC rows after the
    roll-up. `customers_scored` is filled by the pipeline after detection.
    """

    rows_in: int
    rows_accepted: int
    rows_quarantined: int
    rows_scored_week: int
    cells: int
    customers_in: int
    customers_scored: int = 0
    customers_absent: int = 0
    customers_unscored: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Coverage) -> Coverage:
        """Return the coverage of both, which have no customer in common."""
        unscored = Counter(self.customers_unscored) + Counter(other.customers_unscored)
        sums = {
            each.name: getattr(self, each.name) + getattr(other, each.name)
            for each in fields(self)
            if each.name != "customers_unscored"
        }
        return Coverage(**sums, customers_unscored=unscored)


@dataclass(frozen=True)
class Checked:
    """What the contract accepted (tables ``customer`` and ``cell``) and what it set aside."""

    week: ReportingWeek
    reference_weeks: tuple[ReportingWeek, ...]
    weeks_present: tuple[ReportingWeek, ...]
    coverage: Coverage
    findings: tuple[QuarantineCount, ...]
    warnings: tuple[str, ...]
    week_fingerprints: Mapping[str, str]
    """Per week label, a digest of the week's own usable rows and of those set aside by themselves.

    It depends neither on their order nor on which week is scored, so that weeks can be compared
    from run to run.
    """
    stray_fingerprint: str = ""
    """Digest of the rows whose week is not known; empty where there are none."""
    source_keys: Mapping[str, str | None] = field(default_factory=dict)
    """Per week label of the window, `Delivery.content_key`: None where the source cannot tell."""
    cache_warnings: tuple[str, ...] = ()
    """What was amiss with the cache; it changes no result, so no result tells of it."""

    @property
    def input_weeks(self) -> dict[str, str]:
        """The digests of the weeks that have accepted rows, by label."""
        labels = (week.label for week in self.weeks_present)
        return {label: self.week_fingerprints[label] for label in labels}
