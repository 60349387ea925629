"""The feature catalogue: every feature, its family, unit, side, reason code and sentence.

A feature is one row here and one column made in `customer_terms`, `cell_terms` or `event_terms`.
The families compete for reasons: a customer gets at most one reason from each.
"""

from __future__ import annotations

from collections.abc import Iterator

from cardwatch.schema import Feature

FAMILIES = ("own_history", "growth", "peer_group", "novelty", "ticket", "events")

HISTORY_FAMILIES = ("own_history", "growth")
"""Families that need at least three active baseline weeks of the customer's own."""

NEWCOMER_FEATURES = ("heavy_newcomers",)
"""Features that compare this week's newcomers with those of earlier weeks."""

_OWN = "robust z against the own median of weeks t-12 to t-4, variance shrunk to what counts allow"
_PEER = "robust z (median, 1.4826 MAD) inside the customer's k-means peer group, this week"
_CELL = "largest over the week's merchant categories"
_NEGATIVE_BINOMIAL = (
    "-log10 of the negative binomial tail of the number of other such customers, against the weeks "
    "before; dispersion shrunk to the median category"
)
_OWN_TICKET = (
    "robust z of ln(spend per transaction) against the customer's own norm: the category's, moved "
    "by the own tilt and by the own mean ticket there (weight n/(n + 4))"
)


def _own_history() -> Iterator[Feature]:
    yield Feature(
        "own_spend",
        "own_history",
        "z",
        "two",
        "OWN_SPEND",
        "{spent_in_all} this week, {spend_beside_usual}",
        ("spend", "usual_spend", "own median"),
        f"log1p of net spend: {_OWN} (a + b/μ, fitted over customers)",
        "{spent_only} this week; {usual_week}",
        weight=0.9,
    )
    yield Feature(
        "own_count",
        "own_history",
        "z",
        "two",
        "OWN_COUNT",
        "Made {transactions} this week, {count_ratio} × the usual {usual_count}",
        ("count", "usual_count", "own median"),
        f"Anscombe transform 2√(n + 3/8) of the count (Anscombe 1948): {_OWN} (1 + 1.3 s²μ)",
        "Made only {transactions} this week; the usual week has {usual_count}",
        weight=1.15,
    )


def _growth() -> Iterator[Feature]:
    yield Feature(
        "growth_spend_count",
        "growth",
        "z",
        "upper",
        "GROWTH_SPEND_AND_COUNT",
        "{spend_and_count_grew}: {spend} in {transactions}, usually {usual_spend} in {usual_count}",
        ("spend", "usual_spend", "own median"),
        "(z spend + z count)/√2, each clipped to [-2, 5]",
        weight=0.5,
    )
    yield Feature(
        "growth_count_ticket",
        "growth",
        "z",
        "upper",
        "GROWTH_COUNT_AND_TICKET",
        "{count_and_ticket_grew}: {count_of_ticket}, {usually_of_ticket}",
        ("ticket", "usual_ticket", "own median"),
        "(z count + z ticket)/√2, clipped; z ticket is the own z of the week's mean ticket, "
        "measured per category and weighted by √min(count, 9)",
        weight=0.8,
    )
    yield Feature(
        "growth_usual_categories",
        "growth",
        "z",
        "upper",
        "GROWTH_IN_USUAL_CATEGORIES",
        "{usual_places_grew}: {spend} in {transactions}, usually {usual_spend} in {usual_count}",
        ("spend", "usual_spend", "own median"),
        "(z count + z ticket)/√2, each clipped to [-2, 5], × (1 - share of spend in new "
        "categories); z count is the mean of two: the own z, and that of the n transactions in the "
        "visited categories used before, 2√(n + 3/8) less the same of Σ λ/(1 - e^-λ), λ being the "
        "customer's weekly number in each; z ticket is that of these categories against the "
        "customer's own norms, each clipped at 3 and weighted by √min(count, 9)",
        weight=1.2,
    )
    yield Feature(
        "growth_four_weeks",
        "growth",
        "z",
        "upper",
        "GROWTH_OVER_FOUR_WEEKS",
        "{four_weeks_grew} over the last four weeks: {spend_four_weeks}, usually "
        "{usual_four_weeks}",
        ("spend_four_weeks", "usual_four_weeks", "own median"),
        "(z spend + z count + z ticket)/√3, clipped, summed over the last four weeks, /2",
        weight=0.8,
    )


