"""The portfolio's parameters: small, fitted on a bounded sample, and all that formulas need.

Fitting reads the customers of `sampling`, whatever the order of rows and the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardwatch.features.block import Block
from cardwatch.features.categories import Categories
from cardwatch.features.noise import NoiseModel, fit_noise
from cardwatch.features.peers import PeerModel
from cardwatch.robust import Floats, median_rows

LAG = 3
"""Weeks right before the scored one left out of the baseline, so that no ramp spoils it."""
MIN_REFERENCE_WEEKS = 4
LOOKBACK = 8


@dataclass(frozen=True)
class Window:
    """Which weeks of the window hold transactions, as indices.

    `weeks` are the reference weeks that do, ascending; `scored` is the last week of the window.
    """

    weeks: tuple[int, ...]
    scored: int

    @property
    def first(self) -> int:
        """The first week with transactions."""
        return self.weeks[0] if self.weeks else self.scored

    @property
    def available(self) -> int:
        """Reference weeks with transactions."""
        return len(self.weeks)

    @property
    def has_history(self) -> bool:
        """Whether own history can be judged at all."""
        return self.available >= MIN_REFERENCE_WEEKS

    @property
    def baseline(self) -> slice:
        """Weeks t-12 to t-4 of a full window; the oldest ones, at least four, of a shorter one."""
        span = self.scored - self.first
        length = max(span - LAG, min(span, MIN_REFERENCE_WEEKS))
        return slice(self.first, self.first + length)

    @property
    def lookback(self) -> int:
        """Weeks without a transaction in a category after which a customer is new to it."""
        return min(LOOKBACK, max(3, self.scored - self.first - 4))

    @property
    def newcomer_weeks(self) -> tuple[int, ...]:
        """The weeks whose newcomers are counted: the scored one and up to six before it."""
        start = min(max(self.first + self.lookback, self.scored - 6), self.scored - 1)
        return (*(week for week in self.weeks if week >= start), self.scored)


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
    risky: frozenset[int]


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
