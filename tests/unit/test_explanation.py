from __future__ import annotations

import re
from dataclasses import replace

import pytest
from facts_examples import FEATURES, GROCERY, JEWELLERY, REFUNDED, WATCHED, absent, present, said

from cardwatch.explanation import amount, count, reasons_for
from cardwatch.features.catalog import ABSENCE, CATALOG, FAMILIES
from cardwatch.schema import Attribution, CategoryFacts, Feature

JARGON = (
    r"z-?score|median|\bMAD\b|log|percentile|quantile|baseline|surprise|Herfindahl|diverg|anomal"
)

COFFEE = replace(GROCERY, mcc="5814", spend=-4.2, transaction_count=1, usual_spend=0.0)
CASINO = replace(JEWELLERY, mcc="7995", users_share=0.0, others_new=1, others_new_usual=0.0)
CUSTOMERS = REFUNDED | {
    "a bigger week": present(),
    "one small purchase": present("", replace(GROCERY, spend=0.5, transaction_count=1)),
    "one refund": present("", COFFEE),
    "nothing but zeros": present("", replace(GROCERY, spend=0.0, transaction_count=2)),
    "a category nobody used": present("", CASINO),
    "millions": present("", replace(JEWELLERY, spend=1_234_567.89)),
    "many places": present(
        "", *(replace(JEWELLERY, mcc=f"{mcc}", spend=900.0) for mcc in range(5940, 5949))
    ),
    "no history": replace(
        present(), usual_spend=None, usual_count=None, usual_ticket=None, history_weeks=0
    ),
    "a usual week of nothing": replace(present(), usual_spend=0.0),
    "a usual week of refunds": replace(present(), usual_spend=-35.0),
    "refunded": replace(present(), refunds=640.0, usual_refunds=12.5, risky=980.0),
}


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize(
    "feature", [each for each in CATALOG if each.name != ABSENCE], ids=lambda each: each.name
)
def test_every_sentence_can_be_filled_and_said_by_a_person(feature: Feature, customer: str) -> None:
    for is_high in (True, False) if feature.side == "two" else (True,):
        reason = said(CUSTOMERS[customer], feature.name, is_high)
        sentence = reason.sentence
        assert sentence[0].isupper() or sentence[0].isdigit()
        assert not re.search(r"[{}]|\bnan\b|\binf\b|None|  |-\d|\b1 [a-z]+s\b", sentence), sentence
        assert not re.search(JARGON, sentence, re.IGNORECASE), sentence
        assert not re.search(r"\d{5,}", sentence), "thousands are separated"
        assert len(sentence) < 260
        assert (reason.code, reason.family) == (feature.code, feature.family)
        assert (reason.contribution, reason.usual_basis) == (2.5, feature.shows[2])


@pytest.mark.parametrize(
    ("gap", "active", "sentence"),
    [
        (1, 12, "Made no transaction for 1 week, after transactions in every week before"),
        (4, 1, "Made no transaction for 4 weeks, after transactions in every week before"),
    ],
)
def test_absence_counts_the_weeks(gap: int, active: int, sentence: str) -> None:
    reason = said(absent(gap, active), "absence")
    assert reason.sentence == sentence
    assert (reason.value, reason.unit) == (gap, "weeks")


def test_absence_of_a_customer_with_holes_says_how_many_weeks_were_active() -> None:
    silent = replace(absent(), weekly_count=(None, 3, None, 2, 5, *[None] * 8))
    assert said(silent, "absence").sentence.endswith(
        "after transactions in 3 of the 4 weeks before"
    )


