from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from random import Random

import pytest
from deliveries import LENIENT, WEEKS, Row, check, deliver, outcome, purchase, row

from cardwatch.cache import RollupCache
from cardwatch.contract import check_contract
from cardwatch.engine import Engine
from cardwatch.schema import Delivery, Shape
from cardwatch.week import ReportingWeek

KNOWN = "c82f8b6f5bec7aa7b2ca6a2c681e8463c4ad0b26294f5dbbf37d6221d04c7826"


def weekly_rows() -> list[Row]:
    random = Random(3)
    rows: list[Row] = [
        row(
            week,
            customer_id=f"customer {n}",
            mcc=f"{random.randrange(5000, 5400)}",
            spend_amount=f"{random.randrange(10_000) / 100:.2f}",
            transaction_count=str(random.randrange(1, 9)),
            source_file=f"{week}.csv",
        )
        for week in range(5)
        for n in range(60)
        for _ in range(3)
    ]
    faulty = [row(mcc="x", customer_id=f"customer {n}") for n in range(9)]
    return [*rows, *rows[:20], *faulty, row(customer_id=None), row(week_start=None)]


def purchases() -> list[Row]:
    random = Random(4)
    rows: list[Row] = [
        purchase(
            week,
            customer_id=f"customer {random.randrange(40)}",
            mcc=f"{random.randrange(5000, 5010)}",
            amount=f"{random.randrange(-1000, 10_000) / 100:.2f}",
            transaction_time=f"2025-11-18 10:15:{random.randrange(60):02d}",
        )
        for week in range(5)
        for _ in range(300)
    ]
    return [*rows, *rows[:30], *(purchase(amount="x") for _ in range(3))]


@pytest.mark.parametrize(
    ("shape", "rows"), [("weekly", weekly_rows()), ("transactions", purchases())]
)
@pytest.mark.parametrize("threads", [1, 2])
def test_shuffled_rows_on_any_number_of_threads_give_the_same_result(
    engine: Engine, tmp_path: Path, shape: Shape, rows: list[Row], threads: int
) -> None:
    expected = check(engine, rows, shape=shape)
    Random(7).shuffle(rows)
    with Engine("500MB", threads=threads, temp_directory=tmp_path) as other:
        assert check(other, rows, shape=shape) == expected


def columns(engine: Engine, table: str) -> dict[str, str]:
    described = engine.execute(f"DESCRIBE {table}").fetchall()
    return {name: kind for name, kind, *_ in described}


def test_the_tables_are_in_the_order_that_later_steps_count_on(engine: Engine) -> None:
    check(engine, weekly_rows())
    cells = engine.execute("FROM cell").fetchall()
    assert cells == sorted(cells, key=itemgetter(0, 2, 1)), "by customer, category and week"
    assert columns(engine, "cell") == {
        "customer_key": "INTEGER",
        "week_index": "TINYINT",
        "mcc": "SMALLINT",
        "spend_cents": "BIGINT",
        "transaction_count": "INTEGER",
    }
    assert columns(engine, "customer") == {"customer_key": "INTEGER", "customer_id": "VARCHAR"}
    texts = ["week_value", "customer_id", "mcc", "amount", "transaction_count", "detail", "source"]
    assert columns(engine, "quarantine") == {
        "reason": "VARCHAR",
        **dict.fromkeys(texts, "VARCHAR"),
        "row_copies": "BIGINT",
    }
    customers = engine.execute("SELECT customer_key, customer_id FROM customer").fetchall()
    assert [key for key, _ in customers] == list(range(len(customers)))
    assert [name for _, name in customers] == sorted(name for _, name in customers)


