"""The record of a run: what went in, what was decided with, what came out.

A manifest is written last, beside the files it lists with their digests, and outlives them: the
quantiles in it are what later weeks are compared with, and ``cardwatch reproduce`` compares a new
run's manifest with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from cardwatch.config import DriftConfig
from cardwatch.errors import ConfigurationError
from cardwatch.fingerprints import overall_fingerprint, score_basis, scores_fingerprint
from cardwatch.schema import Checked, Distributions, Drift, PeerGroup, Scored, WeekReport
from cardwatch.week import ReportingWeek

MANIFEST_VERSION: Final = 1

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileRecord(_Record):
    """One file of the run."""

    sha256: Digest
    bytes: int


class CountsRecord(_Record):
    """The two identities of a run, as in `schema.Coverage`, and what became of the scored.

    `rows_by_reason` counts what each rule of the contract set aside or only remarked on.
    """

    rows_in: int
    rows_accepted: int
    rows_quarantined: int
    rows_by_reason: dict[str, int]
    rows_scored_week: int
    cells: int
    customers_in: int
    customers_scored: int
    customers_absent: int
    customers_unscored: dict[str, int]
    listed: int
    flagged: int
    left_out_by_policy: dict[str, int]


class ThresholdsRecord(_Record):
    """The scores from which a customer is medium (flagged), high or critical, and their origin."""

    critical: float
    high: float
    medium: float
    source: str
    weeks: tuple[str, ...]


class HistoryRecord(_Record):
    """What a run used of earlier weeks, as digests: scores, and all of them, verdicts, snoozes.

    `drift` are the weeks whose distributions it was only held against.
    """

    weeks: dict[Label, Digest] = {}
    fingerprint: Digest = hashlib.sha256(b"{}").hexdigest()
    reviews: dict[Label, Digest] = {}
    snoozes: Digest | None = None
    drift: dict[Label, Digest] = {}


class RunManifest(_Record):
    """One run. Times are when it ran; everything else is the same when it is run again.

    Attributes
    ----------
    supersedes_run_id : str or None
        The run whose results of the same week, in the same folder, this run replaced.
    configuration : dict
        The public configuration, without secrets.
    configuration_hash : str
        Digest of those settings in it that can change a result.
    input_weeks : dict
        Per week label of the window with accepted rows, a digest of its rows in no particular
        order, the same whether the week is scored or a reference week.
    input_fingerprint : str
        `overall_fingerprint` of them, and of the rows whose week could not be read.
    source_keys : dict
        Per week label of the window, a text of the source's own that changes whenever its content
        may have changed: cheap to compare, where equal. None where the source could not tell.
    score_version : str
        Changes when the same rows get other scores from a newer Cardwatch.
    seconds : dict
        Duration per step, in seconds.
    score_quantiles : dict
        Quantiles of the week's scores, by probability as text.
    feature_histograms : dict
        Per feature, how many of at most about 32,768 customers are in each bin of `histograms`.
    category_counts : dict
        Per merchant category, how many customers bought in it.
    drift : Drift or None
        None where an older Cardwatch measured none.
    """

    manifest_version: Literal[1] = MANIFEST_VERSION
    run_id: str
    supersedes_run_id: str | None = None
    reporting_week: Label
    week_start: date
    environment: str
    started_at: AwareDatetime
    finished_at: AwareDatetime
    seconds: dict[str, float]
    configuration: dict[str, JsonValue]
    configuration_hash: Digest
    input_weeks: dict[Label, str]
    input_fingerprint: Digest
    source_keys: dict[Label, str | None] = {}
    history: HistoryRecord
    seed: int
    versions: dict[str, str]
    detector: str
    score_version: str
    detector_state: dict[str, JsonValue]
    counts: CountsRecord
    thresholds: ThresholdsRecord
    score_quantiles: dict[str, float]
    categories: dict[str, int]
    warnings: tuple[str, ...]
    files: dict[str, FileRecord] = {}
    feature_histograms: dict[str, tuple[int, ...]] = {}
    category_counts: dict[str, int] = {}
    drift: Drift | None = None
    peer_groups: tuple[PeerGroup, ...] = ()

    @model_validator(mode="after")
    def _label_fits_the_date(self) -> RunManifest:
        monday = ReportingWeek.containing(self.week_start)
        if monday.monday != self.week_start or monday.label != self.reporting_week:
            raise ValueError("reporting_week and week_start name different weeks")
        return self

    @property
    def week(self) -> ReportingWeek:
        """The scored week."""
        return ReportingWeek(self.week_start)

    @property
    def window(self) -> tuple[ReportingWeek, ...]:
        """The weeks whose rows the run asked for, oldest first, as far as it recorded them."""
        labels = {*self.source_keys, *self.input_weeks}
        oldest = min((ReportingWeek.parse(label) for label in labels), default=self.week)
        return tuple(oldest.until(self.week))

    @property
    def scores_fingerprint(self) -> str:
        """Digest of what later weeks' thresholds may rest on."""
        return scores_fingerprint(self.week, self.score_basis, self.score_quantiles)

    @property
    def distributions(self) -> Distributions:
        """What later weeks are held against."""
        return Distributions(
            score_quantiles=self.score_quantiles,
            customers=self.counts.customers_scored,
            weeks=len(self.input_weeks),
            histograms=self.feature_histograms,
            categories=self.category_counts,
        )

    @property
    def drift_limits(self) -> DriftConfig:
        """The limits that the run went by; the usual ones where an older version recorded none."""
        section = self.configuration.get("drift")
        recorded = section if isinstance(section, dict) else {}
        known = {name: recorded[name] for name in DriftConfig.model_fields if name in recorded}
        return DriftConfig.model_validate(known)

    @property
    def score_basis(self) -> str:
        """What must be the same for two weeks' scores to be comparable: see `score_basis`."""
        return score_basis(self.detector, self.score_version, self.configuration)

    def replacing(self, earlier: RunManifest | None) -> RunManifest:
        """Return this manifest as that of the run which replaces `earlier`, if there is one."""
        run_id = earlier.run_id if earlier and earlier.week == self.week else None
        return self.model_copy(update={"supersedes_run_id": run_id})

    def with_files(self, digests: Mapping[str, str], sizes: Mapping[str, int]) -> RunManifest:
        """Return this manifest with the files that were written."""
        files = {name: FileRecord(sha256=digests[name], bytes=sizes[name]) for name in digests}
        return self.model_copy(update={"files": dict(sorted(files.items()))})

    def to_json(self) -> str:
        """Return the manifest as text, keys as declared; what is long on one line."""
        content = self.model_dump(mode="json")
        indents = {"detector_state": None, "feature_histograms": None, "category_counts": None}
        lines = (
            f"  {json.dumps(key)}: {_indented(value, indents.get(key, 2))}"
            for key, value in content.items()
        )
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "manifest") -> RunManifest:
        """Read a manifest.

        Raises
        ------
        ConfigurationError
            If the text is damaged, is something else, or comes from a newer Cardwatch. The message
            names the first field that does not fit, and no value.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _unreadable(where, "text that is not whole JSON") from error
        if not isinstance(content, dict) or "manifest_version" not in content:
            raise _unreadable(where, "JSON that is no manifest of a run")
        if content["manifest_version"] != MANIFEST_VERSION:
            raise _unreadable(where, "a manifest of another version of Cardwatch")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise _unreadable(where, _first_problem(error)) from error


def _indented(value: JsonValue, indent: int | None) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return text.replace("\n", "\n  ")


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"field {field}: {first['msg']}" if field else first["msg"]


def _unreadable(where: str, observed: str) -> ConfigurationError:
    return ConfigurationError(
        "The run's manifest cannot be read",
        where=where,
        observed=observed,
        expected=f"a run_YYYY-WW.json of version {MANIFEST_VERSION} as Cardwatch wrote it",
        next_step="Restore the file, or run the week again",
    )


def load_manifest(path: Path) -> RunManifest:
    """Read a manifest from a file.

    Raises
    ------
    ConfigurationError
        If there is no such file, or it is not a manifest.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _unreadable(str(path), error.strerror or type(error).__name__) from error
    return RunManifest.from_json(text, where=str(path))


