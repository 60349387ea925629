from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from deliveries import WEEK, check, purchase, row

from cardwatch.config import ContractConfig
from cardwatch.engine import Engine


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"customer_id": None}, "MISSING_KEY"),
        ({"customer_id": ""}, "MISSING_KEY"),
        ({"customer_id": "  "}, "MISSING_KEY"),
        ({"mcc": None}, "MISSING_KEY"),
        ({"mcc": " "}, "MISSING_KEY"),
        ({"customer_id": "x" * 201}, "ID_TOO_LONG"),
        ({"week_start": None}, "WEEK_UNREADABLE"),
        ({"week_start": WEEK.monday + timedelta(days=7)}, "WEEK_OUTSIDE_REQUEST"),
        ({"week_start": WEEK.monday - timedelta(days=700)}, "WEEK_OUTSIDE_REQUEST"),
        ({"mcc": "541"}, "MALFORMED_MCC"),
        ({"mcc": "5411.0"}, "MALFORMED_MCC"),
        ({"mcc": "54 11"}, "MALFORMED_MCC"),
        ({"mcc": "-541"}, "MALFORMED_MCC"),
        ({"mcc": "٥٤١١"}, "MALFORMED_MCC"),
        ({"spend_amount": None}, "MISSING_AMOUNT"),
        ({"spend_amount": ""}, "MISSING_AMOUNT"),
        ({"spend_amount": "ten"}, "AMOUNT_NOT_A_NUMBER"),
        ({"spend_amount": "1.234,50"}, "AMOUNT_NOT_A_NUMBER"),
        ({"spend_amount": "NaN"}, "AMOUNT_NOT_FINITE"),
        ({"spend_amount": "-inf"}, "AMOUNT_NOT_FINITE"),
        ({"spend_amount": "1e308"}, "AMOUNT_ABSURD"),
        ({"spend_amount": "-10000000.01"}, "AMOUNT_ABSURD"),
        ({"transaction_count": "2.5"}, "COUNT_NOT_WHOLE"),
        ({"transaction_count": "two"}, "COUNT_NOT_WHOLE"),
        ({"transaction_count": "NaN"}, "COUNT_NOT_WHOLE"),
        ({"transaction_count": "-1"}, "COUNT_NEGATIVE"),
        ({"transaction_count": "2147483648"}, "COUNT_TOO_LARGE"),
        ({"transaction_count": "1e300"}, "COUNT_TOO_LARGE"),
        ({"transaction_count": "0"}, "SPEND_WITHOUT_COUNT"),
        ({"transaction_count": None}, "SPEND_WITHOUT_COUNT"),
        ({"transaction_count": "0", "spend_amount": "-5"}, "SPEND_WITHOUT_COUNT"),
        ({"mcc": "x", "spend_amount": "y"}, "MALFORMED_MCC"),
    ],
)
def test_a_row_that_breaks_a_rule_is_set_aside_under_the_first_rule_it_breaks(
    engine: Engine, values: dict[str, Any], reason: str
) -> None:
    found = check(engine, [row(customer_id="fine"), row(**{"customer_id": "bad", **values})])
    assert found.reasons == {reason: 1, **_overall(found.reasons)}
    assert [name for name, *_ in found.cells] == ["fine"]
    assert found.checked.coverage.rows_in == 2
    assert found.checked.coverage.rows_quarantined == 1


def _overall(reasons: dict[str, int]) -> dict[str, int]:
    return {code: n for code, n in reasons.items() if code == "TOO_MUCH_QUARANTINED"}


@pytest.mark.parametrize(
    ("values", "cents", "count"),
    [
        ({"spend_amount": "-12.30"}, -1230, 2),
        ({"spend_amount": "0"}, 0, 2),
        ({"spend_amount": "0", "transaction_count": None}, 0, 0),
        ({"spend_amount": "1.005"}, 101, 2),
        ({"spend_amount": "-1.005"}, -101, 2),
        ({"spend_amount": " 1e3 "}, 100000, 2),
        ({"spend_amount": "9999999.99"}, 999999999, 2),
        ({"transaction_count": "3.0"}, 1000, 3),
        ({"mcc": " 5411 "}, 1000, 2),
    ],
)
def test_unusual_but_sound_values_are_accepted_exactly(
    engine: Engine, values: dict[str, Any], cents: int, count: int
) -> None:
    found = check(engine, [row(**values)])
    assert found.cells == [("A", 4, 5411, cents, count)]
    assert found.quarantine == []


