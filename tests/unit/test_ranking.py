from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cells import name

from cardwatch.config import RankingConfig
from cardwatch.config.method_sections import SignalRule
from cardwatch.engine import Engine
from cardwatch.ranking import PROBABILITIES, Order, rank, risk_category, signal_of
from cardwatch.schema import RISK_CATEGORIES, Reason, Scored, Thresholds

SCORED = Scored("surprise", ("own_history",), {})
WEEKS = tuple(f"2025-{week}" for week in range(40, 46))


def fill(
    engine: Engine,
    scores: Sequence[float],
    ids: Sequence[str] = (),
    spend: Mapping[int, tuple[int, int]] | None = None,
) -> None:
    """Scores by customer_key; `spend` holds cents and transactions of the customers with rows."""
    keys = list(range(len(scores)))
    names = list(ids) or [name(key) for key in keys]
    engine.create("customer", {"customer_key": "INTEGER", "customer_id": "VARCHAR"})
    engine.append("customer", pa.table({"customer_key": keys, "customer_id": names}))
    engine.create("feature", {"customer_key": "INTEGER", "history_weeks": "TINYINT"})
    engine.append("feature", pa.table({"customer_key": keys, "history_weeks": [12] * len(keys)}))
    columns = ("anomaly_score", "surprise_total", "own_history_surprise", "unweighted_total")
    engine.create("score", {"customer_key": "INTEGER"} | dict.fromkeys(columns, "DOUBLE"))
    engine.append(
        "score", pa.table({"customer_key": keys} | dict.fromkeys(columns, pa.array(scores)))
    )
    types = {"spend_cents": "BIGINT", "transaction_count": "INTEGER"}
    engine.create("scored_cell", {"customer_key": "INTEGER"} | types)
    rows = [(key, *spent) for key, spent in (spend or dict.fromkeys(keys, (5_000, 2))).items()]
    names_of = ("customer_key", "spend_cents", "transaction_count")
    engine.append(
        "scored_cell", pa.table(dict(zip(names_of, zip(*rows, strict=True), strict=True)))
    )


def order(
    engine: Engine,
    earlier: Mapping[str, Mapping[str, float]] | None = None,
    contamination: float = 0.01,
    **settings: Any,
) -> Order:
    return rank(engine, SCORED, RankingConfig(**settings), contamination, earlier or {})


def spread(n: int = 2_000) -> list[float]:
    return [round(place / n, 9) for place in range(n)]


def recorded(top: float) -> dict[str, float]:
    return {repr(p): top * p for p in PROBABILITIES}


def test_customers_are_ordered_by_score_and_ties_by_customer_id(engine: Engine) -> None:
    fill(engine, [0.5, 0.7, 0.5, 0.5], ids=["b", "d", "a", "B"])
    assert order(engine).listed == (1, 3, 2, 0)
    ranks = engine.execute("SELECT customer_key FROM ranked ORDER BY anomaly_rank").fetchall()
    assert ranks == [(1,), (3,), (2,), (0,)]


def test_the_list_is_as_long_as_asked_for_and_everybody_has_a_rank(engine: Engine) -> None:
    fill(engine, spread(50))
    assert len(order(engine).listed) == 20
    assert order(engine, top_n=3).listed == (49, 48, 47)
    assert len(order(engine, top_n=1_000).listed) == 50
    assert engine.scalar("SELECT count(DISTINCT anomaly_rank) FROM ranked") == 50


def test_thresholds_are_the_weeks_own_until_six_weeks_are_recorded(engine: Engine) -> None:
    fill(engine, spread())
    own = order(engine, {week: recorded(0.5) for week in WEEKS[:5]}).thresholds
    assert own.source == "the scored week itself"
    assert own.weeks == ()
    assert own.medium == pytest.approx(0.99, abs=1e-3)
    assert own.high == pytest.approx(0.998, abs=1e-3)
    assert own.critical == pytest.approx(0.9995, abs=1e-3)


def test_thresholds_are_the_median_of_the_newest_six_recorded_weeks(engine: Engine) -> None:
    fill(engine, spread())
    weeks = dict(zip(WEEKS, (0.2, 0.4, 0.5, 0.6, 0.7, 9.9), strict=True))
    earlier = {week: recorded(top) for week, top in weeks.items()} | {"2025-39": recorded(0.0)}
    found = order(engine, earlier).thresholds
    assert found.source == "the previous 6 weeks"
    assert found.weeks == WEEKS
    assert found.medium == pytest.approx(0.55 * 0.99)
    assert found.critical == pytest.approx(0.55 * 0.9995)


def test_quantiles_between_recorded_ones_are_interpolated(engine: Engine) -> None:
    fill(engine, spread())
    earlier = {week: recorded(0.5) for week in WEEKS}
    assert order(engine, earlier, contamination=0.013).thresholds.medium == pytest.approx(
        0.5 * 0.987
    )


