"""What is said about customers made by hand, one of each kind that a list should hold."""

from __future__ import annotations

import pytest
from cells import Cell, build, portfolio, surprise
from syrupy.assertion import SnapshotAssertion

from cardwatch.config import FeatureConfig, RankingConfig
from cardwatch.engine import Engine
from cardwatch.explanation import reasons_for
from cardwatch.features.catalog import CATALOG
from cardwatch.features.facts import customer_facts
from cardwatch.ranking import rank, signal_of
from cardwatch.schema import Reason

FEATURES = {feature.name: feature for feature in CATALOG}
Told = dict[str, tuple[int, str, tuple[Reason, ...]]]
WATCHED = FeatureConfig().risky_mccs
USUAL = ((5411, 4_000, 3), (5541, 6_000, 1), (5812, 3_000, 2))
"""Category, cents a purchase and purchases of the usual week."""

LEADS = {
    "takeover": {"LARGE_TICKET", "DEAR_NEW_CATEGORIES", "UNUSUAL_CATEGORY"},
    "bust-out": {"GROWTH_OVER_FOUR_WEEKS", "DEAR_NEW_CATEGORIES", "OWN_COUNT"},
    "card test": {"MANY_SMALL_TICKETS"},
    "gambling": {"WATCHED_CATEGORIES", "TRANSACTION_MIX"},
    "structured": {"WATCHED_CATEGORIES", "LARGE_TICKET"},
    "refund": {"REFUNDS"},
    "dormant": {"RETURN_AFTER_SILENCE"},
    "drop": {"OWN_COUNT"},
    "growth": {"GROWTH_IN_USUAL_CATEGORIES", "GROWTH_SPEND_AND_COUNT"},
    "collusion": {"DEAR_NEW_CATEGORIES", "MANY_NEW_LARGE_SPENDERS"},
    "ticket": {"LARGE_TICKET", "LARGE_PURCHASE"},
    "absent": {"ABSENCE"},
}
"""What the first reason may be."""
AMONG_THREE = {
    "takeover": "DEAR_NEW_CATEGORIES",
    "bust-out": "GROWTH_IN_USUAL_CATEGORIES",
    "structured": "WATCHED_CATEGORIES",
    "gambling": "WATCHED_CATEGORIES",
    "drop": "OWN_COUNT",
    "growth": "OWN_COUNT",
}
"""What else has to be said."""
SIGNALS = {"growth": "opportunity"}


def usual(name: str, weeks: range, factor: float = 1.0) -> list[Cell]:
    """A usual life: a little more or less every week."""
    return [
        Cell(name, week, mcc, round(cents * number * factor * (0.9 + 0.05 * (week % 5))), number)
        for week in weeks
        for mcc, cents, number in USUAL
    ]


def made_by_hand() -> list[Cell]:
    cells = usual("takeover", range(13))
    cells += [Cell("takeover", 12, mcc, cents, n) for mcc, cents, n in (
        (5732, 95_000, 2), (5944, 60_000, 1), (4829, 30_000, 1))]  # fmt: skip
    cells += usual("bust-out", range(9))
    for week, factor in zip(range(9, 13), (1.5, 2.2, 3.5, 6), strict=True):
        cells += [
            Cell("bust-out", week, mcc, round(cents * number * factor**1.2), round(number * factor))
            for mcc, cents, number in USUAL
        ]
    cells += [Cell("bust-out", 12, 6011, 90_000, 3)]
    cells += [*usual("card test", range(13)), Cell("card test", 12, 5942, 3_000, 25)]
    cells += [*usual("gambling", range(13)), Cell("gambling", 12, 7995, 42_000, 14)]
    cells += [*usual("structured", range(13)), Cell("structured", 12, 4829, 570_000, 6)]
    cells += [*usual("refund", range(13)), Cell("refund", 12, 5651, -64_000, 4)]
    cells += [*usual("dormant", range(3)), *usual("dormant", range(12, 13), 2.5)]
    cells += [
        Cell("drop", week, mcc, cents * number * 4, number * 4)
        for week in range(12)
        for mcc, cents, number in USUAL
    ]
    cells += [Cell("drop", 12, 5411, 1_200, 1)]
    cells += usual("growth", range(12))
    cells += [
        Cell("growth", 12, mcc, round(cents * number * 5.5), number * 4)
        for mcc, cents, number in USUAL
    ]
    for place in range(5):
        who = "collusion" if place == 0 else f"collusion {place}"
        cells += [*usual(who, range(13)), Cell(who, 12, 5933, 30_000 + 500 * place, 1)]
    cells += [*usual("ticket", range(13)), Cell("ticket", 12, 5814, 60_000, 1)]
    return cells + usual("absent", range(10))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Rank, signal and reasons by name."""
    with Engine("500MB", 2, tmp_path_factory.mktemp("engine")) as engine:
        table, fitted = build(engine, [*portfolio(900).cells(), *made_by_hand()])
        detector = surprise()
        scored = detector.fit_score(engine, table)
        rank(engine, scored, RankingConfig(), 0.01, {})
        rows = engine.execute(
            "SELECT customer_id, customer_key, anomaly_rank FROM ranked "
            "INNER JOIN customer USING (customer_key) WHERE customer_id IN (SELECT unnest($names))",
            names=list(LEADS),
        ).fetchall()
        keys = [key for _, key, _ in rows]
        facts = customer_facts(engine, fitted, keys)
        parts = detector.attribute(engine, scored, keys)
        found = {}
        for name, key, place in rows:
            reasons = reasons_for(parts[key], facts[key], FEATURES, WATCHED)
            signal, rule = signal_of(reasons, RankingConfig())
            found[name] = (place, f"{signal} ({rule})", reasons)
        return found


@pytest.mark.parametrize("kind", LEADS)
def test_the_first_reason_is_what_was_done(kind: str, told: Told) -> None:
    codes = [reason.code for reason in told[kind][2]]
    assert codes[0] in LEADS[kind]
    assert AMONG_THREE.get(kind, codes[0]) in codes
    assert told[kind][1].startswith(SIGNALS.get(kind, "concern"))


def test_all_but_the_absent_one_are_on_the_list(told: Told) -> None:
    assert {kind for kind, (place, _, _) in told.items() if place > 20} == {"absent"}


@pytest.mark.parametrize("kind", LEADS)
def test_what_is_said(kind: str, told: Told, snapshot: SnapshotAssertion) -> None:
    _, signal, reasons = told[kind]
    assert [signal, *(f"{reason.code}: {reason.sentence}" for reason in reasons)] == snapshot
