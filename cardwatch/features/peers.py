"""Peer groups: customers who spend alike, found by k-means on what they buy and how much.

A customer's profile is the root of the spend shares over merchant categories (so that distances are
Hellinger distances) and a quarter of the usual spend and count in logarithms. Customers with fewer
than three active reference weeks are placed by their scored week.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from cardwatch.features.block import Block
from cardwatch.features.rows import Ints
from cardwatch.robust import Floats, median, median_rows, slog, spread

MEASURES = ("spend", "count", "ticket", "categories", "concentration")
MIN_GROUP = 30
MIN_HISTORY = 3
FIT_ROWS = 20_000
FIT_CATEGORIES = 400
ITERATIONS = 10
"""Of Lloyd's algorithm, from a k-means++ start; more move the groups hardly at all."""
MIN_SPREAD = 0.05
SPREAD_SHARE = 0.5
"""Least spread of a group, as a share of the median group's: where most members make one purchase,
their median absolute deviation is 0, and two purchases would be beyond belief."""


@dataclass(frozen=True)
class PeerModel:
    """Centroids, and per group the median and spread of this week's measures.

    `centroids` has shape (k, m + 2): a column per entry of `mccs` (sorted), then spend and count.
    `centre` and `spread` have shape (k, 5), in the order of `MEASURES`.
    """

    mccs: Ints
    centroids: Floats
    usual_spend: float
    usual_count: float
    centre: Floats
    spread: Floats

    @property
    def usual_weeks(self) -> tuple[tuple[float, float], ...]:
        """Per group, the medians of spend (currency units) and count of this week."""
        return tuple((float(spend), float(count)) for spend, count in np.expm1(self.centre[:, :2]))

    def assign(self, block: Block) -> Ints:
        """Return the group of each customer of a block, shape (n,)."""
        row, column, root = _shares(block, self.mccs)
        extra = _extra(block, self.usual_spend, self.usual_count)
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        distance = np.empty((block.rows, len(self.centroids)))
        for group, centroid in enumerate(self.centroids):
            dot = np.zeros(block.rows)
            if len(starts):
                dot[row[starts]] = np.add.reduceat(root * centroid[column], starts)
            away = ((extra - centroid[-2:]) ** 2).sum(axis=1)
            distance[:, group] = (centroid[:-2] ** 2).sum() - 2 * dot + away
        return np.asarray(np.round(distance, 9).argmin(axis=1), dtype=np.int64)


def measures(block: Block) -> Floats:
    """Return this week's measures, shape (n, 5); NaN for customers without a transaction in it.

    A week without spend, such as one of refunds, has no ticket and no concentration.
    """
    cells = block.cells
    spend, count = np.maximum(block.spend[:, -1], 0), block.count[:, -1]
    paid = np.maximum(cells.spend, 0)
    total_paid = cells.sums(paid, block.rows)
    total_paid = np.where(total_paid > 0, total_paid, np.nan)
    categories = cells.sums(np.ones(len(cells.mcc)), block.rows)
    concentration = cells.sums((paid / total_paid[cells.row]) ** 2, block.rows)
    columns = [
        slog(spend),
        np.log1p(count),
        slog(np.where(spend > 0, spend, np.nan) / count),
        np.log1p(categories),
        concentration,
    ]
    return np.where(block.has_rows[:, None], np.column_stack(columns), np.nan)