def test_numbers_by_type_are_read_without_text(engine: Engine) -> None:
    types = {
        "mcc": pa.int64(),
        "spend_amount": pa.float64(),
        "transaction_count": pa.float64(),
        "avg_ticket_amount": pa.float64(),
    }
    rows = [
        row(mcc=742, spend_amount=0.125, transaction_count=1.0, customer_id="cents"),
        row(mcc=10000, spend_amount=1.0, transaction_count=1.0, customer_id="mcc"),
        row(mcc=-1, spend_amount=1.0, transaction_count=1.0, customer_id="mcc"),
        row(mcc=5411, spend_amount=float("nan"), transaction_count=1.0, customer_id="nan"),
        row(mcc=5411, spend_amount=1.0, transaction_count=1.5, customer_id="half"),
        row(mcc=None, spend_amount=1.0, transaction_count=1.0, customer_id="none"),
    ]
    found = check(engine, rows, types=types)
    assert found.cells == [("cents", 4, 742, 13, 1)]
    assert {r["customer_id"]: r["reason"] for r in found.quarantine} == {
        "mcc": "MALFORMED_MCC",
        "nan": "AMOUNT_NOT_FINITE",
        "half": "COUNT_NOT_WHOLE",
        "none": "MISSING_KEY",
    }
    assert {r["mcc"] for r in found.quarantine} == {"10000", "-1", "5411", None}


def test_ids_and_amounts_of_any_number_type_are_read(engine: Engine) -> None:
    types = {
        "customer_id": pa.float64(),
        "mcc": pa.float64(),
        "spend_amount": pa.decimal128(12, 3),
        "transaction_count": pa.int8(),
    }
    rows = [
        row(customer_id=7.0, mcc=5411.0, spend_amount=Decimal("1.005"), transaction_count=1),
        row(customer_id=8.0, mcc=5411.5, spend_amount=Decimal("1.005"), transaction_count=1),
    ]
    found = check(engine, rows, types=types)
    assert found.cells == [("7", 4, 5411, 101, 1)]
    assert found.reasons["MALFORMED_MCC"] == 1


def test_an_unknown_merchant_category_is_accepted(engine: Engine) -> None:
    assert check(engine, [row(mcc="0001")]).cells == [("A", 4, 1, 1000, 2)]


def test_an_average_ticket_that_disagrees_is_counted_and_not_used(engine: Engine) -> None:
    rows = [
        row(customer_id="right", avg_ticket_amount="5.00"),
        row(customer_id="rounded", spend_amount="10.01", avg_ticket_amount="5.01"),
        row(customer_id="blank", avg_ticket_amount=" "),
        row(customer_id="wrong", avg_ticket_amount="7.00"),
        row(customer_id="text", avg_ticket_amount="five"),
    ]
    found = check(engine, rows)
    assert found.reasons == {"AVERAGE_TICKET_DISAGREES": 2}
    assert [f.action for f in found.checked.findings] == ["warn"]
    assert found.checked.coverage.rows_accepted == 5
    assert found.quarantine == []


def test_exact_copies_are_folded_and_conflicting_rows_are_all_set_aside(engine: Engine) -> None:
    rows = [
        row(customer_id="copy", spend_amount="10.0"),
        row(customer_id="copy", spend_amount="10.00"),
        row(customer_id="copy", spend_amount="10.00"),
        row(customer_id="conflict", spend_amount="10"),
        row(customer_id="conflict", spend_amount="10"),
        row(customer_id="conflict", spend_amount="11"),
        row(customer_id="other mcc", mcc="5812"),
        row(customer_id="other mcc"),
    ]
    found = check(engine, rows)
    assert found.cells == [
        ("copy", 4, 5411, 1000, 2),
        ("other mcc", 4, 5411, 1000, 2),
        ("other mcc", 4, 5812, 1000, 2),
    ]
    assert found.reasons["DUPLICATE_COPY"] == 2
    assert found.reasons["DUPLICATE_CONFLICT"] == 3
    assert sorted(r["row_copies"] for r in found.quarantine) == [1, 2, 2]
    assert found.checked.coverage.customers_unscored == {"DUPLICATE_CONFLICT": 1}
    assert engine.execute("SELECT customer_key FROM customer").fetchall() == [(0,), (1,)]


def test_a_faulty_row_does_not_make_its_sound_twin_a_duplicate(engine: Engine) -> None:
    found = check(engine, [row(), row(spend_amount="x")])
    assert found.cells == [("A", 4, 5411, 1000, 2)]


