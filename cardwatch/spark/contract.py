"""The data contract over a delivery in Spark: one shuffle by customer, then each part by itself.

What the parts cannot know is found before (the currency, the weeks whose times carry seconds) or
between the rounds (the usual tickets of categories), and what they found is added up. It comes to
what `cardwatch.contract.check` comes to, but for the digests of weeks, which are sums (`additive`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, cast

from cardwatch.cache import RollupCache
from cardwatch.config import ContractConfig
from cardwatch.contract.additive import WeekSums, added_fingerprints
from cardwatch.contract.card_scan import CardEvidence, refuse_cards
from cardwatch.contract.check import concluded
from cardwatch.contract.columns import Columns
from cardwatch.contract.delivered import describe
from cardwatch.contract.part import Known, Part
from cardwatch.contract.setting_aside import DELIVERED_COLUMNS
from cardwatch.contract.tally import Tally, check_counts
from cardwatch.contract.window import Window
from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.schema import Checked, Delivery
from cardwatch.spark.engine import SparkEngine, arrow_schema, ddl, element, offsets
from cardwatch.spark.failures import naming_failures
from cardwatch.spark.judging import (
    CELL,
    COLUMNS,
    CUSTOMER,
    DELIVERED_ROWS,
    FACTS,
    PART,
    QUARANTINE,
    WAITING,
    WAITING_CELL,
    Task,
    first_round,
    quarantined,
    second_round,
)
from cardwatch.spark.pieces import unpack
from cardwatch.spark.questions import Question, Texts, asked, currencies, evidence, precise_weeks
from cardwatch.spark.rows import ID
from cardwatch.spark.source import SparkDelivery
from cardwatch.spark.tickets import usual_tickets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_QUARANTINE = {"reason": "VARCHAR"} | dict.fromkeys(DELIVERED_COLUMNS, "VARCHAR")
QUARANTINE_COLUMNS = _QUARANTINE | {"row_copies": "BIGINT"}
"""Of the table ``quarantine``, with their types."""


def check_in_spark(
    delivery: Delivery,
    rules: ContractConfig,
    engine: Engine,
    *,
    currency: str = "",
    cache: RollupCache | None = None,
) -> Checked:
    """Accept or set aside every delivered row; see `check_contract`, also for the errors.

    Makes ``customer``, ``cell`` and ``quarantine`` in Spark. Nothing is cached.
    """
    if not isinstance(delivery, SparkDelivery) or not isinstance(engine, SparkEngine):
        raise TypeError("only a delivery in Spark can be judged there")
    task = _task(delivery, rules, engine, currency)
    parts = engine.parts_for(delivery.rows or 0)
    parted = delivery.frame.repartitionByRange(parts, ID).drop(ID)
    work = partial(first_round, task=task)
    first = engine.keep("judged", _with_part(parted.mapInArrow(work, ddl(COLUMNS))))
    by_part = _facts(first)
    judged, later = list(by_part.values()), list[Part]()
    _refuse_cards(judged, delivery, task, engine)
    rows = first
    if any(part.waiting for part in judged):
        task = replace(task, known=replace(task.known, tickets=_tickets(first, judged, task)))
        waited = first.where(f"kind = {WAITING}").select("blob", PART)
        schema = ddl(COLUMNS | {PART: "INTEGER"})
        second = waited.mapInArrow(partial(second_round, task=task), schema)
        second = engine.keep("judged_later", second)
        later = list(_facts(second).values())
        rows = first.unionByName(second)
    _show_tables(engine, rows, {part: each.customers for part, each in by_part.items()})
    tally = _total(delivery, [*judged, *later], sum(part.customers for part in judged))
    sums: dict[int, WeekSums] = {}
    for part in judged:
        for week, digest in part.digests.items():
            sums[week] = sums.get(week, WeekSums()) + digest
    fingerprints = added_fingerprints(sums, Window.of(delivery).weeks)
    return concluded(delivery, rules, tally, fingerprints)


def _task(
    delivery: SparkDelivery, rules: ContractConfig, engine: SparkEngine, currency: str
) -> Task:
    """Return what the parts need to know, as far as the rows tell it before they are judged."""
    task = Task(
        delivery.week,
        delivery.reference_weeks,
        delivery.shape,
        delivery.origin,
        delivery.extra_columns,
        rules,
        Known(currency.strip().upper()),
        delivery.reading,
        engine.task_memory,
    )
    columns = _columns(delivery, task, engine)
    if not task.known.currency and "currency" in columns:
        found = _ask(delivery, task, currencies, "currency string, row_count bigint")
        with naming_failures():
            rows = found.groupBy("currency").sum("row_count").collect()
        counts: dict[str, int] = {currency: count for currency, count in rows}
        commonest = min(counts, key=lambda each: (-counts[each], each), default="")
        task = replace(task, known=Known(commonest))
    if delivery.shape == "transactions":
        found = _ask(delivery, task, precise_weeks, "week_index tinyint").distinct()
        with naming_failures():
            weeks = tuple(sorted(row[0] for row in found.collect()))
        task = replace(task, known=replace(task.known, precise_weeks=weeks))
    return task


def _columns(delivery: SparkDelivery, task: Task, engine: SparkEngine) -> Columns:
    """Return the delivered columns, with the types they have on an executor."""
    engine.connection.register(DELIVERED_ROWS, delivery.nothing)
    try:
        return describe(engine, task.delivery())
    finally:
        engine.connection.unregister(DELIVERED_ROWS)


def _ask(delivery: SparkDelivery, task: Task, question: Question, schema: str) -> DataFrame:
    """Return the answers of all batches of delivered rows."""
    return delivery.frame.drop(ID).mapInArrow(partial(asked, task=task, question=question), schema)


def _facts(frame: DataFrame) -> dict[int, Part]:
    """Return what each part found."""
    found = frame.where(f"kind = {FACTS}").select(PART, "blob")
    with naming_failures():
        rows = found.toArrow().to_pylist()
    return {row[PART]: cast("Part", unpack(row["blob"])) for row in rows}


def _with_part(frame: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    return frame.withColumn(PART, f.spark_partition_id())


def _refuse_cards(
    parts: list[Part], delivery: SparkDelivery, task: Task, engine: SparkEngine
) -> None:
    tokens = task.rules.ids_are_tokens
    ids = reduce(add, (part.ids for part in parts), CardEvidence())
    refuse_cards(ids, delivery, "customer_id", tokens=tokens)
    if not any(part.has_suspects for part in parts):
        return
    for name in _columns(delivery, task, engine).texts:
        values = _ask(delivery, task, Texts(name), "value string")
        with naming_failures():
            packed = values.distinct().mapInArrow(evidence, "packed binary").toArrow()
        found = (cast("CardEvidence", unpack(each)) for each in packed["packed"].to_pylist())
        refuse_cards(reduce(add, found, CardEvidence()), delivery, name, tokens=False)


def _tickets(first: DataFrame, parts: list[Part], task: Task) -> dict[int, float]:
    largest: dict[int, float] = {}
    for part in parts:
        for mcc, cents in part.largest.items():
            largest[mcc] = max(cents, largest.get(mcc, cents))
    scored = len(task.reference_weeks)
    cells = first.where(
        f"kind = {WAITING_CELL} OR (kind = {CELL} AND week_index < {scored})"
    ).select("mcc", "spend_cents", "transaction_count")
    return usual_tickets(cells, largest, task.rules.unit_error_ratio[0])


def _show_tables(engine: SparkEngine, judged: DataFrame, customers: Mapping[int, int]) -> None:
    """Make ``customer``, ``cell`` and ``quarantine`` of the judged rows."""
    from pyspark.sql import functions as f

    first = element(offsets(customers), f.col(PART))
    key = (f.col("customer_key") + first).cast("int").alias("customer_key")
    engine.show("customer", judged.where(f"kind = {CUSTOMER}").select(key, "customer_id"))
    amounts = ("mcc", "week_index", "spend_cents", "transaction_count")
    engine.show("cell", judged.where(f"kind = {CELL}").select(key, *amounts))
    packed = judged.where(f"kind = {QUARANTINE}").select("blob")
    work = partial(quarantined, schema=arrow_schema(QUARANTINE_COLUMNS))
    rows = packed.mapInArrow(work, ddl(QUARANTINE_COLUMNS))
    engine.show("quarantine", rows)


def _total(delivery: SparkDelivery, parts: Sequence[Part], customers: int) -> Tally:
    """Add up the counts, and check that nobody was lost."""
    if not parts:
        raise SourceError(
            "The weeks that were asked for have no rows any more",
            where=delivery.origin,
            next_step="Run it again; the data changed while it was read",
        )
    tally = reduce(add, (each.tally for each in parts))
    check_counts(tally.coverage, customers)
    return tally
