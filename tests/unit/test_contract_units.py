from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from deliveries import Row, check, history, purchase, row

from cardwatch.config import ContractConfig
from cardwatch.contract.window import PACKAGE
from cardwatch.engine import Engine

OTHERS = [row(w, customer_id=f"other {n}", spend_amount="20") for n in range(9) for w in range(5)]


def scored(spend: str, **values: Any) -> list[Row]:
    """Return a customer who usually spends 10.00, and `spend` in the scored week."""
    return [*OTHERS, *history(["A"], **values), row(spend_amount=spend, **values)]


@pytest.mark.parametrize("spend", ["1000.00", "1100.00", "900.00"])
def test_an_amount_a_hundred_times_both_usual_ones_is_set_aside(engine: Engine, spend: str) -> None:
    found = check(engine, [*scored(spend, mcc="5411"), row(customer_id="B", mcc="5812")])
    # The category's usual ticket is 10, twice this customer's.
    assert found.reasons.get("UNIT_ERROR") == (1 if float(spend) >= 1200 else None)

    found = check(engine, [*history(["A", "B"]), row(customer_id="A", spend_amount=spend)])
    assert found.reasons["UNIT_ERROR"] == 1
    assert [(r["customer_id"], r["amount"]) for r in found.quarantine] == [("A", spend)]
    assert found.quarantine[0]["detail"].endswith(" times the usual ticket")
    assert ("A", 4) not in {(who, week) for who, week, *_ in found.cells}


@pytest.mark.parametrize("times", [12, 20, 40, 59, 161, 1000])
def test_a_ticket_that_is_merely_unusual_stays(engine: Engine, times: int) -> None:
    rows = [*history(["A", "B"]), row(spend_amount=str(10 * times))]
    assert "UNIT_ERROR" not in check(engine, rows).reasons


def test_a_low_spender_with_a_normal_large_purchase_stays(engine: Engine) -> None:
    # 100 times the customer's own ticket, 25 times the category's.
    rows = [
        *history(["B", "C", "D"], spend_amount="40.00"),
        *history(["A"], spend_amount="10.00"),
        row(spend_amount="1000.00"),
    ]
    assert "UNIT_ERROR" not in check(engine, rows).reasons


def test_without_three_weeks_of_own_history_nothing_is_called_a_unit_error(engine: Engine) -> None:
    short = [r for r in history(["A"]) if r["week_start"] < row(2)["week_start"]]
    rows = [*history(["B"]), *short, row(spend_amount="1000.00")]
    assert "UNIT_ERROR" not in check(engine, rows).reasons


def test_the_ratios_are_settings(engine: Engine) -> None:
    rows = [*history(["A", "B"]), row(spend_amount="200.00")]
    rules = ContractConfig(unit_error_ratio=(15, 25), on_unusable="warn")
    assert check(engine, rows, rules).reasons["UNIT_ERROR"] == 1


def test_reference_weeks_are_left_as_they_are(engine: Engine) -> None:
    rows = [
        r
        for r in history(["A", "B"])
        if (r["customer_id"], r["week_start"]) != ("A", row(1)["week_start"])
    ]
    found = check(engine, [*rows, row(1, spend_amount="1000.00"), row(customer_id="B"), row()])
    assert "UNIT_ERROR" not in found.reasons
    assert ("A", 1, 5411, 100000, 2) in found.cells


def test_one_transaction_in_cents_is_taken_out_of_its_week(engine: Engine) -> None:
    usual = [
        purchase(week, customer_id=who, transaction_time=f"2025-11-1{week} 08:00:01")
        for week in range(4)
        for who in "AB"
    ]
    rows = [
        *usual,
        purchase(transaction_time="2025-11-18 10:00:01"),
        purchase(transaction_time="2025-11-18 10:00:02", amount="1000.00"),
        purchase(transaction_time="2025-11-18 10:00:02", amount="1000.00"),
        purchase(customer_id="B", transaction_time="2025-11-18 10:00:02", amount="1000.00"),
    ]
    found = check(engine, rows, shape="transactions")
    assert found.reasons["UNIT_ERROR"] == 2
    assert found.reasons["DUPLICATE_COPY"] == 1
    assert [cell for cell in found.cells if cell[1] == 4] == [("A", 4, 5411, 1000, 1)]
    assert found.checked.coverage.rows_in == len(rows)


