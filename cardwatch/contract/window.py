"""The weeks of a run, numbered as the engine's tables number them."""

from __future__ import annotations

from dataclasses import dataclass

from cardwatch.schema import Delivery
from cardwatch.week import ReportingWeek

PACKAGE = "cardwatch.contract"


@dataclass(frozen=True)
class Window:
    """The weeks from the oldest reference week (index 0) to the scored week (index `scored`)."""

    weeks: tuple[ReportingWeek, ...]

    @classmethod
    def of(cls, delivery: Delivery) -> Window:
        """Return the window a delivery was asked for."""
        oldest = min(delivery.reference_weeks, default=delivery.week)
        return cls(tuple(oldest.until(delivery.week)))

    @property
    def scored(self) -> int:
        """The scored week's index; also the number of reference weeks."""
        return len(self.weeks) - 1

    def index(self, week: ReportingWeek) -> int:
        """Return a week's index."""
        return week - self.weeks[0]
