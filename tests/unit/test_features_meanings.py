"""What a feature is to be larger for, between customers who differ in one thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from cells import RARE, Cell, build, column, portfolio

from cardwatch.engine import Engine
from cardwatch.features.block import load_block
from cardwatch.features.usual_places import purchases_z

SCORED = 12
GROCER, TRANSFER = 5411, 4829
USUAL = ((GROCER, 4_000, 3), (5541, 6_000, 2), (5812, 3_000, 2))
"""Category, cents a purchase and purchases of every week."""
CROWD = 6
ERRANDS = (5200, 5300, 5651, 5712, 5732, 5912)
"""Categories used once, in one of the weeks before."""
Told = Callable[[str, str], float]


def usual(
    who: str, weeks: Sequence[int] = range(13), *, places: int = 3, dearer: Sequence[int] = ()
) -> list[Cell]:
    """A usual life; in the scored week the first places are dearer by a factor each."""
    factors = {mcc: factor for (mcc, _, _), factor in zip(USUAL, dearer, strict=False)}
    return [
        Cell(
            who, week, mcc, cents * number * (factors.get(mcc, 1) if week == SCORED else 1), number
        )
        for week in weeks
        for mcc, cents, number in USUAL[-places:]
    ]


def made_by_hand() -> list[Cell]:
    cells = [*usual("settled"), Cell("settled", SCORED, TRANSFER, 30_000, 1)]
    cells += [*usual("often there"), Cell("often there", SCORED, TRANSFER, 150_000, 5)]
    cells += [*usual("curious"), Cell("curious", SCORED, TRANSFER, 30_000, 1)]
    cells += [Cell("curious", week, 3000 + week, 2_000, 1) for week in range(SCORED)]
    cells += usual("single", dearer=(4,))
    cells += usual("dearer", dearer=(4, 4, 4))
    cells += usual("newcomer", range(10, 13), dearer=(4,))
    cells += [*usual("ordinary there"), Cell("ordinary there", SCORED, TRANSFER, 6_000, 1)]
    for who in ("more of everything", "errands"):
        cells += [*usual(who, range(SCORED))]
        cells += [Cell(who, week, mcc, 4_000, 1) for week, mcc in enumerate(ERRANDS)]
    cells += [
        Cell("more of everything", SCORED, mcc, cents * (number + 2), number + 2)
        for mcc, cents, number in USUAL
    ]
    cells += [*usual("errands", [SCORED])]
    cells += [Cell("errands", SCORED, mcc, 4_000, 1) for mcc in ERRANDS]
    cells += [*usual("after a holiday", range(10)), Cell("after a holiday", SCORED, 5411, 10**6, 1)]
    cells += [*usual("after long", range(4)), *usual("after long", [SCORED])]
    for place, kind in ((RARE[0], "rare"), (GROCER, "common")):
        for who in (f"{kind} {number}" for number in range(CROWD)):
            cells += [*usual(who, places=2), Cell(who, SCORED, place, 40_000, 1)]
    return cells


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Return a customer's feature, among 300 ordinary others."""
    with Engine("500MB", 2, tmp_path_factory.mktemp("engine")) as engine:
        _, fitted = build(engine, [*portfolio(300).cells(), *made_by_hand()])
        rows = engine.rows("SELECT * FROM customer")
        keys = {row["customer_id"]: row["customer_key"] for row in rows}
        features = (
            "new_dear_categories",
            "ticket_largest",
            "heavy_newcomers",
            "return_after_silence",
        )
        values = {feature: column(engine, feature) for feature in features}
        values["purchases"] = purchases_z(load_block(engine, 13, fitted.norms, "true"))
    return lambda who, feature: float(values[feature][keys[who]])


def test_a_new_place_says_less_of_who_tries_new_ones_every_week(told: Told) -> None:
    curious, settled = (told(who, "new_dear_categories") for who in ("curious", "settled"))
    assert 0 < curious < 0.8 * settled


def test_several_purchases_in_a_new_place_say_more_than_one(told: Told) -> None:
    often, once = (told(who, "new_dear_categories") for who in ("often there", "settled"))
    assert often > 1.5 * once


def test_a_new_place_at_its_ordinary_price_says_little(told: Told) -> None:
    ordinary, dear = (told(who, "new_dear_categories") for who in ("ordinary there", "settled"))
    assert 0 < ordinary < dear / 4


def test_a_week_of_many_errands_is_less_growth_than_more_of_everything(told: Told) -> None:
    errands, more = (told(who, "purchases") for who in ("errands", "more of everything"))
    assert abs(errands) < 0.5
    assert more > 1.5


def test_a_large_week_after_a_holiday_is_no_long_silence(told: Told) -> None:
    holiday, long = (told(who, "return_after_silence") for who in ("after a holiday", "after long"))
    assert holiday == 2
    assert long > 2 * holiday


def test_who_buys_more_of_everything_has_made_no_single_large_purchase(told: Told) -> None:
    assert told("dearer", "ticket_largest") < 0.85 * told("single", "ticket_largest")


def test_a_large_purchase_counts_as_far_as_the_place_is_known(told: Told) -> None:
    assert told("newcomer", "ticket_largest") < 0.85 * told("single", "ticket_largest")


def test_a_crowd_counts_where_few_ever_go(told: Told) -> None:
    assert told("rare 0", "heavy_newcomers") > 1
    assert told("rare 0", "heavy_newcomers") > 1 + told("common 0", "heavy_newcomers")
