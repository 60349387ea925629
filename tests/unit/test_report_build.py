from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from cells import WEEK, Cell, build, fill, portfolio, steady, surprise

from cardwatch.config import RankingConfig
from cardwatch.engine import Engine
from cardwatch.errors import CardwatchError
from cardwatch.features.facts import customer_facts
from cardwatch.ranking import rank
from cardwatch.report.build import build_report, listed_customer, standings
from cardwatch.schema import Coverage, FeatureTable, Ranking, Scored, Thresholds

RANKING = Ranking(WEEK, (), Thresholds(0.9, 0.8, 0.7, "example"), {}, 0, {}, {})
SCORED = Scored("surprise", ("events",), {})
COVERAGE = Coverage(100, 98, 2, 40, 90, customers_in=60)


def table(present: int, absent: int) -> FeatureTable:
    return FeatureTable(WEEK, (), present, absent, 12, ("few customers",))


def test_amounts_of_a_listed_customer_are_exact_to_the_cent(engine: Engine) -> None:
    cells = [
        *steady(40, range(13)),
        *(Cell("Z", 12, mcc, 10 + mcc, 3) for mcc in (5411, 5541, 5812)),
        Cell("Z", 12, 5944, -3, 1),
    ]
    features, fitted = build(engine, cells)
    scored = surprise().fit_score(engine, features)
    rank(engine, scored, RankingConfig(), 0.01, {})
    facts = customer_facts(engine, fitted, [40])[40]
    parts = surprise().attribute(engine, scored, [40])[40]
    row = listed_customer(
        standings(engine, [40])[40], facts, parts, (), "high", ("concern", "default")
    )
    assert row.customer_id == "Z"
    assert row.total_spend == Decimal("167.91")
    assert (row.transaction_count, row.mcc_diversity, row.history_weeks) == (10, 4, 0)
    assert (row.top_mcc, row.top_mcc_spend) == ("5812", Decimal("58.22"))
    assert (row.risk_category, row.signal, row.signal_rule) == ("high", "concern", "default")
    assert sum(row.contributions.values()) == pytest.approx(row.surprise_total, abs=1e-9)
    assert 0 < row.anomaly_score < 1
    assert row.facts is facts
    assert [each.mcc for each in facts.categories] == ["5812", "5541", "5411", "5944"]
    assert sum(Decimal(str(each.spend)) for each in facts.categories) == row.total_spend


def test_an_absent_customer_is_listed_without_spend(engine: Engine) -> None:
    features, fitted = build(engine, [*steady(40, range(13)), Cell("Z", 3, 5411, 5_000, 1)])
    scored = surprise().fit_score(engine, features)
    rank(engine, scored, RankingConfig(), 0.01, {})
    facts = customer_facts(engine, fitted, [40])[40]
    row = listed_customer(standings(engine, [40])[40], facts, (), (), "low", ("concern", "default"))
    assert (row.total_spend, row.transaction_count) == (Decimal("0.00"), 0)
    assert (row.mcc_diversity, row.top_mcc, row.top_mcc_spend) == (0, "", Decimal("0.00"))
    assert row.history_weeks == 9


def test_the_report_accounts_for_every_customer(engine: Engine) -> None:
    checked = fill(engine, portfolio(60).cells())
    coverage = replace(COVERAGE, customers_unscored={"every row quarantined": 4})
    report = build_report(
        RANKING, replace(checked, coverage=coverage), table(45, 5), SCORED, (), "guide"
    )
    found = report.coverage
    assert (found.customers_scored, found.customers_absent) == (50, 5)
    assert found.customers_unscored == {
        "every row quarantined": 4,
        "no transaction in the window": 6,
    }
    assert found.customers_in == found.customers_scored + sum(found.customers_unscored.values())


def test_nobody_is_unscored_where_all_were_scored(engine: Engine) -> None:
    checked = replace(fill(engine, steady(1, [12])), coverage=COVERAGE)
    report = build_report(RANKING, checked, table(55, 5), SCORED, (), "iso")
    assert report.coverage.customers_unscored == {}
    assert report.numbering == "iso"


def test_more_scored_than_delivered_is_an_error(engine: Engine) -> None:
    checked = replace(fill(engine, steady(1, [12])), coverage=COVERAGE)
    with pytest.raises(CardwatchError, match="found 61 scored, expected at most 60"):
        build_report(RANKING, checked, table(61, 0), SCORED, (), "guide")


def test_remarks_come_in_the_order_of_the_run(engine: Engine) -> None:
    checked = replace(fill(engine, steady(60, [12])), warnings=("a late feed",))
    report = build_report(RANKING, checked, table(60, 0), SCORED, ("a file twice",), "guide")
    assert report.notes == ("a file twice", "a late feed", "few customers")
    assert (report.week, report.detector, report.families) == (WEEK, "surprise", ("events",))
