"""Reads a delivery once to count it and once to roll it up, into the engine's tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from cardwatch.config import ContractConfig
from cardwatch.contract.columns import (
    LARGEST_AMOUNT,
    Columns,
    currency_sql,
    read_columns,
    view_sql,
)
from cardwatch.contract.window import PACKAGE, Window
from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.schema import Delivery
from cardwatch.week import ReportingWeek

ROLLUP_COLUMNS: Mapping[str, str] = {
    "customer_id": "VARCHAR",
    "mcc": "SMALLINT",
    "spend_cents": "BIGINT",
    "transaction_count": "INTEGER",
    "ticket_disagrees": "BOOLEAN",
    "reason": "VARCHAR",
    "week_value": "VARCHAR",
    "mcc_text": "VARCHAR",
    "amount_text": "VARCHAR",
    "count_text": "VARCHAR",
    "detail": "VARCHAR",
    "source": "VARCHAR",
    "row_copies": "BIGINT",
}
"""Columns of a cached week: accepted rows (reason NULL) and what was set aside."""


SUMMED_COLUMNS: Mapping[str, str] = {
    "customer_id": "VARCHAR",
    "mcc": "SMALLINT",
    "spend_cents": "BIGINT",
    "transaction_count": "INTEGER",
    "has_seconds": "BOOLEAN",
}
"""Columns of what a source adds up, all of it accepted."""


@contextmanager
def reading(delivery: Delivery) -> Iterator[None]:
    """Say that the source's rows could not be read, without the engine's quotes from them."""
    try:
        yield
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException):
        raise  # a mistake in our own statement, not in the data
    except duckdb.Error as error:
        # Not chained: the engine quotes the row, which must not reach a traceback or a log.
        line = re.search(r"[Ll]ine:? (\d+)", str(error))
        place = f" at line {line[1]}" if line else ""
        kind = type(error).__name__.removesuffix("Error").removesuffix("Exception")
        raise SourceError(
            "The delivered rows could not be read to the end",
            where=delivery.origin,
            observed=f"a failed read{place}" + (f" ({kind})" if kind else ""),
            next_step="Look whether the data is whole and of the format that data_source names",
        ) from None


def describe(engine: Engine, delivery: Delivery) -> Columns:
    """Return the columns that the source delivers, with their types."""
    rows = engine.execute(f"DESCRIBE {delivery.select((delivery.week,))}").fetchall()
    return read_columns([(row[0], row[1]) for row in rows], delivery)


def settle_currency(engine: Engine, delivery: Delivery, columns: Columns, wanted: str) -> str:
    """Return the portfolio's currency, and keep it in the table ``contract_currency``.

    Where none is configured it is the commonest of the scored week, the first in the alphabet
    among equals; empty when rows carry no currency.
    """
    chosen = wanted.strip().upper()
    if not chosen and "currency" in columns:
        found = engine.scalar(
            f"SELECT {currency_sql(columns)} AS own FROM ({delivery.select((delivery.week,))}) AS d"
            " WHERE own <> '' GROUP BY own ORDER BY count(*) DESC, own LIMIT 1"
        )
        chosen = found or ""
    keep_currency(engine, chosen)
    return chosen


def keep_currency(engine: Engine, currency: str) -> None:
    """Make the table ``contract_currency``."""
    engine.execute(
        "CREATE OR REPLACE TABLE contract_currency AS SELECT $currency AS currency",
        currency=currency,
    )


def present_rows(
    engine: Engine,
    delivery: Delivery,
    columns: Columns,
    rules: ContractConfig,
    cached: Mapping[int, Path],
    currency: str,
) -> None:
    """Make the views ``delivered_row``, ``summed_row`` and ``cached_row``.

    Their rows were read from the source, added up by it, and remembered; `cached` maps week indices
    to roll-ups of those weeks.
    """
    window = Window.of(delivery)
    weeks = [week for index, week in enumerate(window.weeks) if index not in cached]
    summed = _summed_sql(delivery, [w for w in weeks if w != delivery.week], rules, currency)
    engine.execute(f"CREATE OR REPLACE TEMP VIEW summed_row AS {summed}")
    body = view_sql(delivery.select(weeks), columns, delivery, weeks, rules)
    engine.execute(f"CREATE OR REPLACE TEMP VIEW delivered_row AS {body}")
    engine.execute(f"CREATE OR REPLACE TEMP VIEW cached_row AS {_cached_sql(cached)}")


def take_census(engine: Engine) -> None:
    """Count rows per delivered customer id and number the customers."""
    engine.run_file(PACKAGE, "census")


def roll_up(engine: Engine, delivery: Delivery) -> bool:
    """Make ``rolled_up`` from the usable rows and ``set_aside`` from the others; tell of any.

    The usable ones are seen through the view ``usable_row`` from here on.
    """
    show_usable(engine, "WHERE problem IS NULL")
    if delivery.shape == "transactions":
        engine.run_file(PACKAGE, "precise_weeks")
    return sum_usable(engine, delivery)


def sum_usable(engine: Engine, delivery: Delivery) -> bool:
    """Do the same where ``usable_row`` and ``precise_week`` are there already."""
    engine.run_file(PACKAGE, f"roll_up_{delivery.shape}")
    engine.run_file(PACKAGE, "set_aside_cached")
    if not _some_are_missing(engine, delivery):
        show_usable(engine)  # rows that are known to be sound are not judged again
        return False
    engine.run_file(PACKAGE, "set_aside_rows", scored=Window.of(delivery).scored)
    return True


def show_usable(engine: Engine, condition: str = "") -> None:
    """Make the view ``usable_row`` of the delivered rows that satisfy a condition."""
    engine.execute(
        f"CREATE OR REPLACE TEMP VIEW usable_row AS SELECT * FROM delivered_row {condition}"
    )


def _some_are_missing(engine: Engine, delivery: Delivery) -> bool:
    """Tell whether fewer rows were rolled up than could have been."""
    counted = "count(*)" if delivery.shape == "weekly" else "sum(transaction_count + folded)"
    delivered = engine.scalar("SELECT sum(unjudged_rows) FROM delivered_customer")
    return bool(delivered != engine.scalar(f"SELECT {counted} FROM rolled_up"))


def labels(weeks: Sequence[ReportingWeek]) -> str:
    """Return the labels of weeks as a list for a sentence."""
    return ", ".join(week.label for week in weeks)


def _summed_sql(
    delivery: Delivery, weeks: Sequence[ReportingWeek], rules: ContractConfig, currency: str
) -> str:
    columns = {"week_index": "TINYINT", **SUMMED_COLUMNS}
    nothing = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns.items())
    largest = min(rules.max_amount, LARGEST_AMOUNT)
    select = delivery.summed(weeks, currency, largest, rules.max_id_length) if weeks else ""
    if not select:
        return f"SELECT {nothing} WHERE false"
    oldest = Window.of(delivery).weeks[0].monday
    index = f"CAST((week_start - DATE '{oldest}') // 7 AS TINYINT) AS week_index"
    return f"SELECT {index}, {', '.join(SUMMED_COLUMNS)} FROM ({select}) AS d"


def _cached_sql(cached: Mapping[int, Path]) -> str:
    columns = ", ".join(ROLLUP_COLUMNS)
    nothing = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in ROLLUP_COLUMNS.items())
    parts = [f"SELECT CAST(NULL AS TINYINT) AS week_index, {nothing} WHERE false"]
    for index, path in sorted(cached.items()):
        literal = str(path).replace("'", "''")
        parts.append(
            f"SELECT CAST({index} AS TINYINT) AS week_index, {columns}"
            f" FROM read_parquet('{literal}')"
        )
    return " UNION ALL ".join(parts)
