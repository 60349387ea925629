"""Own history, growth and peer group: features made of a customer's weekly totals."""

from __future__ import annotations

import numpy as np

from cardwatch.features.block import Block
from cardwatch.features.noise import own_z
from cardwatch.features.peers import MEASURES, PeerModel, measures
from cardwatch.features.portfolio import OwnModels, Portfolio, own_measures, usual_counts
from cardwatch.features.rows import Ints
from cardwatch.robust import Floats

GROWTH_CLIP = (-2.0, 5.0)
GROWTH_WEEKS = 4


def own_scores(block: Block, portfolio: Portfolio, own: OwnModels) -> tuple[Floats, Floats, Floats]:
    """Return the z of count, spend and ticket of every week, each of shape (n, W)."""
    count, spend, ticket = own_measures(block)
    baseline, usual = portfolio.window.baseline, usual_counts(block, portfolio.window)
    return (
        own_z(count, baseline, usual, own.count),
        own_z(spend, baseline, usual, own.spend),
        own_z(ticket, baseline, usual, own.ticket),
    )


def own_history_and_growth(
    block: Block,
    portfolio: Portfolio,
    new_share: Floats,
    usual_purchases: Floats,
    usual_tickets: Floats,
) -> dict[str, Floats]:
    """Return the features of both families; nothing when the data is too short for them.

    Parameters
    ----------
    new_share : array of float, shape (n,)
        Share of the week's spend in categories new to the customer.
    usual_purchases, usual_tickets : array of float, shape (n,)
        z of the number of purchases in the others and of their tickets, against what is usual for
        the customer once there.
    """
    if portfolio.own is None:
        return {}
    count, spend, ticket = own_scores(block, portfolio, portfolio.own)
    known = ~np.isnan(count[:, -1])
    joint = (_clip(spend) + _clip(count) + _clip(ticket)) / np.sqrt(3)
    growth = {
        "growth_spend_count": (_clip(spend[:, -1]) + _clip(count[:, -1])) / np.sqrt(2),
        "growth_count_ticket": (_clip(count[:, -1]) + _clip(ticket[:, -1])) / np.sqrt(2),
        "growth_usual_categories": (
            _clip((count[:, -1] + usual_purchases) / 2) + _clip(usual_tickets)
        )
        / np.sqrt(2)
        * (1 - np.clip(new_share, 0, 1)),
        "growth_four_weeks": joint[:, -GROWTH_WEEKS:].sum(axis=1) / np.sqrt(GROWTH_WEEKS),
    }
    return {
        "own_spend": spend[:, -1],
        "own_count": count[:, -1],
        **{name: np.where(known, value, np.nan) for name, value in growth.items()},
    }


def peer_group(block: Block, model: PeerModel, group: Ints) -> dict[str, Floats]:
    """Return this week's robust z inside the customer's peer group."""
    z = (measures(block) - model.centre[group]) / model.spread[group]
    return {f"peer_{name}": z[:, i] for i, name in enumerate(MEASURES)}


def _clip(z: Floats) -> Floats:
    return np.clip(np.nan_to_num(z), *GROWTH_CLIP)
