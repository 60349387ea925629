"""Portfolios with every oddity of the data contract, as text and as numbers, in both shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random
from typing import Any

import pyarrow as pa
from small_portfolio import WEEK, portfolio_rows

from cardwatch.week import ReportingWeek

Row = dict[str, Any]

Change = Callable[[Row], Row]


def _set(**values: Any) -> Change:
    return lambda row: {**row, **values}


def _changed(name: str, change: Callable[[str], str]) -> Change:
    return lambda row: {**row, name: change(row[name])}


_EITHER: tuple[Change, ...] = (
    _set(customer_id=None),
    _set(customer_id="  "),
    _set(customer_id="x" * 201),
    _set(mcc=None),
    _set(mcc="54"),
    _set(note="paid at the counter"),
    _changed("customer_id", lambda name: f" {name}"),
    _changed("customer_id", lambda name: f"Ω{name}"),
    _changed("mcc", lambda code: f" {code} "),
)
_WEEKLY: tuple[Change, ...] = (
    *_EITHER,
    _set(reporting_week=None),
    _set(reporting_week="2025-99"),
    _set(reporting_week="2019-01"),
    _set(reporting_week=str(WEEK.monday)),
    _set(spend_amount=None),
    _set(spend_amount="12,50"),
    _set(spend_amount="inf"),
    _set(spend_amount="NaN"),
    _set(spend_amount="123456789012"),
    _set(spend_amount="10.00499999999999999"),
    _set(transaction_count="1.5"),
    _set(transaction_count="-2"),
    _set(transaction_count="3000000000"),
    _set(transaction_count="0"),
    _set(avg_ticket_amount="0.01"),
)
_PURCHASE: tuple[Change, ...] = (
    *_EITHER,
    _set(transaction_time=None),
    _set(transaction_time="yesterday"),
    _set(amount=None),
    _set(amount="12,50"),
    _set(amount="-inf"),
    _set(amount="123456789012"),
    _set(currency="USD"),
    _set(currency=" eur "),
    _set(currency=None),
)
_ONE_IN = 40
"""Rows of which one is odd, and one is there twice."""


def odd_weekly() -> pa.Table:
    """Return weekly rows as text, most of them sound."""
    dice, rows = Random(5), list[Row]()
    for row in _texts():
        if row["reporting_week"] == WEEK.label and dice.randrange(_ONE_IN) == 0:
            row["spend_amount"] = f"{100 * float(row['spend_amount']):.2f}"  # whole units for cents
        rows.append(dice.choice(_WEEKLY)(row) if dice.randrange(_ONE_IN) == 0 else row)
        if dice.randrange(_ONE_IN) == 0:
            rows.append({**rows[-1]})
        if dice.randrange(_ONE_IN) == 0:
            rows.append({**rows[-1], "spend_amount": "1.23"})
    dice.shuffle(rows)
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in rows[0]]))


def odd_transactions() -> pa.Table:
    """Return transactions as text, most of them sound; the times of one week have no seconds."""
    dice, rows = Random(6), list[Row]()
    for row in _texts():
        count, week = int(row["transaction_count"]), row["reporting_week"]
        for _ in range(count):
            amount = float(row["spend_amount"]) / count * dice.choice((0.5, 1, 1, 1.5))
            if week == WEEK.label and dice.randrange(4 * _ONE_IN) == 0:
                amount *= 100
            made = {
                "customer_id": row["customer_id"],
                "transaction_time": _time(week, dice),
                "mcc": row["mcc"],
                "amount": f"{amount:.2f}",
                "currency": "EUR",
                "note": "",
            }
            rows.append(dice.choice(_PURCHASE)(made) if dice.randrange(_ONE_IN) == 0 else made)
            if dice.randrange(_ONE_IN) == 0:
                rows.append({**rows[-1]})
    dice.shuffle(rows)
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in rows[0]]))


def _texts() -> Iterator[Row]:
    for row in portfolio_rows().to_pylist():
        texts = {name: None if value is None else str(value) for name, value in row.items()}
        yield {**texts, "note": ""}


def _time(week: str, dice: Random) -> str:
    day = ReportingWeek.parse(week).monday + timedelta(days=dice.randrange(7))
    clock = f"{dice.randrange(24):02}:{dice.randrange(60):02}"
    return f"{day}T{clock}" + ("" if week == "2025-44" else f":{dice.randrange(60):02}")
