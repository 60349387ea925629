"""What was recorded of earlier weeks that a run may use: scores, lists and verdicts, fingerprinted.

Only weeks before the scored one are read, so that running an old week again never sees a later one.
What cannot be read is left out and said, never an error: a list can always be made without it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import JsonValue

from cardwatch.errors import ConfigurationError
from cardwatch.fingerprints import fingerprint, scores_fingerprint
from cardwatch.manifest import HistoryRecord, RunManifest, load_manifest
from cardwatch.outputs import OutputFile, restore
from cardwatch.review.ledger import read_reviews, standing
from cardwatch.review.snooze import Snooze, read_snoozes, standing_snoozes
from cardwatch.review.verdicts import Review
from cardwatch.schema import Distributions
from cardwatch.week import ReportingWeek

WEEKS_BACK = 6
"""How many comparable weeks thresholds rest on."""
REACH = 2
"""How many times `weeks_back` calendar weeks are looked at, so that a missed week costs little."""


@dataclass(frozen=True)
class Listing:
    """One customer of an earlier list.

    `reason_codes` and `features`, those behind the reasons, are empty where only the CSV was
    written.
    """

    customer_id: str
    anomaly_rank: int
    risk_category: str
    signal: str
    reasons: tuple[str, ...]
    reason_codes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    is_guard: bool = False

    @property
    def reason(self) -> str:
        """The first reason, empty if there is none."""
        return self.reasons[0] if self.reasons else ""


@dataclass(frozen=True)
class EarlierWeek:
    """What one earlier run recorded.

    Attributes
    ----------
    detector, score_version : str
        What made the scores.
    score_basis : str
        Equal for weeks whose scores are comparable; see `manifest.score_basis`.
    score_quantiles : dict
        Quantiles of that week's scores, by probability as text.
    listed : tuple of Listing, or None
        The list, in rank order; None when its files are gone (packed into the archive) or damaged.
    distributions : Distributions
        What drift is measured against.
    """

    week: ReportingWeek
    detector: str
    score_version: str
    score_basis: str
    score_quantiles: dict[str, float]
    listed: tuple[Listing, ...] | None
    distributions: Distributions = Distributions({}, 0, 0, {}, {})

    @property
    def fingerprint(self) -> str:
        """Digest of what thresholds rest on: the quantiles and what made them comparable."""
        return scores_fingerprint(self.week, self.score_basis, self.score_quantiles)

    @property
    def drift_fingerprint(self) -> str:
        """Digest of everything that a later week is held against."""
        return fingerprint([self.week.label, json.loads(json.dumps(asdict(self.distributions)))])


@dataclass(frozen=True)
class History:
    """What was recorded of the weeks before `week`, and what could not be read.

    `weeks` that left a record come oldest first. `reviews` are the verdicts that stand on the lists
    of weeks before, however long ago; `snoozes` concern the scored week.
    """

    week: ReportingWeek
    weeks: tuple[EarlierWeek, ...] = ()
    warnings: tuple[str, ...] = ()
    weeks_back: int = WEEKS_BACK
    reviews: tuple[Review, ...] = ()
    snoozes: tuple[Snooze, ...] = ()

    def comparable(self, score_basis: str) -> tuple[EarlierWeek, ...]:
        """Return the newest `weeks_back` weeks whose scores compare with ours, oldest first."""
        fitting = [earlier for earlier in self.weeks if earlier.score_basis == score_basis]
        return tuple(fitting[-self.weeks_back :])

    @property
    def fingerprint(self) -> str:
        """Digest of everything here that thresholds may rest on."""
        return record_of(self.weeks).fingerprint


def record_of(
    weeks: Sequence[EarlierWeek],
    reviews: Sequence[Review] = (),
    snoozes: Sequence[Snooze] = (),
    compared: Sequence[EarlierWeek] = (),
) -> HistoryRecord:
    """Return the manifest's record of the earlier weeks, verdicts and snoozes that a run used.

    `compared` are the weeks that drift was measured against.
    """
    digests = {earlier.week.label: earlier.fingerprint for earlier in weeks}
    return HistoryRecord(
        weeks=digests,
        fingerprint=fingerprint(dict(digests)),
        reviews=_review_digests(reviews),
        snoozes=fingerprint([each.model_dump_json() for each in snoozes]) if snoozes else None,
        drift={earlier.week.label: earlier.drift_fingerprint for earlier in compared},
    )


def _review_digests(reviews: Sequence[Review]) -> dict[str, str]:
    """Return per week a digest of what is learnt from: who, the verdict, and the features seen."""
    told: dict[str, list[JsonValue]] = {}
    for each in sorted(reviews, key=lambda review: (review.reporting_week, review.customer_id)):
        of_week = told.setdefault(each.reporting_week, [])
        of_week.append([each.customer_id, each.verdict.value, list(each.features)])
    return {label: fingerprint(list(rows)) for label, rows in told.items()}


def read_history(folder: Path, week: ReportingWeek, weeks_back: int = WEEKS_BACK) -> History:
    """Read what was recorded in an output folder of the weeks before one.

    Parameters
    ----------
    folder : pathlib.Path
        The output folder; it need not exist.
    week : ReportingWeek
        The scored week; only earlier ones are read.
    weeks_back : int
        How many comparable weeks a run wants. Twice as many calendar weeks are looked at.

    Examples
    --------
    >>> read_history(Path("no-such-folder"), ReportingWeek.parse("2025-46")).weeks
    ()
    """
    found: list[EarlierWeek] = []
    warnings: list[str] = []
    for earlier in week.window(REACH * weeks_back):
        path = folder / OutputFile.MANIFEST.of(earlier)
        try:
            if path.exists():
                found.append(_earlier_week(folder, earlier, _manifest_of(path, earlier), warnings))
        except ConfigurationError as error:
            warnings.append(f"The record of week {earlier} is left out: {error.message}")
        except OSError as error:
            warnings.append(f"The record of week {earlier} is left out: {error.strerror}")
    reviews = _reviews_before(folder, week, warnings)
    snoozes = _snoozes_of(folder, week, warnings)
    return History(week, tuple(found), tuple(warnings), weeks_back, reviews, snoozes)


def _reviews_before(folder: Path, week: ReportingWeek, warnings: list[str]) -> tuple[Review, ...]:
    try:
        return tuple(each for each in standing(read_reviews(folder)) if each.week < week)
    except ConfigurationError as error:
        warnings.append(f"Nothing is learnt from the verdicts: {error.message}")
        return ()


def _snoozes_of(folder: Path, week: ReportingWeek, warnings: list[str]) -> tuple[Snooze, ...]:
    try:
        found = standing_snoozes(read_snoozes(folder))
    except ConfigurationError as error:
        warnings.append(f"Nobody is snoozed: {error.message}")
        return ()
    return tuple(each for each in found if each.concerns(week))


def read_manifests(folder: Path, weeks: Iterable[ReportingWeek]) -> tuple[RunManifest, ...]:
    """Return the manifests of these weeks that are there and whole, for remarks about other weeks.

    Unlike `read_history` it may look at weeks after the scored one, so no result may rest on it.
    """
    found = []
    for week in weeks:
        path = folder / OutputFile.MANIFEST.of(week)
        with suppress(ConfigurationError, OSError):
            if path.exists():
                found.append(_manifest_of(path, week))
    return tuple(found)


def _manifest_of(path: Path, week: ReportingWeek) -> RunManifest:
    manifest = load_manifest(path)
    if manifest.week != week:
        raise ConfigurationError(
            "The manifest belongs to another week",
            where=str(path),
            observed=manifest.reporting_week,
            expected=week.label,
        )
    return manifest


def _earlier_week(
    folder: Path, week: ReportingWeek, manifest: RunManifest, warnings: list[str]
) -> EarlierWeek:
    try:
        listed = read_list(folder, week)
    except ConfigurationError as error:
        listed = None
        warnings.append(f"The list of week {week} is left out: {error.message}")
    return EarlierWeek(
        week=week,
        detector=manifest.detector,
        score_version=manifest.score_version,
        score_basis=manifest.score_basis,
        score_quantiles=manifest.score_quantiles,
        listed=listed,
        distributions=manifest.distributions,
    )


def read_list(folder: Path, week: ReportingWeek) -> tuple[Listing, ...] | None:
    """Read the list of one week, in rank order, from the JSON or else the CSV.

    Returns
    -------
    tuple of Listing, or None
        None when neither file is there.

    Raises
    ------
    ConfigurationError
        If the file is damaged.
    """
    for name, read in ((OutputFile.LIST_JSON, _from_json), (OutputFile.LIST_CSV, _from_csv)):
        path = folder / name.of(week)
        try:
            if path.exists():
                return tuple(sorted(read(path, week), key=lambda row: row.anomaly_rank))
        except OSError as error:
            raise _unreadable(path, error.strerror or type(error).__name__) from error
        except (ValueError, KeyError, TypeError, csv.Error, RecursionError) as error:
            raise _unreadable(path, "content that Cardwatch did not write") from error
    return None


def _unreadable(path: Path, observed: str) -> ConfigurationError:
    return ConfigurationError(
        "The list cannot be read",
        where=str(path),
        observed=observed,
        next_step="Restore the file, or run the week again",
    )


def _from_json(path: Path, week: ReportingWeek) -> Iterator[Listing]:
    content = json.loads(path.read_bytes())
    if content["week_start"] != week.monday.isoformat():
        raise ValueError("a list of another week")
    for row in content["customers"]:
        yield Listing(
            customer_id=str(row["customer_id"]),
            anomaly_rank=int(row["anomaly_rank"]),
            risk_category=str(row["risk_category"]),
            signal=str(row["signal"]),
            reasons=tuple(str(reason["sentence"]) for reason in row["reasons"]),
            reason_codes=tuple(str(reason["code"]) for reason in row["reasons"]),
            features=tuple(str(reason["feature"]) for reason in row["reasons"]),
            is_guard=bool(row.get("guard", False)),
        )


def _from_csv(path: Path, week: ReportingWeek) -> Iterator[Listing]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["week_start"] != week.monday.isoformat():
                raise ValueError("a list of another week")
            reasons = (restore(row[name]) for name in ("reason_1", "reason_2", "reason_3"))
            yield Listing(
                customer_id=restore(row["customer_id"]),
                anomaly_rank=int(row["anomaly_rank"]),
                risk_category=row["risk_category"],
                signal=row["signal"],
                reasons=tuple(reason for reason in reasons if reason),
                is_guard=row.get("guard") == "true",
            )
