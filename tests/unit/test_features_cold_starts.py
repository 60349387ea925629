from __future__ import annotations

import numpy as np
import pytest
from cells import (
    WEEK,
    Cell,
    Dense,
    build,
    column,
    detectors,
    fill,
    name,
    portfolio,
    steady,
)

from cardwatch.config import FeatureConfig
from cardwatch.engine import Engine
from cardwatch.errors import ModelError
from cardwatch.features.build import build_features
from cardwatch.features.catalog import CATALOG, HISTORY_FAMILIES
from cardwatch.schema import FeatureTable

BY_HISTORY = {feature.name for feature in CATALOG if feature.family in HISTORY_FAMILIES}
NEWCOMERS = {"heavy_newcomers"}


def recent(weeks: int, customers: int = 120) -> list[Cell]:
    """A portfolio of the last weeks of a longer one, counted from 0."""
    whole = portfolio(customers)
    return Dense(whole.cents[:, -weeks:], whole.number[:, -weeks:], whole.mccs).cells()


def assert_scored(engine: Engine, table: FeatureTable) -> None:
    """Both detectors give everybody a finite score, and no feature is infinite or NaN."""
    for detector in detectors():
        detector.fit_score(engine, table)
        for made in ("feature", "score"):
            for row in engine.rows(f"SELECT * FROM {made}"):
                assert all(value is None or np.isfinite(value) for value in row.values())
        scored = engine.scalar("SELECT count(anomaly_score) FROM score")
        assert scored == table.rows_with_spend + table.rows_absent


@pytest.mark.parametrize("weeks", [1, 3])
def test_under_four_reference_weeks_there_is_no_own_history_and_the_table_says_so(
    engine: Engine, weeks: int
) -> None:
    table, _ = build(engine, recent(weeks + 1), reference_weeks=weeks)
    assert not set(table.columns) & (BY_HISTORY | NEWCOMERS)
    assert {"peer_spend", "unusual_category", "ticket_max", "refunds"} <= set(table.columns)
    assert table.reference_weeks_used == weeks
    held = "1 reference week holds data" if weeks == 1 else "3 reference weeks hold data"
    assert f"Only {held}: customers are compared" in table.notes[0]
    assert_scored(engine, table)


@pytest.mark.parametrize("weeks", [4, 6])
def test_four_reference_weeks_are_enough_for_every_feature(engine: Engine, weeks: int) -> None:
    table, _ = build(engine, recent(weeks + 1), reference_weeks=weeks)
    assert table.columns == tuple(feature.name for feature in CATALOG)
    assert np.isfinite(column(engine, "own_spend")).any()
    assert_scored(engine, table)


def test_fewer_weeks_than_asked_for_are_said(engine: Engine) -> None:
    cells = [cell._replace(week=cell.week + 6) for cell in recent(7)]
    table, _ = build(engine, cells, reference_weeks=12)
    assert table.reference_weeks_used == 6
    assert table.notes[0].startswith("6 of 12 reference weeks hold data")


def test_without_any_history_everybody_is_compared_with_peers_and_categories(
    engine: Engine,
) -> None:
    table, _ = build(engine, [cell for cell in portfolio(120).cells() if cell.week == 12])
    assert table.notes[0].startswith("No reference week holds data: customers are compared")
    assert (column(engine, "new_share") == 0).all(), "nothing is new where nothing is known"
    assert (column(engine, "history_weeks") == 0).all()
    assert_scored(engine, table)
    assert engine.scalar("SELECT max(anomaly_score) FROM score") > 0


def test_fifty_customers_give_scores_and_a_word_about_their_number(engine: Engine) -> None:
    table, _ = build(engine, portfolio(50).cells())
    present = engine.scalar("SELECT count(*) FROM feature WHERE has_rows")
    assert f"{present} customers have transactions this week" in table.notes[-1]
    assert_scored(engine, table)


@pytest.mark.parametrize("weeks", [[12], [2, 12], [8, 9, 10, 11, 12], list(range(13))])
def test_one_customer_alone_is_scored(engine: Engine, weeks: list[int]) -> None:
    table, _ = build(engine, steady(1, weeks))
    assert "1 customer has transactions this week" in table.notes[-1]
    assert_scored(engine, table)


def test_identical_customers_all_score_the_same(engine: Engine) -> None:
    table, _ = build(engine, steady(50, range(13)))
    for detector in detectors():
        detector.fit_score(engine, table)
        assert engine.scalar("SELECT count(DISTINCT anomaly_score) FROM score") == 1


def test_one_category_is_enough(engine: Engine) -> None:
    table, _ = build(engine, [cell for cell in portfolio(200).cells() if cell.mcc == 5411])
    assert_scored(engine, table)


def test_a_year_of_reference_weeks_fits_the_bits_of_a_week_mask(engine: Engine) -> None:
    first_and_last = [Cell(name(999), 0, 5411, 4_000, 1), Cell(name(999), 52, 5411, 4_000, 1)]
    cells = [*portfolio(60, weeks=53).cells(), *first_and_last]
    table, _ = build(engine, cells, reference_weeks=52)
    assert table.reference_weeks_used == 52
    assert column(engine, "history_weeks")[-1] == 52
    assert column(engine, "return_after_silence")[-1] == pytest.approx(51 * np.log1p(40 / 60))
    assert_scored(engine, table)