@pytest.mark.parametrize(
    ("feature", "sentence"),
    [
        ("own_spend", "Spent 2,220 this week, 7.4 × the usual week of 300"),
        ("own_count", "Made only 4 transactions this week; the usual week has 8"),
        ("growth_four_weeks", "Spent more over the last four weeks: 3,120, usually 1,200"),
        ("peer_spend", "Spent 2,220; similar customers spend about 310 a week"),
        ("peer_categories", "Spent in only 2 merchant categories; similar customers use about 3 a "
         "week"),
        ("peer_concentration", "56% of the week's spend is at Grocery stores and supermarkets "
         "(5411); similar customers spread theirs more"),
        ("new_share", "44% of the week's spend is in a merchant category not used in the weeks "
         "before: Jewellery, watch, clock and silverware shops (5944)"),
        ("mix_spend", "Spent in other places than usual: 56% of the week's spend at Grocery stores "
         "and supermarkets (5411), usually 35%"),
        ("mix_count", "Shopped in other places than usual: 3 of 4 transactions at Grocery stores "
         "and supermarkets (5411), usually 25% of them"),
        ("rare_category", "Spent 1,240 at Grocery stores and supermarkets (5411), against 210 in a "
         "usual week"),
        ("ticket_max", "Paid 414 a purchase at Grocery stores and supermarkets (5411), 9.8 × the "
         "usual 42.00"),
        ("small_tickets", "Made 3 purchases of only 414 each at Grocery stores and supermarkets "
         "(5411), where 42.00 is usual"),
        ("refunds", "Was refunded nothing, against nothing in a usual week"),
    ],
)  # fmt: skip
def test_sentences_read_as_people_talk(feature: str, sentence: str) -> None:
    assert said(present(), feature).sentence == sentence


def test_a_single_purchase_is_in_the_singular() -> None:
    one = present("", replace(GROCERY, spend=0.5, transaction_count=1))
    assert said(one, "own_count").sentence == (
        "Made only 1 transaction this week; the usual week has 8"
    )
    assert "Made 1 purchase of only 0.50 at" in said(one, "small_tickets").sentence
    assert "Spent in only 1 merchant category; similar" in said(one, "peer_categories").sentence


def test_a_week_of_refunds_is_told_as_one() -> None:
    refunded = present("", replace(GROCERY, spend=-1_200.0))
    assert said(refunded, "own_spend").sentence == (
        "Got 1,200 more back than was spent this week; the usual week is 300"
    )
    assert said(refunded, "rare_category").sentence.startswith("Was refunded 1,200 at")


def test_a_usual_week_without_spend_is_not_divided_by() -> None:
    nothing = replace(present(), usual_spend=0.0)
    assert said(nothing, "own_spend").sentence == "Spent 2,220 this week, usually nothing"


def test_other_newcomers_are_counted_in_words() -> None:
    place = "Jewellery, watch, clock and silverware shops (5944)"
    assert said(present("", JEWELLERY), "heavy_newcomers").sentence == (
        f"Spent 980 at {place}, among newcomers who spend heavily there: "
        "12 other customers are new this week (usually about 0.5)"
    )
    alone = replace(JEWELLERY, others_new=1, others_new_usual=0.04)
    assert said(present("", alone), "heavy_newcomers").sentence.endswith(
        "there: 1 other customer is new this week (usually about 0)"
    )


def test_a_category_nobody_used_is_said_to_be_one() -> None:
    assert said(present("", CASINO), "rare_category").sentence == (
        "Spent 980 at Betting and casino gambling (7995), "
        "which no customer used in the weeks before"
    )


def test_without_any_past_nobody_is_said_to_have_used_no_category() -> None:
    first = replace(present("", CASINO), active_weeks=0)
    assert said(first, "rare_category").sentence.endswith(", with no earlier week to compare with")


def test_purchases_are_called_larger_only_where_they_are() -> None:
    larger = said(present("", JEWELLERY), "ticket_mean").sentence
    assert larger.startswith("Purchases are larger than usual, most of all at Jewellery")
    smaller = replace(JEWELLERY, spend=130.0)
    assert said(present("", smaller), "ticket_mean").sentence == (
        "Size of purchases at Jewellery, watch, clock and silverware shops (5944): "
        "130 each instead of 140"
    )


def test_watched_categories_are_named() -> None:
    facts = replace(present("", CASINO, GROCERY), risky=980.0, usual_risky=10.0)
    assert said(facts, "risky_categories").sentence == (
        "Spent 980 at Betting and casino gambling (7995), on the watch list, "
        "against 10.00 in a usual week"
    )


def test_a_customer_without_history_has_no_usual_week() -> None:
    first = replace(present(), refunds=120.0, active_weeks=0)
    assert said(first, "refunds").sentence == (
        "Was refunded 120, with no earlier week to compare with"
    )


