"""The rows of one week for every table, made of the week's files and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cardwatch.errors import PublishError
from cardwatch.publish.database_files import WeekFiles
from cardwatch.publish.database_objects import Column, Table

SCORES_AT_ONCE = 131_072
"""Rows of scores in memory."""

Row = dict[str, Any]

_CENT = Decimal("0.01")
_ARROW_TYPES = {
    "text": pa.string(),
    "jsonb": pa.string(),
    "integer": pa.int64(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}


@dataclass(frozen=True)
class TableRows:
    """What goes into one table: `parts` yields the same rows each time it is called."""

    table: Table
    count: int
    parts: Callable[[], Iterator[pa.Table]]


def rows_of(files: WeekFiles, tables: Mapping[str, Table]) -> list[TableRows]:
    """Return the rows for each of `tables`, by name; those of other tables are not made.

    Raises
    ------
    PublishError
        If the list lacks something that a table needs.
    """
    made = []
    for name, table in tables.items():
        if name == "anomaly_scores":
            made.append(_scores(files, table))
            continue
        try:
            rows = pa.Table.from_pylist(list(_ROWS[name](files)), _schema(table.written))
        except (KeyError, TypeError, ValueError, ArithmeticError, pa.ArrowInvalid) as error:
            # The error may quote a value of a row.
            raise _unusable(files, name, type(error).__name__) from None
        made.append(TableRows(table, rows.num_rows, _always(rows)))
    return made


def _always(rows: pa.Table) -> Callable[[], Iterator[pa.Table]]:
    return lambda: iter([rows])


def _schema(columns: tuple[Column, ...]) -> pa.Schema:
    return pa.schema([(column.name, _arrow_type(column.catalog_type)) for column in columns])


def _arrow_type(name: str) -> pa.DataType:
    kind = name.partition("(")[0]
    if kind == "numeric":
        return pa.decimal128(38, 2)
    return pa.string() if kind == "character varying" else _ARROW_TYPES[kind]


def _of_week(files: WeekFiles) -> Row:
    return {
        "reporting_week": files.week.label,
        "week_start": files.week.monday,
        "run_id": files.manifest.run_id,
    }


def _reports(files: WeekFiles) -> Iterator[Row]:
    finished = files.manifest.finished_at.astimezone(UTC).replace(tzinfo=None)
    for customer in files.document["customers"]:
        yield {
            **{name: customer[name] for name in _COPIED},
            "reporting_week": files.week.label,
            "total_spend": _money(customer["total_spend"]),
            "top_mcc_spend": _money(customer["top_mcc_spend"]),
            "created_at": finished,
        }


_COPIED = (
    "customer_id",
    "anomaly_score",
    "anomaly_rank",
    "risk_category",
    "transaction_count",
    "mcc_diversity",
    "top_mcc",
)


def _details(files: WeekFiles) -> Iterator[Row]:
    names = ("customer_id", "signal", "signal_rule", "history_weeks", "surprise_total")
    for customer in files.document["customers"]:
        chosen = {name: customer[name] for name in names}
        later = {name: customer.get(name) for name in ("rank_stability", "guard")}
        yield {**_of_week(files), **chosen, **later}


def _reasons(files: WeekFiles) -> Iterator[Row]:
    for customer in files.document["customers"]:
        for position, reason in enumerate(customer["reasons"], start=1):
            yield {
                **_of_week(files),
                **reason,
                "customer_id": customer["customer_id"],
                "position": position,
            }


def _categories(files: WeekFiles) -> Iterator[Row]:
    for customer in files.document["customers"]:
        for category in customer.get("categories", ()):
            yield {
                **_of_week(files),
                **category,
                **{name: _money(category[name]) for name in ("spend", *_USUAL)},
                "customer_id": customer["customer_id"],
            }


_USUAL = ("usual_spend", "usual_ticket")


def _customer_weeks(files: WeekFiles) -> Iterator[Row]:
    for customer in files.document["customers"]:
        usual = _money(customer.get("usual", {}).get("spend"))
        for each in customer.get("weeks", ()):
            yield {
                **_of_week(files),
                "customer_id": customer["customer_id"],
                "window_week": date.fromisoformat(each["week_start"]),
                "spend": _money(each["spend"]),
                "transaction_count": each["transaction_count"],
                "usual_spend": usual,
            }


def _runs(files: WeekFiles) -> Iterator[Row]:
    manifest, counts = files.manifest, files.manifest.counts
    yield {
        **_of_week(files),
        **{name: getattr(manifest, name) for name in _OF_THE_RUN},
        **{name: getattr(counts, name) for name in _COUNTS},
        **{f"customers_{name}": number for name, number in manifest.categories.items()},
        "version": manifest.versions["cardwatch"],
        "threshold_critical": manifest.thresholds.critical,
        "threshold_high": manifest.thresholds.high,
        "threshold_medium": manifest.thresholds.medium,
        "threshold_source": manifest.thresholds.source,
        "is_current": True,
        "manifest": files.manifest_text,
    }


_OF_THE_RUN = (
    "started_at",
    "finished_at",
    "environment",
    "detector",
    "score_version",
    "configuration_hash",
    "input_fingerprint",
    "supersedes_run_id",
)
_COUNTS = (
    "rows_in",
    "rows_accepted",
    "rows_quarantined",
    "customers_in",
    "customers_scored",
    "customers_absent",
    "flagged",
    "listed",
)

_ROWS: dict[str, Callable[[WeekFiles], Iterator[Row]]] = {
    "anomaly_reports": _reports,
    "anomaly_details": _details,
    "anomaly_reasons": _reasons,
    "anomaly_mcc_week": _categories,
    "anomaly_customer_week": _customer_weeks,
    "anomaly_runs": _runs,
}
"""What makes the rows of each table; a key that is no column of the table is left out."""


def _money(amount: float | None) -> Decimal | None:
    return None if amount is None else Decimal(repr(amount)).quantize(_CENT)


def _scores(files: WeekFiles, table: Table) -> TableRows:
    """Stream the Parquet file; every column in it must have its place in the table."""
    if files.scores is None:
        return TableRows(table, 0, lambda: iter(()))
    path, constant = files.scores, _of_week(files)
    with pq.ParquetFile(path) as file:
        count, found = file.metadata.num_rows, set(file.schema_arrow.names)
    if unknown := sorted(found - set(table.names)):
        raise PublishError(
            "The scores have a column that the database's tables lack",
            where=path.name,
            observed=unknown[0],
            next_step="`cardwatch db upgrade` brings the tables up to this version",
        )
    schema = _schema(table.written)

    def parts() -> Iterator[pa.Table]:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(SCORES_AT_ONCE):
                part = pa.Table.from_batches([batch])
                columns = [
                    part[field.name].cast(field.type)
                    if field.name in found
                    else pa.repeat(pa.scalar(constant.get(field.name), field.type), len(part))
                    for field in schema
                ]
                yield pa.table(columns, schema=schema)

    return TableRows(table, count, parts)


def _unusable(files: WeekFiles, table: str, problem: str) -> PublishError:
    return PublishError(
        f"Week {files.week.label} cannot be published: its files lack what {table} needs",
        observed=problem,
        next_step=f"Run the week again: cardwatch run --reporting-week {files.week.label}",
    )
