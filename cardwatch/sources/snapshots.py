"""What a kind of database must offer so that `DatabaseSource` can read from it.

An adapter knows its database's dialect and driver, and nothing of spending: it describes the
columns of a table (or of a query), says which weeks or times a column holds, and hands over chosen
rows. Everything it is asked within one `Snapshot` has the same answer, whoever writes meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import pyarrow as pa

ROW_COUNT, ROW_HASH = "row_count", "row_hash"
"""Columns that adapters add: how many rows are meant, and a hash (or a sum of hashes) of theirs."""


@dataclass(frozen=True)
class Field:
    """A column as its database describes it.

    Attributes
    ----------
    kind : str
        The engine's type of its values as they arrive; what the engine has no type for is text.
    is_free_text : bool
        Whether it may hold any text, and so a card number.
    is_exact : bool
        Whether its values are numbers that arrive as text, for their digits.
    """

    name: str
    kind: str
    is_free_text: bool = False
    is_exact: bool = False


@dataclass(frozen=True)
class Wanted:
    """A column to read, by its position, as text or as its own kind.

    It arrives as `name`. A date or time that is not read as text arrives as `far` instead, as text,
    where it lies outside what Arrow can hold.
    """

    at: int
    as_text: bool = False

    @property
    def name(self) -> str:
        """The name it arrives under."""
        return f"c{self.at}"

    @property
    def far(self) -> str:
        """The name that texts of times out of reach arrive under."""
        return f"far{self.at}"


@dataclass(frozen=True)
class WeekTexts:
    """Rows whose column has one of these texts, or NULL, or a text too long to be listed."""

    at: int
    texts: Sequence[str]
    or_null: bool = False
    or_endless: bool = False


@dataclass(frozen=True)
class Times:
    """Rows with a time in [first, after); with `or_no_day`, also NULL and times that are no day.

    A day stands for one in any time zone: what is selected may begin and end some days wider, never
    narrower.
    """

    at: int
    first: date
    after: date
    or_no_day: bool = False


Where = WeekTexts | Times | None
"""Which rows are meant; None means all."""


@dataclass(frozen=True)
class SoundRows:
    """What the contract accepts of transactions, as far as settings decide it.

    Attributes
    ----------
    currency : str
        The portfolio's currency, in capitals; empty where rows carry none.
    largest_amount : float
        Amounts further from zero are set aside.
    longest_id : int
        Characters of the longest customer id.
    """

    currency: str
    largest_amount: float
    longest_id: int


@dataclass(frozen=True)
class Sums:
    """How transactions that are certainly sound are added up per customer, week and category.

    Attributes
    ----------
    texts : tuple of Wanted
        Free text beside our columns.
    bounds : tuple of datetime
        Where weeks begin, as the column of times knows moments, and where the last one ends.
    weeks : tuple of int
        The weeks that are added up; 1 is the one between the first two bounds.
    sound : SoundRows
        What is certainly sound.
    """

    customer: Wanted
    time: Wanted
    mcc: Wanted
    amount: Wanted
    currency: Wanted | None
    texts: tuple[Wanted, ...]
    bounds: tuple[datetime, ...]
    weeks: tuple[int, ...]
    sound: SoundRows


SUMMED = ("customer_id", "week", "mcc", "spend_cents", "transaction_count", "has_seconds")
"""Columns of sums, in order; ``week`` counts as in `Sums.weeks`."""
IS_DOUBTFUL = "is_doubtful"
"""Whether a sum lacks rows that may not be sound, or has two that may be the same."""


@dataclass(frozen=True)
class Rows:
    """Rows of one schema, as they arrive; `SourceError` may come with any batch."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Snapshot(Protocol):
    """One read-only view of a table, in which nothing changes. It must be closed.

    Methods raise `SourceError`, with ``retryable`` set where another attempt may succeed.
    """

    @property
    def fields(self) -> Sequence[Field]:
        """The columns, in order."""
        ...

    def server(self) -> str:
        """Return what answers, and to whom, in one sentence."""
        ...

    def week_values(self, column: Wanted) -> Rows:
        """Return values of a column from which its weeks can be told: see `tally`.

        NULL and times that are no day may be missing; an index may spare reading all rows.
        """
        ...

    def tally(self, column: Wanted, where: Where, content: Sequence[Wanted] = ()) -> Rows:
        """Return the values of a column and, as `ROW_COUNT`, how many rows have them.

        Texts are cut after ``LONGEST_WEEK + 1`` characters, and only the first `MAX_WEEK_TEXTS`
        are returned. Times are those of the beginning of each quarter of an hour of UTC (of each
        day, for times without a zone); NULL for times that are no day.

        With `content`, the columns whose content counts, `ROW_HASH` is the sum of their rows'
        hashes as text; it is left out where the database cannot hash.
        """
        ...

    def rows(self, wanted: Sequence[Wanted], where: Where, *, hashed: bool = False) -> Rows:
        """Return rows; with `hashed`, and where the database can, also each one's `ROW_HASH`."""
        ...

    def sums(self, sums: Sums) -> Rows | None:
        """Return transactions added up: `SUMMED` and `IS_DOUBTFUL`.

        None where the database cannot tell which rows are sound, or not add them up exactly.
        """
        ...

    def remainder(
        self, wanted: Sequence[Wanted], where: Where, sums: Sums, customers: Sequence[str]
    ) -> Rows:
        """Return the rows that are in no sum, and all rows of some customers."""
        ...

    def close(self) -> None:
        """Let go of the view."""
        ...


class Database(Protocol):
    """A table (or query) of some database."""

    @property
    def origin(self) -> str:
        """What it is called in messages, without secrets."""
        ...

    @property
    def table(self) -> str:
        """What rows are said to come from: the table's own name, or ``query``."""
        ...

    @property
    def kind(self) -> str:
        """What is read, in a word: ``table`` or ``query``."""
        ...

    def open(self) -> Snapshot:
        """Connect, and return a view of the table as it is now."""
        ...
