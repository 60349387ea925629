"""A page put together: from the week's list and record, and what is known of earlier weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cardwatch.manifest import RunManifest
from cardwatch.report.cards import Manner, cards
from cardwatch.report.document import Document
from cardwatch.report.groups import peer_groups
from cardwatch.report.page import Changes, Page
from cardwatch.report.sections import (
    LIMITS,
    drift_sentences,
    drift_tables,
    headline,
    how_it_was_made,
    not_listed,
    quality,
    span,
    trends,
)
from cardwatch.report.wording import shown
from cardwatch.schema import Drift
from cardwatch.week import ReportingWeek

_LONGEST_REMARK = 600
NO_DRIFT = Drift()


@dataclass(frozen=True)
class Surroundings:
    """What a page says that is not in the week's own list and record.

    Attributes
    ----------
    runs : mapping
        The records of earlier weeks, by week.
    comparable : sequence of RunManifest
        Those of them that this week is held against.
    drift : Drift
        How far this week is from them.
    changes : Changes or None
        Against the newest earlier list; None without one, and `no_changes` says why.
    since : mapping
        By customer id, how long and how often the customer was listed.
    """

    runs: Mapping[ReportingWeek, RunManifest] = field(default_factory=dict)
    comparable: Sequence[RunManifest] = ()
    drift: Drift = NO_DRIFT
    changes: Changes | None = None
    no_changes: str = ""
    since: Mapping[str, str] = field(default_factory=dict)


def assemble(
    document: Document, manifest: RunManifest, around: Surroundings, manner: Manner
) -> Page:
    """Return everything that stands on the page of a week."""
    week, currency = manifest.week, manner.currency
    return Page(
        label=week.label,
        dates=week.dates,
        title=document.week.partition(" ")[0],
        environment=manifest.environment,
        currency=currency,
        has_masked_ids=manner.has_masked_ids,
        remarks=tuple(shown(note, _LONGEST_REMARK) for note in document.notes),
        figures=headline(document, manifest, around.runs.get(week - 1), currency),
        changes=around.changes,
        no_changes=around.no_changes,
        cards=cards(document, around.since, manner),
        listed=len(document.customers),
        not_listed=not_listed(document),
        span=span(document),
        trends=trends(document, manifest, around.runs, currency),
        quality=quality(document),
        has_findings=bool(document.quarantine),
        groups=peer_groups(manifest, document),
        drift=drift_sentences(around.drift, manifest),
        drift_tables=drift_tables(manifest, around.comparable, around.drift),
        made=how_it_was_made(manifest),
        limits=LIMITS,
    )
