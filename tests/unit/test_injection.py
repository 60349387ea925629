"""Planted cases: each changes exactly what it says, the same for the same seed, nobody twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from cells import RARE, fill, portfolio, steady

from cardwatch.case_kinds import (
    CARD_TEST_CODES,
    CASH_CODES,
    GAMBLING_CODES,
    TAKEOVER_CODES,
    TRANSFER_CODES,
    Kind,
    Strength,
)
from cardwatch.engine import Engine
from cardwatch.injection import Plan, Wish, plan_cases, plant
from cardwatch.injection.cases import Changes, planted
from cardwatch.injection.spending import Customer, Market, Spend, Week
from cardwatch.schema import Checked

CELLS = "SELECT * FROM cell ORDER BY customer_key, week_index, mcc"
USUAL = {5411: Spend(12_000, 4), 5812: Spend(6_000, 3), 5651: Spend(2_000, 1)}
WHO = Customer("C-1", dict.fromkeys(range(13), USUAL))
MARKET = Market({5411: 3_000.0, 5812: 2_000.0, 5651: 2_000.0, 5732: 9_000.0}, 3_200.0, (5932,))


def case(kind: Kind, strength: Strength = Strength.MEDIUM, seed: int = 1) -> Changes:
    rng = np.random.default_rng(seed)
    return planted(kind, WHO, MARKET, strength.factor, rng, place=5932)


def added(week: Week) -> dict[int, Spend]:
    """What a week has beyond the usual one."""
    more = {
        mcc: Spend(
            spend.cents - USUAL.get(mcc, Spend(0, 0)).cents,
            spend.transactions - USUAL.get(mcc, Spend(0, 0)).transactions,
        )
        for mcc, spend in week.items()
    }
    assert set(USUAL) <= set(week)
    return {mcc: spend for mcc, spend in more.items() if spend != Spend(0, 0)}


def total(week: Week) -> Spend:
    return Spend(sum(e.cents for e in week.values()), sum(e.transactions for e in week.values()))


def scored_week(kind: Kind, seed: int) -> dict[int, Spend]:
    """What a kind that touches the scored week alone adds to it."""
    changes = case(kind, seed=seed)
    assert list(changes) == [0]
    return added(changes[0])


@pytest.mark.parametrize("seed", range(3))
def test_a_takeover_buys_at_two_to_four_categories_that_were_never_used(seed: int) -> None:
    more = scored_week(Kind.TAKEOVER, seed)
    assert 2 <= len(more) <= 4
    assert set(more) <= set(TAKEOVER_CODES)
    assert all(1 <= spend.transactions <= 3 for spend in more.values())
    for mcc, spend in more.items():
        usual = WHO.ticket(mcc, MARKET)
        assert 1.3 <= spend.cents / spend.transactions / usual <= 3.5


def test_a_bust_out_rises_for_four_weeks_with_cash_in_each() -> None:
    changes = case(Kind.BUST_OUT)
    assert sorted(changes) == [0, 1, 2, 3]
    times = [total(changes[ago]).cents / total(USUAL).cents for ago in (3, 2, 1, 0)]
    assert times == pytest.approx([1.5, 2.2, 3.5, 6.0], abs=0.001)
    for week in changes.values():
        assert len(set(week) & set(CASH_CODES)) == 1


@pytest.mark.parametrize(
    ("kind", "codes", "number", "cents"),
    [
        (Kind.CARD_TEST, CARD_TEST_CODES, (10, 35), (10 * 20, 35 * 250)),
        (Kind.GAMBLING, GAMBLING_CODES, (5, 20), (20_000 - 20, 60_000 + 20)),
        (Kind.STRUCTURED, TRANSFER_CODES, (3, 9), (3 * 89_900, 9 * 98_900)),
        (Kind.REFUND, (5411,), (2, 7), (-7 * 30_000, -2 * 8_000)),
        (Kind.TICKET, (5411,), (1, 1), (12 * 3_000, 40 * 3_000)),
        (Kind.COLLUSION, (5932,), (1, 3), (12_000, 40_000)),
    ],
)
def test_what_comes_on_top_comes_at_these_categories_in_these_sizes(
    kind: Kind, codes: tuple[int, ...], number: tuple[int, int], cents: tuple[int, int]
) -> None:
    for seed in range(5):
        more = scored_week(kind, seed)
        assert set(more) <= set(codes)
        assert number[0] <= total(more).transactions <= number[1]
        assert cents[0] <= total(more).cents <= cents[1]


def test_a_dormant_customer_is_silent_for_8_to_11_weeks_and_comes_back_with_more() -> None:
    changes = case(Kind.DORMANT)
    silent = [ago for ago, week in changes.items() if not week]
    assert 8 <= len(silent) <= 11
    assert sorted(silent) == list(range(1, len(silent) + 1))
    assert sorted(changes) == [0, *sorted(silent)]
    assert 1.5 <= total(changes[0]).cents / total(USUAL).cents <= 3.5


def test_a_drop_leaves_one_usual_purchase_at_the_favourite_category() -> None:
    assert case(Kind.DROP) == {0: {5411: Spend(round(WHO.ticket(5411, MARKET)), 1)}}


def test_growth_multiplies_every_category_by_the_same() -> None:
    week = case(Kind.GROWTH)[0]
    times = [week[mcc].cents / spend.cents for mcc, spend in USUAL.items()]
    assert 3 <= times[0] <= 6
    assert times == pytest.approx([times[0]] * 3, abs=0.001)
    assert all(week[mcc].transactions >= spend.transactions for mcc, spend in USUAL.items())


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.DROP])
def test_a_stronger_case_is_further_from_the_usual(kind: Kind) -> None:
    sizes = []
    for strength in Strength:
        week = case(kind, strength)[0]
        of = total(week).transactions if kind is Kind.CARD_TEST else abs(total(week).cents - 20_000)
        sizes.append(of)
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Checked]]:
    """A portfolio of which some hundred customers can be planted; the tests leave it as it is."""
    folder = tmp_path_factory.mktemp("injection")
    with Engine(memory_limit="500MB", threads=2, temp_directory=folder) as engine:
        yield engine, fill(engine, portfolio(customers=500))


def names(plan: Plan) -> list[str]:
    return [each.customer_id for each in plan.planted]


def test_a_plan_is_the_same_for_the_same_seed_in_any_row_order_and_names_nobody_twice(
    filled: tuple[Engine, Checked], tmp_path: Path
) -> None:
    engine, checked = filled
    before = engine.arrow(CELLS)
    plan = plan_cases(engine, checked, Wish(per_kind=2, seed=5))
    assert engine.arrow(CELLS) == before
    assert len(names(plan)) == 2 * (10 + 5)
    assert len(set(names(plan))) == len(names(plan))
    assert plan.lacking == {}
    rows = portfolio(customers=500)
    order = np.random.default_rng(1).permutation(np.count_nonzero(rows.number))
    with Engine(memory_limit="500MB", threads=1, temp_directory=tmp_path) as other:
        assert plan_cases(other, fill(other, rows, order=order), Wish(per_kind=2, seed=5)) == plan
    assert names(plan_cases(engine, checked, Wish(per_kind=2, seed=6))) != names(plan)


def test_planting_changes_the_weeks_of_the_plan_and_nothing_else(
    filled: tuple[Engine, Checked], tmp_path: Path
) -> None:
    plan = plan_cases(*filled, Wish(per_kind=1))
    with Engine(memory_limit="500MB", threads=2, temp_directory=tmp_path) as engine:
        checked = fill(engine, portfolio(customers=500))
        before = engine.execute(CELLS).fetchall()
        customers = engine.arrow("SELECT * FROM customer")
        keys = plant(engine, checked, plan)
        # As delivered, not ordered again: `cell` is kept in this order.
        after = engine.execute("SELECT * FROM cell").fetchall()
        assert engine.arrow("SELECT * FROM customer") == customers
    changed = {(key, 12 - ago) for key, each in keys.items() for ago in each.weeks}
    wanted = [row for row in before if row[:2] not in changed]
    wanted += [
        (key, 12 - ago, mcc, spend.cents, spend.transactions)
        for key, each in keys.items()
        for ago, week in each.weeks.items()
        for mcc, spend in week.items()
    ]
    assert after == sorted(wanted, key=itemgetter(0, 2, 1))
    assert list(keys.values()) == list(plan.planted)


def test_colluding_customers_meet_at_one_rare_category_that_none_of_them_had_used(
    filled: tuple[Engine, Checked],
) -> None:
    engine, checked = filled
    plan = plan_cases(engine, checked, Wish(kinds=(Kind.COLLUSION,), per_kind=1))
    found = [set(each.weeks[0]) for each in plan.planted]
    [place] = set.intersection(*found) & set(RARE)
    used = engine.scalar(
        "SELECT count(*) FROM cell INNER JOIN customer USING (customer_key) "
        "WHERE mcc = $place AND customer_id IN (SELECT unnest($ids))",
        place=place,
        ids=names(plan),
    )
    assert (len(found), used) == (5, 0)


def test_strengths_take_turns_over_cases_and_weeks(filled: tuple[Engine, Checked]) -> None:
    engine, checked = filled
    seen = []
    for number in range(3):
        of_week = replace(checked, week=checked.week + number)
        plan = plan_cases(engine, of_week, Wish(kinds=(Kind.REFUND,), per_kind=1))
        seen += [each.strength for each in plan.planted]
    assert sorted(seen) == sorted(Strength)


def test_cases_for_which_nobody_has_enough_history_are_counted_and_not_planted(
    engine: Engine,
) -> None:
    checked = fill(engine, steady(20, range(13)))  # one purchase a week is too few
    plan = plan_cases(engine, checked, Wish(per_kind=2))
    assert plan == Plan((), dict.fromkeys(Kind, 2), 0)
    assert plant(engine, checked, plan) == {}


def test_weeks_before_a_shorter_window_and_unknown_customers_are_passed_over(
    filled: tuple[Engine, Checked], tmp_path: Path
) -> None:
    plan = plan_cases(*filled, Wish(kinds=(Kind.DORMANT,), per_kind=3))
    rows = [
        cell._replace(week=cell.week - 6)
        for cell in portfolio(customers=500).cells()
        if cell.week >= 6 and cell.customer != plan.planted[0].customer_id
    ]
    with Engine(memory_limit="500MB", threads=2, temp_directory=tmp_path) as engine:
        checked = fill(engine, rows, reference_weeks=6)
        found = plant(engine, checked, plan)
        left = engine.execute(
            "SELECT DISTINCT week_index FROM cell WHERE customer_key IN (SELECT unnest($keys))",
            keys=list(found),
        ).fetchall()
    assert len(found) == 2
    assert left == [(6,)]


def test_the_how_to_says_of_every_kind_what_happens() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "backtest.md"
    told = dict(re.findall(r"^\| `(\w+)` \| (.+)\. \|$", page.read_text(encoding="utf-8"), re.M))
    assert told == {kind.value: kind.sentence[0].upper() + kind.sentence[1:] for kind in Kind}


def test_pages_say_how_strong_weak_and_strong_cases_are() -> None:
    weak, strong = Strength.WEAK.factor, Strength.STRONG.factor
    docs = Path(__file__).parents[2] / "docs"
    how_to = " ".join((docs / "how-to" / "backtest.md").read_text(encoding="utf-8").split())
    assert (
        f"Weak cases go {weak} times as far beyond the usual, strong ones {strong} times" in how_to
    )
    method = (docs / "explanation" / "method.md").read_text(encoding="utf-8")
    assert f"weak (× {weak}), medium or strong (× {strong})" in method
