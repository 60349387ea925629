"""Usual tickets of merchant categories, of rows that are never in one place.

An exact median by counting (Munro and Paterson 1980): tickets are counted in bands, those of the
band that holds the middle in narrower ones, and of what then is left, a few values, one by one.
Bands are of the fourth root, as in ``category_ticket.sql``: no larger ticket is in a lower one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cardwatch.spark.failures import naming_failures

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_WIDE, _NARROW = 2.0**3, 2.0**15
"""Bands to a unit of the fourth root: powers of two, so that a narrow one is in one wide one."""
_ANYWHERE = 0

Place = tuple[int, float]
"""A merchant category, and a band or a ticket of it."""
Places = Mapping[Place, Sequence[int]]
"""How many smaller tickets of the band those have that are looked for, by band."""


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
    rows = [(mcc, float(cents)) for mcc, cents in largest.items()]
    tops = cells.sparkSession.createDataFrame(rows, "mcc smallint, largest double")
    small = f.count(f.when(f.lit(low) * f.col("ticket") <= f.col("largest"), f.lit(1)))
    wide = (
        tickets.join(f.broadcast(tops), "mcc")
        .groupBy("mcc", _band(_WIDE).alias("band"))
        .agg(f.count(f.lit(1)), small)
    )
    with naming_failures():
        bands = wide.collect()
    sought = middles([(mcc, count, far_below) for mcc, _, count, far_below in bands])
    places = placed([(mcc, _ANYWHERE, band, count) for mcc, band, count, _ in bands], sought)
    places = placed(_counted(tickets, places, _band(_WIDE), _band(_NARROW)), places)
    places = placed(_counted(tickets, places, _band(_NARROW), f.col("ticket")), places)
    return medians(places)


def _counted(
    tickets: DataFrame, places: Places, band: Column, within: Column
) -> list[tuple[int, float, float, int]]:
    """Count the tickets of some bands by what they are within: ``mcc, band, within, tickets``."""
    from pyspark.sql import functions as f

    if not places:
        return []
    wanted = [(mcc, int(each)) for mcc, each in places]
    bands = tickets.sparkSession.createDataFrame(wanted, "mcc smallint, band bigint")
    found = (
        tickets.where(f.col("mcc").isin(sorted({mcc for mcc, _ in places})))
        .withColumn("band", band)
        .join(f.broadcast(bands), ["mcc", "band"])
        .groupBy("mcc", "band", within.alias("within"))
        .count()
    )
    with naming_failures():
        return [tuple(row) for row in found.collect()]


def _band(width: float) -> Column:
    from pyspark.sql import functions as f

    return f.floor(f.lit(width) * f.sqrt(f.sqrt(f.col("ticket"))))


def middles(counts: Sequence[tuple[int, int, int]]) -> dict[Place, list[int]]:
    """Return where the medians of the categories are in which half of the tickets are so small.

    Parameters
    ----------
    counts : sequence of (int, int, int)
        Category, tickets, and how many of them the largest one of the week is far above.

    Examples
    --------
    >>> middles([(5411, 3, 2), (5411, 1, 0), (5812, 5, 2), (5814, 5, 3)])
    {(5411, 0): [1, 2], (5814, 0): [2, 2]}
    """
    tickets, far_below = defaultdict[int, int](int), defaultdict[int, int](int)
    for mcc, count, small in counts:
        tickets[mcc] += count
        far_below[mcc] += small
    return {
        (mcc, _ANYWHERE): [(count - 1) // 2, count // 2]
        for mcc, count in tickets.items()
        if 2 * far_below[mcc] >= count
    }


def placed(
    counts: Sequence[tuple[int, float, float, int]], places: Places
) -> dict[Place, list[int]]:
    """Follow places in bands to the places in what the bands consist of.

    Parameters
    ----------
    counts : sequence of (int, float, float, int)
        Category, band, what is within it (a narrower band or a ticket), and tickets there.

    Examples
    --------
    >>> placed([(5411, 0, 7, 2), (5411, 0, 9, 2), (5812, 0, 7, 1)], {(5411, 0): [1, 2]})
    {(5411, 7): [1], (5411, 9): [0]}
    """
    found, before = defaultdict[Place, list[int]](list), defaultdict[Place, int](int)
    for mcc, band, within, count in sorted(counts):
        below = before[mcc, band]
        inside = [
            place - below for place in places.get((mcc, band), ()) if 0 <= place - below < count
        ]
        if inside:
            found[mcc, within] += inside
        before[mcc, band] += count
    return dict(found)


def medians(places: Places) -> dict[int, float]:
    """Return the mean of the two middle tickets of each category.

    Examples
    --------
    >>> medians({(5411, 20.0): [3], (5411, 21.0): [0], (5812, 8.5): [1, 1]})
    {5411: 20.5, 5812: 8.5}
    """
    middle = defaultdict[int, list[float]](list)
    for (mcc, ticket), there in places.items():
        middle[mcc] += [ticket] * len(there)
    return {mcc: min(two) + (max(two) - min(two)) * 0.5 for mcc, two in middle.items()}
