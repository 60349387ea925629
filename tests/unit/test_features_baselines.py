"""What a week is compared with: never itself, and for own medians not the three weeks before it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from cells import Cell, Dense, build, column, fill, portfolio, steady, surprise

from cardwatch.config import FeatureConfig
from cardwatch.engine import Engine
from cardwatch.features.build import build_features
from cardwatch.features.facts import customer_facts
from cardwatch.features.portfolio import Portfolio
from cardwatch.features.window import Window
from cardwatch.schema import CustomerFacts

SCORED = 12


def times(dense: Dense, factor: int, weeks: slice, customers: slice = slice(None)) -> Dense:
    """The portfolio with everything multiplied in some weeks."""
    cents, number = dense.cents.copy(), dense.number.copy()
    cents[customers, weeks] *= factor * factor
    number[customers, weeks] *= factor
    return Dense(cents, number, dense.mccs)


def facts_of(engine: Engine, dense: Dense) -> tuple[Portfolio, dict[int, CustomerFacts]]:
    customers = len(dense.cents)
    _, fitted = build(engine, dense)
    return fitted, customer_facts(engine, fitted, range(customers))


def present(dense: Dense) -> Dense:
    """Only the customers with a transaction in the scored week."""
    here = dense.number[:, SCORED].sum(axis=1) > 0
    return Dense(dense.cents[here], dense.number[here], dense.mccs)


def test_the_scored_week_is_in_none_of_its_baselines(engine: Engine) -> None:
    dense = present(portfolio(200))
    before, facts_before = facts_of(engine, dense)
    after, facts_after = facts_of(engine, times(dense, 7, slice(SCORED, 13)))
    for measure in ("count", "spend", "ticket"):
        assert before.own is not None
        assert after.own is not None
        old, new = getattr(before.own, measure), getattr(after.own, measure)
        assert (old.intercept, old.slope) == (new.intercept, new.slope)
        assert (old.week_shift[:SCORED] == new.week_shift[:SCORED]).all()
    for name in (
        "mccs",
        "log_ticket",
        "log_ticket_spread",
        "own_ticket_spread",
        "users_share",
        "once_share",
        "portfolio_share",
        "newcomers_usual",
    ):
        np.testing.assert_array_equal(
            getattr(before.categories, name), getattr(after.categories, name)
        )
    for key, old in facts_before.items():
        new = facts_after[key]
        assert new.weekly_spend[:SCORED] == old.weekly_spend[:SCORED]
        assert new.weekly_spend[SCORED] != old.weekly_spend[SCORED]
        for name in ("usual_spend", "usual_count", "usual_ticket", "active_weeks", "gap_weeks"):
            assert getattr(new, name) == getattr(old, name), name
        for name in ("usual_refunds", "usual_risky", "history_weeks"):
            assert getattr(new, name) == getattr(old, name), name
        if old.active_weeks:
            assert new.level == old.level
        usual = {c.mcc: (c.usual_spend, c.usual_ticket, c.is_new) for c in old.categories}
        assert {c.mcc: (c.usual_spend, c.usual_ticket, c.is_new) for c in new.categories} == usual


def test_one_customers_scored_week_moves_nobody_elses_own_history(engine: Engine) -> None:
    dense = present(portfolio(200))
    build(engine, dense)
    before = column(engine, "own_spend")
    build(engine, times(dense, 50, slice(SCORED, 13), slice(0, 1)))
    after = column(engine, "own_spend")
    assert after[0] > before[0] + 5
    moved = np.abs(after - before)[1:]
    assert np.nanmax(moved) < 0.02, "the week's median moves by a rank at most"


def test_a_ramp_in_the_three_weeks_before_does_not_spoil_the_own_baseline(engine: Engine) -> None:
    dense = portfolio(150)
    _, before = facts_of(engine, dense)
    _, after = facts_of(engine, times(dense, 5, slice(9, 12), slice(0, 40)))
    for key in range(150):
        for name in ("usual_spend", "usual_count", "usual_ticket"):
            assert getattr(after[key], name) == getattr(before[key], name)


@pytest.mark.parametrize(
    ("weeks", "scored", "baseline"),
    [
        (range(12), 12, slice(0, 9)),
        (range(6), 6, slice(0, 4)),
        (range(4), 4, slice(0, 4)),
        (range(8, 12), 12, slice(8, 12)),
        (range(52), 52, slice(0, 49)),
    ],
)
def test_the_baseline_ends_three_weeks_early_where_four_weeks_remain(
    weeks: range, scored: int, baseline: slice
) -> None:
    assert Window(tuple(weeks), scored).baseline == baseline


@pytest.mark.parametrize("weeks", range(1, 53))
def test_newcomers_are_counted_in_weeks_with_a_lookback_behind_them(weeks: int) -> None:
    window = Window(tuple(range(weeks)), weeks)
    assert window.newcomer_weeks[-1] == weeks
    assert 3 <= window.lookback <= 8
    assert len(window.newcomer_weeks) <= 7
    if window.has_history:
        assert window.newcomer_weeks[0] >= window.lookback
        assert len(window.newcomer_weeks) > 1


def test_history_counts_from_the_first_week_seen(engine: Engine) -> None:
    cells = steady(30, range(13))
    cells += [Cell("X", 4, 5411, 5_000, 1), Cell("X", 12, 5411, 5_000, 1)]
    cells += [Cell("Y", 12, 5411, 5_000, 1), Cell("Z", 11, 5411, 5_000, 1)]
    build(engine, cells)
    assert column(engine, "history_weeks")[[0, 30, 31, 32]].tolist() == [12, 8, 0, 1]


@pytest.mark.parametrize("weeks", [[], [8], [7, 8], [9, 10, 11]])
def test_under_three_active_baseline_weeks_own_history_and_growth_are_null(
    engine: Engine, weeks: list[int]
) -> None:
    cells = steady(60, range(13))
    cells += [Cell("Z", week, 5411, 5_000, 1) for week in [*weeks, 12]]
    build(engine, cells)
    for name in ("own_spend", "own_count", "growth_spend_count", "growth_four_weeks"):
        assert np.isnan(column(engine, name)[-1])
        assert not np.isnan(column(engine, name)[0])
    for name in ("peer_spend", "unusual_category", "ticket_max", "refunds"):
        assert not np.isnan(column(engine, name)[-1])


def test_three_active_baseline_weeks_are_enough(engine: Engine) -> None:
    cells = steady(60, range(13))
    build(engine, cells + [Cell("Z", week, 5411, 5_000, 1) for week in (6, 7, 8, 12)])
    assert not np.isnan(column(engine, "own_spend")[-1])


def silent(active: int, gap: int) -> list[Cell]:
    """A customer active for `active` weeks and then silent, the scored week included."""
    name = f"S{active:02d}-{gap:02d}"
    return [Cell(name, week, 5411, 5_000, 1) for week in range(13 - gap - active, 13 - gap)]


def test_silence_surprises_more_the_longer_it_is_and_the_steadier_the_customer_was(
    engine: Engine,
) -> None:
    combinations = [(9, 1), (9, 2), (9, 3), (3, 1), (3, 3)]
    cells = [cell for active, gap in combinations for cell in silent(active, gap)]
    build(engine, [*steady(40, range(13)), *cells])
    by_name = dict(
        engine.execute(
            "SELECT customer_id, absence FROM feature INNER JOIN customer USING (customer_key)"
        ).fetchall()
    )
    long, medium, short = by_name["S09-03"], by_name["S09-02"], by_name["S09-01"]
    assert long > medium > short > by_name["S03-01"] > 0
    assert long > by_name["S03-03"]


def test_the_surprise_of_an_absence_rises_with_it_and_stays_under_the_cap(engine: Engine) -> None:
    cells = [cell for gap in range(1, 7) for cell in silent(6, gap)]
    table, _ = build(engine, [*portfolio(100).cells(), *cells])
    for cap in (3.0, 0.0, 0.7):
        surprise(absent_cap=cap).fit_score(engine, table)
        rows = engine.rows(
            "SELECT absence, surprise_total, events_contribution FROM score "
            "INNER JOIN feature USING (customer_key) WHERE NOT has_rows ORDER BY absence"
        )
        assert len(rows) > 10
        found = [row["surprise_total"] for row in rows]
        assert found == sorted(found)
        assert all(total < min(cap, 1.01) or total == cap == 0 for total in found), "√100 is 10"
        assert len(set(found)) == (len({row["absence"] for row in rows}) if cap else 1)
        assert found == [row["events_contribution"] for row in rows]


def test_everybody_is_absent_or_has_the_features_of_the_week(engine: Engine) -> None:
    checked = fill(engine, portfolio(60))
    table, _ = build_features(checked, FeatureConfig(), engine, 42)
    flags: npt.NDArray[np.float64] = column(engine, "has_rows")
    assert (table.rows_with_spend, table.rows_absent) == (flags.sum(), (1 - flags).sum())
