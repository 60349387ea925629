"""Values that a column of the database does not take, and awkward ones that arrive."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from postgres import Database
from published_database import GUIDE_SQL, dump, rows, sink_of, upgrade, write_files, write_list
from published_weeks import WEEK, listed_customer

from cardwatch.engine import Engine
from cardwatch.errors import PublishError


@pytest.mark.parametrize(
    ("changed", "column", "expected"),
    [
        ({"customer_id": "S" * 51}, "anomaly_reports.customer_id", "50 characters at most"),
        ({"customer_id": "S\0ecret"}, "anomaly_reports.customer_id", "NUL"),
        ({"total_spend": Decimal("10000000000.00")}, "anomaly_reports.total_spend",
         "9,999,999,999.99 at most"),
        ({"total_spend": Decimal("-10000000000.00")}, "anomaly_reports.total_spend", "an amount"),
        ({"top_mcc_spend": Decimal("123456789012.00")}, "anomaly_reports.top_mcc_spend", "amount"),
        ({"transaction_count": 2**31}, "anomaly_reports.transaction_count", "2,147,483,647"),
        ({"top_mcc": "5" * 51}, "anomaly_reports.top_mcc", "50 characters"),
        ({"anomaly_score": float("nan")}, "anomaly_reports.anomaly_score", "no value in 1 row"),
        ({"signal_rule": "a\0b"}, "anomaly_details.signal_rule", "NUL"),
        ({"history_weeks": 2**31}, "anomaly_details.history_weeks", "a number in 1 row"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_named_by_column_and_nothing_is_written(
    outputs: Path,
    engine: Engine,
    ready: Database,
    changed: dict[str, Any],
    column: str,
    expected: str,
) -> None:
    sink = sink_of(outputs, ready)
    write_files(outputs, engine, {"SECRET-1": 1}, "run-1")
    sink.publish(WEEK)
    before = dump(ready)
    name = changed.get("customer_id", "SECRET-2")
    first = listed_customer(name, 1)
    listed = [type(first)(**{**vars(first), **changed}), listed_customer("SECRET-3", 2)]
    write_list(outputs, engine, listed, "run-2")
    with pytest.raises(PublishError) as raised:
        sink.publish(WEEK)
    message = raised.value.message
    assert column in message
    assert expected in message
    assert "nothing was written" in message
    assert "SECRET" not in message
    assert "SSS" not in message
    assert dump(ready) == before


def test_values_at_the_limit_of_their_column_fit(
    outputs: Path, engine: Engine, ready: Database
) -> None:
    widest = {
        "customer_id": "é" * 50,
        "total_spend": Decimal("-9999999999.99"),
        "top_mcc_spend": Decimal("9999999999.99"),
        "transaction_count": 2**31 - 1,
    }
    write_files(outputs, engine, {"é" * 50: 1}, changed=widest)
    sink_of(outputs, ready).publish(WEEK)
    [row] = rows(ready, "anomaly_reports")
    assert {name: row[name] for name in widest} == widest


def test_a_longer_id_fits_where_the_column_was_made_wider(
    outputs: Path, engine: Engine, database: Database
) -> None:
    database.execute(GUIDE_SQL.replace("customer_id VARCHAR(50)", "customer_id VARCHAR(80)"))
    upgrade(database)
    write_files(outputs, engine, {"L" * 80: 1})
    sink_of(outputs, database).publish(WEEK)
    write_files(outputs, engine, {"L" * 81: 1})
    with pytest.raises(PublishError, match="80 characters at most"):
        sink_of(outputs, database).publish(WEEK)


def test_an_id_too_long_for_any_index_is_found_before_it_is_sent(
    outputs: Path, engine: Engine, database: Database
) -> None:
    database.execute(GUIDE_SQL.replace("customer_id VARCHAR(50)", "customer_id TEXT"))
    upgrade(database)
    write_files(outputs, engine, {"L" * 2001: 1})
    with pytest.raises(PublishError, match="2,000 bytes at most"):
        sink_of(outputs, database).publish(WEEK)


AWKWARD = [
    "",
    " ",
    '"',
    "a,b",
    "a\nb\r",
    "\\N",
    "NULL",
    "\\.",
    "'; DROP TABLE x; --",
    "日本",
    "a\tb",
]


def test_awkward_text_arrives_as_it_is(outputs: Path, engine: Engine, ready: Database) -> None:
    listed = [
        listed_customer(f"{position}{text}", position, [text or "-"])
        for position, text in enumerate(AWKWARD, start=1)
    ]
    write_list(outputs, engine, listed)
    sink_of(outputs, ready).publish(WEEK)
    found = {row["customer_id"]: row["sentence"] for row in rows(ready, "anomaly_reasons")}
    assert found == {each.customer_id: each.reasons[0].sentence for each in listed}
