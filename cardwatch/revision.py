"""A week's list beside the one that it replaced: who came, who went, who moved, and what changed.

Works from the output folder alone: the list there, and what the archive keeps of the run before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue

from cardwatch.comparison import list_of
from cardwatch.departures import Gone, departures, ranks
from cardwatch.errors import ConfigurationError
from cardwatch.history import Listing, read_list
from cardwatch.manifest import load_manifest
from cardwatch.outputs import OutputFile
from cardwatch.publish.archives import Archive, superseded, unpack
from cardwatch.publish.lock import reading
from cardwatch.reproduction import causes
from cardwatch.week import ReportingWeek


@dataclass(frozen=True)
class Revised:
    """A customer of the list as it is now.

    `rank_before` is the rank among all customers of the run before, None for one it did not score;
    `category_before` is None for one who was not on its list.
    """

    customer_id: str
    anomaly_rank: int
    rank_before: int | None
    risk_category: str
    category_before: str | None
    signal: str
    reason: str


@dataclass(frozen=True)
class Revision:
    """What a later run of a week changed in its list, each part in rank order.

    `moved` are on both lists with another rank or category, `same` counts the others on both.
    `causes` says what went into the two runs that differs.
    """

    week: ReportingWeek
    run_before: str
    run_now: str
    came: tuple[Revised, ...]
    gone: tuple[Gone, ...]
    moved: tuple[Revised, ...]
    same: int
    causes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The counts in one sentence."""
        return (
            f"Week {self.week}, run {self.run_now} instead of {self.run_before}: "
            f"{len(self.came)} came, {len(self.gone)} went, {len(self.moved)} moved, "
            f"{self.same} as before"
        )

    def document(self) -> dict[str, JsonValue]:
        """Return the revision as JSON values, the week as its label."""
        return {
            "reporting_week": self.week.label,
            "run_before": self.run_before,
            "run_now": self.run_now,
            "causes": list(self.causes),
            "came": [asdict(row) for row in self.came],
            "gone": [asdict(row) for row in self.gone],
            "moved": [asdict(row) for row in self.moved],
            "same": self.same,
            "warnings": list(self.warnings),
        }


def compare_with_superseded(
    folder: Path,
    week: ReportingWeek,
    *,
    timeout_seconds: float = 60,
    on_wait: Callable[[str], None] | None = None,
) -> Revision:
    """Compare a week's list with the last other one that it replaced.

    Parameters
    ----------
    folder : pathlib.Path
        The output folder. An interrupted write there is finished first.
    timeout_seconds, on_wait
        How long to wait for a run that is writing there, and who is told.

    Raises
    ------
    ConfigurationError
        If no list of the week was replaced by another one, or a list is missing or damaged.
    PublishError
        If a run holds the folder for too long.
    """
    with (
        reading(folder, timeout_seconds, on_wait),
        TemporaryDirectory(prefix="cardwatch-compare-") as name,
    ):
        now = list_of(folder, week)
        archive = _last_superseded(folder, week)
        before = _unpacked_list(archive, week, Path(name))
        return _revision(folder, week, archive, Path(name), before, now)


def _last_superseded(folder: Path, week: ReportingWeek) -> Archive:
    found = superseded(folder, week)
    if not found:
        raise ConfigurationError(
            "No list of this week was replaced by another one",
            where=f"week {week} in {folder}",
            next_step="A run that gives the same list again keeps nothing; "
            "what is kept goes output.retention_days after it was replaced",
        )
    return found[-1]


def _unpacked_list(archive: Archive, week: ReportingWeek, into: Path) -> tuple[Listing, ...]:
    try:
        unpack(archive, into)
    except OSError as error:
        raise ConfigurationError(
            "The replaced list cannot be read",
            where=str(archive.path),
            observed=error.strerror or type(error).__name__,
        ) from error
    listed = read_list(into, week)
    if listed is None:
        raise ConfigurationError(
            "The replaced list had been packed or moved away before it was replaced",
            where=str(archive.path),
            next_step="Unpack the week's own archive into another folder to see it",
        )
    return listed


def _revision(
    folder: Path,
    week: ReportingWeek,
    archive: Archive,
    unpacked: Path,
    before: tuple[Listing, ...],
    now: tuple[Listing, ...],
) -> Revision:
    warnings: list[str] = []
    listed_before = {row.customer_id: row for row in before}
    listed_now = {row.customer_id for row in now}
    new = [row.customer_id for row in now if row.customer_id not in listed_before]
    places = {row.customer_id: row.anomaly_rank for row in before}
    places |= ranks(unpacked, week, new, warnings)
    rows = [_revised(row, places, listed_before.get(row.customer_id)) for row in now]
    stayed = [row for row in rows if row.category_before is not None]
    moved = tuple(row for row in stayed if _has_moved(row))
    run_before, run_now, changed = _runs(folder, week, archive, unpacked, warnings)
    left = [row for row in before if row.customer_id not in listed_now]
    return Revision(
        week=week,
        run_before=run_before,
        run_now=run_now,
        came=tuple(row for row in rows if row.category_before is None),
        gone=departures(folder, week, left, now, warnings),
        moved=moved,
        same=len(stayed) - len(moved),
        causes=changed,
        warnings=tuple(warnings),
    )


def _revised(row: Listing, places: dict[str, int], before: Listing | None) -> Revised:
    return Revised(
        customer_id=row.customer_id,
        anomaly_rank=row.anomaly_rank,
        rank_before=places.get(row.customer_id),
        risk_category=row.risk_category,
        category_before=before.risk_category if before else None,
        signal=row.signal,
        reason=row.reason,
    )


def _has_moved(row: Revised) -> bool:
    return (row.anomaly_rank, row.risk_category) != (row.rank_before, row.category_before)


def _runs(
    folder: Path, week: ReportingWeek, archive: Archive, unpacked: Path, warnings: list[str]
) -> tuple[str, str, tuple[str, ...]]:
    """Return the ids of both runs, and what went into them that differs."""
    name = OutputFile.MANIFEST.of(week)
    try:
        before, now = load_manifest(unpacked / name), load_manifest(folder / name)
    except ConfigurationError as error:
        warnings.append(f"What changed is not known: {error.message}")
        return archive.run_id, "unknown", ()
    return before.run_id, now.run_id, tuple(causes(before, now))
