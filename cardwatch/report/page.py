"""What stands on a page, as words, figures and charts in the order of reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Chart = Mapping[str, Any]
"""A chart as `charts` specifies it."""


@dataclass(frozen=True)
class Figure:
    """A headline figure, last week's and what lies between them; empty where not known."""

    label: str
    value: str
    before: str
    change: str


@dataclass(frozen=True)
class Entry:
    """A customer who is new on the list, or back, and how long or how often listed."""

    customer: str
    rank: int
    category: str
    signal: str
    reason: str
    since: str


@dataclass(frozen=True)
class Departure:
    """A customer who left the list, and why."""

    customer: str
    earlier_rank: int
    why: str


@dataclass(frozen=True)
class Group:
    """Those who are new, or those who are back; `total` counts those beyond the ones shown too."""

    entries: tuple[Entry, ...]
    total: int


@dataclass(frozen=True)
class Changes:
    """What changed since an earlier list: `since` names its week."""

    since: str
    new: Group
    back: Group
    gone: tuple[Departure, ...]
    gone_total: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Reason:
    """A reason, and its share of what makes the customer stand out, in words."""

    sentence: str
    share: str


@dataclass(frozen=True)
class Comparison:
    """One measure of a customer: this week, the usual week, and similar customers' this week."""

    measure: str
    this_week: str
    usual: str
    peers: str


@dataclass(frozen=True)
class Card:
    """One listed customer; the charts are None where they are left away or there is nothing.

    `category_words` stand above the bars of the second chart: name and figures. `remarks` say how
    the customer came to be on the list, and how firmly.
    """

    rank: int
    customer: str
    category: str
    signal: str
    rule: str
    score: str
    spend: str
    since: str
    reasons: tuple[Reason, ...]
    spend_chart: Chart | None
    usual_range: str
    category_chart: Chart | None
    category_words: tuple[tuple[str, str], ...]
    other_categories: str
    comparisons: tuple[Comparison, ...]
    peer_group: int
    history: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One row of a table; the first cell is its heading."""

    head: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A small table."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class PeerGroups:
    """The list by peer group beside the portfolio: what to know of it, and the figures."""

    sentences: tuple[str, ...]
    table: Table


@dataclass(frozen=True)
class Page:
    """Everything on the page of one week; `span` says which weeks the trends are of."""

    label: str
    dates: str
    title: str
    environment: str
    currency: str
    has_masked_ids: bool
    remarks: tuple[str, ...]
    figures: tuple[Figure, ...]
    changes: Changes | None
    no_changes: str
    cards: tuple[Card, ...]
    listed: int
    not_listed: tuple[str, ...]
    span: str
    trends: tuple[Chart, ...]
    quality: tuple[Table, ...]
    has_findings: bool
    groups: PeerGroups | None
    drift: tuple[str, ...]
    drift_tables: tuple[Table, ...]
    made: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]

    @property
    def ranks(self) -> frozenset[int]:
        """The ranks of the customers who have a card here, to which links may go."""
        return frozenset(card.rank for card in self.cards)


@dataclass(frozen=True)
class IndexRow:
    """One week of the index; figures are empty where its record is gone."""

    label: str
    file: str
    dates: str
    listed: str
    flagged: str
    critical: str
    customers: str


@dataclass(frozen=True)
class Index:
    """The page that links the weeks, newest first; `packed` counts weeks in the archive."""

    rows: tuple[IndexRow, ...]
    packed: int
