"""How each file of a run is written: the list as CSV and JSON, every score, what was set aside."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain, islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cardwatch.engine import Engine
from cardwatch.merchant_categories import mcc_name
from cardwatch.outputs import (
    LATER_SCORE_COLUMNS,
    LIST_COLUMNS,
    QUARANTINE_COLUMNS,
    SCORE_COLUMNS,
    neutralise,
)
from cardwatch.publish.operations import NewFile
from cardwatch.schema import (
    CategoryFacts,
    CustomerFacts,
    Drift,
    Learning,
    ListedCustomer,
    PeerGroup,
    PortfolioWeek,
    Reason,
    WeekReport,
)
from cardwatch.week import ReportingWeek

JSON_VERSION = 3
"""Of the JSON list; 1 told nothing of a customer's categories, weeks, usual week and peers, 2
nothing of the portfolio's."""
REASON_COLUMNS = 3
ROW_GROUP_ROWS = 131_072
"""Rows per row group, whatever batches the engine hands over, so that the bytes are the same."""

_CENTS, _SHARE = 2, 6
"""Digits after the point in the JSON list: of amounts, and of medians of counts and shares."""

_QUOTED = re.compile(r'[,"\r\n]')
_LINES_AT_ONCE = 1_000

_SCORE_TYPES = {
    "string": ("VARCHAR", pa.string()),
    "date32": ("DATE", pa.date32()),
    "double": ("DOUBLE", pa.float64()),
    "int64": ("BIGINT", pa.int64()),
    "int32": ("INTEGER", pa.int32()),
}
_REPEATING = ("week_start", "history_weeks", "transaction_count")


def write_list_csv(file: NewFile, report: WeekReport) -> None:
    """Write the list as CSV: UTF-8, lines end in a line feed, no byte order mark."""
    rows = (_list_row(customer, report) for customer in report.ranking.listed)
    write_csv(file, [column.name for column in LIST_COLUMNS], rows)


def _list_row(customer: ListedCustomer, report: WeekReport) -> list[str]:
    reasons = [reason.sentence for reason in customer.reasons[:REASON_COLUMNS]]
    return [
        neutralise(customer.customer_id),
        report.week.label,
        f"{customer.anomaly_score:.9f}",
        str(customer.anomaly_rank),
        customer.risk_category,
        f"{customer.total_spend:.2f}",
        str(customer.transaction_count),
        str(customer.mcc_diversity),
        neutralise(customer.top_mcc),
        f"{customer.top_mcc_spend:.2f}",
        report.week.monday.isoformat(),
        customer.signal,
        str(customer.history_weeks),
        *(neutralise(sentence) for sentence in reasons),
        *[""] * (REASON_COLUMNS - len(reasons)),
        f"{customer.rank_stability:.3f}",
        "true" if customer.guard else "false",
    ]


