"""The portfolio's parameters: small, fitted on a bounded sample, and all that formulas need.

Fitting reads the customers of `sampling`, whatever the order of rows and the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardwatch.features.block import Block
from cardwatch.features.categories import Categories
from cardwatch.features.noise import NoiseModel, fit_noise
from cardwatch.features.norms import TicketNorms
from cardwatch.features.peers import PeerModel
from cardwatch.features.window import Window
from cardwatch.robust import Floats, median_rows


@dataclass(frozen=True)
class OwnModels:
    """Noise of the three own-history measures; see `noise`."""

    count: NoiseModel
    spend: NoiseModel
    ticket: NoiseModel


@dataclass(frozen=True)
class Portfolio:
    """All fitted parameters. `own` is None when the data has too few reference weeks."""

    window: Window
    own: OwnModels | None
    peers: PeerModel
    categories: Categories
    norms: TicketNorms


def usual_counts(block: Block, window: Window) -> Floats:
    """Return each customer's median transactions of the baseline weeks; 1 without any."""
    return np.nan_to_num(median_rows(block.count[:, window.baseline]), nan=1.0)


def own_measures(block: Block) -> tuple[Floats, Floats, Floats]:
    """Return count (Anscombe scale), spend (log1p) and mean ticket per week, each shape (n, W)."""
    count = 2 * np.sqrt(block.count + 0.375)
    spend = np.log1p(np.maximum(block.spend, 0))
    return count, spend, block.ticket


def fit_own(sample: Block, window: Window) -> OwnModels | None:
    """Fit the noise of counts, spend and tickets on the sample."""
    if not window.has_history:
        return None
    count, spend, ticket = own_measures(sample)
    usual = usual_counts(sample, window)
    return OwnModels(
        count=fit_noise(count, window.baseline, usual, "anscombe"),
        spend=fit_noise(spend, window.baseline, usual, "log"),
        ticket=fit_noise(ticket, window.baseline, usual, "log"),
    )