def fit_peers(block: Block, groups: int, seed: int) -> tuple[PeerModel, Ints]:
    """Find the groups on a sample, and measure each; returns the model and the sample's groups.

    Parameters
    ----------
    groups : int
        How many at most; a small portfolio gets one per 30 customers.
    seed : int
        Start of the k-means; one thread, rows in customer order, so the result repeats.
    """
    usual_spend, usual_count = _usual_levels(block)
    settled = np.flatnonzero(block.active_weeks >= MIN_HISTORY)
    chosen = settled if len(settled) > 500 else np.arange(block.rows)
    chosen = chosen[:: max(1, -(-len(chosen) // FIT_ROWS))]
    mccs = _commonest(block)
    dense = _dense(block, mccs, chosen, usual_spend, usual_count)
    k = _group_count(dense, groups)
    centroids = _centroids(dense, k, seed)
    empty = np.zeros((k, len(MEASURES)))
    draft = PeerModel(mccs, centroids, usual_spend, usual_count, empty, empty)
    group = draft.assign(block)
    centre, deviation = _group_norms(measures(block), group, k)
    return PeerModel(mccs, centroids, usual_spend, usual_count, centre, deviation), group


def _centroids(dense: Floats, k: int, seed: int) -> Floats:
    # Imported when it is used: commands that score nothing start faster without it. SciPy's, as
    # importing scikit-learn takes several times as long as finding the groups.
    from scipy.cluster.vq import kmeans2

    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a group without members stays without
        found, _ = kmeans2(dense, k, iter=ITERATIONS, minit="++", rng=np.random.default_rng(seed))
    return np.asarray(found, dtype=np.float64)


def _group_count(dense: Floats, groups: int) -> int:
    """At most `groups`, one per `MIN_GROUP` customers, and no more than differ."""
    k = max(1, min(groups, len(dense) // MIN_GROUP))
    if len(np.unique(dense.sum(axis=1).round(6))) >= k:  # quick, and nearly always enough
        return k
    return min(k, len(np.unique(dense, axis=0)))


def _group_norms(values: Floats, group: Ints, k: int) -> tuple[Floats, Floats]:
    centre, deviation = np.zeros((k, values.shape[1])), np.zeros((k, values.shape[1]))
    present = ~np.isnan(values[:, 0])
    for g in range(k):
        members = present & (group == g)
        rows = values[members if members.sum() >= MIN_GROUP else present]
        centre[g] = np.nan_to_num([median(column) for column in rows.T])
        deviation[g] = np.nan_to_num([spread(column) for column in rows.T])
    usual = SPREAD_SHARE * np.median(deviation, axis=0)
    return centre, np.maximum(np.maximum(deviation, usual), MIN_SPREAD)


def _usual_levels(block: Block) -> tuple[float, float]:
    history = slice(0, block.scored)
    return (
        float(np.nan_to_num(median(median_rows(slog(block.spend[:, history]))))),
        float(np.nan_to_num(median(median_rows(np.log1p(block.count[:, history]))))),
    )


def _extra(block: Block, usual_spend: float, usual_count: float) -> Floats:
    history = slice(0, block.scored)
    new = block.active_weeks < MIN_HISTORY
    spend = np.where(new, slog(block.spend[:, -1]), median_rows(slog(block.spend[:, history])))
    count = np.where(
        new, np.log1p(block.count[:, -1]), median_rows(np.log1p(block.count[:, history]))
    )
    away = np.column_stack([spend - usual_spend, count - usual_count])
    return np.asarray(0.25 * np.nan_to_num(away))


def _shares(block: Block, mccs: Ints) -> tuple[Ints, Ints, Floats]:
    """Return customer, column and root of spend share, by customer, without unknown MCCs."""
    new = block.active_weeks < MIN_HISTORY
    old, now = ~new[block.profile.row], new[block.cells.row]
    row = np.concatenate([block.profile.row[old], block.cells.row[now]])
    mcc = np.concatenate([block.profile.mcc[old], block.cells.mcc[now]])
    paid = np.concatenate([block.profile.paid[old], np.maximum(block.cells.spend[now], 0)])
    order = np.argsort(row, kind="stable")  # each customer's rows are of one kind, sorted by MCC
    row, mcc, paid = row[order], mcc[order], paid[order]
    total = np.bincount(row, weights=paid, minlength=block.rows)
    column = np.minimum(np.searchsorted(mccs, mcc), len(mccs) - 1)
    known = mccs[column] == mcc
    root = np.sqrt(paid / np.maximum(total[row], 1e-9))
    return row[known], column[known], root[known]


def _commonest(block: Block) -> Ints:
    mccs, counts = np.unique(
        np.concatenate([block.profile.mcc, block.cells.mcc]), return_counts=True
    )
    return np.sort(mccs[np.argsort(-counts, kind="stable")[:FIT_CATEGORIES]])


def _dense(
    block: Block, mccs: Ints, chosen: Ints, usual_spend: float, usual_count: float
) -> Floats:
    row, column, root = _shares(block, mccs)
    position = np.full(block.rows, -1)
    position[chosen] = np.arange(len(chosen))
    wanted = position[row] >= 0
    dense = np.zeros((len(chosen), len(mccs) + 2))
    dense[position[row[wanted]], column[wanted]] = root[wanted]
    dense[:, -2:] = _extra(block, usual_spend, usual_count)[chosen]
    return dense