def test_rows_in_the_rarer_currency_are_set_aside(engine: Engine) -> None:
    rows = [
        row(customer_id="A", currency="EUR"),
        row(customer_id="B", currency=" eur "),
        row(customer_id="C", currency=None),
        row(customer_id="D", currency="USD"),
    ]
    found = check(engine, rows, extra=["currency"])
    assert found.customers == ["A", "B", "C"]
    assert [r["detail"] for r in found.quarantine] == ["currency USD"]
    found = check(engine, rows, extra=["currency"], currency="usd")
    assert found.customers == ["C", "D"]


def test_the_quarantine_shows_what_was_delivered_and_cuts_endless_values(engine: Engine) -> None:
    found = check(
        engine,
        [
            row(),
            row(customer_id="B", mcc="x" * 5000, source_file="b.csv"),
            row(customer_id="y" * 5000),
        ],
    )
    by_reason = {r["reason"]: r for r in found.quarantine}
    bad = by_reason["MALFORMED_MCC"]
    assert bad["mcc"] == "x" * 1000 + "… (5000 characters)"
    assert (bad["amount"], bad["transaction_count"]) == ("10.00", "2")
    assert (bad["source"], bad["row_copies"]) == ("b.csv", 1)
    assert by_reason["ID_TOO_LONG"]["customer_id"].endswith("… (5000 characters)")


def test_ids_with_quotes_newlines_and_emoji_are_customers_like_others(engine: Engine) -> None:
    ids = ['a"b', "a'b", "a\nb", "a,b", "=cmd()", "🙂", "é"]
    found = check(engine, [row(customer_id=name) for name in ids])
    assert found.customers == sorted(ids, key=lambda name: name.encode())


def test_customers_whose_rows_were_all_set_aside_are_counted_by_reason(engine: Engine) -> None:
    rows = [
        row(),
        row(customer_id="B", mcc="x"),
        row(customer_id="B", spend_amount="x", mcc="5812"),
        row(customer_id="C", spend_amount="x"),
        row(customer_id=None),
    ]
    coverage = check(engine, rows).checked.coverage
    assert coverage.customers_in == 3
    assert coverage.customers_unscored == {"MALFORMED_MCC": 1, "AMOUNT_NOT_A_NUMBER": 1}


def test_transactions_are_checked_one_by_one_and_rolled_up(engine: Engine) -> None:
    rows = [
        purchase(amount="10.00", transaction_time="2025-11-18 10:15:30"),
        purchase(amount="-4.50", transaction_time="2025-11-19 10:15:31"),
        purchase(amount="x", transaction_time="2025-11-19 10:15:32"),
        purchase(mcc="5812", transaction_time="2025-11-19 10:15:33"),
        purchase(week=1, transaction_time="2025-10-29 10:15:33"),
    ]
    found = check(engine, rows, shape="transactions")
    assert found.cells == [
        ("A", 1, 5411, 1000, 1),
        ("A", 4, 5411, 550, 2),
        ("A", 4, 5812, 1000, 1),
    ]
    coverage = found.checked.coverage
    assert (coverage.rows_in, coverage.rows_accepted, coverage.cells) == (5, 4, 3)
    assert found.quarantine[0]["transaction_count"] is None


def test_identical_transactions_are_copies_only_where_times_have_seconds(engine: Engine) -> None:
    to_the_second = [purchase(), purchase(), purchase(transaction_time="2025-11-18 10:16:00")]
    found = check(engine, to_the_second, shape="transactions")
    assert found.cells == [("A", 4, 5411, 2000, 2)]
    assert found.reasons == {"DUPLICATE_COPY": 1}

    to_the_minute = [purchase(transaction_time="2025-11-18 10:15") for _ in range(2)]
    found = check(engine, to_the_minute, shape="transactions")
    assert found.cells == [("A", 4, 5411, 2000, 2)]
    assert found.reasons == {}


def test_transactions_with_references_of_their_own_are_no_copies(engine: Engine) -> None:
    rows = [purchase(reference="r1"), purchase(reference="r2"), purchase(reference="r2")]
    found = check(engine, rows, shape="transactions", extra=["reference"])
    assert found.cells == [("A", 4, 5411, 2000, 2)]


def test_an_absurd_limit_cannot_make_cents_overflow(engine: Engine) -> None:
    rules = ContractConfig(max_amount=1e300, on_unusable="warn")
    found = check(
        engine, [row(spend_amount="1e30"), row(customer_id="B", spend_amount="1e12")], rules
    )
    assert found.cells == [("B", 4, 5411, 10**14, 2)]
    assert found.reasons["AMOUNT_ABSURD"] == 1
