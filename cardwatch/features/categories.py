"""What the portfolio knows of each merchant category: usual ticket, users, newcomers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardwatch.engine import Engine
from cardwatch.features.block import Block, Ints, positions
from cardwatch.features.tickets import own_spread
from cardwatch.robust import Floats

PROFILE_WEIGHT = 8.0
"""Pseudo-transactions of the smoothed profile: .8 from the peer group, .2 from the portfolio."""
GROUP_PART = 0.8
CROWD_ALLOWANCE = 1.5
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
    `crowd_surprise`: -log10 of the tail of the number of other newcomers who spend heavily, as far
    as it is more than some category's in 30 shows, and bounded by how few customers share it.
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

    def index(self, mcc: Ints) -> Ints:
        """Return the position of each MCC; every MCC of the window has one."""
        return positions(self.mccs, mcc)


def read_categories(
    engine: Engine, sample: Block, group: Ints, groups: int, newcomer_weeks: tuple[int, ...]
) -> Categories:
    """Collect the category tables, and the peer groups' shares from the sample's profiles."""
    norm = engine.arrow(
        "SELECT n.mcc, n.log_ticket, n.log_ticket_spread, coalesce(u.users, 0) AS users, "
        "coalesce(u.history_count, 0) AS history_count FROM category_norm AS n "
        "LEFT JOIN category_use AS u ON u.mcc = n.mcc ORDER BY n.mcc"
    )
    mccs = np.asarray(norm["mcc"].to_numpy(), dtype=np.int64)
    known = engine.scalar("SELECT count(*) FROM customer_activity WHERE active_weeks > 0")
    total = np.asarray(norm["history_count"].to_numpy(), dtype=np.float64) + 0.5
    shares = np.full((groups, len(mccs)), 0.5)
    column = positions(mccs, sample.profile.mcc)
    np.add.at(shares, (group[sample.profile.row], column), sample.profile.count)
    new, heavy = _newcomers(engine, mccs, newcomer_weeks)
    log_ticket = np.asarray(norm["log_ticket"].to_numpy(), dtype=np.float64)
    present = engine.scalar("SELECT count(DISTINCT customer_key) FROM scored_cell")
    return Categories(
        mccs=mccs,
        log_ticket=log_ticket,
        log_ticket_spread=np.asarray(norm["log_ticket_spread"].to_numpy(), dtype=np.float64),
        own_ticket_spread=own_spread(engine, sample, mccs, log_ticket),
        users_share=np.asarray(norm["users"].to_numpy(), dtype=np.float64) / max(known, 1),
        portfolio_share=total / total.sum(),
        group_share=shares / shares.sum(axis=1, keepdims=True),
        newcomers=new[-1],
        newcomers_usual=new[:-1].mean(axis=0) if len(new) > 1 else np.zeros(len(mccs)),
        crowd_surprise=_crowd(heavy, present),
    )


def _newcomers(engine: Engine, mccs: Ints, weeks: tuple[int, ...]) -> tuple[Floats, Floats]:
    new, heavy = np.zeros((len(weeks), len(mccs))), np.zeros((len(weeks), len(mccs)))
    counted = engine.arrow("SELECT * FROM category_newcomers ORDER BY mcc, week_index")
    row = np.searchsorted(np.asarray(weeks, dtype=np.int64), counted["week_index"].to_numpy())
    column = np.searchsorted(mccs, counted["mcc"].to_numpy())
    new[row, column] = counted["newcomers"].to_numpy()
    heavy[row, column] = counted["heavy_newcomers"].to_numpy()
    return new, heavy


def _crowd(heavy: Floats, present: int) -> Floats:
    """Surprise of one customer in a crowd of heavily spending newcomers; `heavy` has shape (K, m).

    A crowd of a thousand may be beyond chance, but each of its members is one of a thousand.
    """
    share = np.maximum(heavy[-1], 1) / max(present, 1)
    return np.clip(_surprise(heavy) - CROWD_ALLOWANCE, 0, CROWD_BONUS - np.log10(share))


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