def write_csv(file: NewFile, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write text cells as CSV, quoted where they need it; lines end in a line feed."""
    lines = map(csv_line, chain([header], rows))
    while some := b"".join(islice(lines, _LINES_AT_ONCE)):
        file.write(some)


def csv_line(cells: Sequence[str]) -> bytes:
    """Return one line of a CSV file."""
    # Not csv.writer: with lines that end in "\n" it leaves a lone "\r" in a cell unquoted, which
    # readers, itself included, then take for the end of a line.
    quoted = (
        '"' + cell.replace('"', '""') + '"' if _QUOTED.search(cell) else cell for cell in cells
    )
    return (",".join(quoted) + "\n").encode()


def write_list_json(file: NewFile, report: WeekReport) -> None:
    """Write the list as JSON: nothing in it tells one run of the week from another."""
    file.write(list_document(report).encode())


def list_document(report: WeekReport) -> str:
    """Return the list as JSON text."""
    content = _finite(_document(report))
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _document(report: WeekReport) -> dict[str, Any]:
    ranking = report.ranking
    return {
        "format_version": JSON_VERSION,
        "reporting_week": report.week.label,
        "week_start": report.week.monday.isoformat(),
        "week": report.week.display(report.numbering),
        "detector": report.detector,
        "families": list(report.families),
        "customers": [_customer(customer, report) for customer in ranking.listed],
        "thresholds": {**asdict(ranking.thresholds), "weeks": list(ranking.thresholds.weeks)},
        "categories": dict(ranking.categories),
        "flagged": ranking.flagged,
        "left_out_by_policy": dict(ranking.left_out_by_policy),
        "coverage": _coverage(report),
        "quarantine": [asdict(finding) for finding in report.findings],
        "notes": list(report.notes),
        "portfolio": [_portfolio_week(week) for week in report.portfolio],
        "learning": _learning(report.learning),
        "drift": _drift(report.drift),
        "peer_groups": [_peer_group(group, report) for group in report.peer_groups],
    }


def _portfolio_week(totals: PortfolioWeek) -> dict[str, Any]:
    return {
        "reporting_week": totals.week.label,
        "week_start": totals.week.monday.isoformat(),
        "spend": float(totals.spend),
        "transaction_count": totals.transaction_count,
        "customers": totals.customers,
    }


def _customer(customer: ListedCustomer, report: WeekReport) -> dict[str, Any]:
    return {
        "customer_id": customer.customer_id,
        "reporting_week": report.week.label,
        "anomaly_score": customer.anomaly_score,
        "anomaly_rank": customer.anomaly_rank,
        "risk_category": customer.risk_category,
        "total_spend": float(customer.total_spend),
        "transaction_count": customer.transaction_count,
        "mcc_diversity": customer.mcc_diversity,
        "top_mcc": customer.top_mcc,
        "top_mcc_spend": float(customer.top_mcc_spend),
        "week_start": report.week.monday.isoformat(),
        "signal": customer.signal,
        "signal_rule": customer.signal_rule,
        "history_weeks": customer.history_weeks,
        "surprise_total": customer.surprise_total,
        "contributions": {
            family: customer.contributions[family]
            for family in sorted(customer.contributions, key=_in_order(report.families))
        },
        "reasons": [_reason(reason) for reason in customer.reasons],
        **_facts(customer.facts, report.week),
        "rank_stability": _rounded(customer.rank_stability, _SHARE),
        "guard": customer.guard,
    }


def _facts(facts: CustomerFacts, scored: ReportingWeek) -> dict[str, Any]:
    weeks = (*scored.window(len(facts.weekly_spend) - 1), scored)
    figures = zip(weeks, facts.weekly_spend, facts.weekly_count, strict=True)
    return {
        "categories": [_category(category) for category in facts.categories],
        "weeks": [
            {
                "reporting_week": week.label,
                "week_start": week.monday.isoformat(),
                "spend": _rounded(spend, _CENTS),
                "transaction_count": count,
            }
            for week, spend, count in figures
        ],
        "usual": {
            "spend": _rounded(facts.usual_spend, _CENTS),
            "transaction_count": _rounded(facts.usual_count, _SHARE),
            "ticket": _rounded(facts.usual_ticket, _CENTS),
        },
        "peers": {
            "group": facts.peer_group,
            "spend": _rounded(facts.peers["spend"], _CENTS),
            "transaction_count": _rounded(facts.peers["count"], _SHARE),
            "ticket": _rounded(facts.peers["ticket"], _CENTS),
            "mcc_diversity": _rounded(facts.peers["categories"], _SHARE),
            "concentration": _rounded(facts.peers["concentration"], _SHARE),
        },
    }


def _category(category: CategoryFacts) -> dict[str, Any]:
    return {
        "mcc": category.mcc,
        "name": mcc_name(category.mcc),
        "spend": _rounded(category.spend, _CENTS),
        "transaction_count": category.transaction_count,
        "usual_spend": _rounded(category.usual_spend, _CENTS),
        "usual_ticket": _rounded(category.usual_ticket, _CENTS),
        "is_new": category.is_new,
        "users_share": _rounded(category.users_share, _SHARE),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    """Round a figure for a reader; there is no minus zero."""
    return None if value is None else round(value, digits) + 0.0


def _in_order(families: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    positions = {family: position for position, family in enumerate(families)}
    return lambda family: (positions.get(family, len(positions)), family)


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "code": reason.code,
        "family": reason.family,
        "feature": reason.feature,
        "mcc": reason.mcc,
        "value": reason.value,
        "usual": reason.usual,
        "usual_basis": reason.usual_basis,
        "unit": reason.unit,
        "contribution": reason.contribution,
        "sentence": reason.sentence,
    }


def _coverage(report: WeekReport) -> dict[str, Any]:
    coverage = report.coverage
    return {
        "rows_in": coverage.rows_in,
        "rows_accepted": coverage.rows_accepted,
        "rows_quarantined": coverage.rows_quarantined,
        "rows_scored_week": coverage.rows_scored_week,
        "cells": coverage.cells,
        "customers_in": coverage.customers_in,
        "customers_scored": coverage.customers_scored,
        "customers_absent": coverage.customers_absent,
        "customers_unscored": dict(coverage.customers_unscored),
    }


def _learning(learning: Learning) -> dict[str, Any]:
    return {
        "reviews": learning.reviews,
        "weights": [{**asdict(each), "sentence": each.sentence} for each in learning.weights],
        "moved_off": learning.moved_off,
        "guards": learning.guards,
    }


def _drift(drift: Drift) -> dict[str, Any]:
    return {
        "weeks": list(drift.weeks),
        "scores": asdict(drift.scores) if drift.scores else None,
        "features": [asdict(each) for each in drift.features],
    }


def _peer_group(group: PeerGroup, report: WeekReport) -> dict[str, Any]:
    customers = max(report.coverage.customers_scored, 1)
    listed = max(len(report.ranking.listed), 1)
    return {
        "group": group.group,
        "spend": group.spend,
        "transaction_count": group.transaction_count,
        "customers": group.customers,
        "customers_share": _rounded(group.customers / customers, _SHARE),
        "listed": group.listed,
        "listed_share": _rounded(group.listed / listed, _SHARE),
        "by_lot": list(group.by_lot),
        "stands_out": group.stands_out,
    }


def _finite(value: Any) -> Any:
    """Replace numbers that JSON has no way to write (infinite, not a number) by null."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_scores(file: NewFile, report: WeekReport, engine: Engine) -> None:
    """Write every customer's score as Parquet in rank order, one row group in memory at a time."""
    schema = pa.schema([(name, _SCORE_TYPES[kind][1]) for name, kind in _score_columns(report)])
    batches = engine.batches(
        f"{scores_query(report)} ORDER BY anomaly_rank", week_start=report.week.monday
    )
    with pq.ParquetWriter(
        file, schema, compression="zstd", use_dictionary=list(_REPEATING)
    ) as writer:
        for table in _row_groups(batches, schema):
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


def scores_query(report: WeekReport) -> str:
    """Return the query of every customer's score, over ``ranked`` and ``customer``.

    It has the parameter ``week_start``.
    """
    chosen = ", ".join(
        f'{_origin(name)}::{_SCORE_TYPES[kind][0]} AS "{name}"'
        for name, kind in _score_columns(report)
    )
    return f"SELECT {chosen} FROM ranked JOIN customer USING (customer_key)"


def _score_columns(report: WeekReport) -> list[tuple[str, str]]:
    return [
        *((column.name, column.type) for column in SCORE_COLUMNS),
        *((f"{family}_surprise", "double") for family in report.families),
        *((column.name, column.type) for column in LATER_SCORE_COLUMNS),
    ]


def _origin(column: str) -> str:
    return "$week_start" if column == "week_start" else f'"{column}"'


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    waiting = schema.empty_table()
    for batch in batches:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch]).cast(schema)])
        while waiting.num_rows >= ROW_GROUP_ROWS:
            yield waiting.slice(0, ROW_GROUP_ROWS).combine_chunks()
            waiting = waiting.slice(ROW_GROUP_ROWS)
    if waiting.num_rows:
        yield waiting.combine_chunks()


def write_quarantine(file: NewFile, report: WeekReport, engine: Engine) -> None:
    """Write what was set aside as CSV, with the sentence of each reason; a header when nothing was.

    Every cell is text as it was delivered, so a negative amount is neutralised like any other text.
    """
    names = [column.name for column in QUARANTINE_COLUMNS]
    stored = [name for name in names if name != "sentence"]
    sentences = {finding.reason: finding.sentence for finding in report.findings}
    batches = engine.batches(
        f"SELECT {', '.join(stored)} FROM quarantine ORDER BY {', '.join(stored)}"
    )
    rows = (row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True))
    write_csv(file, names, (_quarantine_row(row, sentences) for row in rows))


def _quarantine_row(row: tuple[Any, ...], sentences: dict[str, str]) -> list[str]:
    reason, *others = ("" if value is None else str(value) for value in row)
    return [neutralise(cell) for cell in (reason, sentences.get(reason, ""), *others)]