@pytest.mark.parametrize("contamination", [0.005, 0.01, 0.03, 0.1, 0.5])
def test_about_the_asked_for_share_is_flagged_and_categories_hold_everybody(
    engine: Engine, contamination: float
) -> None:
    scores = np.random.default_rng(3).gamma(2, 0.1, 4_000).round(9)
    fill(engine, scores.tolist(), spend={0: (1, 1)})
    found = order(engine, contamination=contamination)
    assert found.flagged == pytest.approx(contamination * 4_000, rel=0.1, abs=2)
    assert tuple(found.categories) == RISK_CATEGORIES
    assert sum(found.categories.values()) == 4_000
    assert found.flagged == 4_000 - found.categories["low"]
    counted = [risk_category(score, found.thresholds) for score in scores]
    assert found.categories == {each: counted.count(each) for each in RISK_CATEGORIES}


def test_a_bad_week_shows_as_more_flagged_customers(engine: Engine) -> None:
    fill(engine, spread())
    found = order(engine, {week: recorded(0.5) for week in WEEKS})
    assert found.flagged == pytest.approx(0.505 * 2_000, abs=3)


@pytest.mark.parametrize("score", [0.0, 0.5])
def test_nobody_is_flagged_where_everybody_scores_the_same(engine: Engine, score: float) -> None:
    fill(engine, [score] * 50)
    found = order(engine)
    assert found.flagged == 0
    assert found.categories["low"] == 50
    assert len(found.listed) == 20, "the list is still given"


def test_policies_apply_after_scoring_and_are_counted(engine: Engine) -> None:
    spend = {0: (9_999, 5), 1: (10_000, 5), 2: (50_000, 1), 3: (-20_000, 4)}
    fill(engine, [0.9, 0.8, 0.7, 0.6, 0.5], spend=spend)
    everybody = order(engine)
    assert everybody.listed == (0, 1, 2, 3, 4)
    assert everybody.left_out_by_policy == {}
    assert order(engine, min_spend=100).listed == (1, 2)
    assert order(engine, min_spend=100).left_out_by_policy == {"min_spend": 3}
    found = order(engine, min_spend=100, min_transactions=2)
    assert found.listed == (1,)
    assert found.left_out_by_policy == {"min_spend": 3, "min_transactions": 2}
    assert engine.scalar("SELECT count(*) FROM ranked") == 5
    assert order(engine, min_spend=10**9).listed == ()


def test_absent_customers_are_ranked_with_nothing_spent(engine: Engine) -> None:
    fill(engine, [0.9, 0.8], spend={1: (5_000, 2)})
    assert order(engine).listed == (0, 1)
    row = engine.rows("SELECT * FROM ranked WHERE customer_key = 0")[0]
    assert (row["transaction_count"], row["spend_cents"], row["history_weeks"]) == (0, 0, 12)


def test_the_recorded_quantiles_are_scores_of_customers_by_probability(engine: Engine) -> None:
    fill(engine, spread(1_000))
    found = order(engine).score_quantiles
    assert list(found) == [repr(p) for p in PROBABILITIES]
    assert found["0.5"] == 0.499
    assert found["1.0"] == 0.999
    assert list(found.values()) == sorted(found.values())


@pytest.mark.parametrize(
    ("score", "category"),
    [(0.9, "critical"), (0.89, "high"), (0.5, "high"), (0.3, "medium"), (0.29, "low")],
)
def test_a_category_begins_at_its_threshold(score: float, category: str) -> None:
    thresholds = Thresholds(critical=0.9, high=0.5, medium=0.3, source="")
    assert risk_category(score, thresholds) == category


def reason(family: str, code: str) -> Reason:
    return Reason(code, family, "", 1.0, None, "", "", 1.0, "")


def test_the_first_signal_rule_that_matches_decides() -> None:
    rules = (
        SignalRule(name="by code", codes=("REFUNDS",), signal="concern"),
        SignalRule(name="by family", families=("events", "growth"), signal="opportunity"),
        SignalRule(name="later", families=("growth",), signal="concern"),
    )
    config = RankingConfig(signals=rules)
    refund, silence = reason("events", "REFUNDS"), reason("events", "RETURN_AFTER_SILENCE")
    growth, ticket = reason("growth", "GROWTH"), reason("ticket", "LARGE_TICKET")
    assert signal_of([refund, growth], config) == ("concern", "by code")
    assert signal_of([silence], config) == ("opportunity", "by family")
    assert signal_of([growth], config) == ("opportunity", "by family")
    assert signal_of([ticket, growth], config) == ("concern", "default"), (
        "the leading reason counts"
    )
    assert signal_of([], config) == ("concern", "default")


def test_a_signal_rule_may_look_at_every_reason() -> None:
    rule = SignalRule(name="cash", codes=("WATCHED",), any_reason=True, signal="concern")
    config = RankingConfig(signals=(rule,), default_signal="opportunity")
    growth, cash = reason("growth", "GROWTH"), reason("events", "WATCHED")
    assert signal_of([growth, cash], config) == ("concern", "cash")
    assert signal_of([growth], config) == ("opportunity", "default")


