"""Novelty and ticket: features made of the scored week's merchant categories.

Most are the largest of one term per category; the terms are kept, so that the category that decided
a feature can be named.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardwatch.features.block import Block, Bools
from cardwatch.features.categories import GROUP_PART, PROFILE_WEIGHT, Categories
from cardwatch.features.portfolio import Portfolio
from cardwatch.features.rows import Ints
from cardwatch.features.tickets import (
    COUNT_POWER,
    COUNTED,
    OwnTickets,
    own_tickets,
    own_tilt,
)
from cardwatch.features.window import Window
from cardwatch.robust import Floats

CELL_FEATURES = (
    "unusual_category",
    "rare_category",
    "heavy_newcomers",
    "ticket_max",
    "ticket_largest",
    "small_tickets",
)
"""Features that are the largest of their terms over the week's categories."""
SUMMED_FEATURES = ("new_dear_categories", "ticket_mean")
"""Features that are sums over the week's categories."""
SEASONED_WEEKS = 3
"""Active reference weeks from which a category can be new to a customer."""
DEARNESS = (-1.0, 4.0)
ORDINARY = 0.5
"""What a new category says whose tickets are as usual there, beside 1 for each robust z."""
RATE_WEIGHT = 20.0
"""How many of the customer's own purchases weigh as much as everybody's rate of new places."""
OWN_TICKETS = (-3.0, 5.0)


@dataclass(frozen=True)
class CellView:
    """What every term needs, one entry per cell of a block unless said otherwise.

    `size` is log1p(spend / level); `spend_share` and `count_share` are shares of the customer's
    week; `expected_share` the smoothed profile; `ticket_z` the robust z of ln(spend per
    transaction), own tilt removed; `own` the same against the customer's own norm. `has_history`
    and `level` have one entry per customer.
    """

    category: Ints
    is_new: Bools
    size: Floats
    spend_share: Floats
    count_share: Floats
    expected_share: Floats
    ticket_z: Floats
    own: OwnTickets
    has_history: Bools
    level: Floats


def customer_level(block: Block, portfolio: Portfolio, group: Ints, floor: float) -> Floats:
    """Return usual weekly spend + `floor`; the peer group's where a customer has no history."""
    peers = np.expm1(np.maximum(portfolio.peers.centre[group, 0], 0)) + floor
    return np.where(block.active_weeks > 0, block.level, peers)


def view_cells(block: Block, portfolio: Portfolio, group: Ints, level: Floats) -> CellView:
    """Put a block's cells beside the portfolio's norms."""
    cells, categories = block.cells, portfolio.categories
    category = categories.index(cells.mcc)
    amount = np.abs(cells.spend)
    week_amount = np.maximum(cells.sums(amount, block.rows), 1e-9)
    week_count = np.maximum(cells.sums(cells.count, block.rows), 1)
    history = np.bincount(block.profile.row, weights=block.profile.count, minlength=block.rows)
    prior = (
        GROUP_PART * categories.group_share[group[cells.row], category]
        + (1 - GROUP_PART) * categories.portfolio_share[category]
    )
    norm = categories.log_ticket[category] + own_tilt(block)[cells.row]
    away = np.log(np.maximum(amount, 1e-2) / cells.count) - norm
    return CellView(
        category=category,
        is_new=cells.history_count == 0,
        size=np.log1p(amount / level[cells.row]),
        spend_share=amount / week_amount[cells.row],
        count_share=cells.count / week_count[cells.row],
        expected_share=(cells.history_count + PROFILE_WEIGHT * prior)
        / (history[cells.row] + PROFILE_WEIGHT),
        ticket_z=away / categories.log_ticket_spread[category],
        own=own_tickets(
            block,
            away,
            norm,
            categories.own_ticket_spread[category],
            float(np.median(categories.own_ticket_spread)),
        ),
        has_history=block.active_weeks > 0,
        level=level,
    )


