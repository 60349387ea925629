"""What the portfolio knows of each merchant category: usual ticket, users, newcomers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardwatch.engine import Engine
from cardwatch.features.block import Block, positions
from cardwatch.features.norms import TicketNorms
from cardwatch.features.rows import Ints
from cardwatch.features.tickets import own_spread
from cardwatch.features.use import Use
from cardwatch.robust import Floats

PROFILE_WEIGHT = 8.0
"""Pseudo-transactions of the smoothed profile: .8 from the peer group, .2 from the portfolio."""
GROUP_PART = 0.8
CROWD_ALLOWANCE = 2.5
"""Taken off a crowd's surprise, in log10: among many categories one is always beyond chance."""
CROWD_BONUS = 1.0
"""By how much, in log10, a crowd's surprise may be more than that of its members' rarity."""


@dataclass(frozen=True)
class Categories:
    """Per merchant category (entries of `mccs`, sorted), shape (m,) unless said otherwise.

    `log_ticket`, `log_ticket_spread`: median and spread of ln(spend per transaction);
    `own_ticket_spread`: spread of the same around customers' own norms.
    `users_share`: share of customers with history who used it. `group_share`: smoothed share of
    transactions of each peer group, shape (k, m); `portfolio_share` of all. `newcomers`,
    `newcomers_usual`: customers new to it this week, and the mean of the weeks before.
    `crowd_surprise`: -log10 of the tail of the number of other newcomers who spend heavily, times
    the category's share of users, as far as it is more than chance shows among many categories, and
    bounded by how few customers share it. `once_share`: share of all purchases of the reference
    weeks that were the customer's only one in their category.
    """

    mccs: Ints
    log_ticket: Floats
    log_ticket_spread: Floats
    own_ticket_spread: Floats
    users_share: Floats
    portfolio_share: Floats
    group_share: Floats
    newcomers: Floats
    newcomers_usual: Floats
    crowd_surprise: Floats
    once_share: float

    @property
    def rarity(self) -> Floats:
        """-ln of the share of customers with history who used each category, 7.6 at most."""
        return _rarity(self.users_share)

    def index(self, mcc: Ints) -> Ints:
        """Return the position of each MCC; every MCC of the window has one."""
        return positions(self.mccs, mcc)


def fit_categories(
    engine: Engine, norms: TicketNorms, use: Use, sample: Block, group: Ints, groups: int
) -> Categories:
    """Collect what is known of categories, and the peer groups' shares from the sample's profiles.

    Reads the engine's table ``ticket``, the tickets of the sample.
    """
    mccs = norms.mccs
    total = use.history_count[mccs] + 0.5
    shares = np.full((groups, len(mccs)), 0.5)
    column = positions(mccs, sample.profile.mcc)
    np.add.at(shares, (group[sample.profile.row], column), sample.profile.count)
    new = use.newcomers[:, mccs]
    log_ticket = norms.log_ticket[mccs]
    users_share = use.users[mccs] / max(use.known, 1)
    return Categories(
        mccs=mccs,
        log_ticket=log_ticket,
        log_ticket_spread=norms.log_ticket_spread[mccs],
        own_ticket_spread=own_spread(engine, sample, mccs, log_ticket),
        users_share=users_share,
        portfolio_share=total / total.sum(),
        group_share=shares / shares.sum(axis=1, keepdims=True),
        newcomers=new[-1],
        newcomers_usual=new[:-1].mean(axis=0) if len(new) > 1 else np.zeros(len(mccs)),
        crowd_surprise=_crowd(
            use.heavy_newcomers[:, mccs],
            int(use.customers[-1]),
            _rarity(users_share) / np.log(10),
        ),
        once_share=_once_share(sample),
    )


def _rarity(users_share: Floats) -> Floats:
    return np.asarray(-np.log(users_share * 0.999 + 0.0005))


def _once_share(sample: Block) -> float:
    count = sample.profile.count
    return float(((count == 1).sum() + 0.5) / (count.sum() + 1.0))


def _crowd(heavy: Floats, present: int, rarity: Floats) -> Floats:
    """Surprise of one customer in a crowd of heavily spending newcomers; `heavy` has shape (K, m).

    Many places that everybody uses have a crowd now and then; a crowd where few ever go (`rarity`,
    in log10) is no chance. A crowd of a thousand may be beyond chance, but each of its members is
    one of a thousand.
    """
    share = np.maximum(heavy[-1], 1) / max(present, 1)
    crowd = _surprise(heavy)
    beyond = np.where(crowd > 0, crowd + rarity - CROWD_ALLOWANCE, 0.0)
    return np.clip(beyond, 0, CROWD_BONUS - np.log10(share))


def _surprise(counts: Floats) -> Floats:
    """-log10 P(at least the others) under a negative binomial law; counts has shape (K + 1, m)."""
    before, now = counts[:-1], counts[-1]
    weeks = len(before)
    if weeks == 0:
        return np.zeros(counts.shape[1])
    mean = (before.sum(axis=0) + 0.5) / (weeks + 0.5)
    usual_total = max(float(before.sum(axis=1).mean()), 1.0)
    mean = mean * np.clip(now.sum() / usual_total, 0.7, 1.5)
    dispersion = ((before - mean) ** 2 / np.maximum(mean, 0.5)).mean(axis=0)
    shrunk = (dispersion * weeks + 4 * np.median(dispersion)) / (weeks + 4)
    dispersion = np.maximum(shrunk, 1.001)
    others = np.maximum(now - 1, 0)
    # Imported when it is used: commands that score nothing start without it.
    from scipy.special import betainc

    tail = betainc(np.maximum(others, 1), mean / (dispersion - 1), 1 - 1 / dispersion)
    surprise = -np.log10(np.maximum(np.where(others > 0, tail, 1.0), 1e-300))
    return np.asarray(np.maximum(surprise, 0))