def weigh(engine: Engine, unweighted: Mapping[int, float]) -> None:
    """Give customers another total without weights."""
    for key, total in unweighted.items():
        engine.execute(
            "UPDATE score SET unweighted_total = $total WHERE customer_key = $key",
            total=total,
            key=key,
        )


def guarded(engine: Engine, guards: int, **settings: Any) -> Order:
    return rank(engine, SCORED, RankingConfig(**settings), 0.01, {}, guards)


def test_the_last_places_go_to_the_best_without_weights(engine: Engine) -> None:
    fill(engine, spread(50))
    weigh(engine, {3: 9.0, 4: 8.0, 49: 7.0, 5: 6.0})
    found = guarded(engine, 2, top_n=5)
    assert found.listed == (49, 48, 47, 3, 4)
    assert found.guards == {3, 4}
    assert found.moved_off == 1  # customer 5; the fifth place is customer 48's either way
    assert guarded(engine, 0, top_n=5).listed == (49, 48, 47, 46, 45)


def test_guards_never_take_the_first_place_and_no_list_is_longer(engine: Engine) -> None:
    fill(engine, spread(4))
    weigh(engine, {0: 9.0})
    assert guarded(engine, 5, top_n=1).listed == (3,)
    assert guarded(engine, 5, top_n=3).listed == (3, 0, 2)
    everybody = guarded(engine, 2, top_n=20)
    assert sorted(everybody.listed) == [0, 1, 2, 3]
    assert everybody.moved_off == 0


def test_a_guard_keeps_the_policies(engine: Engine) -> None:
    spend = dict.fromkeys(range(50), (5_000, 2)) | {3: (0, 0)}
    fill(engine, spread(50), spend=spend)
    weigh(engine, {3: 9.0, 4: 8.0})
    found = guarded(engine, 1, top_n=3, min_transactions=1)
    assert found.listed == (49, 48, 4)
    assert found.left_out_by_policy == {"min_transactions": 1}


def test_the_snoozed_are_counted_by_scope_and_not_listed(engine: Engine) -> None:
    fill(engine, spread(50))
    asked: list[Thresholds] = []

    def asleep(thresholds: Thresholds) -> Mapping[int, str]:
        asked.append(thresholds)
        return {49: "customer", 47: "family", 46: "family"}

    found = rank(engine, SCORED, RankingConfig(top_n=3), 0.01, {}, 0, asleep)
    assert found.listed == (48, 45, 44)
    assert found.left_out_by_policy == {"snoozed_customer": 1, "snoozed_family": 2}
    assert asked == [found.thresholds]
    assert engine.scalar("SELECT count(*) FROM ranked") == 50


def group(engine: Engine, of: Mapping[int, int], usual: int = 0) -> None:
    """Put customers into peer groups."""
    engine.execute(f"ALTER TABLE feature ADD COLUMN peer_group TINYINT DEFAULT {usual}")
    for key, number in of.items():
        engine.execute(
            "UPDATE feature SET peer_group = $number WHERE customer_key = $key",
            number=number,
            key=key,
        )


def test_a_peer_group_takes_no_more_of_the_list_than_its_cap(engine: Engine) -> None:
    fill(engine, spread(50))
    group(engine, dict.fromkeys((45, 46, 47, 48, 49), 1))
    assert order(engine, top_n=4).listed == (49, 48, 47, 46)
    found = order(engine, top_n=4, peer_group_cap=0.5)
    assert found.listed == (49, 48, 44, 43)
    assert found.left_out_by_policy == {"peer_group_cap": 2}
    assert engine.scalar("SELECT count(*) FROM ranked") == 50
    assert order(engine, top_n=4, peer_group_cap=0.1).listed == (49, 44), "at least one place each"
    assert order(engine, top_n=4, peer_group_cap=1.0).left_out_by_policy == {"peer_group_cap": 0}


def test_nobody_beyond_the_cap_is_on_a_list_without_a_family_either(engine: Engine) -> None:
    fill(engine, spread(50))
    group(engine, dict.fromkeys((45, 46, 47, 48, 49), 1))
    order(engine, top_n=4, peer_group_cap=0.5)
    kept_off = {row[0] for row in engine.execute("SELECT customer_key FROM left_out").fetchall()}
    assert {45, 46, 47} <= kept_off
    assert not kept_off & {49, 48, 44, 43}


def test_guards_keep_the_cap_too(engine: Engine) -> None:
    fill(engine, spread(50))
    group(engine, dict.fromkeys((3, 4, 48, 49), 1))
    weigh(engine, {3: 9.0, 4: 8.0, 20: 7.0})
    found = guarded(engine, 2, top_n=10, peer_group_cap=0.3)
    assert found.listed == (49, 48, 47, 46, 3, 20), "two groups with three places each"
    assert found.guards == {3, 20}


def test_a_cap_of_whole_places_is_not_rounded_down(engine: Engine) -> None:
    fill(engine, spread(120))
    group(engine, {})
    assert int(0.57 * 100) == 56
    assert len(order(engine, top_n=100, peer_group_cap=0.57).listed) == 57
