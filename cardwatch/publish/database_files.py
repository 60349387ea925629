"""A week as its files tell it: what is published is what was written, now or later."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardwatch.errors import ConfigurationError, PublishError
from cardwatch.manifest import RunManifest
from cardwatch.outputs import OutputFile, week_of
from cardwatch.week import ReportingWeek

_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class WeekFiles:
    """The files of one week, checked against the digests in the manifest.

    Attributes
    ----------
    manifest_text : str
        The manifest as it stands in the file.
    document : dict
        The JSON list.
    scores : pathlib.Path or None
        The Parquet file of all scores, where they were asked for.
    """

    week: ReportingWeek
    manifest: RunManifest
    manifest_text: str
    document: dict[str, Any]
    scores: Path | None = None


def recorded_weeks(folder: Path) -> tuple[ReportingWeek, ...]:
    """Return the weeks whose manifest is in an output folder, oldest first."""
    weeks = {week_of(path.name) for path in folder.glob("run_*.json")}
    return tuple(sorted(week for week in weeks if week is not None))


def read_week(folder: Path, week: ReportingWeek, *, with_scores: bool) -> WeekFiles:
    """Read what a run wrote.

    Parameters
    ----------
    folder : pathlib.Path
        The output folder; nobody else may be writing there.
    with_scores : bool
        Whether the scores of all customers are wanted too.

    Raises
    ------
    PublishError
        If a file is missing, or is not as the run wrote it.
    """
    manifest, text = _manifest(folder, week)
    wanted = [OutputFile.LIST_JSON, *([OutputFile.SCORES] if with_scores else [])]
    paths = {kind: folder / kind.of(week) for kind in wanted}
    for path in paths.values():
        _check_digest(path, week, manifest)
    return WeekFiles(
        week, manifest, text, _document(paths[OutputFile.LIST_JSON]), paths.get(OutputFile.SCORES)
    )


def _manifest(folder: Path, week: ReportingWeek) -> tuple[RunManifest, str]:
    path = folder / OutputFile.MANIFEST.of(week)
    try:
        text = path.read_text(encoding="utf-8")
        manifest = RunManifest.from_json(text, where=str(path))
    except OSError:
        raise _missing(path, week) from None
    except (ConfigurationError, UnicodeDecodeError) as error:
        observed = error.observed if isinstance(error, ConfigurationError) else "text that is none"
        raise _altered(path, week, observed) from error
    if manifest.week != week:
        raise _altered(path, week, f"the record of week {manifest.reporting_week}")
    return manifest, text


def _check_digest(path: Path, week: ReportingWeek, manifest: RunManifest) -> None:
    recorded = manifest.files.get(path.name)
    try:
        if recorded is not None and _digest(path) == recorded.sha256:
            return
    except OSError:
        raise _missing(path, week) from None
    if recorded is None:
        raise _missing(path, week)
    raise _altered(path, week, "other content than the run wrote")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while some := file.read(_READ_BYTES):
            digest.update(some)
    return digest.hexdigest()


def _document(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def _missing(path: Path, week: ReportingWeek) -> PublishError:
    packed = sorted((path.parent / "archive").glob(f"week_{week.label}.packed-*.tar.gz"))
    advice = f"Run the week again: cardwatch run --reporting-week {week.label}"
    if packed:
        advice = f"It was packed: tar -xzf {packed[-1]} -C {path.parent}"
    return PublishError(
        f"Week {week.label} cannot be published: one of its files is not there",
        where=str(path),
        next_step=advice,
    )


def _altered(path: Path, week: ReportingWeek, observed: str) -> PublishError:
    return PublishError(
        f"Week {week.label} cannot be published: one of its files was changed",
        where=str(path),
        observed=observed,
        next_step=f"Run the week again: cardwatch run --reporting-week {week.label}",
    )
