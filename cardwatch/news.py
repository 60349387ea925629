"""What there is to tell of a published week, read from its files: the same whenever it is read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardwatch.comparison import Comparison, compare_weeks
from cardwatch.config import Config
from cardwatch.errors import ConfigurationError, PublishError
from cardwatch.manifest import RunManifest, load_manifest
from cardwatch.notify.message import Figure, Left, Listed, ListNotice
from cardwatch.outputs import LIST_COLUMNS, OutputFile, neutralise
from cardwatch.publish.formats import csv_line
from cardwatch.publish.lock import reading
from cardwatch.report.cards import usual_range
from cardwatch.report.charts import Point, spend_chart, to_png
from cardwatch.report.document import CustomerPart, Document, read_document
from cardwatch.report.wording import amount, identified, masked, shown
from cardwatch.week import ReportingWeek

_REASON_COLUMNS = 3


@dataclass(frozen=True)
class _Published:
    """A published week: its record and its list."""

    manifest: RunManifest
    document: Document
    content: bytes
    digest: str


def read_news(config: Config, week: ReportingWeek) -> ListNotice:
    """Return what there is to tell of a week.

    Parameters
    ----------
    config : Config
        The folder; whether ids are masked; how much is told.

    Raises
    ------
    PublishError
        If the week has no results, they are not whole, or its list was not written as JSON.
    """
    folder, output = config.output.directory, config.output
    with reading(folder, output.lock_timeout_seconds):
        published = _published(folder, week)
        changes = _changes(config, week)
        earlier = _earlier(folder, week - 1)
        attachment = b""
        if config.notify.email.enabled and config.notify.email.attach == "csv":
            attachment = _csv(published.content, config.notify.mask_ids)
    return _notice(config, week, published, changes, earlier, attachment)


def _published(folder: Path, week: ReportingWeek) -> _Published:
    path = folder / OutputFile.LIST_JSON.of(week)
    manifest_path = folder / OutputFile.MANIFEST.of(week)
    if not manifest_path.is_file():
        raise PublishError(
            f"There are no results of week {week}",
            where=str(folder),
            next_step=f"cardwatch run --reporting-week {week}",
        )
    manifest = load_manifest(manifest_path)
    recorded = manifest.files.get(path.name)
    try:
        content = path.read_bytes()
    except OSError as error:
        why = "was not written" if recorded is None else "is packed or gone"
        raise PublishError(
            f"The JSON list of week {week} {why}",
            where=str(path),
            observed=error.strerror or type(error).__name__,
            next_step=f"Unpack it, or run the week again: cardwatch run --reporting-week {week}",
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if recorded is None or recorded.sha256 != digest:
        raise PublishError(
            f"The JSON list of week {week} is not the one that its run wrote",
            where=str(path),
            next_step=f"Restore it, or run the week again: cardwatch run --reporting-week {week}",
        )
    document = read_document(content, str(path))
    return _Published(manifest, document, content, digest)


def _changes(config: Config, week: ReportingWeek) -> Comparison | None:
    """Compare with the week before, where its list is there and can be read."""
    try:
        return compare_weeks(
            config.output.directory,
            week - 1,
            week,
            timeout_seconds=config.output.lock_timeout_seconds,
        )
    except ConfigurationError:
        return None


def _earlier(folder: Path, week: ReportingWeek) -> RunManifest | None:
    try:
        return load_manifest(folder / OutputFile.MANIFEST.of(week))
    except ConfigurationError:
        return None


def _notice(
    config: Config,
    week: ReportingWeek,
    published: _Published,
    changes: Comparison | None,
    earlier: RunManifest | None,
    attachment: bytes,
) -> ListNotice:
    notify, document = config.notify, published.document
    manifest = published.manifest
    named = _Namer(notify.mask_ids)
    currency = config.portfolio.currency
    standings = _standings(changes)
    with_charts = notify.email.enabled and notify.email.charts
    listed = tuple(
        _listed(
            customer,
            named,
            standings.get(customer.customer_id, ""),
            currency,
            with_chart=with_charts and position < notify.email.details,
        )
        for position, customer in enumerate(document.customers)
    )
    mask = "_masked" if notify.mask_ids else ""
    return ListNotice(
        week=week,
        numbering=config.reporting_week.numbering,
        environment=config.environment,
        run_id=manifest.run_id,
        version=manifest.versions.get("cardwatch", ""),
        list_digest=published.digest,
        figures=_figures(manifest, earlier),
        listed=listed,
        details=notify.email.details,
        before=changes.earlier if changes else None,
        new=len(changes.new) if changes else 0,
        back=sum(row.earlier_rank is None for row in changes.back) if changes else 0,
        gone=_gone(changes, named),
        remarks=tuple(shown(note) for note in document.notes),
        coverage=_coverage(manifest),
        currency=currency,
        is_masked=notify.mask_ids,
        link=notify.link,
        attachment=attachment,
        attachment_name=f"anomalies_{week.label}{mask}.csv" if attachment else "",
    )


@dataclass(frozen=True)
class _Namer:
    """Shows ids as readers may see them."""

    is_masked: bool

    def __call__(self, customer_id: str) -> str:
        return masked(customer_id) if self.is_masked else identified(customer_id)


def _standings(changes: Comparison | None) -> dict[str, str]:
    if changes is None:
        return {}
    said = {row.customer_id: "new on the list" for row in changes.new}
    for row in changes.back:
        if row.earlier_rank is None:
            said[row.customer_id] = "back on the list"
        else:
            said[row.customer_id] = f"rank {row.earlier_rank} the week before"
    return said


def _listed(
    customer: CustomerPart, named: _Namer, standing: str, currency: str, *, with_chart: bool
) -> Listed:
    usual, count = customer.usual.spend, customer.transaction_count
    chart, words = _chart(customer, currency) if with_chart else (b"", "")
    return Listed(
        rank=customer.anomaly_rank,
        name=named(customer.customer_id),
        category=customer.risk_category,
        signal=customer.signal,
        standing=standing,
        spend=_money(customer.total_spend, currency),
        usual_spend="" if usual is None else amount(usual),
        transactions=f"{count:,} transaction{'' if count == 1 else 's'}",
        reasons=tuple(shown(reason.sentence) for reason in customer.reasons),
        chart=chart,
        chart_text=words,
    )


def _chart(customer: CustomerPart, currency: str) -> tuple[bytes, str]:
    points = [Point(week.week_start, week.spend) for week in customer.weeks]
    spec = spend_chart(points, usual_range(customer), currency)
    return to_png(spec), spec["description"]


def _money(value: float, currency: str) -> str:
    return f"{amount(value)} {currency}".rstrip()


def _gone(changes: Comparison | None, named: _Namer) -> tuple[Left, ...]:
    if changes is None:
        return ()
    return tuple(
        Left(row.earlier_rank, named(row.customer_id), shown(row.why)) for row in changes.gone
    )


def _figures(manifest: RunManifest, earlier: RunManifest | None) -> tuple[Figure, ...]:
    def figure(label: str, read: Any) -> Figure:
        return Figure(label, read(manifest), read(earlier) if earlier else None)

    return (
        figure("Critical", lambda run: run.categories.get("critical", 0)),
        figure("High", lambda run: run.categories.get("high", 0)),
        figure("Medium", lambda run: run.categories.get("medium", 0)),
        figure("Scored", lambda run: run.counts.customers_scored),
    )


def _coverage(manifest: RunManifest) -> str:
    counts = manifest.counts
    aside = (
        "none set aside"
        if not counts.rows_quarantined
        else (f"{counts.rows_quarantined:,} set aside")
    )
    return (
        f"Of {counts.rows_in:,} rows in the weeks read, {aside}; {counts.customers_scored:,} of"
        f" {counts.customers_in:,} customers scored."
    )


def _csv(content: bytes, is_masked: bool) -> bytes:
    """Return the list as its CSV file has it, but for masked ids."""
    named = masked if is_masked else str
    lines = [[column.name for column in LIST_COLUMNS]]
    for customer in json.loads(content)["customers"]:
        said = [reason["sentence"] for reason in customer["reasons"]][:_REASON_COLUMNS]
        said += [""] * (_REASON_COLUMNS - len(said))
        cells = {
            **customer,
            "customer_id": named(customer["customer_id"]),
            "anomaly_score": f"{customer['anomaly_score']:.9f}",
            "total_spend": f"{customer['total_spend']:.2f}",
            "top_mcc_spend": f"{customer['top_mcc_spend']:.2f}",
            "rank_stability": _digits(customer.get("rank_stability"), 3),
            "guard": "true" if customer.get("guard") else "false",
            **{f"reason_{number}": text for number, text in enumerate(said, start=1)},
        }
        lines.append([_cell(cells[column.name], column.type) for column in LIST_COLUMNS])
    return b"".join(map(csv_line, lines))


def _digits(value: float | None, digits: int) -> str:
    """Return a figure that lists of earlier versions lack, empty for none."""
    return "" if value is None else f"{value:.{digits}f}"


def _cell(value: object, kind: str) -> str:
    return neutralise(str(value)) if kind == "text" else str(value)
