"""Records of runs of the weeks before a Monday noon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from published_weeks import WEEK, manifest, week_report

from cardwatch.manifest import RunManifest

MONDAY_NOON = datetime(2025, 11, 24, 18, tzinfo=UTC)
"""Of the week after `WEEK`, in Chicago."""
RAN = MONDAY_NOON - timedelta(hours=8)


def run(weeks_before: int = 0, **counts: Any) -> RunManifest:
    """Return the record of a run that measured no drift; `counts` replace those of it."""
    week = WEEK - weeks_before
    recorded = manifest(week_report((), week), day=RAN - timedelta(weeks=weeks_before))
    changes = {"counts": recorded.counts.model_copy(update=counts), "drift": None}
    return recorded.model_copy(update=changes)
