"""Which past weeks can be tried."""

from __future__ import annotations

from collections.abc import Sequence

from cardwatch.errors import WeekNotAvailableError
from cardwatch.features.window import MIN_REFERENCE_WEEKS
from cardwatch.week import ReportingWeek


def scorable_weeks(
    present: Sequence[ReportingWeek], last: ReportingWeek, number: int, reference_weeks: int
) -> tuple[ReportingWeek, ...]:
    """Return the last `number` weeks up to `last` that can be scored as usual, oldest first.

    Such a week has rows, and so have at least four of its reference weeks: before that customers
    are not compared with their own past.

    Raises
    ------
    WeekNotAvailableError
        If there are not so many.

    Examples
    --------
    >>> week = ReportingWeek.parse("2025-46")
    >>> [each.label for each in scorable_weeks(week.window(6), week - 1, 2, 12)]
    ['2025-44', '2025-45']
    """
    held = set(present)
    needed = min(MIN_REFERENCE_WEEKS, reference_weeks)
    fit = [
        week
        for week in sorted(held)
        if week <= last and len(held & set(week.window(reference_weeks))) >= needed
    ]
    if len(fit) < number:
        first = f", from {fit[0]} to {fit[-1]}" if fit else ""
        raise WeekNotAvailableError(
            "The source holds too few weeks to try",
            where=f"--weeks {number}",
            observed=f"{len(fit)} up to {last} with {needed} reference weeks or more{first}",
            expected=f"{number}",
            next_step="`cardwatch weeks` lists what it holds",
        )
    return tuple(fit[-number:])
