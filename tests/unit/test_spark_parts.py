"""What executors do, without a cluster: parts judged apart come to what the whole comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from statistics import median
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from odd_rows import odd_transactions, odd_weekly
from small_portfolio import WEEK

from cardwatch.config import ContractConfig
from cardwatch.contract import check_contract
from cardwatch.contract.additive import WeekSums
from cardwatch.contract.part import Known, Part
from cardwatch.contract.tally import Tally
from cardwatch.engine import Engine
from cardwatch.schema import Checked
from cardwatch.sources.columns import ColumnSettings
from cardwatch.sources.memory import MemorySource
from cardwatch.sources.parts import ITEM
from cardwatch.sources.week_values import WeekReader
from cardwatch.spark import contract
from cardwatch.spark.engine import arrow_schema
from cardwatch.spark.judging import (
    CELL,
    CUSTOMER,
    FACTS,
    PART,
    QUARANTINE,
    SCHEMA,
    WAITING,
    WAITING_CELL,
    Task,
    first_round,
    quarantined,
    second_round,
)
from cardwatch.spark.pieces import unpack, whole_customers
from cardwatch.spark.questions import asked, precise_weeks
from cardwatch.spark.rows import Reading, describe_rows

RULES = ContractConfig(on_unusable="warn", max_quarantined_share=0.5)
READER = WeekReader("UTC", "guide")
REFERENCES = WEEK.window(12)
PARTS = 3
QUARANTINE_COLUMNS = ", ".join(contract.QUARANTINE_COLUMNS)

Found = dict[str, list[tuple[object, ...]]]


def whole(engine: Engine, rows: pa.Table) -> tuple[Checked, Found]:
    """Judge a delivery as a whole."""
    delivery = MemorySource(rows, engine).read(WEEK, len(REFERENCES))
    checked = check_contract(delivery, RULES, engine)
    queries = {
        "customer": "SELECT customer_id FROM customer ORDER BY customer_key",
        "cell": "SELECT customer_key, mcc, week_index, spend_cents, transaction_count FROM cell",
        "quarantine": f"SELECT {QUARANTINE_COLUMNS} FROM quarantine",
    }
    return checked, {name: engine.execute(sql).fetchall() for name, sql in queries.items()}


def parts(engine: Engine, rows: pa.Table) -> tuple[Task, list[pa.RecordBatch]]:
    """Part a delivery by customer, as Spark does."""
    given = rows.append_column(ITEM, pa.array(["rows in memory"] * rows.num_rows))
    part = describe_rows(engine, given, ColumnSettings("auto", {}), READER, "rows in memory")
    reading = Reading(part, READER, tuple(week.monday for week in (*REFERENCES, WEEK)))
    task = Task(
        WEEK,
        REFERENCES,
        part.shape,
        "rows in memory",
        tuple(part.extras),
        RULES,
        Known("EUR"),
        reading,
        "200MB",
    )
    ids = given["customer_id"].to_pylist()
    distinct = sorted({each for each in ids if each is not None})
    bounds = [distinct[len(distinct) * at // PARTS] for at in range(1, PARTS)]
    named = [sum(each is not None and each >= bound for bound in bounds) for each in ids]
    groups = [given.filter(pa.array([at == group for group in named])) for at in range(PARTS)]
    return task, [group.combine_chunks().to_batches()[0] for group in groups]


def judged(task: Task, groups: list[pa.RecordBatch]) -> tuple[Tally, Found, int]:
    """Judge the parts in both rounds; batches are cut as Spark might cut them."""
    first = [list(first_round(_cut(group, 500), task)) for group in groups]
    known = [cast("Part", unpack(batches[0]["blob"][0].as_py())) for batches in first]
    later = replace(task, known=replace(task.known, tickets=usual_tickets(first)))
    tally, found, offset = list[Tally](), Found(customer=[], cell=[], quarantine=[]), 0
    for part, batches in zip(known, first, strict=True):
        rows = pa.Table.from_batches(batches)
        waited = rows.filter(pc.field("kind") == WAITING)
        waited = waited.append_column(PART, pa.array([7] * waited.num_rows, pa.int32()))
        second = pa.Table.from_batches(
            second_round(iter(waited.to_batches()), later),
            SCHEMA.append(pa.field(PART, pa.int32())),
        )
        assert set(second[PART].to_pylist()) <= {7}, "who waits stays in the part"
        rows = pa.concat_tables([rows, second.drop_columns(PART)])
        of = {kind: rows.filter(pc.field("kind") == kind) for kind in range(6)}
        tally += [cast("Part", unpack(each)).tally for each in of[FACTS]["blob"].to_pylist()]
        found["customer"] += [(each,) for each in of[CUSTOMER]["customer_id"].to_pylist()]
        names = ("customer_key", "mcc", "week_index", "spend_cents", "transaction_count")
        for key, *rest in zip(*(of[CELL][name].to_pylist() for name in names), strict=True):
            found["cell"].append((key + offset, *rest))
        offset += part.customers
        schema = arrow_schema(contract.QUARANTINE_COLUMNS)
        for batch in quarantined(iter(of[QUARANTINE].to_batches()), schema):
            found["quarantine"] += list(zip(*batch.to_pydict().values(), strict=True))
    return reduce(add, tally), found, sum(part.waiting for part in known)


def usual_tickets(first: list[list[pa.RecordBatch]]) -> dict[int, float]:
    """Return the median ticket of each category, of those who wait too."""
    tickets: dict[int, list[float]] = {}
    for row in (row for batches in first for batch in batches for row in batch.to_pylist()):
        in_history = row["kind"] == WAITING_CELL or (
            row["kind"] == CELL and row["week_index"] < len(REFERENCES)
        )
        if in_history and row["spend_cents"] > 0 and row["transaction_count"] > 0:
            ticket = row["spend_cents"] / row["transaction_count"]
            tickets.setdefault(row["mcc"], []).append(ticket)
    return {mcc: median(each) for mcc, each in tickets.items()}


def _cut(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    return (batch.slice(at, rows) for at in range(0, batch.num_rows, rows))


@pytest.mark.parametrize("rows", [odd_weekly, odd_transactions])
def test_parts_judged_apart_come_to_what_the_whole_comes_to(
    tmp_path: Path, rows: Callable[[], pa.Table]
) -> None:
    given = rows()
    with Engine("300MB", temp_directory=tmp_path) as engine:
        checked, expected = whole(engine, given)
    with Engine("300MB", temp_directory=tmp_path) as engine:
        task, groups = parts(engine, given)
    if task.shape == "transactions":
        answers = asked(iter(groups), task, precise_weeks)
        weeks = {week for answer in answers for week in answer["week_index"].to_pylist()}
        task = replace(task, known=replace(task.known, precise_weeks=tuple(sorted(weeks))))
    tally, found, waiting = judged(task, groups)
    assert waiting, "somebody waits for the usual tickets"
    assert {name: sorted(each, key=repr) for name, each in found.items()} == {
        name: sorted(each, key=repr) for name, each in expected.items()
    }
    assert tally.coverage == checked.coverage
    assert tally.findings == checked.findings


def digests(task: Task, groups: list[pa.RecordBatch]) -> dict[int, WeekSums]:
    found: dict[int, WeekSums] = {}
    for group in groups:
        part = cast("Part", unpack(next(first_round(iter([group]), task))["blob"][0].as_py()))
        for week, sums in part.digests.items():
            found[week] = found.get(week, WeekSums()) + sums
    return found


def test_digests_of_weeks_add_up_whatever_the_parts_and_tell_a_changed_row(engine: Engine) -> None:
    rows = odd_weekly()
    task, groups = parts(engine, rows)
    apart = digests(task, groups)
    together = pa.Table.from_batches(groups[::-1]).combine_chunks()
    assert apart == digests(task, together.to_batches())
    cells = rows.to_pylist()
    at = next(i for i, row in enumerate(cells) if row["reporting_week"] == WEEK.label)
    cells[at] = {**cells[at], "customer_id": "somebody else"}
    changed = digests(*parts(engine, pa.Table.from_pylist(cells, rows.schema)))
    assert [week for week in sorted(apart) if apart[week] != changed[week]] == [len(REFERENCES)]


def test_a_customer_is_never_parted() -> None:
    keys = [0, 0, 1, 2, 2, 2, 3, 5, 5, 9]
    batches = [pa.record_batch({"customer_key": [key]}) for key in keys]
    pieces = [each["customer_key"].to_pylist() for each in whole_customers(iter(batches), 2)]
    assert sum(pieces, []) == keys
    assert all(len(set(piece)) <= 3 for piece in pieces)
    assert sum(len(set(piece)) for piece in pieces) == len(set(keys))
