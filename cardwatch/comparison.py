"""Compare the lists of two weeks: who is new, who is back, who is gone and why.

Works from the files in the output folder alone: lists, scores, quarantine and manifests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import JsonValue

from cardwatch.departures import Gone, departures
from cardwatch.errors import ConfigurationError
from cardwatch.history import Listing, read_list
from cardwatch.manifest import RunManifest
from cardwatch.outputs import week_of
from cardwatch.publish.archives import packed as packed_weeks
from cardwatch.publish.lock import reading
from cardwatch.week import ReportingWeek


@dataclass(frozen=True)
class OnTheList:
    """A customer of the later list.

    Attributes
    ----------
    earlier_rank : int or None
        Rank on the earlier list; None if not on it.
    times_listed : int
        On how many lists, of those still in the folder and including the later one.
    weeks_in_a_row : int
        How many weeks without a break up to the later one.
    reason : str
        The first reason, empty if there is none.
    """

    customer_id: str
    anomaly_rank: int
    earlier_rank: int | None
    risk_category: str
    signal: str
    reason: str
    times_listed: int
    weeks_in_a_row: int


@dataclass(frozen=True)
class Comparison:
    """What changed between two lists, each part in rank order.

    `new` was on no list before, as far as the folder knows; `back` was on one, the earlier list or
    any before it.
    """

    earlier: ReportingWeek
    later: ReportingWeek
    new: tuple[OnTheList, ...]
    back: tuple[OnTheList, ...]
    gone: tuple[Gone, ...]
    warnings: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The counts in one sentence."""
        return (
            f"From {self.earlier} to {self.later}: {len(self.new)} new, {len(self.back)} back, "
            f"{len(self.gone)} gone"
        )

    def document(self) -> dict[str, JsonValue]:
        """Return the comparison as JSON values, weeks as labels."""
        return {
            "earlier": self.earlier.label,
            "later": self.later.label,
            "new": [asdict(row) for row in self.new],
            "back": [asdict(row) for row in self.back],
            "gone": [asdict(row) for row in self.gone],
            "warnings": list(self.warnings),
        }


def compare_weeks(
    folder: Path,
    earlier: ReportingWeek,
    later: ReportingWeek,
    *,
    timeout_seconds: float = 60,
    on_wait: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare two weeks' lists, in either order given.

    Parameters
    ----------
    folder : pathlib.Path
        The output folder. An interrupted write there is finished first.
    earlier, later : ReportingWeek
        Two different weeks whose lists are in the folder.
    timeout_seconds, on_wait
        How long to wait for a run that is writing there, and who is told.

    Raises
    ------
    ConfigurationError
        If the weeks are the same, or a list is missing or damaged.
    PublishError
        If a run holds the folder for too long.
    """
    if earlier == later:
        raise ConfigurationError("Two different weeks are needed", observed=f"{later} twice")
    earlier, later = sorted((earlier, later))
    with reading(folder, timeout_seconds, on_wait):
        return compare_listed(folder, earlier, later, list_of(folder, later))


def compare_listed(
    folder: Path,
    earlier: ReportingWeek,
    later: ReportingWeek,
    now: Sequence[Listing],
    *,
    later_folder: Path | None = None,
    manifest: RunManifest | None = None,
) -> Comparison:
    """Compare a list with an earlier week's in a folder to which nobody else is writing.

    Parameters
    ----------
    folder : pathlib.Path
        Where the earlier lists are.
    now : sequence of Listing
        The later list, in rank order.
    later_folder, manifest : optional
        Where its scores and its quarantine are, and its manifest, while it is being published.

    Raises
    ------
    ConfigurationError
        If the earlier list is missing or damaged.
    """
    before = list_of(folder, earlier)
    lists, warnings = _lists_before(folder, later)
    lists[later] = still_there = frozenset(row.customer_id for row in now)
    left = [row for row in before if row.customer_id not in still_there]
    gone = departures(later_folder or folder, later, left, now, warnings, manifest)
    ranks = {row.customer_id: row.anomaly_rank for row in before}
    present = [_on_the_list(row, ranks, later, lists) for row in now]
    return Comparison(
        earlier=earlier,
        later=later,
        new=tuple(row for row in present if row.times_listed == 1),
        back=tuple(row for row in present if row.times_listed > 1),
        gone=gone,
        warnings=tuple(warnings),
    )


def list_of(folder: Path, week: ReportingWeek) -> tuple[Listing, ...]:
    """Return the list of a week in the folder.

    Raises
    ------
    ConfigurationError
        If there is none, or it is damaged.
    """
    listed = read_list(folder, week)
    if listed is not None:
        return listed
    packed = packed_weeks(folder, week)
    step = f"Run `cardwatch run --reporting-week {week}`"
    if packed:
        step = f"It was packed: unpack {packed[-1]} into {folder}"
    raise ConfigurationError(
        "There is no list of this week", where=f"week {week} in {folder}", next_step=step
    )


def _lists_before(
    folder: Path, later: ReportingWeek
) -> tuple[dict[ReportingWeek, frozenset[str]], list[str]]:
    """Return who was on each list before `later` that is in the folder, and what is damaged."""
    lists: dict[ReportingWeek, frozenset[str]] = {}
    warnings = []
    weeks = {week for path in folder.iterdir() if (week := week_of(path.name)) and week < later}
    for week in sorted(weeks):
        try:
            listed = read_list(folder, week)
        except ConfigurationError as error:
            warnings.append(f"The list of week {week} is not counted: {error.message}")
            continue
        if listed is not None:
            lists[week] = frozenset(row.customer_id for row in listed)
    return lists, warnings


def _on_the_list(
    row: Listing,
    earlier_ranks: Mapping[str, int],
    later: ReportingWeek,
    lists: Mapping[ReportingWeek, frozenset[str]],
) -> OnTheList:
    weeks_in_a_row = 0
    while row.customer_id in lists.get(later - weeks_in_a_row, frozenset()):
        weeks_in_a_row += 1
    return OnTheList(
        customer_id=row.customer_id,
        anomaly_rank=row.anomaly_rank,
        earlier_rank=earlier_ranks.get(row.customer_id),
        risk_category=row.risk_category,
        signal=row.signal,
        reason=row.reason,
        times_listed=sum(row.customer_id in listed for listed in lists.values()),
        weeks_in_a_row=weeks_in_a_row,
    )
