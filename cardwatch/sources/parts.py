"""Delivered tables as the engine sees them, and the SELECT that hands over chosen weeks of them.

A part is a set of files (or one table) with the same columns. Each row knows the item it came from,
in the column `ITEM`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from cardwatch.engine import Engine
from cardwatch.schema import Shape
from cardwatch.sources.columns import Layout, safe_names
from cardwatch.sources.quoting import date_list, text_literal
from cardwatch.sources.week_values import LONGEST_WEEK, WeekReader, is_temporal, monday_sql

ITEM = "cardwatch_item"
WEEK = "cardwatch_week"
"""Names that no delivered column has; WEEK is the Monday that was read."""

WEEK_COLUMN: Mapping[Shape, str] = {
    "weekly": "reporting_week",
    "transactions": "transaction_time",
}
AMOUNT_COLUMN: Mapping[Shape, str] = {"weekly": "spend_amount", "transactions": "amount"}
DELIVERED: Mapping[Shape, tuple[str, ...]] = {
    "weekly": (
        "customer_id",
        "week_value",
        "week_start",
        "mcc",
        "spend_amount",
        "transaction_count",
        "avg_ticket_amount",
        "source_file",
    ),
    "transactions": (
        "customer_id",
        "week_value",
        "week_start",
        "transaction_time",
        "mcc",
        "amount",
        "currency",
        "source_file",
    ),
}
_MARGIN = timedelta(days=2)
"""No two places on earth are further apart in local time."""


@dataclass(frozen=True)
class Column:
    """A delivered column: its SQL identifier, its type in the engine, its name in the data."""

    sql: str
    kind: str
    name: str


@dataclass(frozen=True)
class Part:
    """Files, or one table, with the same columns.

    Attributes
    ----------
    columns : mapping
        Our name of a column to the delivered one.
    extras : mapping
        Further text columns, by a plain name.
    items : tuple of str
        What `ITEM` says of a row: paths, or the name of the table.
    scan : callable
        Given items, what stands after FROM to read just those.
    prefix : int
        Characters before the name of an item that people know.
    local_time : str
        SQL of the local time of a row; empty where weeks are looked up by their text.
    """

    shape: Shape
    columns: Mapping[str, Column]
    extras: Mapping[str, Column]
    items: tuple[str, ...]
    scan: Callable[[Sequence[str]], str]
    prefix: int
    local_time: str

    @property
    def week(self) -> Column:
        """The column that says when."""
        return self.columns[WEEK_COLUMN[self.shape]]

    @property
    def week_text(self) -> str:
        """SQL of the delivered week or time as text."""
        return _as_kind(self.week, "VARCHAR")


@dataclass(frozen=True)
class Chosen:
    """Which rows of a part are wanted: weeks of items, and unreadable weeks or not."""

    items: tuple[str, ...]
    weeks: tuple[date, ...]
    unreadable: bool


def count_sql(part: Part, items: Sequence[str]) -> str:
    """Return SQL of the rows per item and week: ``item, week_text, monday, row_count``.

    The week is read already (`monday`) or still a text; a text too long for a week is NULL.
    """
    if part.local_time:
        rows, week = _with_monday(part, part.scan(items)), f"NULL AS week_text, {WEEK} AS monday"
    else:
        text = f"CASE WHEN length({part.week_text}) <= {LONGEST_WEEK} THEN {part.week_text} END"
        rows, week = part.scan(items), f"{text} AS week_text, NULL AS monday"
    return f"SELECT {ITEM} AS item, {week}, count(*) AS row_count FROM {rows} GROUP BY ALL"


def chosen_rows(part: Part, chosen: Chosen, lookup: str) -> str:
    """Return SQL of the wanted rows: the part's columns and `WEEK`.

    Parameters
    ----------
    lookup : str
        Engine table of the weeks that can be read: ``week_text`` and `WEEK`.
    """
    scan = part.scan(chosen.items)
    wanted = f"{WEEK} IN ({date_list(chosen.weeks)})"
    if chosen.unreadable:
        wanted += f" OR {WEEK} IS NULL"
    if part.local_time:
        if not chosen.unreadable and chosen.weeks and is_temporal(part.week.kind):
            scan = f"(SELECT * FROM {scan} WHERE {_range(part.week, chosen.weeks)})"
        return f"(SELECT * FROM {_with_monday(part, scan)} WHERE {wanted})"
    join = "LEFT JOIN" if chosen.unreadable else "JOIN"
    return (
        f"(SELECT delivered.*, {WEEK} FROM {scan} AS delivered"
        f" {join} {lookup} AS weeks ON {part.week_text} = weeks.week_text WHERE {wanted})"
    )


def dated_rows(part: Part, items: Sequence[str], lookup: str) -> str:
    """Return SQL of all rows, the part's columns and `WEEK`: NULL where it cannot be read."""
    if part.local_time:
        return _with_monday(part, part.scan(items))
    return (
        f"(SELECT delivered.*, {WEEK} FROM {part.scan(items)} AS delivered"
        f" LEFT JOIN {lookup} AS weeks ON {part.week_text} = weeks.week_text)"
    )


