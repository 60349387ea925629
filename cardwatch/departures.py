"""Who left a list, and why: told from the later list's scores, quarantine and manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from cardwatch.errors import ConfigurationError
from cardwatch.history import Listing
from cardwatch.manifest import RunManifest, load_manifest
from cardwatch.outputs import OutputFile, neutralise
from cardwatch.week import ReportingWeek

Cause = Literal[
    "below_the_list", "left_out_by_policy", "absent", "quarantined", "not_in_source", "unknown"
]
"""Why a customer is no longer listed."""

_CSV_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class Gone:
    """A customer of the earlier list who is not on the later one; `why` says it in a sentence.

    `reason` is the first reason of the earlier list; `rank_now` is None for one without a score.
    """

    customer_id: str
    earlier_rank: int
    rank_now: int | None
    cause: Cause
    why: str
    reason: str


@dataclass(frozen=True)
class _Score:
    rank: int
    transaction_count: int


@dataclass(frozen=True)
class _LaterWeek:
    """What the later week's files say about those who left the list.

    `scores` is None when the scores are not there.
    """

    listed: int
    last_rank: int
    top_n: int
    customers: int
    min_transactions: int
    scores: Mapping[str, _Score] | None
    set_aside: Mapping[str, str]


def departures(
    folder: Path,
    week: ReportingWeek,
    left: Sequence[Listing],
    listed: Sequence[Listing],
    warnings: list[str],
    manifest: RunManifest | None = None,
) -> tuple[Gone, ...]:
    """Return why these customers of an earlier list are not among those listed now.

    Parameters
    ----------
    folder, week
        Where the scores, the quarantine and the manifest of the later list are.
    left, listed : sequence of Listing
        Those who left the list, and those who are on it.
    warnings : list of str
        Takes a sentence for each file that could not be read.
    manifest : RunManifest, optional
        The later list's, where it is not in the folder yet.
    """
    gone = [row.customer_id for row in left]
    now = _later_week(folder, week, listed, gone, manifest, warnings)
    return tuple(_gone(row, now) for row in left)


def ranks(
    folder: Path, week: ReportingWeek, customers: Sequence[str], warnings: list[str]
) -> dict[str, int]:
    """Return the ranks among all scored customers of some of them; who had no score is left out."""
    scores, _ = _scores(folder / OutputFile.SCORES.of(week), customers, warnings)
    return {customer: score.rank for customer, score in (scores or {}).items()}


def _later_week(
    folder: Path,
    week: ReportingWeek,
    listed: Sequence[Listing],
    left: Sequence[str],
    manifest: RunManifest | None,
    warnings: list[str],
) -> _LaterWeek:
    wanted = [*left, *(row.customer_id for row in listed)]
    scores, customers = _scores(folder / OutputFile.SCORES.of(week), wanted, warnings)
    policy = _policy(manifest) if manifest else _policy_in(folder, week, warnings)
    return _LaterWeek(
        listed=len(listed),
        last_rank=max(
            (
                scores[row.customer_id].rank
                for row in listed
                if scores and row.customer_id in scores and not row.is_guard
            ),
            default=0,
        ),
        top_n=policy.get("top_n", 0),
        customers=customers,
        min_transactions=policy.get("min_transactions", 0),
        scores=scores,
        set_aside=_set_aside(folder / OutputFile.QUARANTINE.of(week), left, warnings),
    )


def _scores(
    path: Path, wanted: Sequence[str], warnings: list[str]
) -> tuple[dict[str, _Score] | None, int]:
    """Look up some customers in the scores, a row group at a time."""
    found: dict[str, _Score] = {}
    chosen = pa.array(list(wanted), pa.string())
    columns = ["customer_id", "anomaly_rank", "transaction_count"]
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=columns):
                rows = batch.filter(pc.is_in(batch["customer_id"], value_set=chosen)).to_pylist()
                found |= {
                    row["customer_id"]: _Score(row["anomaly_rank"], row["transaction_count"])
                    for row in rows
                }
            return found, file.metadata.num_rows
    except (OSError, pa.ArrowException, KeyError) as error:
        warnings.append(f"The scores cannot be read ({path.name}: {type(error).__name__})")
        return None, 0


def _policy_in(folder: Path, week: ReportingWeek, warnings: list[str]) -> dict[str, int]:
    try:
        return _policy(load_manifest(folder / OutputFile.MANIFEST.of(week)))
    except ConfigurationError as error:
        warnings.append(f"The policies of the ranking are not known: {error.message}")
        return {}


def _policy(manifest: RunManifest) -> dict[str, int]:
    section = manifest.configuration.get("ranking")
    names = ("top_n", "min_transactions")
    values = section if isinstance(section, dict) else {}
    return {name: value for name in names if isinstance(value := values.get(name), int)}


def _set_aside(path: Path, wanted: Sequence[str], warnings: list[str]) -> dict[str, str]:
    """Return, for some customers with quarantined rows, the sentence of one reason."""
    cells = {neutralise(customer): customer for customer in wanted}
    columns = ["customer_id", "sentence"]
    try:
        with pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
            ),
        ) as reader:
            found: dict[str, str] = {}
            chosen = pa.array(list(cells), pa.string())
            for batch in reader:
                for row in batch.filter(pc.is_in(batch["customer_id"], chosen)).to_pylist():
                    found.setdefault(cells[row["customer_id"]], row["sentence"])
            return found
    except (OSError, pa.ArrowException) as error:
        warnings.append(
            f"The quarantined rows cannot be read ({path.name}: {type(error).__name__})"
        )
        return {}


def _gone(row: Listing, week: _LaterWeek) -> Gone:
    score = (week.scores or {}).get(row.customer_id)
    cause, why = _cause(score, week, week.set_aside.get(row.customer_id))
    return Gone(
        customer_id=row.customer_id,
        earlier_rank=row.anomaly_rank,
        rank_now=score.rank if score else None,
        cause=cause,
        why=why,
        reason=row.reason,
    )


def _cause(score: _Score | None, week: _LaterWeek, set_aside: str | None) -> tuple[Cause, str]:
    if week.scores is None:
        return "unknown", "The scores of the later week are not there to tell"
    has_rows = score is not None and score.transaction_count > 0
    if set_aside is not None and not has_rows:
        return "quarantined", f"The rows were set aside: {set_aside}"
    if score is None:
        return "not_in_source", "No longer in the source"
    aside = f"; some rows were set aside: {set_aside}" if set_aside is not None else ""
    if not has_rows:
        return "absent", "No transaction this week"
    if score.rank <= week.last_rank or week.listed < week.top_n:
        return "left_out_by_policy", f"{_policy_sentence(score, week)}{aside}"
    return "below_the_list", (
        f"Rank {score.rank:,} of {week.customers:,} now; the list ends at {week.last_rank:,}{aside}"
    )


def _policy_sentence(score: _Score, week: _LaterWeek) -> str:
    rank = f"Rank {score.rank:,} now, but left out by policy"
    if score.transaction_count < week.min_transactions:
        return f"{rank}: fewer than {week.min_transactions:,} transactions"
    return (
        f"{rank}: the smallest spend or count to be listed, the most of one peer group, or a snooze"
    )
