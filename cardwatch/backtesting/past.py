"""What was recorded at the time: the lists, the verdicts on them, and what runs had to go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cardwatch.errors import ConfigurationError
from cardwatch.history import EarlierWeek, History, read_history, read_list
from cardwatch.review.ledger import read_reviews, standing
from cardwatch.review.verdicts import Review
from cardwatch.week import ReportingWeek


@dataclass(frozen=True)
class Past:
    """The records of an output folder that the weeks of a backtest meet.

    Attributes
    ----------
    history : mapping of week to History
        What a run of each week may use: nothing of that week or later.
    lists : mapping of week to tuple of customer ids
        The lists that are there, in rank order.
    reviews : mapping of week to reviews
        The verdicts that stand on each week's list.
    """

    history: Mapping[ReportingWeek, History]
    lists: Mapping[ReportingWeek, tuple[str, ...]]
    reviews: Mapping[ReportingWeek, tuple[Review, ...]]
    warnings: tuple[str, ...] = ()

    def before(self, week: ReportingWeek, tried: Sequence[EarlierWeek]) -> History:
        """Return what a run of a week may use, with weeks that were tried in place of recorded."""
        recorded = self.history[week]
        known = {each.week: each for each in recorded.weeks}
        known |= {each.week: each for each in tried if each.week < week}
        return replace(recorded, weeks=tuple(known[each] for each in sorted(known)))


def read_past(folder: Path, weeks: Sequence[ReportingWeek]) -> Past:
    """Read what an output folder holds of some weeks, and what each of them may use.

    What cannot be read is left out and said.
    """
    history = {week: read_history(folder, week) for week in weeks}
    warnings = [text for each in history.values() for text in each.warnings]
    lists: dict[ReportingWeek, tuple[str, ...]] = {}
    for week in weeks:
        try:
            found = read_list(folder, week)
        except ConfigurationError as error:
            warnings.append(f"The list of week {week} is left out: {error.message}")
            continue
        if found is not None:
            lists[week] = tuple(each.customer_id for each in found)
    try:
        reviews = standing(read_reviews(folder))
    except ConfigurationError as error:
        warnings.append(f"The verdicts are left out: {error.message}")
        reviews = ()
    on = {week: tuple(each for each in reviews if each.week == week) for week in weeks}
    return Past(history, lists, on, tuple(dict.fromkeys(warnings)))