@pytest.mark.parametrize("missing", [range(5, 8), range(6, 12), [11], range(1, 11)])
def test_weeks_missing_for_everybody_stop_nothing_and_are_not_counted(
    engine: Engine, missing: list[int]
) -> None:
    table, _ = build(engine, [cell for cell in portfolio(60).cells() if cell.week not in missing])
    assert table.reference_weeks_used == 12 - len(missing)
    assert_scored(engine, table)


def test_a_week_missing_for_everybody_is_nobodys_silence(engine: Engine) -> None:
    steadily = steady(60, [week for week in range(13) if week not in (10, 11)])
    gone = [Cell("Z", week, 5411, 5_000, 1) for week in range(9)]
    build(engine, [*steadily, *gone])
    assert (column(engine, "return_after_silence")[:60] == 0).all()
    share = (9 + 0.5) / (9 + 1)
    assert column(engine, "absence")[60] == pytest.approx(-2 * np.log10(1 - share))


def test_two_reference_weeks_far_apart_are_no_history(engine: Engine) -> None:
    table, _ = build(engine, [c for c in portfolio(60).cells() if c.week in (0, 11, 12)])
    assert not set(table.columns) & BY_HISTORY


def test_a_missing_week_is_not_a_week_without_newcomers(engine: Engine) -> None:
    _, fitted = build(engine, [cell for cell in portfolio(60).cells() if cell.week != 9])
    assert fitted.window.newcomer_weeks == (8, 10, 11, 12)


def test_a_customer_with_refunds_only_is_scored(engine: Engine) -> None:
    refunds = [Cell("Z", week, 5411, -2_500, 2) for week in range(13)]
    table, _ = build(engine, [*portfolio(60).cells(), *refunds])
    assert column(engine, "refunds")[-1] == 0, "as much as in any week"
    assert_scored(engine, table)


@pytest.mark.parametrize("cents", [0, -1, 10**13])
def test_weeks_without_spend_refunds_throughout_and_huge_amounts_stay_finite(
    engine: Engine, cents: int
) -> None:
    cells = [cell._replace(cents=cents * cell.number) for cell in portfolio(60).cells()]
    table, _ = build(engine, cells)
    assert_scored(engine, table)


def test_rows_without_transactions_change_nothing(engine: Engine) -> None:
    cells = portfolio(60).cells()
    build(engine, cells)
    expected = engine.arrow("SELECT * FROM feature")
    empty = [Cell("Z", week, 5411, 0, 0) for week in range(13)]
    empty += [Cell(name(i), week, 9999, 0, 0) for i in range(0, 60, 7) for week in range(13)]
    build(engine, cells + empty)
    assert engine.arrow("SELECT * FROM feature") == expected


def test_a_week_without_transactions_cannot_be_scored(engine: Engine) -> None:
    table, _ = build(engine, [cell for cell in portfolio(60).cells() if cell.week < 12])
    assert (table.rows_with_spend, table.rows_absent) == (0, 60)
    for detector in detectors():
        with pytest.raises(ModelError, match=WEEK.label):
            detector.fit_score(engine, table)


def test_a_window_without_any_transaction_is_refused(engine: Engine) -> None:
    checked = fill(engine, [Cell("A", 12, 5411, 0, 0)])
    with pytest.raises(ModelError, match="No customer has a transaction in the window"):
        build_features(checked, FeatureConfig(), engine, 42)


def test_a_configuration_without_watched_categories_watches_none(engine: Engine) -> None:
    checked = fill(engine, portfolio(60))
    build_features(checked, FeatureConfig(risky_mccs=()), engine, 42)
    watched = column(engine, "risky_categories")
    assert (watched[~np.isnan(watched)] == 0).all()


@pytest.mark.parametrize("groups", [1, 100])
def test_peer_groups_are_as_many_as_asked_for_or_as_the_customers_allow(
    engine: Engine, groups: int
) -> None:
    checked = fill(engine, portfolio(130))
    _, fitted = build_features(checked, FeatureConfig(peer_groups=groups), engine, 42)
    assert len(fitted.peers.centroids) == min(groups, 130 // 30)


@pytest.mark.parametrize("is_renamed", [True, False])
def test_ids_that_are_written_otherwise_in_the_scored_week_are_remarked(
    engine: Engine, is_renamed: bool
) -> None:
    cells = portfolio(60).cells()
    present = len({cell.customer for cell in cells if cell.week == 12})
    if is_renamed:
        cells = [c._replace(customer=c.customer.lower()) if c.week == 12 else c for c in cells]
    table, _ = build(engine, cells)
    said = [note for note in table.notes if "were their ids written otherwise?" in note]
    assert len(said) == is_renamed
    assert all(f"{present} of {present} customers" in note for note in said)
