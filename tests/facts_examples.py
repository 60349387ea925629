"""Facts about invented customers, for the tests of what is said about them."""

from __future__ import annotations

from dataclasses import replace

from cardwatch.config import FeatureConfig
from cardwatch.explanation import explain
from cardwatch.features.catalog import CATALOG
from cardwatch.schema import Attribution, CategoryFacts, CustomerFacts, Reason

FEATURES = {feature.name: feature for feature in CATALOG}
WATCHED = FeatureConfig().risky_mccs
GROCERY = CategoryFacts(
    mcc="5411",
    spend=1_240.5,
    transaction_count=3,
    usual_spend=210.0,
    usual_spend_share=0.35,
    usual_count_share=0.25,
    is_new=False,
    usual_ticket=42.0,
    users_share=0.83,
)
JEWELLERY = CategoryFacts(
    mcc="5944",
    spend=980.0,
    transaction_count=1,
    usual_spend=0.0,
    usual_spend_share=0.0,
    usual_count_share=0.0,
    is_new=True,
    usual_ticket=140.0,
    users_share=0.021,
    others_new=12,
    others_new_usual=0.5,
)
PEERS = {"spend": 310.0, "count": 8.0, "ticket": 38.0, "categories": 3.0, "concentration": 0.4}


def present(feature: str = "", *categories: CategoryFacts) -> CustomerFacts:
    """A customer with twelve usual weeks and a bigger one; the first category drives `feature`."""
    found = categories or (GROCERY, JEWELLERY)
    spend = sum(category.spend for category in found)
    number = sum(category.transaction_count for category in found)
    return CustomerFacts(
        customer_key=7,
        weekly_spend=(*[300.0] * 12, spend),
        weekly_count=(*[8] * 12, number),
        usual_spend=300.0,
        usual_count=8.0,
        usual_ticket=37.5,
        peer_group=2,
        peers=PEERS,
        level=320.0,
        history_weeks=12,
        active_weeks=12,
        gap_weeks=0,
        refunds=0.0,
        usual_refunds=0.0,
        risky=0.0,
        usual_risky=0.0,
        categories=found,
        features={each.name: 1.0 for each in CATALOG},
        drivers={feature: found[0].mcc} if feature else {},
    )


def absent(gap: int = 3, active: int = 9) -> CustomerFacts:
    """A customer who was active for `active` weeks, then silent for `gap` to this week."""
    before: tuple[int | None, ...] = (*[None] * (13 - active - gap), *[8] * active)
    return replace(
        present(),
        weekly_spend=(*(None if number is None else 300.0 for number in before), *[None] * gap),
        weekly_count=(*before, *[None] * gap),
        active_weeks=active,
        gap_weeks=gap,
        categories=(),
        features={each.name: (2.0 if each.name == "absence" else None) for each in CATALOG},
        drivers={},
    )


REFUNDED = {
    "a week of refunds": present("", replace(GROCERY, spend=-467.1, transaction_count=15)),
    "refunds as large as purchases": present(
        "", replace(GROCERY, spend=-980.0, transaction_count=1), JEWELLERY
    ),
    "refunds every week": replace(
        present("", replace(GROCERY, spend=-467.1, transaction_count=15)),
        weekly_spend=(*[-35.0] * 12, -467.1),
        usual_spend=-35.0,
        usual_ticket=-4.4,
        peers={**PEERS, "spend": 0.0, "ticket": -1.2},
    ),
}
"""Weeks whose purchases and refunds add up to nothing or less."""


def driven(facts: CustomerFacts, feature: str) -> CustomerFacts:
    """The facts with the first category as the one that decided the feature."""
    return replace(facts, drivers={feature: facts.categories[0].mcc} if facts.categories else {})


def said(facts: CustomerFacts, feature: str, is_high: bool = True) -> Reason:
    part = Attribution(FEATURES[feature].family, feature, 2.5, is_high)
    return explain(part, driven(facts, feature), FEATURES[feature], WATCHED)