def _with_monday(part: Part, scan: str) -> str:
    timed = f"(SELECT *, {part.local_time} AS cardwatch_time FROM {scan})"
    return f"(SELECT *, {monday_sql('cardwatch_time')} AS {WEEK} FROM {timed})"


def _range(column: Column, weeks: Sequence[date]) -> str:
    """Return a filter on the delivered column itself, so that the file's own index can serve."""
    first, after = min(weeks) - _MARGIN, max(weeks) + timedelta(days=7) + _MARGIN
    return (
        f"{column.sql} >= CAST('{first}' AS {column.kind})"
        f" AND {column.sql} < CAST('{after}' AS {column.kind})"
    )


def delivered_columns(part: Part, kinds: Mapping[str, str], extras: Sequence[str]) -> str:
    """Return the columns of a delivery, in order, as they stand after SELECT.

    Parameters
    ----------
    kinds : mapping
        The type of each of our columns over all parts.
    extras : sequence of str
        The further columns of all parts.
    """
    texts = {
        "week_value": part.week_text,
        "week_start": WEEK,
        "source_file": f"substr({ITEM}, {part.prefix + 1})",
    }
    listed = []
    for name in DELIVERED[part.shape]:
        sql = texts.get(name) or _as_kind(part.columns.get(name), kinds.get(name, "VARCHAR"))
        listed.append(f"{sql} AS {name}")
    for name in extras:
        listed.append(f'{_as_kind(part.extras.get(name), "VARCHAR")} AS "{name}"')
    return ", ".join(listed)


def _as_kind(column: Column | None, kind: str) -> str:
    if column is None:
        return f"CAST(NULL AS {kind})"
    return column.sql if column.kind == kind else f"CAST({column.sql} AS {kind})"


def no_rows(shape: Shape, kinds: Mapping[str, str], extras: Sequence[str]) -> str:
    """Return a SELECT of no rows that has the columns of a delivery."""
    types = {name: kinds.get(name, "VARCHAR") for name in DELIVERED[shape]}
    types |= {"week_start": "DATE"} | dict.fromkeys(extras, "VARCHAR")
    columns = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in types.items())
    return f"SELECT {columns} WHERE false"


def shared_kinds(parts: Sequence[Part]) -> dict[str, str]:
    """Return the type of each of our columns over all parts; text where parts differ."""
    kinds: dict[str, str] = {}
    for part in parts:
        for name, column in part.columns.items():
            same = kinds.setdefault(name, column.kind) == column.kind
            kinds[name] = column.kind if same else "VARCHAR"
    return kinds


def table_scan(table: str, item: str) -> Callable[[Sequence[str]], str]:
    """Return the scan of a table that is one item."""
    text = f'(SELECT *, {text_literal(item)} AS {ITEM} FROM "{table}")'
    return lambda items: text


def make_part(
    layout: Layout,
    columns: Sequence[Column],
    items: Sequence[str],
    scan: Callable[[Sequence[str]], str],
    reader: WeekReader,
    engine: Engine,
    *,
    prefix: int = 0,
    outside: int = 0,
) -> Part:
    """Build a part from what was found about its columns.

    Parameters
    ----------
    columns : sequence of Column
        Every delivered column, in the order that `layout` counts in.
    outside : int
        How many of them, the last ones, are not columns of the data but of its folders' names.
    """
    ours = {name: columns[at] for name, at in layout.positions.items()}
    inside = columns[: len(columns) - outside]
    texts = {
        at: column.name
        for at, column in enumerate(inside)
        if at not in layout.positions.values() and _holds_text(column.kind)
    }
    names = safe_names(texts, DELIVERED[layout.shape])
    week = ours[WEEK_COLUMN[layout.shape]]
    timed = layout.shape == "transactions" or is_temporal(week.kind)
    return Part(
        shape=layout.shape,
        columns=ours,
        extras={name: columns[at] for at, name in names.items()},
        items=tuple(items),
        scan=scan,
        prefix=prefix,
        local_time=reader.local_time(week.sql, week.kind, engine) if timed else "",
    )


def _holds_text(kind: str) -> bool:
    return "VARCHAR" in kind or kind.startswith(("ENUM", "BLOB", "JSON"))
