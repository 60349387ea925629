"""The usual tickets of categories, found by counting in bands: the medians to the last bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import floor, sqrt
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from cardwatch.spark.tickets import Places, medians, middles, placed

CENTS = st.integers(1, 10**11)
TICKETS = st.dictionaries(
    st.integers(1, 3),
    st.lists(st.builds(lambda cents, count: cents / count, CENTS, st.integers(1, 7)), min_size=1),
    min_size=1,
)
Banded = Callable[[float], float]


def band(width: int) -> Banded:
    return lambda ticket: floor(width * sqrt(sqrt(ticket)))


def counts(
    tickets: dict[int, list[float]], places: Places, outer: Banded, inner: Banded
) -> list[tuple[int, float, float, int]]:
    """Count as Spark does: only what is in a band that is looked into."""
    found = Counter(
        (mcc, outer(each), inner(each))
        for mcc, values in tickets.items()
        for each in values
        if (mcc, outer(each)) in places
    )
    return [(*key, count) for key, count in found.items()]


@given(tickets=TICKETS)
def test_bands_lead_to_the_very_median(tickets: dict[int, list[float]]) -> None:
    places: Places = middles([(mcc, len(each), len(each)) for mcc, each in tickets.items()])
    steps: list[Banded] = [lambda ticket: 0, band(2**3), band(2**15), lambda ticket: ticket]
    for outer, inner in zip(steps, steps[1:], strict=False):
        places = placed(counts(tickets, places, outer, inner), places)
    found = medians(places)
    for mcc, values in tickets.items():
        low, high = sorted(values)[(len(values) - 1) // 2], sorted(values)[len(values) // 2]
        assert found[mcc] == low + (high - low) * 0.5
        assert abs(found[mcc] - median(values)) <= 1e-9 * median(values)


def test_a_category_where_few_tickets_are_small_is_left_out() -> None:
    assert middles([(5411, 3, 1), (5812, 4, 2)]) == {(5812, 0): [1, 2]}
