"""Transactions that the database adds up give exactly what reading every row gives."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from database_tables import load, source_of
from deliveries import LENIENT, outcome
from postgres import Database

from cardwatch.cache import RollupCache
from cardwatch.config import ContractConfig
from cardwatch.contract import check_contract
from cardwatch.engine import Engine
from cardwatch.errors import ContractError
from cardwatch.sources import database_delivery
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")
REFERENCES = 5
TYPES = {"transaction_time": "timestamptz", "amount": "numeric(12,2)"}
Row = dict[str, Any]


def purchases(count: int = 1500, seed: int = 5, *, seconds: bool = True) -> list[Row]:
    """Return sound transactions of the window and of the days around it, a few of them twice."""
    random = Random(seed)
    first = datetime.combine(WEEK.monday, datetime.min.time(), UTC) - timedelta(weeks=REFERENCES)
    span = int(timedelta(weeks=REFERENCES + 1, days=4).total_seconds())
    rows = []
    for _ in range(count):
        moment = first + timedelta(seconds=random.randrange(-200_000, span))
        rows.append(
            {
                "customer_id": f"c{random.randrange(60)}",
                "transaction_time": moment if seconds else moment.replace(second=0),
                "mcc": random.choice(["5411", "5812", "0742"]),
                "amount": f"{random.randrange(-5000, 20000) / 100:.2f}",
                "currency": random.choice(["USD", "USD", None, ""]),
            }
        )
    return rows + [dict(random.choice(rows)) for _ in range(count // 50)]


def spoilt(rows: Sequence[Row], seed: int = 9) -> list[Row]:
    """Return rows of which some break a rule, or say the same in another way."""
    random = Random(seed)
    faults: list[Row] = [
        {"customer_id": None},
        {"customer_id": "  "},
        {"customer_id": "x" * 250},
        {"customer_id": " c1 "},
        {"transaction_time": None},
        {"transaction_time": "infinity"},
        {"mcc": None},
        {"mcc": " 5411 "},
        {"mcc": "742"},
        {"mcc": "54111"},
        {"mcc": "x"},
        {"amount": None},
        {"amount": "NaN"},
        {"amount": "99999999.99"},
        {"amount": "-10000000.00"},
        {"amount": "10000000.00"},
        {"currency": "EUR"},
        {"currency": "usd"},
        {"currency": " USD "},
    ]
    return [{**row, **(random.choice(faults) if random.random() < 0.03 else {})} for row in rows]


def table_of(rows: Sequence[Row]) -> pa.Table:
    names = list(rows[0])
    return pa.table(
        {name: [None if row[name] is None else str(row[name]) for row in rows] for name in names}
    )


def checked(
    database: Database,
    engine: Engine,
    roll_up: str,
    rules: ContractConfig = LENIENT,
    cache: RollupCache | None = None,
    **settings: Any,
) -> dict[str, Any]:
    source = source_of(
        database.url, engine, roll_up=roll_up, has_cache=cache is not None, **settings
    )
    done = outcome(
        engine, check_contract(source.read(WEEK, REFERENCES), rules, engine, cache=cache)
    )
    summed = engine.scalar("SELECT count(*) FROM summed_row")
    found = asdict(done.checked)
    found.pop("cache_warnings")
    return {
        **found,
        "cells": done.cells,
        "quarantine": sorted(map(str, done.quarantine)),
        "customers": done.customers,
        "summed": summed,
    }


def assert_same(
    database: Database, engine: Engine, *, is_summed: bool = True, **settings: Any
) -> None:
    plain = checked(database, engine, "engine", **settings)
    summed = checked(database, engine, "database", **settings)
    assert plain.pop("summed") == 0
    assert bool(summed.pop("summed")) == is_summed
    assert summed == plain
    assert len(plain["cells"]) > 3


COLUMN_TYPES: dict[str, Mapping[str, str]] = {
    "usual": TYPES,
    "numbers": {**TYPES, "mcc": "smallint", "amount": "integer"},
    "short texts": {
        **TYPES,
        "mcc": "char(6)",
        "currency": "char(3)",
        "customer_id": "varchar(300)",
    },
    "no zone": {**TYPES, "transaction_time": "timestamp"},
    "days": {**TYPES, "transaction_time": "date"},
    "few decimals": {**TYPES, "amount": "numeric(12,1)"},
}


@pytest.mark.parametrize(
    "types",
    [
        pytest.param(types, id=name, marks=() if name == "usual" else pytest.mark.system)
        for name, types in COLUMN_TYPES.items()
    ],
)
@pytest.mark.parametrize(
    "timezone",
    [
        "America/New_York",
        pytest.param("UTC", marks=pytest.mark.system),
        pytest.param("Asia/Kathmandu", marks=pytest.mark.system),
    ],
)
def test_sums_give_what_rows_give(
    database: Database, engine: Engine, types: Mapping[str, str], timezone: str
) -> None:
    rows = table_of(purchases())
    if types["amount"] == "integer":
        rows = rows.set_column(3, "amount", [["5"] * rows.num_rows])
    load(database, rows, types=types)
    assert_same(database, engine, timezone=timezone)


def test_spoilt_rows_are_judged_by_the_contract_alone(database: Database, engine: Engine) -> None:
    load(database, table_of(spoilt(purchases())), types=TYPES)
    assert_same(database, engine)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.system) for seed in range(1, 4))]
)
def test_any_mixture_of_rows_gives_the_same(database: Database, engine: Engine, seed: int) -> None:
    rows = spoilt(purchases(900, seed), seed)
    load(database, table_of(rows), types=TYPES)
    assert_same(database, engine, timezone="Europe/Berlin")


def test_where_times_have_no_seconds_equal_purchases_are_all_kept(
    database: Database, engine: Engine
) -> None:
    load(database, table_of(purchases(seconds=False)), types=TYPES)
    assert_same(database, engine)


def test_seconds_that_were_added_up_still_tell_copies_apart(
    database: Database, engine: Engine
) -> None:
    """The one row with seconds is added up; the copies of another customer are not."""
    monday = datetime.combine((WEEK - 1).monday, datetime.min.time(), UTC)
    rows = [
        {**row, "transaction_time": row["transaction_time"].replace(second=0)}
        for row in purchases(300)
    ]
    usual = {"mcc": "5411", "amount": "1.00", "currency": "USD"}
    rows += [
        {"customer_id": "exact", "transaction_time": monday + timedelta(seconds=7), **usual},
        *({"customer_id": "twice", "transaction_time": monday, **usual} for _ in range(2)),
    ]
    load(database, table_of(rows), types=TYPES)
    assert_same(database, engine)


def test_texts_beside_tell_copies_apart_and_may_be_added_up(
    database: Database, engine: Engine
) -> None:
    rows = [
        {**row, "note": note}
        for place, row in enumerate(purchases(400))
        for note in (f"shop {place}", "till 12 of 20251117")[: 1 + place % 2]
    ]
    load(database, table_of(rows), types=TYPES)
    assert_same(database, engine)


@pytest.mark.system
@pytest.mark.parametrize("week", [WEEK, WEEK - 2])
def test_where_a_text_holds_long_digits_no_row_is_added_up(
    database: Database, engine: Engine, week: ReportingWeek
) -> None:
    rows = [{**row, "note": "n"} for row in purchases(200)]
    moment = datetime.combine(week.monday, datetime.min.time(), UTC) + timedelta(days=2)
    rows.append({**rows[0], "transaction_time": moment, "note": "order 1234567890123456"})
    load(database, table_of(rows), types=TYPES)
    assert_same(database, engine, is_summed=False)
    rows.append({**rows[0], "transaction_time": moment, "note": "4111 1111 1111 1111"})
    name = f"with_{secrets.token_hex(3)}"
    load(database, table_of(rows), name, types=TYPES)
    for roll_up in ("engine", "database"):
        with pytest.raises(ContractError, match="CARD_NUMBER"):
            checked(database, engine, roll_up, table=name)


FOREIGN_TYPES: dict[str, Mapping[str, str]] = {
    "binary fractions": {**TYPES, "amount": "double precision"},
    "many decimals": {**TYPES, "amount": "numeric"},
    "times that are text": {**TYPES, "transaction_time": "text"},
    "ids of another type": {**TYPES, "customer_id": "char(5)"},
}


@pytest.mark.system
@pytest.mark.parametrize("types", FOREIGN_TYPES.values(), ids=list(FOREIGN_TYPES))
def test_what_cannot_be_added_up_exactly_is_read(
    database: Database, engine: Engine, types: Mapping[str, str]
) -> None:
    load(database, table_of(purchases(200)), types=types)
    assert_same(database, engine, is_summed=False)


@pytest.mark.system
def test_with_too_many_repeated_transactions_all_rows_are_read(
    database: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cardwatch.sources.database_sums.MOST_CUSTOMERS", 3)
    load(database, table_of(purchases()), types=TYPES)
    assert_same(database, engine, is_summed=False)


@pytest.mark.system
def test_settings_of_the_contract_decide_what_is_sound(database: Database, engine: Engine) -> None:
    load(database, table_of(spoilt(purchases())), types=TYPES)
    rules = ContractConfig(on_unusable="warn", max_amount=190.5, max_id_length=3)
    assert_same(database, engine, rules=rules)


@pytest.mark.system
def test_sums_are_cached_like_rows(database: Database, engine: Engine, tmp_path: Any) -> None:
    load(database, table_of(spoilt(purchases())), types=TYPES)
    expected = checked(database, engine, "engine")
    cache = RollupCache(tmp_path / "cache")
    for summed in (True, False):
        found = checked(database, engine, "database", cache=cache)
        assert bool(found["summed"]) == summed
        for part in ("cells", "quarantine", "coverage", "findings", "week_fingerprints"):
            assert found[part] == expected[part]


@pytest.mark.system
def test_on_a_fast_network_rows_are_read_and_on_a_slow_one_added_up(
    database: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(database, table_of(purchases()), types=TYPES)
    expected = checked(database, engine, "engine")
    assert checked(database, engine, "auto") == expected
    monkeypatch.setattr(database_delivery, "_FEW_ROWS", 10)
    monkeypatch.setattr(database_delivery, "_FAST_ROWS", 1e12)
    monkeypatch.setattr(database_delivery, "_GAIN", 1e9)
    summed = checked(database, engine, "auto")
    assert summed.pop("summed") > 0
    assert {**summed, "summed": 0} == expected
    monkeypatch.setattr(database_delivery, "_GAIN", 0)
    assert checked(database, engine, "auto") == expected


@pytest.mark.system
def test_a_server_that_cannot_add_up_only_costs_time(database: Database, engine: Engine) -> None:
    rows = [
        {**row, "customer_id": "rich", "mcc": "5411", "amount": "9000000000000000.00"}
        for row in purchases(300)
    ]
    load(database, table_of(rows), types={**TYPES, "amount": "numeric(30,2)"})
    rules = ContractConfig(on_unusable="warn", max_amount=1e12)
    plain = checked(database, engine, "engine", rules)
    assert {**checked(database, engine, "database", rules), "summed": 0} == plain