def _peer_group() -> Iterator[Feature]:
    yield Feature(
        "peer_spend",
        "peer_group",
        "z",
        "two",
        "PEER_SPEND",
        "{spent_in_all}; similar customers {others_spend}",
        ("spend", "peer_spend", "peer median"),
        f"slog of net spend, never under 0: {_PEER}",
        "{spent_only}; similar customers {others_spend}",
        weight=0.8,
    )
    yield Feature(
        "peer_count",
        "peer_group",
        "z",
        "two",
        "PEER_COUNT",
        "Made {transactions}; similar customers make about {peer_count} a week",
        ("count", "peer_count", "peer median"),
        f"log1p of the count: {_PEER}",
        "Made only {transactions}; similar customers make about {peer_count} a week",
        weight=0.5,
    )
    yield Feature(
        "peer_ticket",
        "peer_group",
        "z",
        "two",
        "PEER_TICKET",
        "{spent_each}; similar customers {others_spend_each}",
        ("ticket", "peer_ticket", "peer median"),
        f"slog of spend per transaction: {_PEER}",
        "{spent_only_each}; similar customers {others_spend_each}",
        weight=0.8,
    )
    yield Feature(
        "peer_categories",
        "peer_group",
        "z",
        "two",
        "PEER_CATEGORIES",
        "Spent in {categories}; similar customers use about {peer_categories} a week",
        ("category_count", "peer_categories", "peer median"),
        f"log1p of the number of categories: {_PEER}",
        "Spent in only {categories}; similar customers use about {peer_categories} a week",
        weight=0.5,
    )
    yield Feature(
        "peer_concentration",
        "peer_group",
        "z",
        "two",
        "PEER_CONCENTRATION",
        "{top_share} of the week's spend is at {top_category}; similar customers spread theirs "
        "more",
        ("concentration", "peer_concentration", "peer median"),
        f"Herfindahl index of spend over categories: {_PEER}",
        "Spend is spread over {categories}, more evenly than similar customers spread theirs",
        weight=0.8,
    )


def _novelty() -> Iterator[Feature]:
    yield Feature(
        "new_share",
        "novelty",
        "share",
        "upper",
        "NEW_CATEGORIES_SHARE",
        "{new_share} of the week's {turnover} is in {new_places} not used in the weeks before: "
        "{new_categories}",
        ("new_share", "", "own history"),
        "share of absolute spend in categories without a transaction in the reference weeks",
        weight=0.5,
    )
    yield Feature(
        "new_amount",
        "novelty",
        "log ratio",
        "upper",
        "NEW_CATEGORIES_AMOUNT",
        "{new_spent} {new_amount} in {new_places} not used in the weeks before: {new_categories}",
        ("new_amount", "", "own history"),
        "log1p(spend in such categories / level)",
        weight=0.5,
    )
    yield Feature(
        "mix_spend",
        "novelty",
        "nats",
        "upper",
        "SPEND_MIX",
        "Spent in other places than {spend_elsewhere}: {driver_share} of the week's {turnover} at "
        "{driver}{driver_usually_spent}",
        ("driver_share", "driver_usual_share", "own history"),
        "Kullback–Leibler divergence of the week's spend shares from the customer's smoothed "
        "profile (own counts + 8 × (.8 peer group + .2 portfolio))",
        weight=0.5,
    )
    yield Feature(
        "mix_count",
        "novelty",
        "nats",
        "upper",
        "TRANSACTION_MIX",
        "Shopped in other places than {count_elsewhere}: {driver_count} of {transactions} at "
        "{driver}{driver_usually_done}",
        ("driver_count_share", "driver_usual_count_share", "own history"),
        "the same divergence for shares of transactions, × n/√(n + 10)",
        weight=1.1,
    )
    yield Feature(
        "unusual_category",
        "novelty",
        "nats × log ratio",
        "upper",
        "UNUSUAL_CATEGORY",
        "{spent} {driver_amount} at {driver}, unusual for {driver_unusual_for}",
        ("driver_amount", "driver_usual", "own mean"),
        f"log1p(spend / level) × -ln(profile share of the category), {_CELL}",
        weight=0.5,
    )
    yield Feature(
        "rare_category",
        "novelty",
        "nats × log ratio",
        "upper",
        "RARE_CATEGORY",
        "{spent} {driver_amount} at {driver}, {driver_use}",
        ("driver_amount", "driver_usual", "own mean"),
        f"log1p(spend / level) × -ln(share of customers who use the category), {_CELL}",
        weight=0.5,
    )
    yield Feature(
        "new_dear_categories",
        "novelty",
        "nats × z",
        "upper",
        "DEAR_NEW_CATEGORIES",
        "{new_spent} {new_amount} in {new_places} not used in the weeks before{new_purchases}: "
        "{new_categories}",
        ("new_amount", "", "own history"),
        "sum over categories without a transaction in the reference weeks, for customers with "
        "three active ones, of -ln(share of customers who use the category) × (½ + robust z of the "
        "ticket × min(count, 9)^¼, clipped to [-1, 4], at least 0) × (1 + ln min(count, 9)); over "
        "the root of how often the "
        "customer goes to new places, relative to everybody (share of purchases that were the only "
        "one in their category, Good 1953; everybody's weighs as much as 20 purchases)",
        weight=1.35,
        tapers=True,
    )
    yield Feature(
        "heavy_newcomers",
        "novelty",
        "log10",
        "upper",
        "MANY_NEW_LARGE_SPENDERS",
        "{spent} {driver_amount} at {driver}, among newcomers who spend heavily there: "
        "{driver_others_are} new this week (usually about {driver_others_usual})",
        ("driver_amount", "driver_usual", "own mean"),
        f"for who spends over .4 of their level in a new category: {_NEGATIVE_BINOMIAL}; "
        "plus -log10(share of customers who use the category), less 2.5, and at most "
        f"1 - log10(share of customers who do so), {_CELL}",
        law="surprise",
    )


