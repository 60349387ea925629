"""Small deliveries from rows in the engine, for the tests of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from cardwatch.cache import RollupCache
from cardwatch.config import ContractConfig
from cardwatch.contract import check_contract
from cardwatch.engine import Engine
from cardwatch.schema import Checked, Delivery, Shape
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")
REFERENCE = WEEK.window(4)
WEEKS = (*REFERENCE, WEEK)

Row = Mapping[str, Any]
Key = Callable[[ReportingWeek], str | None]

WEEKLY: Mapping[str, Any] = {
    "customer_id": "A",
    "week_value": "",
    "week_start": WEEK.monday,
    "mcc": "5411",
    "spend_amount": "10.00",
    "transaction_count": "2",
    "avg_ticket_amount": None,
    "source_file": "rows.csv",
}
TRANSACTION: Mapping[str, Any] = {
    "customer_id": "A",
    "week_value": "",
    "week_start": WEEK.monday,
    "transaction_time": "2025-11-18 10:15:30",
    "mcc": "5411",
    "amount": "10.00",
    "currency": None,
    "source_file": "rows.csv",
}


def row(week: int = 4, **values: Any) -> dict[str, Any]:
    """Return a weekly row of the n-th week (4 is the scored one), usual but for `values`."""
    return _row(WEEKLY, week, values)


def purchase(week: int = 4, **values: Any) -> dict[str, Any]:
    """Return a transaction, usual but for `values`."""
    return _row(TRANSACTION, week, values)


def _row(usual: Row, week: int, values: Row) -> dict[str, Any]:
    monday = values.get("week_start", WEEKS[week].monday)
    shown = {"week_start": monday, "week_value": "no week" if monday is None else str(monday)}
    return {**usual, **shown, **values}


def history(customers: Sequence[str] = ("A", "B", "C"), **values: Any) -> list[dict[str, Any]]:
    """Return one row per customer and reference week."""
    return [row(week, customer_id=who, **values) for week in range(4) for who in customers]


def deliver(
    engine: Engine,
    rows: Sequence[Row],
    *,
    shape: Shape = "weekly",
    types: Mapping[str, pa.DataType] | None = None,
    extra: Sequence[str] = (),
    key: Key = lambda week: None,
    table: str = "delivered",
) -> Delivery:
    """Put rows into an engine table and return the delivery that reads them.

    Columns are text unless `types` says otherwise; rows without a week come with the scored one.
    """
    names = (*(WEEKLY if shape == "weekly" else TRANSACTION), *extra)
    kinds = {name: pa.string() for name in names} | {"week_start": pa.date32()} | dict(types or {})
    data = pa.table({n: pa.array([r.get(n) for r in rows], kinds[n]) for n in names})
    engine.connection.register("made", data)
    engine.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM made")
    engine.connection.unregister("made")

    def select(weeks: Sequence[ReportingWeek]) -> str:
        mondays = ", ".join(f"DATE '{week.monday}'" for week in weeks)
        stray = f" OR week_start NOT IN ({_mondays()}) OR week_start IS NULL"
        return f"SELECT * FROM {table} WHERE week_start IN ({mondays})" + (
            stray if WEEK in weeks else ""
        )

    return Delivery(WEEK, REFERENCE, shape, select, key, "rows of a test", tuple(extra))


def _mondays() -> str:
    return ", ".join(f"DATE '{week.monday}'" for week in WEEKS)


@dataclass(frozen=True)
class Outcome:
    """What a check left behind, as plain rows."""

    checked: Checked
    cells: list[tuple[Any, ...]]
    quarantine: list[dict[str, Any]]
    customers: list[str]

    @property
    def reasons(self) -> dict[str, int]:
        """Rows set aside or remarked on by code."""
        return {found.reason: found.rows for found in self.checked.findings}


LENIENT = ContractConfig(on_unusable="warn")


def check(
    engine: Engine,
    rows: Sequence[Row],
    rules: ContractConfig = LENIENT,
    *,
    currency: str = "",
    cache: RollupCache | None = None,
    **given: Any,
) -> Outcome:
    """Deliver rows, check them and return what is left in the engine."""
    return outcome(
        engine,
        check_contract(
            deliver(engine, rows, **given), rules, engine, currency=currency, cache=cache
        ),
    )


def outcome(engine: Engine, checked: Checked) -> Outcome:
    """Read the tables that a check made."""
    cells = engine.execute(
        "SELECT k.customer_id, c.week_index, c.mcc, c.spend_cents, c.transaction_count"
        " FROM cell AS c JOIN customer AS k USING (customer_key)"
        " ORDER BY c.customer_key, c.week_index, c.mcc"
    ).fetchall()
    ids = engine.execute("SELECT customer_id FROM customer ORDER BY customer_key").fetchall()
    return Outcome(checked, cells, engine.rows("FROM quarantine"), [name for (name,) in ids])


def monday(week: int) -> date:
    """Return the Monday of the window's n-th week."""
    return WEEKS[week].monday