def record_run(
    report: WeekReport,
    checked: Checked,
    scored: Scored,
    *,
    run_id: str,
    environment: str,
    started_at: datetime,
    finished_at: datetime,
    seconds: Mapping[str, float],
    configuration: Mapping[str, JsonValue],
    configuration_hash: str,
    seed: int,
    versions: Mapping[str, str],
    score_version: str,
    history: HistoryRecord,
    warnings: Sequence[str] = (),
) -> RunManifest:
    """Put together the manifest of a run from what its steps handed on.

    `configuration` is public: without secrets; `configuration_hash` covers the settings in it that
    can change a result. Times carry their zone.
    """
    weeks, now = dict(sorted(checked.input_weeks.items())), report.distributions
    return RunManifest(
        run_id=run_id,
        reporting_week=report.week.label,
        week_start=report.week.monday,
        environment=environment,
        started_at=started_at,
        finished_at=finished_at,
        seconds=dict(seconds),
        configuration=dict(configuration),
        configuration_hash=configuration_hash,
        input_weeks=weeks,
        input_fingerprint=overall_fingerprint(weeks, checked.stray_fingerprint),
        source_keys=dict(sorted(checked.source_keys.items())),
        history=history,
        seed=seed,
        versions=dict(versions),
        detector=scored.detector,
        score_version=score_version,
        detector_state=json.loads(json.dumps(scored.state, default=dict)),
        counts=_counts(report),
        thresholds=ThresholdsRecord(**asdict(report.ranking.thresholds)),
        score_quantiles=dict(report.ranking.score_quantiles),
        categories=dict(report.ranking.categories),
        warnings=tuple(warnings),
        feature_histograms=dict(now.histograms) if now else {},
        category_counts=dict(now.categories) if now else {},
        drift=report.drift,
        peer_groups=report.peer_groups,
    )


def _counts(report: WeekReport) -> CountsRecord:
    coverage = report.coverage
    return CountsRecord(
        rows_in=coverage.rows_in,
        rows_accepted=coverage.rows_accepted,
        rows_quarantined=coverage.rows_quarantined,
        rows_by_reason={finding.reason: finding.rows for finding in report.findings},
        rows_scored_week=coverage.rows_scored_week,
        cells=coverage.cells,
        customers_in=coverage.customers_in,
        customers_scored=coverage.customers_scored,
        customers_absent=coverage.customers_absent,
        customers_unscored=dict(coverage.customers_unscored),
        listed=len(report.ranking.listed),
        flagged=report.ranking.flagged,
        left_out_by_policy=dict(report.ranking.left_out_by_policy),
    )
