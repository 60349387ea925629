"""Reporting weeks: Monday to Sunday, labelled as the deployment guide's runbook labels them.

A label ``YYYY-WW`` is ``strftime("%Y-%W")`` of the week's Monday, because the guide's runbook calls
``main.py --reporting-week $(date +%Y-%W)``. Days before January's first Monday carry the label
``YYYY-00`` there; they belong to the last week of the year before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, overload

from cardwatch.errors import ConfigurationError

Numbering = Literal["guide", "iso"]

_LABEL = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_ISO_LABEL = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, order=True)
class ReportingWeek:
    """One Monday-to-Sunday week, ordered in time.

    Parameters
    ----------
    monday : datetime.date
        The week's first day.

    Raises
    ------
    ConfigurationError
        If `monday` is not a Monday.

    Examples
    --------
    >>> week = ReportingWeek.parse("2025-46")
    >>> week.monday, week.iso_label
    (datetime.date(2025, 11, 17), '2025-W47')
    >>> (week + 1).label, week - ReportingWeek.parse("2025-40")
    ('2025-47', 6)
    """

    monday: date

    def __post_init__(self) -> None:
        if self.monday.weekday() != 0:
            raise ConfigurationError(
                "A reporting week begins on a Monday",
                observed=f"{self.monday} ({self.monday:%A})",
                next_step="ReportingWeek.containing(day) finds the week that holds a day",
            )

    @classmethod
    def containing(cls, day: date) -> ReportingWeek:
        """Return the week that holds `day`."""
        return cls(day - timedelta(days=day.weekday()))

    @classmethod
    def parse(cls, text: str, numbering: Numbering = "guide") -> ReportingWeek:
        """Read a week from a label or from a date in it.

        Parameters
        ----------
        text : str
            ``2025-46`` (in `numbering`), ``2025-W47`` (ISO 8601), ``2025-11-20`` (a day of it), or
            ``2026-00`` (the days before January's first Monday).
        numbering : {"guide", "iso"}
            How a bare ``YYYY-WW`` is read.

        Raises
        ------
        ConfigurationError
            If the text is none of these, or names a week its year does not have.

        Examples
        --------
        >>> ReportingWeek.parse("2026-00") == ReportingWeek.parse("2025-52")
        True
        """
        text = text.strip()
        try:
            if match := _ISO_LABEL.fullmatch(text):
                return cls._from_iso_label(int(match[1]), int(match[2]))
            if match := _DATE.fullmatch(text):
                return cls.containing(date(int(match[1]), int(match[2]), int(match[3])))
            if match := _LABEL.fullmatch(text):
                year, number = int(match[1]), int(match[2])
                if numbering == "iso":
                    return cls._from_iso_label(year, number)
                return cls._from_guide_label(year, number)
        except (ValueError, OverflowError) as error:
            raise _unreadable(text, f"a week that does not exist ({error})") from error
        raise _unreadable(text, "text that is no week")

    @classmethod
    def _from_iso_label(cls, year: int, number: int) -> ReportingWeek:
        try:
            return cls(date.fromisocalendar(year, number, 1))
        except ValueError as error:
            raise ValueError(f"{year} has no ISO week {number:02d}") from error

    @classmethod
    def _from_guide_label(cls, year: int, number: int) -> ReportingWeek:
        new_year = date(year, 1, 1)
        if number == 0 and new_year.weekday() != 0:
            return cls.containing(new_year)
        first_monday = new_year + timedelta(days=(7 - new_year.weekday()) % 7)
        monday = first_monday + (number - 1) * _WEEK
        if number == 0 or monday.year != year:
            raise ValueError(f"{year} has no week {number:02d}")
        return cls(monday)

    @property
    def label(self) -> str:
        """The guide's label, ``strftime("%Y-%W")`` of the Monday, used in names and outputs."""
        return f"{self.monday.year:04d}-{self.monday.strftime('%W')}"

    @property
    def iso_label(self) -> str:
        """The ISO 8601 label, for example ``2025-W47``."""
        year, number, _ = self.monday.isocalendar()
        return f"{year:04d}-W{number:02d}"

    @property
    def sunday(self) -> date:
        """The week's last day, or the calendar's (9999-12-31 stands for "never" in some data)."""
        return self.monday + min(timedelta(days=6), date.max - self.monday)

    @property
    def dates(self) -> str:
        """The range of days as people see it, for example ``17–23 November 2025``."""
        first, last = self.monday, self.sunday
        end = f"{last.day} {last:%B} {last.year}"
        if first.year != last.year:
            return f"{first.day} {first:%B} {first.year} – {end}"
        if first.month != last.month:
            return f"{first.day} {first:%B} – {end}"
        return f"{first.day}–{end}"

    def label_in(self, numbering: Numbering) -> str:
        """Return the label as people see it; either form is understood as an option."""
        return self.label if numbering == "guide" else self.iso_label

    def display(self, numbering: Numbering = "guide") -> str:
        """Label and dates together, the label in the chosen numbering."""
        return f"{self.label_in(numbering)} ({self.dates})"

    def is_over(self, today: date) -> bool:
        """Whether the whole week lies before `today`."""
        return self.sunday < today

    def window(self, count: int) -> tuple[ReportingWeek, ...]:
        """Return the `count` weeks before this one, oldest first."""
        return tuple(self - back for back in range(count, 0, -1))

    def until(self, last: ReportingWeek) -> Iterator[ReportingWeek]:
        """Yield this week and every later one up to and including `last`."""
        for ahead in range(last - self + 1):
            yield self + ahead

    def __add__(self, weeks: int) -> ReportingWeek:
        try:
            return ReportingWeek(self.monday + weeks * _WEEK)
        except OverflowError as error:
            raise ConfigurationError(
                "The calendar has no such week",
                observed=f"{abs(weeks)} weeks {'before' if weeks < 0 else 'after'} {self.label}",
                expected="a week of the years 1 to 9999",
            ) from error

    @overload
    def __sub__(self, other: int) -> ReportingWeek: ...
    @overload
    def __sub__(self, other: ReportingWeek) -> int: ...
    def __sub__(self, other: int | ReportingWeek) -> ReportingWeek | int:
        if isinstance(other, ReportingWeek):
            return (self.monday - other.monday).days // 7
        return self + -other

    def __str__(self) -> str:
        return self.label


def _unreadable(text: str, problem: str) -> ConfigurationError:
    shown = f"'{text}', {problem}" if re.fullmatch(r"[\w-]{1,16}", text) else "text of another form"
    return ConfigurationError(
        "The reporting week cannot be read",
        observed=shown if text else "nothing",
        expected="a label like 2025-46, an ISO label like 2025-W47, or a date like 2025-11-20",
        next_step="`cardwatch weeks` lists the weeks in the source",
    )
