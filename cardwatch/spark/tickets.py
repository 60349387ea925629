"""Usual tickets of merchant categories, of rows that are never in one place.

An exact median in two passes, as Floyd and Rivest (1975) select: approximate quantiles close to
either side of the middle (Greenwald and Khanna 2001, as Spark has them) bound it, and the few
values between the bounds are counted one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cardwatch.spark.failures import naming_failures

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_ACCURACY = 20_000
_EITHER_SIDE = 3 / _ACCURACY
"""An approximate quantile is at most 1 / accuracy from the right place."""


def usual_tickets(cells: DataFrame, largest: Mapping[int, float], low: float) -> dict[int, float]:
    """Return the median ticket in cents of each category where one may be far above it.

    Parameters
    ----------
    cells : pyspark.sql.DataFrame
        Accepted rows of the reference weeks: ``mcc, spend_cents, transaction_count``.
    largest : mapping of int to float
        Largest ticket of the scored week, by category.
    low : float
        How many times the usual ticket is far above it.
    """
    from pyspark.sql import functions as f

    ticket = f.col("spend_cents").cast("double") / f.col("transaction_count").cast("double")
    used = cells.where("spend_cents > 0 AND transaction_count > 0")
    tickets = used.select("mcc", ticket.alias("ticket"))
    doubtful = _in_doubt(tickets, largest, low)
    if not doubtful:
        return {}
    tickets = tickets.where(f.col("mcc").isin(sorted(doubtful)))
    shares = [max(0.5 - _EITHER_SIDE, 0.0), min(0.5 + _EITHER_SIDE, 1.0)]
    bounds = (
        tickets.groupBy("mcc")
        .agg(f.percentile_approx("ticket", shares, _ACCURACY).alias("bound"), f.count("ticket"))
        .toDF("mcc", "bound", "tickets")
    )
    within = f.col("ticket") >= f.col("bound")[0]
    inside = f.when(within & (f.col("ticket") <= f.col("bound")[1]), f.col("ticket"))
    placed = f.when(within, inside).otherwise(f.lit(float("-inf")))
    counted = (
        tickets.join(f.broadcast(bounds), "mcc")
        .select("mcc", "tickets", placed.alias("value"))
        .where("value IS NOT NULL")
        .groupBy("mcc", "tickets", "value")
        .count()
        .orderBy("mcc", "value")
    )
    with naming_failures():
        return dict(_medians(counted.collect()))


def _in_doubt(tickets: DataFrame, largest: Mapping[int, float], low: float) -> set[int]:
    """Return the categories in which half of the tickets are so small; see category_ticket.sql."""
    from pyspark.sql import functions as f

    session = tickets.sparkSession
    rows = [(mcc, float(cents)) for mcc, cents in largest.items()]
    tops = session.createDataFrame(rows, "mcc smallint, largest double")
    small = f.count(f.when(f.lit(low) * f.col("ticket") <= f.col("largest"), f.lit(1)))
    found = (
        tickets.join(f.broadcast(tops), "mcc")
        .groupBy("mcc")
        .agg(small.alias("small"), f.count(f.lit(1)).alias("tickets"))
        .where("2 * small >= tickets")
    )
    with naming_failures():
        return {row[0] for row in found.collect()}


def _medians(counted: Sequence[tuple[int, int, float, int]]) -> Iterator[tuple[int, float]]:
    """Yield the median of each category from its values in order, those below the bounds first."""
    by_mcc: dict[int, list[tuple[int, float, int]]] = {}
    for mcc, total, value, count in counted:
        by_mcc.setdefault(mcc, []).append((total, value, count))
    for mcc, values in by_mcc.items():
        total = values[0][0]
        lower, upper = (_at((total - 1) // 2, values), _at(total // 2, values))
        yield mcc, lower + (upper - lower) * 0.5


def _at(place: int, values: list[tuple[int, float, int]]) -> float:
    for _, value, count in values:
        if place < count and value > 0:
            return value
        place -= count
    raise ArithmeticError("the approximate quantiles do not enclose the median")