def test_equal_transactions_without_seconds_are_all_set_aside(engine: Engine) -> None:
    usual = [
        purchase(week, customer_id=who, transaction_time="2025-11-10 08:00")
        for week in range(4)
        for who in "AB"
    ]
    wrong = [purchase(transaction_time="2025-11-18 10:00", amount="1000.00") for _ in range(3)]
    found = check(engine, [*usual, *wrong], shape="transactions")
    assert found.reasons["UNIT_ERROR"] == 3
    assert found.quarantine[0]["row_copies"] == 3


@pytest.mark.parametrize("low", [1.0, 1.5, 3.0])
def test_leaving_out_medians_that_nothing_exceeds_loses_no_suspect(
    engine: Engine, low: float
) -> None:
    """Few tickets per category, many of them equal, so that medians lie on and between values."""
    engine.execute(
        "CREATE TABLE rolled_up AS SELECT CAST(n AS INTEGER) AS customer_key,"
        " CAST(n % 4 AS TINYINT) AS week_index, CAST(n // 7 AS SMALLINT) AS mcc,"
        " CAST(1 + hash(n) % 30 AS BIGINT) AS spend_cents,"
        " CAST(1 + hash(n + 1) % 2 AS INTEGER) AS transaction_count FROM range(3000) AS r(n)"
    )
    for name in ("largest_ticket_weekly", "category_ticket", "unit_suspects_weekly"):
        engine.run_file(PACKAGE, name, scored=3, low=low)
    found = engine.execute("SELECT * FROM unit_suspect ORDER BY ALL").fetchall()
    expected = engine.execute(
        "SELECT customer_key, mcc, spend_cents / transaction_count AS ticket FROM rolled_up"
        " JOIN (SELECT mcc, median(spend_cents / transaction_count) AS usual FROM rolled_up"
        " WHERE week_index < 3 GROUP BY mcc) AS every USING (mcc)"
        " WHERE week_index = 3 AND ticket >= $low * usual ORDER BY ALL",
        low=low,
    ).fetchall()
    assert found == expected
    assert found


@pytest.mark.parametrize(
    "cents",
    ["1 + hash(n) % 5", "1 + hash(n) % 100000", "CAST(power(10, n % 13) AS BIGINT) + hash(n) % 3"],
)
def test_what_a_ticket_usually_is_is_the_median_to_the_last_bit(engine: Engine, cents: str) -> None:
    """Of few values, of many, and of values that lie far apart; odd and even numbers of them."""
    engine.execute(
        "CREATE TABLE rolled_up AS SELECT CAST(n % 3 AS TINYINT) AS week_index,"
        " CAST(sqrt(n) AS SMALLINT) AS mcc,"
        f" CAST({cents} AS BIGINT) AS spend_cents,"
        " CAST(1 + hash(n + 1) % 7 AS INTEGER) AS transaction_count FROM range(9000) AS r(n)"
    )
    engine.execute(
        "CREATE TABLE largest_ticket AS SELECT DISTINCT mcc, 1e300 AS ticket_cents FROM rolled_up"
    )
    engine.run_file(PACKAGE, "category_ticket", scored=2, low=1.0)
    found = engine.execute("SELECT * FROM category_ticket ORDER BY mcc").fetchall()
    expected = engine.execute(
        "SELECT mcc, median(spend_cents / transaction_count) FROM rolled_up"
        " WHERE week_index < 2 GROUP BY mcc ORDER BY mcc"
    ).fetchall()
    assert len(found) > 90
    assert found == expected


@pytest.mark.system
def test_what_a_ticket_usually_is_is_found_without_holding_them_all() -> None:
    """The engine's medians are not under its memory limit: 5 million tickets took 67 MB."""
    script = """
import resource
from cardwatch.contract.window import PACKAGE
from cardwatch.engine import Engine

with Engine(memory_limit="100MB", threads=2) as engine:
    engine.execute(
        "CREATE TABLE rolled_up AS SELECT CAST(0 AS TINYINT) AS week_index, CAST(n % 3 AS SMALLINT)"
        " AS mcc, CAST(1 + hash(n) % 1000000 AS BIGINT) AS spend_cents, CAST(1 + n % 5 AS INTEGER)"
        " AS transaction_count FROM range(5_000_000) AS r(n)"
    )
    engine.execute("CREATE TABLE largest_ticket AS SELECT DISTINCT mcc, 1e300 AS ticket_cents"
                   " FROM rolled_up")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    engine.run_file(PACKAGE, "category_ticket", scored=2, low=1.0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert int(done.stdout.split()[-1]) < 25_000, "kB; the engine may show its progress before"
