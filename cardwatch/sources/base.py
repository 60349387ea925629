"""What every source of spending offers, whatever lies behind it.

A source hands over rows as they were delivered: nothing is cast, altered or dropped. What is wrong
with a row is for the contract to say. Three guarantees hold for every source:

- only the weeks that are asked for are read;
- a row whose week or time cannot be read comes with the scored week, so that it is counted;
- an error says where and what, and never holds a row's value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cardwatch.errors import WeekNotAvailableError
from cardwatch.schema import Delivery, Shape, WeekSummary
from cardwatch.week import Numbering, ReportingWeek
from cardwatch.wording import counted

_SHAPES: Mapping[Shape, str] = {
    "weekly": "one row per customer, week and merchant category",
    "transactions": "one row per transaction",
}


@dataclass(frozen=True)
class SourceReport:
    """What a source found when it was tried.

    Attributes
    ----------
    kind : str
        What the data is, in words: ``Parquet files``, ``CSV files``, ``rows in memory``.
    items : int
        How many files (or tables) it comes in.
    columns : mapping
        Our names of the columns to the names they have in the data.
    weeks : tuple of ReportingWeek
        The weeks with rows, oldest first.
    rows, unreadable_rows : int
        All rows, and those among them whose week or time cannot be read.
    """

    origin: str
    kind: str
    items: int
    shape: Shape
    columns: Mapping[str, str]
    weeks: tuple[ReportingWeek, ...]
    rows: int
    unreadable_rows: int = 0
    notes: tuple[str, ...] = ()
    numbering: Numbering = field(default="guide", repr=False)

    @property
    def summary(self) -> str:
        """Everything above in a few plain sentences, on one line."""
        first, last = (week.display(self.numbering) for week in (self.weeks[0], self.weeks[-1]))
        weeks = f"{len(self.weeks):,} weeks, {first} to {last}" if first != last else f"week {last}"
        columns = [
            ours if ours == theirs else f"{ours} from '{theirs}'"
            for ours, theirs in self.columns.items()
        ]
        sentences = [
            f"{self.origin}: {self.items:,} {self.kind}, {_SHAPES[self.shape]};"
            f" {counted(self.rows, 'row')} in {weeks}.",
            f"Columns: {', '.join(columns)}.",
        ]
        if self.unreadable_rows:
            sentences.append(f"In {counted(self.unreadable_rows, 'row')} the week cannot be read.")
        return " ".join([*sentences, *self.notes])


class Source(Protocol):
    """Where spending comes from.

    Methods raise `SourceError` where the data cannot be reached or read, and `ConfigurationError`
    where a setting does not fit the data.
    """

    @property
    def origin(self) -> str:
        """What the data is called in messages, without secrets."""
        ...

    def test_connection(self) -> SourceReport:
        """Reach the data, and say what is there."""
        ...

    def weeks(self) -> list[WeekSummary]:
        """Return rows, customers and net spend of each week present, oldest first.

        Amounts that cannot be read count as nothing.
        """
        ...

    def present(self) -> tuple[ReportingWeek, ...]:
        """Return the weeks that have rows, oldest first; much cheaper than `weeks`."""
        ...

    def read(self, week: ReportingWeek, reference_weeks: int) -> Delivery:
        """Return the rows of one week and of the `reference_weeks` weeks before it.

        Raises
        ------
        WeekNotAvailableError
            If the source has no rows for `week`. A missing reference week is no error.
        """
        ...


def week_not_available(
    week: ReportingWeek, present: Sequence[ReportingWeek], origin: str, numbering: Numbering
) -> WeekNotAvailableError:
    """Return the error of a week that has no rows, naming the last week that has."""
    last = max(present)
    label = last.label if numbering == "guide" else last.iso_label
    return WeekNotAvailableError(
        f"There are no rows for week {week.display(numbering)}",
        where=origin,
        observed=f"{counted(len(present), 'week')}, the last one {last.display(numbering)}",
        next_step=f"Run `python main.py --reporting-week {label}`, or see `cardwatch weeks`",
    )
