"""The feature catalogue holds what the steps that read it rely on."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

import pytest
from cells import build, portfolio
from facts_examples import GROCERY, JEWELLERY, absent, present

from cardwatch.config import RankingConfig
from cardwatch.config.method_sections import Family
from cardwatch.engine import Engine
from cardwatch.explanation import explain
from cardwatch.features.catalog import ABSENCE, CATALOG, FAMILIES, HISTORY_FAMILIES
from cardwatch.schema import Attribution, Feature

BASES = {"own median", "own mean", "own history", "peer median", "category norm"}
by_name = pytest.mark.parametrize("feature", CATALOG, ids=lambda feature: feature.name)


def test_names_and_codes_are_unique() -> None:
    assert len({feature.name for feature in CATALOG}) == len(CATALOG)
    assert len({feature.code for feature in CATALOG}) == len(CATALOG)


def test_the_families_are_those_that_a_configuration_may_name() -> None:
    assert tuple(dict.fromkeys(feature.family for feature in CATALOG)) == FAMILIES
    assert get_args(Family) == FAMILIES
    assert set(HISTORY_FAMILIES) <= set(FAMILIES)


def test_signal_rules_name_codes_that_exist() -> None:
    codes = {feature.code for feature in CATALOG}
    assert {code for rule in RankingConfig().signals for code in rule.codes} <= codes


@by_name
def test_every_row_is_complete(feature: Feature) -> None:
    assert re.fullmatch(r"[a-z_]+", feature.name)
    assert re.fullmatch(r"[A-Z_]+", feature.code)
    assert feature.unit
    assert feature.doc
    assert feature.shows[2] in BASES
    assert 0.25 <= feature.weight <= 2, "no feature is silenced, and none drowns the others"
    assert not feature.sentence.endswith("."), "sentences stand in a cell of a table"


@by_name
def test_only_a_feature_with_one_side_and_a_law_of_its_own_tapers(feature: Feature) -> None:
    assert not feature.tapers or (feature.side == "upper" and feature.law != "surprise")


@by_name
def test_a_feature_with_two_sides_has_a_sentence_for_each(feature: Feature) -> None:
    assert bool(feature.sentence_low) == (feature.side == "two")


@by_name
def test_every_word_in_braces_and_every_figure_shown_is_one_that_can_be_filled(
    feature: Feature,
) -> None:
    facts = present(feature.name, replace(GROCERY, others_new=2, others_new_usual=1.0), JEWELLERY)
    facts = replace(facts, refunds=5.0, usual_refunds=1.0, risky=5.0, usual_risky=1.0, gap_weeks=2)
    if feature.name == ABSENCE:
        facts = absent()
    for template in (feature.sentence, feature.sentence_low or feature.sentence):
        said = replace(feature, sentence=template, sentence_low=template)
        reason = explain(Attribution(feature.family, feature.name, 1.0, True), facts, said, ())
        assert not re.search("[{}]", reason.sentence)
        assert reason.value > 0
        assert (reason.usual is not None) == bool(feature.shows[1])


def test_the_feature_table_has_a_column_per_row_of_the_catalogue(engine: Engine) -> None:
    table, _ = build(engine, portfolio(60).cells())
    made = engine.arrow("SELECT * FROM feature LIMIT 0").column_names
    names = tuple(feature.name for feature in CATALOG)
    assert made == ["customer_key", "has_rows", "history_weeks", "peer_group", *names]
    assert table.columns == names


def test_absence_is_the_one_feature_of_absent_customers(engine: Engine) -> None:
    build(engine, portfolio(60).cells())
    for row in engine.rows("SELECT * FROM feature"):
        values = {feature.name for feature in CATALOG if row[feature.name] is not None}
        if row["has_rows"]:
            assert ABSENCE not in values
        else:
            assert values == {ABSENCE}