def cell_terms(
    block: Block, view: CellView, categories: Categories, window: Window
) -> dict[str, Floats]:
    """Return, per feature of `CELL_FEATURES`, the term of each cell."""
    cells = block.cells
    # A net refund is no small purchase, however little is left of the two.
    low = np.where(cells.spend > 0, np.maximum(-view.ticket_z, 0), 0)
    terms = {
        "unusual_category": view.size * -np.log(view.expected_share),
        "rare_category": view.size * categories.rarity[view.category],
        "ticket_max": view.ticket_z,
        "ticket_largest": view.own.largest,
        "small_tickets": low * np.log1p(cells.count),
    }
    if window.has_history:
        heavy = newcomer_cells(block, window)[1]
        crowd = categories.crowd_surprise[view.category]
        terms["heavy_newcomers"] = np.where(heavy, crowd, 0)
    return terms


def summed_terms(block: Block, view: CellView, categories: Categories) -> dict[str, Floats]:
    """Return the terms of the features that are sums over the week's categories."""
    cells = block.cells
    seasoned = (block.active_weeks >= SEASONED_WEEKS)[cells.row]
    fresh = view.is_new & seasoned & (cells.spend > 0)
    counted = np.minimum(cells.count, COUNTED)
    dear = np.clip(view.ticket_z * counted**COUNT_POWER, *DEARNESS)
    dear = np.maximum(ORDINARY + dear, 0) * (1 + np.log(counted))
    dear *= categories.rarity[view.category] / np.sqrt(curiosity(block, categories))[cells.row]
    return {
        "new_dear_categories": np.where(fresh, dear, 0),
        "ticket_mean": np.clip(view.own.mean, *OWN_TICKETS),
    }


def curiosity(block: Block, categories: Categories) -> Floats:
    """Return how often a customer goes to new places, relative to everybody, shape (n,).

    The probability that a next purchase is in a category without any is about the share of
    purchases that stayed the only one in theirs (Good 1953, Biometrika 40, 237-264); the
    customer's own is shrunk toward the portfolio's.
    """
    profile, everybody = block.profile, categories.once_share
    done = np.bincount(profile.row, weights=profile.count, minlength=block.rows)
    once = np.bincount(profile.row, weights=profile.count == 1, minlength=block.rows)
    return np.asarray((once + RATE_WEIGHT * everybody) / (done + RATE_WEIGHT) / everybody)


def newcomer_cells(block: Block, window: Window) -> tuple[Bools, Bools]:
    """Return which cells are new to an active customer, and which of those are heavy."""
    start = max(window.scored - window.lookback, 0)
    lookback = sum(1 << week for week in range(start, window.scored))
    active = np.asarray((~np.isnan(block.count[:, start : window.scored])).any(axis=1))
    cells = block.cells
    new = ((cells.weeks_used & lookback) == 0) & active[cells.row]
    return new, new & ((cells.weeks_heavy & (1 << window.scored)) != 0)


def novelty_and_ticket(
    block: Block, view: CellView, terms: dict[str, Floats], summed: dict[str, Floats]
) -> dict[str, Floats]:
    """Return the features of both families; NaN for customers without a row in the week."""
    cells, rows = block.cells, block.rows
    amount = np.abs(cells.spend)
    new_amount = cells.sums(np.where(view.is_new, amount, 0), rows)
    week_count = cells.sums(cells.count, rows)
    spend_kl, count_kl = (
        cells.sums(share * np.log(np.maximum(share, 1e-12) / view.expected_share), rows)
        for share in (view.spend_share, view.count_share)
    )
    features = {
        "new_share": cells.sums(np.where(view.is_new, view.spend_share, 0), rows)
        * view.has_history,
        "new_amount": np.log1p(new_amount / view.level) * view.has_history,
        "mix_spend": spend_kl,
        "mix_count": week_count * count_kl / np.sqrt(week_count + 10),
        **{name: cells.maxima(term, rows, empty=-np.inf) for name, term in terms.items()},
        "new_dear_categories": cells.sums(summed["new_dear_categories"], rows),
        "ticket_mean": cells.sums(summed["ticket_mean"], rows)
        / np.sqrt(np.maximum(cells.sums(np.ones(len(cells.mcc)), rows), 1)),
    }
    return {name: np.where(block.has_rows, value, np.nan) for name, value in features.items()}