def _ticket() -> Iterator[Feature]:
    yield Feature(
        "ticket_max",
        "ticket",
        "z",
        "upper",
        "LARGE_TICKET",
        "{paid} {driver_ticket} a {driver_deal} at {driver}, {driver_ratio} × the usual "
        "{driver_norm}",
        ("driver_ticket", "driver_norm", "category norm"),
        "robust z of ln(spend per transaction) against the category's norm, own tilt removed, "
        f"{_CELL}",
        law="shape",
    )
    yield Feature(
        "ticket_largest",
        "ticket",
        "z",
        "upper",
        "LARGE_PURCHASE",
        "Paid {driver_amount} for {driver_bought} at {driver}, where this customer usually pays "
        "about {driver_norm} each",
        ("driver_ticket", "driver_norm", "category norm"),
        f"{_OWN_TICKET}; the larger of that of the mean ticket × min(count, 9)^¼ and that of what "
        "is left for one purchase if the others are as usual, in a spread half-way to the middle "
        f"category's (geometrically), × √(n/(n + 8)) for n earlier purchases there, {_CELL}",
        law="shape",
        weight=1.35,
        tapers=True,
    )
    yield Feature(
        "small_tickets",
        "ticket",
        "z × log count",
        "upper",
        "MANY_SMALL_TICKETS",
        "Made {driver_purchases} at {driver}, where {driver_norm} is usual",
        ("driver_ticket", "driver_norm", "category norm"),
        f"-z × log1p(count) where the net spend is positive, {_CELL}",
        weight=0.9,
    )
    yield Feature(
        "ticket_mean",
        "ticket",
        "z",
        "upper",
        "TICKET_LEVEL",
        "{driver_grew} {driver}: {driver_ticket} each instead of {driver_norm}",
        ("driver_ticket", "driver_norm", "category norm"),
        f"{_OWN_TICKET}, × min(count, 9)^¼, clipped to [-3, 5], summed over categories, "
        "/√(number of categories)",
        weight=0.8,
    )


def _events() -> Iterator[Feature]:
    yield Feature(
        "refunds",
        "events",
        "log ratio",
        "upper",
        "REFUNDS",
        "Was refunded {refunds}, {refunds_beside_usual}",
        ("refunds", "usual_refunds", "own mean"),
        "log1p((refunds - mean weekly refunds of the reference weeks) / level)",
        weight=1.1,
    )
    yield Feature(
        "return_after_silence",
        "events",
        "weeks × log ratio",
        "upper",
        "RETURN_AFTER_SILENCE",
        "Came back after {gap} without a transaction and {then_spent}",
        ("gap", "", "own history"),
        "weeks without a transaction before this one × log1p(spend / level), 1 at most",
        weight=1.1,
    )
    yield Feature(
        "risky_categories",
        "events",
        "log ratio",
        "upper",
        "WATCHED_CATEGORIES",
        "Spent {risky} at {risky_categories}, on the watch list, {risky_beside_usual}",
        ("risky", "usual_risky", "own mean"),
        "log1p((spend in watched categories - mean of the reference weeks) / level); the "
        "categories are feature_engineering.risky_mccs",
        weight=1.15,
    )
    yield Feature(
        "absence",
        "events",
        "log10",
        "upper",
        "ABSENCE",
        "Made no transaction for {gap}, after transactions in {weeks_before}",
        ("gap", "", "own history"),
        "weeks of silence × -log10(1 - share of active weeks before it), for customers without "
        "a transaction in the scored week; its surprise approaches model.absent_cap, or that of "
        "one customer in √n where that is less",
    )


CATALOG: tuple[Feature, ...] = (
    *_own_history(),
    *_growth(),
    *_peer_group(),
    *_novelty(),
    *_ticket(),
    *_events(),
)

ABSENCE = "absence"
"""The one feature of customers without a transaction in the scored week."""
