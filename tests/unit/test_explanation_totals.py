"""Weeks in which as much came back as was spent, or more, told in words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from facts_examples import REFUNDED, said

from cardwatch.features.catalog import ABSENCE, CATALOG
from cardwatch.schema import Feature

REFUND_FEATURES = (
    "growth_count_ticket",
    "growth_spend_count",
    "peer_ticket",
    "return_after_silence",
)


@pytest.mark.parametrize("customer", REFUNDED)
@pytest.mark.parametrize(
    "feature", [each for each in CATALOG if each.name != ABSENCE], ids=lambda each: each.name
)
def test_a_week_of_refunds_reads_well_aloud(feature: Feature, customer: str) -> None:
    for is_high in (True, False):
        sentence = said(REFUNDED[customer], feature.name, is_high).sentence
        assert not re.search(r"minus|net of|-\d|of nothing|about nothing|only nothing", sentence)
        assert not re.search(r"of [^,;]*\b(refund|back)\b[^,;]* on average", sentence), sentence


def test_totals_that_refunds_made_small_are_told_in_words() -> None:
    week, even, always = REFUNDED.values()
    assert [said(week, name).sentence for name in REFUND_FEATURES] == [
        "Made more transactions: 15 that add up to a net refund of 467, usually 8 of 37.50",
        "Shopped more often: a net refund of 467 in 15 transactions, usually 300 in 8",
        "Got 467 more back than was spent, in 15 transactions; similar customers spend about 38.00",
        "Came back after 0 weeks without a transaction and got 467 more back than was spent",
    ]
    small = replace(even, weekly_spend=(*[300.0] * 12, 0.0))
    assert [said(small, name).sentence for name in REFUND_FEATURES] == [
        "Number and size of transactions: 2 that add up to nothing, usually 8 of 37.50",
        "Spend and number of transactions: nothing in 2 transactions, usually 300 in 8",
        "Spent nothing, in 2 transactions; similar customers spend about 38.00",
        "Came back after 0 weeks without a transaction and spent nothing",
    ]
    assert [said(always, name).sentence for name in REFUND_FEATURES] == [
        "Made more transactions: 15 that add up to a net refund of 467, usually 8 with more back "
        "than was spent",
        "Shopped more often: a net refund of 467 in 15 transactions, usually a net refund of 35.00 "
        "in 8",
        "Got 467 more back than was spent, in 15 transactions; similar customers get more back "
        "than they spend",
        "Came back after 0 weeks without a transaction and got 467 more back than was spent",
    ]
