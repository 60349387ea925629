from __future__ import annotations

import numpy as np
import pytest
from cells import Cell, build, name, portfolio, steady

from cardwatch.engine import Engine
from cardwatch.features.cell_terms import CELL_FEATURES, SUMMED_FEATURES
from cardwatch.features.facts import customer_facts


def test_the_driver_of_a_feature_is_the_category_that_made_its_value(engine: Engine) -> None:
    cells = portfolio(80).cells()
    _, fitted = build(engine, cells)
    found = customer_facts(engine, fitted, range(80))
    for key, facts in found.items():
        if facts.weekly_count[-1] is None:
            assert not facts.drivers
            assert not facts.categories
            continue
        places = {category.mcc for category in facts.categories}
        assert set(facts.drivers) == {*CELL_FEATURES, *SUMMED_FEATURES, "mix_spend", "mix_count"}
        assert set(facts.drivers.values()) <= places
        rarest = min(facts.categories, key=lambda c: (c.users_share, c.mcc))
        values = {
            c.mcc: np.log1p(abs(c.spend) / facts.level) * -np.log(c.users_share * 0.999 + 0.0005)
            for c in facts.categories
        }
        driver = facts.drivers["rare_category"]
        assert values[driver] == pytest.approx(facts.features["rare_category"])
        assert values[rarest.mcc] <= values[driver] + 1e-12
        assert facts.customer_key == key


def test_facts_repeat_the_rows(engine: Engine) -> None:
    cells = [
        *steady(40, range(13)),
        *(Cell("Z", week, 5411, 4_000, 2) for week in range(3, 12)),
        Cell("Z", 12, 5411, 3_000, 3),
        Cell("Z", 12, 5944, 50_000, 1),
        Cell("Z", 12, 5812, -1_000, 1),
    ]
    _, fitted = build(engine, cells)
    facts = customer_facts(engine, fitted, [40])[40]
    assert facts.weekly_spend == (None, None, None, *[40.0] * 9, 520.0)
    assert facts.weekly_count == (None, None, None, *[2] * 9, 5)
    assert (facts.usual_spend, facts.usual_count, facts.usual_ticket) == (40.0, 2.0, 20.0)
    assert (facts.history_weeks, facts.active_weeks, facts.gap_weeks) == (9, 9, 0)
    assert (facts.refunds, facts.level) == (10.0, 60.0)
    assert [(c.mcc, c.spend, c.transaction_count) for c in facts.categories] == [
        ("5944", 500.0, 1),
        ("5411", 30.0, 3),
        ("5812", -10.0, 1),
    ]
    assert [c.is_new for c in facts.categories] == [True, False, True]
    assert [c.usual_spend for c in facts.categories] == [0.0, 40.0, 0.0]


def test_silence_counts_the_scored_week_of_an_absent_customer(engine: Engine) -> None:
    _, fitted = build(engine, [*steady(40, range(13)), Cell("Z", 8, 5411, 4_000, 2)])
    assert customer_facts(engine, fitted, [40])[40].gap_weeks == 4


def test_the_expected_ticket_is_moved_by_how_much_dearer_the_customer_usually_buys(
    engine: Engine,
) -> None:
    dear = [Cell("Z", week, 5411, 15_000, 1) for week in range(13)]
    _, fitted = build(engine, [*steady(40, range(13)), *dear])
    found = customer_facts(engine, fitted, [0, 40])
    assert found[0].categories[0].usual_ticket == pytest.approx(50)
    assert found[40].categories[0].usual_ticket == pytest.approx(150)
    assert found[40].features["ticket_max"] == pytest.approx(0, abs=1e-5)


def test_other_newcomers_leave_the_customer_out_who_came_back_to_a_category(
    engine: Engine,
) -> None:
    cells = steady(40, range(13))
    cells += [Cell(name(i), 12, 5944, 9_000, 1) for i in range(3)]
    cells += [Cell(name(0), 0, 5944, 9_000, 1)]
    _, fitted = build(engine, cells)
    jewellery = [
        next(c for c in facts.categories if c.mcc == "5944")
        for facts in customer_facts(engine, fitted, range(3)).values()
    ]
    assert [c.others_new for c in jewellery] == [2, 2, 2], "two others each"
    assert [c.is_new for c in jewellery] == [False, True, True]


def test_no_customers_have_no_facts_and_unknown_ones_are_left_out(engine: Engine) -> None:
    _, fitted = build(engine, steady(5, range(13)))
    assert customer_facts(engine, fitted, []) == {}
    assert set(customer_facts(engine, fitted, [2, 99])) == {2}


def test_a_week_of_refunds_has_no_ticket_and_no_concentration(engine: Engine) -> None:
    cells = [*steady(40, range(13)), *(Cell("Z", w, 5411, 5_000, 1) for w in range(12))]
    _, fitted = build(engine, [*cells, Cell("Z", 12, 5411, -5_000, 1)])
    features = customer_facts(engine, fitted, [40])[40].features
    assert features["peer_ticket"] is None
    assert features["peer_concentration"] is None
    assert features["peer_count"] is not None
