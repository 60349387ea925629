"""Rows within a customer: weekly totals, usual weeks and category histories, beside plain loops."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

import numpy as np
import pytest
from cells import Cell, fill, name, portfolio
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.engine import Engine
from cardwatch.features.block import block_of, concatenated
from cardwatch.features.norms import TicketNorms
from cardwatch.features.rows import HEAVY_SHARE, Activity, CategoryHistory, Rows, load_rows
from cardwatch.features.use import use_of
from cardwatch.features.window import Window

WEEKS, SCORED = 5, 4
Purchase = tuple[int, int, int, int, int]
KEYS = st.tuples(st.integers(0, 3), st.sampled_from((742, 5411, 9999)), st.integers(0, SCORED))
PURCHASES = st.dictionaries(KEYS, st.tuples(st.integers(-9_000, 90_000), st.integers(1, 40)))


def rows_of(purchases: dict[tuple[int, int, int], tuple[int, int]]) -> Rows:
    """Rows of the customers, numbered by their place among those who have any."""
    given = sorted((*key, *value) for key, value in purchases.items())
    customer, mcc, week, cents, count = np.array(given, dtype=np.int64).reshape(-1, 5).T
    keys, row = np.unique(customer, return_inverse=True)
    return Rows(keys, row, mcc, week, cents.astype(float), count.astype(float), WEEKS)


@given(PURCHASES)
def test_what_lies_within_a_customer_is_what_loops_add_up(
    purchases: dict[tuple[int, int, int], tuple[int, int]],
) -> None:
    rows = rows_of(purchases)
    activity = Activity.of(rows)
    history = CategoryHistory.of(rows, activity.level)
    entries = list(zip(rows.keys[history.row], history.mcc, strict=True))
    assert entries == sorted({(customer, mcc) for customer, mcc, _ in purchases})
    for i, key in enumerate(rows.keys):
        weeks: dict[int, list[int]] = defaultdict(list)
        for (customer, _, week), (cents, _) in purchases.items():
            if customer == key:
                weeks[week].append(cents)
        assert set(np.flatnonzero(activity.active[i])) == set(weeks)
        assert {w: int(activity.spend[i, w]) for w in weeks} == {
            w: sum(c) for w, c in weeks.items()
        }
        before = [sum(cents) for week, cents in weeks.items() if week < SCORED]
        usual = median(before) if before else None
        assert np.isnan(activity.usual[i]) if usual is None else activity.usual[i] == usual
        assert activity.level[i] == max(usual or 0, 0) + 2_000
    for e, (customer, mcc) in enumerate(entries):
        own = {w: p for (c, m, w), p in purchases.items() if (c, m) == (customer, mcc)}
        past = [p for week, p in own.items() if week < SCORED]
        assert history.count[e] == sum(count for _, count in past)
        assert history.paid[e] == sum(max(cents, 0) for cents, _ in past)
        assert history.used[e] == sum(1 << week for week in own)
        level = activity.level[history.row[e]]
        heavy = [week for week, (cents, _) in own.items() if abs(cents) > HEAVY_SHARE * level]
        assert history.heavy[e] == sum(1 << week for week in heavy)


@given(PURCHASES.filter(bool), st.integers(1, 3))
def test_counts_over_all_customers_are_the_sum_over_any_parts(
    purchases: dict[tuple[int, int, int], tuple[int, int]], cut: int
) -> None:
    window = Window(weeks=tuple(range(SCORED)), scored=SCORED)
    parts = [
        {key: value for key, value in purchases.items() if (key[0] < cut) is lower}
        for lower in (True, False)
    ]
    whole, (low, high) = (
        use_of(rows_of(purchases), window),
        (use_of(rows_of(p), window) for p in parts),
    )
    for field, value in vars(low + high).items():
        np.testing.assert_array_equal(value, getattr(whole, field))


@pytest.mark.parametrize("shuffled", [False, True])
def test_rows_are_loaded_in_order_however_they_are_stored(engine: Engine, shuffled: bool) -> None:
    dense = portfolio(40)
    size = int((dense.number > 0).sum())
    fill(engine, dense, order=np.random.default_rng(1).permutation(size) if shuffled else None)
    rows = load_rows(engine, 13, "customer_key >= $low", low=10)
    order = np.lexsort((rows.week, rows.mcc, rows.row))
    assert (order == np.arange(len(order))).all()
    expected = np.where(dense.number > 0, dense.cents, 0)[rows.keys].sum(axis=2)
    np.testing.assert_array_equal(rows.per_week(rows.cents), expected)


def test_rows_without_a_transaction_are_no_activity(engine: Engine) -> None:
    fill(engine, [Cell(name(0), 3, 5411, 0, 0), Cell(name(1), 3, 5411, 500, 1)])
    assert load_rows(engine, 13, "true").keys.tolist() == [1]


def test_blocks_put_together_are_the_block_of_all_of_them(engine: Engine) -> None:
    fill(engine, portfolio(50))
    mccs = np.array(sorted(portfolio(1).mccs))
    norms = TicketNorms.of(mccs, np.full(len(mccs), 3.0), np.full(len(mccs), 0.5), {7995, 6011})
    where = "customer_key >= $low AND customer_key < $high"
    parts = [load_rows(engine, 13, where, low=low, high=low + 20) for low in (0, 20, 40)]
    whole = block_of(load_rows(engine, 13, "true"), norms)
    together = concatenated([block_of(part, norms) for part in parts])
    for one, other in ((together, whole), (together.cells, whole.cells)):
        for field, value in vars(one).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, getattr(other, field))
    np.testing.assert_array_equal(together.profile.row, whole.profile.row)
