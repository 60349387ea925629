from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from deliveries import LENIENT, Row, deliver, outcome, purchase, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest import TempPathFactory

from cardwatch.contract import ReasonCode, check_contract
from cardwatch.engine import Engine
from cardwatch.schema import Shape

WEEK_VALUES = st.integers(0, 4)
IDS = st.one_of(st.sampled_from(["A", "B", "C", "D"]), st.none(), st.text(max_size=5))
MCCS = st.one_of(st.sampled_from(["5411", "5812"]), st.none(), st.text("0123456789 x.", max_size=5))
AMOUNTS = st.one_of(
    st.decimals(-100, 10_000, places=2).map(str),
    st.sampled_from(["", "NaN", "inf", "x", "1e9", "10.00", "1000.00", None]),
)
COUNTS = st.one_of(st.integers(-1, 9).map(str), st.sampled_from(["1.5", "", "x", "1e12", None]))


@st.composite
def weekly(draw: st.DrawFn) -> dict[str, Any]:
    made = row(
        draw(WEEK_VALUES),
        customer_id=draw(IDS),
        mcc=draw(MCCS),
        spend_amount=draw(AMOUNTS),
        transaction_count=draw(COUNTS),
        avg_ticket_amount=draw(AMOUNTS),
    )
    return {**made, "week_start": None} if draw(st.integers(0, 20)) == 0 else made


@st.composite
def transaction(draw: st.DrawFn) -> dict[str, Any]:
    return purchase(
        draw(WEEK_VALUES),
        customer_id=draw(IDS),
        mcc=draw(MCCS),
        amount=draw(AMOUNTS),
        currency=draw(st.sampled_from(["EUR", "USD", None])),
        transaction_time=draw(st.sampled_from(["2025-11-18 10:15:30", "2025-11-18 10:15"])),
    )


def identity(folder: Path, rows: list[Row], shape: Shape) -> None:
    with Engine("300MB", threads=1, temp_directory=folder) as engine:
        delivery = deliver(engine, rows, shape=shape)
        found = outcome(engine, check_contract(delivery, LENIENT, engine))
    coverage = found.checked.coverage
    aside = sum(r["row_copies"] for r in found.quarantine)
    accepted = len(found.cells) if shape == "weekly" else sum(count for *_, count in found.cells)
    assert coverage.rows_in == len(rows) == accepted + aside
    assert (coverage.rows_accepted, coverage.rows_quarantined) == (accepted, aside)

    delivered = {r["customer_id"] for r in rows if (r["customer_id"] or "").strip(" ")}
    scored = {who for who, *_ in found.cells}
    assert set(found.customers) == scored <= delivered
    assert coverage.customers_in == len(delivered)
    assert sum(coverage.customers_unscored.values()) == len(delivered - scored)

    counted = Counter(
        {f.reason: f.rows for f in found.checked.findings if f.action == "quarantine_row"}
    )
    listed = Counter[str]()
    for each in found.quarantine:
        listed[each["reason"]] += each["row_copies"]
    assert counted == listed
    assert set(listed) <= {code.name for code in ReasonCode}
    spend = sum((Decimal(cents) / 100 for *_, cents, _ in found.cells), Decimal())
    assert abs(spend) <= sum(
        (abs(Decimal(r.get(_amount(shape)) or 0)) for r in rows if _finite(r.get(_amount(shape)))),
        Decimal(),
    )


def _amount(shape: Shape) -> str:
    return "spend_amount" if shape == "weekly" else "amount"


def _finite(text: Any) -> bool:
    try:
        return bool(Decimal(text).is_finite())
    except (ArithmeticError, TypeError, ValueError):
        return False


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(weekly(), max_size=30))
def test_every_weekly_row_and_customer_is_accepted_or_set_aside(
    tmp_path_factory: TempPathFactory, rows: list[Row]
) -> None:
    identity(tmp_path_factory.getbasetemp(), rows, "weekly")


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(transaction(), max_size=30))
def test_every_transaction_and_customer_is_accepted_or_set_aside(
    tmp_path_factory: TempPathFactory, rows: list[Row]
) -> None:
    identity(tmp_path_factory.getbasetemp(), rows, "transactions")