def test_nothing_but_the_promised_tables_is_left_in_the_engine(engine: Engine) -> None:
    check(engine, weekly_rows())
    check(engine, purchases(), shape="transactions")
    tables = engine.execute("SELECT table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
    assert [name for (name,) in tables] == ["cell", "customer", "delivered", "quarantine"]


def prints(engine: Engine, rows: list[Row]) -> list[str]:
    return list(check(engine, rows).checked.week_fingerprints.values())


def test_a_fingerprint_depends_on_every_accepted_value_of_its_week_only(engine: Engine) -> None:
    rows: list[Row] = [row(week, customer_id=who) for week in range(5) for who in ("A", "B")]
    before = prints(engine, rows)
    assert len(set(before)) == 1
    changes: list[Row] = [
        {"customer_id": "C"},
        {"mcc": "5412"},
        {"spend_amount": "10.01"},
        {"transaction_count": "3"},
    ]
    for change in changes:
        after = prints(engine, [*rows[:4], {**rows[4], **change}, *rows[5:]])
        assert [week for week in range(5) if after[week] != before[week]] == [2]


def test_a_fingerprint_changes_with_what_was_set_aside_but_not_with_its_file(
    engine: Engine,
) -> None:
    rows: list[Row] = [row(week) for week in range(5)]
    before = prints(engine, rows)
    faulty = prints(engine, [*rows, row(3, customer_id="B", mcc="x", source_file="1.csv")])
    assert [week for week in range(5) if faulty[week] != before[week]] == [3]
    assert faulty == prints(engine, [*rows, row(3, customer_id="B", mcc="x", source_file="2.csv")])
    assert faulty != prints(engine, [*rows, *[row(3, customer_id="B", mcc="x")] * 2])


def test_rows_whose_week_cannot_be_read_have_a_digest_of_their_own(engine: Engine) -> None:
    rows: list[Row] = [row(week) for week in range(5)]
    before = check(engine, rows).checked
    assert before.stray_fingerprint == ""
    digests = set()
    for stray in (row(week_start=None), row(week_start=None, mcc="5812"), row(week_value="?")):
        found = check(engine, [*rows, {**stray, "week_start": None}]).checked
        assert found.week_fingerprints == before.week_fingerprints
        digests.add(found.stray_fingerprint)
    assert len(digests - {""}) == 3


def faulty_weeks() -> list[Row]:
    """Weeks 3 and 4 with a unit error, copies, a conflict, an unreadable MCC and a stray row."""
    rows: list[Row] = [
        row(week, customer_id=f"customer {n}", spend_amount="10.00")
        for week in range(5)
        for n in range(20)
    ]
    for week in (3, 4):
        changed = {**rows[week * 20], "spend_amount": "1000.00"}
        conflict = [row(week, customer_id="Z", spend_amount=spend) for spend in ("1", "2")]
        rows += [row(week, mcc="x"), *conflict, *rows[week * 20 + 1 : week * 20 + 5]]
        rows[week * 20] = changed
    return [*rows, row(week_start=None)]


def faulty_purchases() -> list[Row]:
    """The same as single transactions; a delivery of minutes beside one of seconds."""
    rows: list[Row] = [
        purchase(
            week,
            customer_id=f"customer {n}",
            transaction_time=f"2025-11-18 10:{n:02d}" + (":01" if week != 2 else ""),
        )
        for week in range(5)
        for n in range(20)
    ]
    for week in (3, 4):
        rows[week * 20] = {**rows[week * 20], "amount": "1000.00"}
        rows += [purchase(week, amount="x"), *rows[week * 20 + 1 : week * 20 + 5]]
    return [*rows, purchase(week_start=None)]


def of_scored(delivery: Delivery, scored: ReportingWeek, weeks: int) -> Delivery:
    """Return the delivery of the same rows when another week is scored."""

    def select(asked: Sequence[ReportingWeek]) -> str:
        mondays = ", ".join(f"DATE '{week.monday}'" for week in asked)
        stray = " OR week_start IS NULL" if scored in asked else ""
        return f"SELECT * FROM delivered WHERE week_start IN ({mondays}){stray}"

    return replace(
        delivery, week=scored, reference_weeks=scored.window(weeks), select=select,
        content_key=lambda week: week.label,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "rows"), [("weekly", faulty_weeks()), ("transactions", faulty_purchases())]
)
@pytest.mark.system
def test_a_week_has_the_same_fingerprint_when_it_is_scored_and_when_it_is_history(
    engine: Engine, tmp_path: Path, shape: Shape, rows: list[Row]
) -> None:
    delivered = deliver(engine, rows, shape=shape)
    found: dict[str, set[str]] = {}
    reasons = []
    for cache in (None, RollupCache(tmp_path / "cache"), RollupCache(tmp_path / "cache")):
        for scored in (WEEKS[3], WEEKS[4]):
            checked = check_contract(of_scored(delivered, scored, 4), LENIENT, engine, cache=cache)
            assert checked.cache_warnings == ()
            assert checked.stray_fingerprint
            reasons.append({finding.reason for finding in checked.findings})
            for label, digest in checked.week_fingerprints.items():
                found.setdefault(label, set()).add(digest)
    assert all({"UNIT_ERROR", "DUPLICATE_COPY", "WEEK_UNREADABLE"} <= each for each in reasons)
    assert {label: len(digests) for label, digests in found.items()} == dict.fromkeys(found, 1)
    assert len(found) == 6
    assert found[WEEKS[3].label] != found[WEEKS[4].label]


def test_a_unit_error_that_is_corrected_changes_the_fingerprint(engine: Engine) -> None:
    rows = faulty_weeks()
    before = prints(engine, rows)
    rows[80] = {**rows[80], "spend_amount": "10.00"}
    after = prints(engine, rows)
    assert [week for week in range(5) if after[week] != before[week]] == [4]


def test_what_the_source_says_of_its_content_is_handed_on(engine: Engine) -> None:
    found = check(engine, [row()], key=lambda week: None if week == WEEKS[1] else week.iso_label)
    keys = found.checked.source_keys
    assert list(keys) == [week.label for week in WEEKS]
    assert [label for label, key in keys.items() if key is None] == [WEEKS[1].label]


def test_names_that_run_into_each_other_are_told_apart(engine: Engine) -> None:
    first = prints(engine, [row(customer_id="AB"), row(customer_id="C")])
    assert first != prints(engine, [row(customer_id="A"), row(customer_id="BC")])


def test_fingerprints_stay_the_same_from_release_to_release(engine: Engine) -> None:
    rows: list[Row] = [row(customer_id="é", spend_amount="-1.50"), row(customer_id="B", mcc="x")]
    found = check(engine, rows).checked.week_fingerprints
    assert list(found) == [week.label for week in WEEKS]
    assert found["2025-46"] == KNOWN


def test_a_stream_of_many_batches_equals_one_batch(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = weekly_rows()
    expected = prints(engine, rows)
    whole = Engine.batches
    monkeypatch.setattr(Engine, "batches", lambda self, sql, **p: whole(self, sql, rows=7, **p))
    assert prints(engine, rows) == expected


def test_the_delivery_itself_is_left_alone(engine: Engine) -> None:
    delivery = deliver(engine, weekly_rows())
    first = outcome(engine, check_contract(delivery, LENIENT, engine))
    assert outcome(engine, check_contract(delivery, LENIENT, engine)) == first
