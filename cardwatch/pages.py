"""The pages for people, made of an output folder's files: one for each week, and their index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cardwatch.comparison import Comparison, OnTheList, compare_listed
from cardwatch.config import Config
from cardwatch.departures import Gone
from cardwatch.drift import comparable_runs, drift_of
from cardwatch.errors import ConfigurationError
from cardwatch.history import Listing, read_manifests
from cardwatch.manifest import RunManifest, load_manifest
from cardwatch.outputs import OutputFile, week_of
from cardwatch.publish.archives import ARCHIVE, archives
from cardwatch.publish.archives import packed as packed_weeks
from cardwatch.report.assemble import Surroundings, assemble
from cardwatch.report.cards import Manner
from cardwatch.report.document import Document, read_document
from cardwatch.report.page import Changes, Departure, Entry, Group, Index, IndexRow
from cardwatch.report.wording import number, shown
from cardwatch.week import Numbering, ReportingWeek

WEEKS_BACK = 12
"""How far back trends, drift and the list to compare with are looked for."""

_SHOWN = 40
_LONGEST_WHY = 300


class WeekPages:
    """Makes the page of a week and the index, the same from a run and later from its files.

    Parameters
    ----------
    config : Config
        Whether ids are masked, and how weeks are named in the index.
    """

    def __init__(self, config: Config) -> None:
        self._has_masked_ids = config.report.mask_ids
        self._numbering: Numbering = config.reporting_week.numbering

    def published(self, folder: Path, week: ReportingWeek) -> bytes:
        """Return the page of a week whose files are in the output folder.

        Raises
        ------
        ConfigurationError
            If its JSON list or its manifest is missing or damaged.
        """
        manifest = load_manifest(folder / OutputFile.MANIFEST.of(week))
        path = folder / OutputFile.LIST_JSON.of(week)
        try:
            text = path.read_bytes()
        except OSError as error:
            raise _no_list(folder, week, error) from None
        return self._page(folder, folder, read_document(text, str(path)), manifest)

    def under_way(self, folder: Path, files: Path, document: str, manifest: RunManifest) -> bytes:
        """Return the page of a week that is being published, its files lying in `files`."""
        where = OutputFile.LIST_JSON.of(manifest.week)
        return self._page(folder, files, read_document(document, where), manifest)

    def index(self, folder: Path) -> bytes:
        """Return the page that links the pages of all weeks in an output folder."""
        # Imported when it is used: templates take their time to load.
        from cardwatch.report.render import render_index

        weeks = {week for path in folder.glob("report_*.html") if (week := week_of(path.name))}
        runs = {run.week: run for run in read_manifests(folder, weeks)}
        rows = (self._row(week, runs.get(week)) for week in sorted(weeks, reverse=True))
        packed = {archive.label for archive in archives(folder) if not archive.run_id}
        return render_index(Index(tuple(rows), len(packed - {week.label for week in weeks})))

    def _row(self, week: ReportingWeek, run: RunManifest | None) -> IndexRow:
        return IndexRow(
            label=week.display(self._numbering).partition(" ")[0],
            file=OutputFile.REPORT.of(week),
            dates=week.dates,
            listed=number(run.counts.listed if run else None),
            flagged=number(run.counts.flagged if run else None),
            critical=number(run.categories.get("critical", 0) if run else None),
            customers=number(run.counts.customers_scored if run else None),
        )

    def _page(self, folder: Path, files: Path, document: Document, manifest: RunManifest) -> bytes:
        from cardwatch.report.render import render_page

        manner = Manner(_currency(manifest), self._has_masked_ids)
        around = _surroundings(folder, files, document, manifest, manner)
        return render_page(assemble(document, manifest, around, manner))


def _surroundings(
    folder: Path, files: Path, document: Document, manifest: RunManifest, manner: Manner
) -> Surroundings:
    runs = {run.week: run for run in read_manifests(folder, manifest.week.window(WEEKS_BACK))}
    comparison = _comparison(folder, files, document, manifest)
    earlier = tuple(runs.values())
    return Surroundings(
        runs=runs,
        comparable=comparable_runs(manifest, earlier),
        drift=drift_of(manifest, earlier),
        changes=_changes(comparison, manifest.week, manner) if comparison else None,
        no_changes="There is no earlier list to compare this one with.",
        since=dict(_since(comparison)) if comparison else {},
    )


def _comparison(
    folder: Path, files: Path, document: Document, manifest: RunManifest
) -> Comparison | None:
    """Compare with the newest earlier list that can be read."""
    week, now = manifest.week, tuple(_listings(document))
    for earlier in reversed(week.window(WEEKS_BACK)):
        with suppress(ConfigurationError):
            return compare_listed(folder, earlier, week, now, later_folder=files, manifest=manifest)
    return None


def _listings(document: Document) -> Iterator[Listing]:
    for customer in document.customers:
        yield Listing(
            customer_id=customer.customer_id,
            anomaly_rank=customer.anomaly_rank,
            risk_category=customer.risk_category,
            signal=customer.signal,
            reasons=tuple(reason.sentence for reason in customer.reasons),
            is_guard=customer.guard,
        )


def _changes(comparison: Comparison, week: ReportingWeek, manner: Manner) -> Changes:
    earlier = comparison.earlier
    since = "last week" if earlier == week - 1 else f"the list of {earlier.dates}"
    return Changes(
        since=since,
        new=_group(comparison.new, manner),
        back=_group(comparison.back, manner),
        gone=tuple(_departure(gone, manner) for gone in comparison.gone[:_SHOWN]),
        gone_total=len(comparison.gone),
        warnings=tuple(shown(each, _LONGEST_WHY) for each in comparison.warnings),
    )


def _group(rows: Sequence[OnTheList], manner: Manner) -> Group:
    return Group(tuple(_entries(rows[:_SHOWN], manner)), len(rows))


def _entries(rows: Iterable[OnTheList], manner: Manner) -> Iterator[Entry]:
    for row in rows:
        yield Entry(
            customer=manner.name(row.customer_id),
            rank=row.anomaly_rank,
            category=row.risk_category,
            signal=row.signal,
            reason=shown(row.reason, _LONGEST_WHY),
            since="" if row.times_listed == 1 else _how_often(row),
        )


def _departure(gone: Gone, manner: Manner) -> Departure:
    return Departure(
        manner.name(gone.customer_id), gone.earlier_rank, shown(gone.why, _LONGEST_WHY)
    )


def _since(comparison: Comparison) -> Iterator[tuple[str, str]]:
    for row in comparison.new:
        yield row.customer_id, "new on the list"
    for row in comparison.back:
        yield row.customer_id, _how_often(row)


def _how_often(row: OnTheList) -> str:
    """Say how a customer came to be on the list again."""
    if row.weeks_in_a_row > 1:
        was = f", was {row.earlier_rank}" if row.earlier_rank else ""
        return f"{row.weeks_in_a_row} weeks in a row{was}"
    return f"listed {row.times_listed} times"


def _currency(manifest: RunManifest) -> str:
    section: object = manifest.configuration.get("portfolio")
    code = section.get("currency") if isinstance(section, Mapping) else None
    return code if isinstance(code, str) else ""


def _no_list(folder: Path, week: ReportingWeek, error: OSError) -> ConfigurationError:
    packed = packed_weeks(folder, week)
    step = f"Run `cardwatch run --reporting-week {week}` with output.format json or both"
    if packed:
        step = f"It was packed: unpack {ARCHIVE}/{packed[-1].name} into {folder}"
    return ConfigurationError(
        "There is no JSON list of this week to make a report of",
        where=str(folder / OutputFile.LIST_JSON.of(week)),
        observed=error.strerror or type(error).__name__,
        next_step=step,
    )