def test_a_sentence_never_contradicts_its_own_figures() -> None:
    slightly_less = present("", replace(GROCERY, spend=280.0))
    assert said(slightly_less, "own_spend", is_high=True).sentence.startswith("Spent only 280")
    slightly_more = present("", replace(GROCERY, spend=320.0))
    assert said(slightly_more, "own_spend", is_high=False).sentence.startswith("Spent 320 this")


GROWTH = {
    "growth_spend_count": {
        (1_000.0, 16): "Spent more, and more often: 1,000 in 16 transactions, usually 300 in 8",
        (1_000.0, 8): "Spent more: 1,000 in 8 transactions, usually 300 in 8",
        (280.0, 16): "Shopped more often: 280 in 16 transactions, usually 300 in 8",
        (280.0, 8): "Spend and number of transactions: 280 in 8 transactions, usually 300 in 8",
    },
    "growth_count_ticket": {
        (1_000.0, 16): "Made more and larger purchases: 16 of 62.50 on average, usually 8 of 37.50",
        (1_000.0, 4): "Made larger purchases: 4 of 250 on average, usually 8 of 37.50",
        (280.0, 16): "Made more purchases: 16 of 17.50 on average, usually 8 of 37.50",
        (280.0, 8): "Number and size of purchases: 8 of 35.00 on average, usually 8 of 37.50",
    },
    "growth_usual_categories": {
        (1_000.0, 16): "Spent more, and more often, in the usual places: 1,000 in 16 "
        "transactions, usually 300 in 8",
        (1_000.0, 6): "Spent more in the usual places: 1,000 in 6 transactions, usually 300 in 8",
        (280.0, 16): "Shopped more often in the usual places: 280 in 16 transactions, usually 300 "
        "in 8",
        (280.0, 8): "Spend and number of transactions in the usual places: 280 in 8 "
        "transactions, usually 300 in 8",
    },
    "growth_four_weeks": {
        (280.0, 8): "Spend over the last four weeks: 1,180, usually 1,200",
        (1_000.0, 8): "Spent more over the last four weeks: 1,900, usually 1,200",
    },
}


@pytest.mark.parametrize(
    ("feature", "week", "sentence"),
    [(name, week, text) for name, told in GROWTH.items() for week, text in told.items()],
)
def test_growth_is_said_of_what_has_grown_and_of_nothing_else(
    feature: str, week: tuple[float, int], sentence: str
) -> None:
    spend, number = week
    facts = replace(
        present(),
        weekly_spend=(*present().weekly_spend[:-1], spend),
        weekly_count=(*present().weekly_count[:-1], number),
    )
    assert said(facts, feature).sentence == sentence


def test_other_places_are_told_beside_what_is_usual_there() -> None:
    new = present("", JEWELLERY, GROCERY)
    assert said(new, "mix_count").sentence == (
        "Shopped in other places than usual: 1 of 4 transactions at Jewellery, watch, clock and "
        "silverware shops (5944), usually none"
    )
    assert said(new, "mix_spend").sentence.endswith("silverware shops (5944), usually none")


def test_a_customer_without_a_past_is_told_beside_others() -> None:
    first = replace(present("", JEWELLERY), active_weeks=0)
    assert said(first, "mix_count").sentence == (
        "Shopped in other places than similar customers: 1 of 1 transaction at Jewellery, watch, "
        "clock and silverware shops (5944)"
    )
    assert said(first, "unusual_category").sentence.endswith("unusual for such a customer")


def test_one_new_category_is_in_the_singular() -> None:
    place = "Jewellery, watch, clock and silverware shops (5944)"
    one, two = present(), present("", JEWELLERY, replace(JEWELLERY, mcc="4829", spend=970.0))
    assert said(one, "new_amount").sentence == (
        f"Spent 980 in a merchant category not used in the weeks before: {place}"
    )
    assert said(one, "new_dear_categories").sentence == (
        "Spent 980 in a merchant category not used in the weeks before, in a larger purchase than "
        f"usual there: {place}"
    )
    assert said(two, "new_amount").sentence.startswith("Spent 1,950 in merchant categories not")
    assert ", in larger purchases than usual there: " in said(two, "new_dear_categories").sentence


