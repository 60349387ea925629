"""Transactions that the database adds up per customer, week and category before they travel.

What the contract makes of sums and of the rows beside them is what it makes of all rows: a row is
added up only where that is certain, and nothing is where a text with long digits was met, since
those are judged among all texts of a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from cardwatch.engine import Engine
from cardwatch.sources.database_rows import copy_rows
from cardwatch.sources.database_table import DatabaseTable
from cardwatch.sources.database_view import Copy, View
from cardwatch.sources.parts import Part
from cardwatch.sources.quoting import path_list
from cardwatch.sources.reading import reading
from cardwatch.sources.snapshots import IS_DOUBTFUL, SoundRows, Sums
from cardwatch.sources.week_values import WeekReader, monday_sql

MOST_CUSTOMERS = 20_000
"""Customers with doubtful rows that are read whole; with more of them all rows are read."""
_BIN = timedelta(minutes=15)
_MARGIN = timedelta(days=2)
_DIGITS = 13
"""Digits of the shortest card number."""


def may_add_up(table: DatabaseTable) -> bool:
    """Whether a table is of transactions whose times the database itself knows."""
    return table.shape == "transactions" and table.is_timed


def sums_of(
    table: DatabaseTable, window: Sequence[date], mondays: Sequence[date], sound: SoundRows
) -> Sums | None:
    """Return what is to be added up; None where it cannot be told which rows are a week's.

    Parameters
    ----------
    window : sequence of date
        The Mondays of weeks one after the other.
    mondays : sequence of date
        The weeks among them that are added up.
    """
    if not may_add_up(table):
        return None
    kind = table.fields[table.week.at].kind
    bounds = [datetime.combine(day, time()) for day in (*window, window[-1] + timedelta(days=7))]
    if kind == "TIMESTAMP WITH TIME ZONE":
        bounds = _bounds(table.reader, table.engine, window)
    if not bounds:
        return None
    ours = {name: table.wanted[at] for name, at in table.layout.positions.items()}
    return Sums(
        customer=ours["customer_id"],
        time=table.week,
        mcc=ours["mcc"],
        amount=ours["amount"],
        currency=ours.get("currency"),
        texts=tuple(each for each in table.wanted.values() if each not in ours.values()),
        bounds=tuple(bounds),
        weeks=tuple(window.index(day) + 1 for day in mondays),
        sound=sound,
    )


def add_up(view: View, sums: Sums, mondays: Sequence[date]) -> tuple[str, Copy] | None:
    """Return the SELECT of sums, and a copy of the rows that are in none.

    None where the database cannot add up, or too many customers have doubtful rows.
    """
    rows = view.snapshot.sums(sums)
    if rows is None:
        return None
    path = copy_rows(rows, view.engine)
    scan = f"read_parquet({path_list([str(path)])})"
    doubtful = (
        f"SELECT DISTINCT customer_id FROM {scan} WHERE {IS_DOUBTFUL} AND customer_id IS NOT NULL"
    )
    with reading(view.origin):
        found = view.engine.execute(f"{doubtful} LIMIT {MOST_CUSTOMERS + 1}").fetchall()
    if len(found) > MOST_CUSTOMERS:
        return None
    remainder = view.remainder(mondays, sums, sorted(customer for (customer,) in found))
    first = mondays[0] - timedelta(days=7 * (sums.weeks[0] - 1))
    return (
        f"SELECT CAST(DATE '{first}' + CAST((week - 1) * 7 AS INTEGER) AS DATE) AS week_start,"
        " customer_id, TRY_CAST(mcc AS SMALLINT) AS mcc, spend_cents, transaction_count,"
        f" has_seconds FROM {scan} WHERE customer_id NOT IN ({doubtful})"
    ), remainder


def has_long_digits(part: Part, engine: Engine, origin: str) -> bool:
    """Whether a text that is searched for card numbers has as many digits as one."""
    texts = [column for name, column in part.columns.items() if name in ("mcc", "currency")]
    columns = [column.sql for column in (*texts, *part.extras.values()) if column.kind == "VARCHAR"]
    if not columns:
        return False
    long = " OR ".join(
        f"length(regexp_replace({sql}, '[^0-9]', '', 'g')) >= {_DIGITS}" for sql in columns
    )
    with reading(origin):
        found = engine.scalar(f"SELECT bool_or({long}) FROM {part.scan(part.items)}")
    return bool(found)


def _bounds(reader: WeekReader, engine: Engine, window: Sequence[date]) -> list[datetime]:
    """Return the moments of UTC, quarters of an hour, at which the weeks begin and the last ends.

    Empty where a week is not one stretch of time, as when clocks go back over its beginning.
    """
    first, last = window[0] - _MARGIN, window[-1] + timedelta(days=7) + _MARGIN
    local = reader.local_time("bin", "TIMESTAMP WITH TIME ZONE", engine)
    weeks = engine.execute(
        f"SELECT {monday_sql('local')} AS monday, CAST(min(bin) AS TIMESTAMP),"
        " CAST(max(bin) AS TIMESTAMP), count(*) FROM"
        f" (SELECT bin, {local} AS local FROM (SELECT unnest(generate_series("
        f"TIMESTAMPTZ '{first} 00:00:00+00', TIMESTAMPTZ '{last} 00:00:00+00',"
        " INTERVAL 15 MINUTE)) AS bin)) GROUP BY monday ORDER BY monday"
    ).fetchall()
    inside = [week for week in weeks if window[0] <= week[0] <= window[-1]]
    is_whole = all(end - begin == (count - 1) * _BIN for _, begin, end, count in inside)
    bounds = [begin for _, begin, _, _ in inside] + [inside[-1][2] + _BIN]
    ends = [end + _BIN for _, _, end, _ in inside]
    return bounds if is_whole and ends == bounds[1:] else []
