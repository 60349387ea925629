"""Which weeks of the window hold transactions, and which of them serve as a baseline."""

from __future__ import annotations

from dataclasses import dataclass

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