def test_small_purchases_in_new_categories_are_not_called_large() -> None:
    small = replace(JEWELLERY, spend=90.0)
    assert said(present("", small), "new_dear_categories").sentence == (
        "Spent 90.00 in a merchant category not used in the weeks before: "
        "Jewellery, watch, clock and silverware shops (5944)"
    )


def test_what_is_unusual_for_a_customer_is_told_beside_the_usual_week() -> None:
    assert said(present("", JEWELLERY), "unusual_category").sentence.endswith(
        "shops (5944), unusual for this customer: nothing there in a usual week"
    )
    assert said(present("", GROCERY), "unusual_category").sentence.endswith(
        "unusual for this customer: 210 there in a usual week"
    )
    seldom = replace(GROCERY, usual_spend=1_300.0)
    assert said(present("", seldom), "unusual_category").sentence.endswith(
        "unusual for this customer"
    )


def test_places_that_are_as_usual_are_told_beside_those_of_others() -> None:
    usual = replace(GROCERY, usual_count_share=0.8)
    assert said(present("", usual, JEWELLERY), "mix_count").sentence == (
        "Shopped in other places than similar customers: 3 of 4 transactions at Grocery stores "
        "and supermarkets (5411), usually 80% of them"
    )


def test_a_refund_is_no_purchase() -> None:
    refunded = present("", replace(GROCERY, spend=-1_242.0))
    assert said(refunded, "ticket_max").sentence == (
        "Was refunded 414 a transaction at Grocery stores and supermarkets (5411), 9.9 × the "
        "usual 42.00"
    )


def test_a_reason_carries_the_figures_of_its_sentence() -> None:
    reason = said(present("", JEWELLERY), "ticket_max")
    assert (reason.value, reason.usual, reason.unit, reason.mcc) == (980.0, 140.0, "amount", "5944")
    share = said(present(), "new_share")
    assert share.value == pytest.approx(980 / 2_220.5, abs=1e-4)
    assert (share.usual, share.unit, share.mcc) == (None, "share", "5411")


def test_a_customer_has_at_most_three_reasons_from_different_families_largest_first() -> None:
    parts = [
        Attribution("own_history", "own_spend", 3.0, True),
        Attribution("growth", "", -0.5, True),
        Attribution("ticket", "ticket_max", 2.0, True),
        Attribution("novelty", "new_share", 1.0, True),
        Attribution("events", "refunds", 0.5, True),
    ]
    facts = replace(present("ticket_max"), refunds=10.0)
    reasons = reasons_for(parts, facts, FEATURES, WATCHED)
    assert [reason.feature for reason in reasons] == ["own_spend", "ticket_max", "new_share"]
    assert [reason.contribution for reason in reasons] == [3.0, 2.0, 1.0]
    assert len({reason.family for reason in reasons}) == 3
    assert {reason.family for reason in reasons} <= set(FAMILIES)


def test_a_customer_without_attributions_has_no_reasons() -> None:
    assert reasons_for([Attribution("growth", "", -1.0, True)], present(), FEATURES, WATCHED) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (-0.001, "0.00"),
        (99.994, "99.99"),
        (99.996, "100"),
        (1_234_567.8, "1,234,568"),
    ],
)
def test_amounts_are_rounded_before_their_form_is_chosen(value: float, text: str) -> None:
    assert amount(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.000000000000001, "4"), (9.97, "10"), (0.04, "0"), (0.5, "0.5"), (12.4, "12")],
)
def test_counts_are_free_of_rounding_noise(value: float, text: str) -> None:
    assert count(value) == text


def test_the_largest_new_categories_are_named_and_the_rest_counted() -> None:
    new = [
        CategoryFacts(f"{mcc}", float(mcc), 1, 0.0, 0.0, 0.0, True, 30.0, 0.01)
        for mcc in (5732, 5944, 4829, 5411, 5812)
    ]
    sentence = said(present("", *new), "new_amount").sentence
    assert sentence.startswith("Spent 27,728 in merchant categories not used in the weeks before")
    assert sentence.endswith("eating places (5812), Electronics shops (5732) and 2 more")
