"""What is asked of delivered rows before they are parted by customer, one batch after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from cardwatch.contract.card_scan import card_evidence
from cardwatch.contract.columns import Columns, currency_sql
from cardwatch.contract.delivered import describe, keep_currency, present_rows, show_usable
from cardwatch.contract.window import PACKAGE
from cardwatch.engine import Engine
from cardwatch.sources.week_lookup import WeekLookup
from cardwatch.spark.judging import DELIVERED_ROWS, Task
from cardwatch.spark.pieces import pack
from cardwatch.spark.rows import delivered_rows, small_engine

Question = Callable[[Engine, Task, Columns], pa.Table]


def asked(
    batches: Iterator[pa.RecordBatch], task: Task, question: Question
) -> Iterator[pa.RecordBatch]:
    """Yield the answer of each batch of delivered rows."""
    with small_engine() as engine:
        lookup = WeekLookup(engine, task.reading.reader)
        for batch in batches:
            given = pa.Table.from_batches([batch])
            rows = delivered_rows(engine, lookup, task.reading, given)
            engine.connection.register(DELIVERED_ROWS, rows)
            yield from question(engine, task, describe(engine, task.delivery())).to_batches()
            engine.connection.unregister(DELIVERED_ROWS)


def currencies(engine: Engine, task: Task, columns: Columns) -> pa.Table:
    """Count the currencies of the scored week: ``currency, row_count``."""
    rows = task.delivery().select((task.week,))
    return engine.arrow(
        f"SELECT {currency_sql(columns)} AS currency, count(*) AS row_count FROM ({rows}) AS d"
        " GROUP BY currency HAVING currency <> ''"
    )


def precise_weeks(engine: Engine, task: Task, columns: Columns) -> pa.Table:
    """Find the weeks whose times carry seconds: ``week_index``."""
    keep_currency(engine, task.known.currency)
    present_rows(engine, task.delivery(), columns, task.rules, {}, task.known.currency)
    show_usable(engine, "WHERE problem IS NULL")
    engine.run_file(PACKAGE, "precise_weeks")
    return engine.arrow("SELECT week_index FROM precise_week")


class Texts:
    """Finds the distinct values of a text column: ``value``."""

    def __init__(self, column: str) -> None:
        self._column = column

    def __call__(self, engine: Engine, task: Task, columns: Columns) -> pa.Table:
        """Return those of one batch."""
        text = columns.texts[self._column]
        rows = task.delivery().select((*task.reference_weeks, task.week))
        return engine.arrow(
            f"SELECT DISTINCT {text} AS value FROM ({rows}) AS d WHERE {text} IS NOT NULL"
        )


def evidence(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield what the distinct values of a column say about card numbers, packed."""
    with small_engine() as engine:
        for batch in batches:
            engine.connection.register("given_values", pa.Table.from_batches([batch]))
            found = card_evidence(engine, "SELECT value FROM given_values", tokens=False)
            yield pa.RecordBatch.from_pydict({"packed": pa.array([pack(found)], pa.binary())})
            engine.connection.unregister("given_values")
