"""Whether every value fits its column, found out before anything is written."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from cardwatch.errors import PublishError
from cardwatch.publish.database_objects import Column, Table
from cardwatch.publish.rows import TableRows

KEY_BYTES = 2_000
"""Longest text in a key: an entry of PostgreSQL's indexes holds at most a third of a page."""

_LARGEST = {"integer": 2**31 - 1, "bigint": 2**63 - 1}
_TEXTS = ("text", "character varying", "jsonb")


def check_fit(rows: TableRows, actual: dict[str, Column], label: str) -> None:
    """Check rows against the columns that the database has, which may be wider than declared.

    Raises
    ------
    PublishError
        At the first column with a value that does not fit. The value is not told.
    """
    for part in rows.parts():
        for name in part.schema.names:
            column = part[name].combine_chunks()
            problem = _problem(column, actual[name], name in rows.table.key)
            if problem is not None:
                raise _misfit(rows.table, name, label, *problem)


def _problem(values: pa.Array, column: Column, in_key: bool) -> tuple[int, str, str] | None:
    """Return how many values do not fit, what they are and what would fit."""
    kind, _, size = column.type.rstrip(")").partition("(")
    if column.is_required and values.null_count:
        return values.null_count, "no value", "one in every row"
    if kind in _TEXTS:
        return _text_problem(values, kind, int(size) if size else None, in_key)
    if kind == "numeric" and size:
        digits, _, after = size.partition(",")
        largest = Decimal(10) ** (int(digits) - int(after or 0)) - Decimal("0.01")
        bound = pa.scalar(largest, pa.decimal128(38, 2))
        return _too_many(pc.greater(pc.abs(values), bound), "an amount", f"{largest:,} at most")
    if kind in _LARGEST:
        wrong = pc.greater(values, _LARGEST[kind])
        return _too_many(wrong, "a number", f"{_LARGEST[kind]:,} at most")
    return None


def _text_problem(
    values: pa.Array, kind: str, longest: int | None, in_key: bool
) -> tuple[int, str, str] | None:
    problem = _too_many(_has_nul(values, kind), "a NUL character", "text without it")
    if problem is None and longest is not None:
        wrong = pc.greater(pc.utf8_length(values), longest)
        problem = _too_many(wrong, "longer text", f"{longest} characters at most")
    if problem is None and in_key:
        wrong = pc.greater(pc.binary_length(values), KEY_BYTES)
        problem = _too_many(wrong, "longer text", f"{KEY_BYTES:,} bytes at most")
    return problem


def _has_nul(values: pa.Array, kind: str) -> pa.Array:
    if kind != "jsonb":
        return pc.match_substring(values, "\0")
    # In JSON text it is escaped, and a backslash before that escape would be one of its own.
    return pc.match_substring(pc.replace_substring(values, r"\\", ""), r"\u0000")


def _too_many(wrong: pa.Array, what: str, fitting: str) -> tuple[int, str, str] | None:
    count = pc.sum(wrong).as_py()
    return (count, what, fitting) if count else None


def _misfit(
    table: Table, column: str, label: str, count: int, observed: str, expected: str
) -> PublishError:
    rows = "1 row" if count == 1 else f"{count:,} rows"
    return PublishError(
        f"A value of week {label} does not fit its column, so nothing was written to the database",
        where=f"{table.name}.{column}",
        observed=f"{observed} in {rows}",
        expected=expected,
        next_step="docs/how-to/publish-to-a-database.md says how to make a column wider",
    )
