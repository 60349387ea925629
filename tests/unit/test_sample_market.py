"""What happens to everyone in the generated portfolio: seasons, pay, prices, codes, the feed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cardwatch.sources.sample_categories import categories
from cardwatch.sources.sample_cells import Cells
from cardwatch.sources.sample_lives import PAY_KINDS
from cardwatch.sources.sample_market import Market, Mishap, Recoding
from cardwatch.week import ReportingWeek

FIRST = ReportingWeek.parse("2025-00")
YEAR = tuple(FIRST + ahead for ahead in range(52))


@pytest.fixture(scope="module")
def market() -> Market:
    return Market.make(100, YEAR)


def busy(market: Market, family: str, label: str) -> float:
    """How busy a family is in a week, beside its average week."""
    chosen = categories().of_family(family)
    week = ReportingWeek.parse(label) - FIRST
    return float(market.busy[week, chosen].mean() / market.busy[:, chosen].mean())


def rng() -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(1))


@pytest.mark.parametrize(
    ("family", "label"),
    [
        ("hobby", "2025-47"),  # Thanksgiving is on 27 November
        ("luxury", "2025-50"),
        ("learning", "2025-33"),
        ("lodging", "2025-29"),
    ],
)
def test_a_holiday_is_busier_than_the_year(market: Market, family: str, label: str) -> None:
    assert busy(market, family, label) > 1.15


def test_offices_are_quiet_after_christmas_and_in_thanksgiving_week(market: Market) -> None:
    assert busy(market, "office", "2025-51") < 0.8
    assert busy(market, "office", "2025-47") < 0.8


def test_a_pay_day_comes_each_month_or_each_fortnight_and_evens_out(market: Market) -> None:
    times = (market.paid > 0).sum(axis=0)
    assert times.tolist() == [0, 12, 12, 26, 26]
    assert market.paid.shape == (52, len(PAY_KINDS))
    assert np.abs(market.paid.mean(axis=0)).max() < 0.01


def test_prices_change_once_and_stay(market: Market) -> None:
    changes = np.diff(market.dear, axis=0, prepend=0) != 0
    assert 0.05 < changes.any(axis=0).mean() < 0.25
    assert changes.sum(axis=0).max() == 1


def test_a_recoded_merchant_reports_the_new_code_from_its_week_on(market: Market) -> None:
    recoded = replace(market, recodings=(Recoding(5, 10, 11, 0.4),), mishaps=())
    everyone = np.arange(1_000)
    bought = np.full(1_000, 10, dtype=np.int16)
    before, after, later = (recoded.codes(everyone, bought, index) for index in (4, 5, 9))
    assert (before == 10).all()
    assert 0.35 < (after == 11).mean() < 0.45
    assert later.tolist() == after.tolist()


@pytest.mark.parametrize(("days", "least", "most"), [(-2, 0.65, 0.78), (1, 1.1, 1.2)])
def test_a_mishap_takes_days_of_one_category_away_or_counts_them_twice(
    market: Market, days: int, least: float, most: float
) -> None:
    hit = replace(market, recodings=(), mishaps=(Mishap(3, 10, days),))
    everyone = np.arange(2_000)
    category = np.where(everyone < 1_000, 10, 12).astype(np.int16)
    count = np.full(2_000, 4)
    week = Cells(everyone, category, count, 500 * count)
    found = hit.delivered(week, 3, rng())
    there = found.category == 10
    assert least < found.count[there].sum() / 4_000 < most
    assert found.count.min() >= 1
    assert found.cents[there].sum() == 500 * found.count[there].sum()
    assert found.count[~there].sum() == 4_000
    assert hit.delivered(week, 4, rng()).count.tolist() == count.tolist()
