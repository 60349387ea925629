"""What ordinary life does to customers of the generated portfolio, and which weeks are labelled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cardwatch.sources.sample import SamplePortfolio
from cardwatch.sources.sample_lives import LIFE_KINDS, MARRIED, MOVED, NEW_CARD, Lives
from cardwatch.sources.sample_population import Population
from cardwatch.week import ReportingWeek

LAST = ReportingWeek.parse("2025-46")
SIZE, WEEKS = 6_000, 20


@pytest.fixture(scope="module")
def people() -> Population:
    return Population.make(108, 0, SIZE, WEEKS)


@pytest.fixture(scope="module")
def drawn(people: Population) -> tuple[Lives, Population]:
    return Lives.draw(people, 108, 0)


def of_kind(lives: Lives, kind: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(lives.kind == LIFE_KINDS.index(kind))


def test_every_turn_of_life_happens(drawn: tuple[Lives, Population]) -> None:
    counts = [int(of_kind(drawn[0], kind).sum()) for kind in LIFE_KINDS]
    assert counts[0] > 100 > counts[1] > 5
    assert counts[2] > 50


def test_who_moves_keeps_about_half_of_the_habits_and_spends_as_often(
    drawn: tuple[Lives, Population],
) -> None:
    lives, people = drawn
    moved = of_kind(lives, MOVED)
    before, own = people.habit[lives.customer[moved]], people.habit.shape[1]
    after = lives.habit[moved, :own]
    assert 0.4 < (before == after).mean() < 0.65
    often = lives.rate[moved].sum() / people.rate[lives.customer[moved]].sum()
    assert 0.8 < often < 1.2


def test_of_two_who_marry_one_card_is_used_for_what_both_buy(
    people: Population, drawn: tuple[Lives, Population]
) -> None:
    lives, later = drawn
    married = of_kind(lives, MARRIED)
    own = people.habit.shape[1]
    assert (lives.rate[married, own:].sum(axis=1) > 0).all()
    assert not lives.rate[~married, own:].any()
    gone = people.active & ~later.active
    ended = np.flatnonzero(gone.any(axis=1) & ~np.isin(np.arange(SIZE), lives.customer))
    assert 0 < ended.size <= married.sum()
    assert lives.involved[ended].all()


def test_a_new_card_has_another_id_after_at_most_two_weeks_without_one() -> None:
    portfolio = SamplePortfolio(1_500, WEEKS, 108, last_week=LAST)
    labels: pd.DataFrame = portfolio.labels().to_pandas()
    renewed = labels[labels["kind"] == NEW_CARD]
    rows: pd.DataFrame = pa.concat_tables(list(portfolio.tables())).to_pandas()
    seen = rows.groupby("customer_id")["reporting_week"].agg(["min", "max"])
    assert renewed["customer_id"].str.endswith("-2").all()
    assert len(renewed) > 10
    seconds = seen[seen.index.str.endswith("-2")].rename(lambda name: name.removesuffix("-2"))
    firsts = seen.reindex(seconds.index).dropna()
    assert len(firsts) > 10
    assert (firsts["max"] < seconds.loc[firsts.index, "min"]).all()
    assert set(seen.index[seen.index.str.endswith("-2")]) <= set(renewed["customer_id"])


def test_no_case_falls_on_a_customer_whose_life_turns() -> None:
    labels: pd.DataFrame = SamplePortfolio(1_500, 15, 109, last_week=LAST).labels().to_pandas()
    life = labels["kind"].isin(LIFE_KINDS)
    others = set(labels[~life]["customer_id"])
    assert life.any()
    assert not {each.removesuffix("-2") for each in labels[life]["customer_id"]} & others


def test_pay_moves_a_customer_s_weeks_up_and_down(drawn: tuple[Lives, Population]) -> None:
    factor = drawn[0].pay_factor(np.array([0.0, 0.77, -0.23, 0.5, -0.5]))
    assert factor.min() < 0.9
    assert factor.max() > 1.2
    assert abs(factor.mean() - 1) < 0.05
