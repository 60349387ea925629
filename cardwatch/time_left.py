"""How long a run will still take, told from what an earlier run of the same folder took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cardwatch.manifest import RunManifest

UNRECORDED = ("publish", "notify")
"""Steps that a manifest cannot time, because it is written among them; they are short."""

_ENOUGH_SECONDS = 0.5
_FURTHEST = 10.0


@dataclass(frozen=True)
class Pace:
    """Seconds that each step took in an earlier run, in the order of the steps.

    Weeks differ in rows and machines in what else they do, so the figures are scaled by what this
    run's finished steps took against the earlier ones'. Nothing is estimated where a step to come
    was never timed.

    Examples
    --------
    >>> pace = Pace({"read": 1.0, "contract": 10.0, "features": 20.0})
    >>> pace.left({"read": 2.0}, "contract", 5.0)
    55.0
    >>> pace.left({"read": 2.0, "contract": 20.0}, "detect", 0.0) is None
    True
    """

    seconds: Mapping[str, float]

    @classmethod
    def of(cls, runs: Sequence[RunManifest], steps: Sequence[str]) -> Pace | None:
        """Return the pace of the run that was made last; None where there is none."""
        if not runs:
            return None
        last = max(runs, key=lambda run: run.started_at)
        return cls({name: last.seconds[name] for name in steps if name in last.seconds})

    def left(self, done: Mapping[str, float], step: str, spent: float) -> float | None:
        """Return the seconds to come; None where they cannot be told.

        Parameters
        ----------
        done : mapping
            Seconds of the steps that are finished.
        step : str
            The one under way, and `spent` the seconds it has taken.
        """
        if step in UNRECORDED:
            return 0.0
        if step not in self.seconds:
            return None
        names = list(self.seconds)
        scale = self._scale(done)
        now = max(self.seconds[step] * scale - spent, 0.0)
        return now + scale * sum(self.seconds[name] for name in names[names.index(step) + 1 :])

    def _scale(self, done: Mapping[str, float]) -> float:
        known = [name for name in done if name in self.seconds]
        before = sum(self.seconds[name] for name in known)
        if before < _ENOUGH_SECONDS:  # a tenth of a second says nothing of a minute
            return 1.0
        scale = sum(done[name] for name in known) / before
        return min(max(scale, 1 / _FURTHEST), _FURTHEST)


@dataclass
class Journey:
    """How far a run is: what its finished steps took, and when the one under way began."""

    pace: Pace | None
    done: dict[str, float] = field(default_factory=dict)
    step: str = ""
    begun: float = 0.0

    def begin(self, step: str, now: float) -> None:
        """Note that a step begins; `now` counts seconds from anywhere."""
        self.step, self.begun = step, now

    def left(self, now: float) -> float | None:
        """Return the seconds to come; None where they cannot be told."""
        if self.pace is None or not self.step or self.step in self.done:
            return None
        return self.pace.left(self.done, self.step, now - self.begun)


def in_words(seconds: float | None) -> str:
    """Return a time to come in words, no more precise than it is; nothing where it is not known.

    Examples
    --------
    >>> in_words(3.2), in_words(41), in_words(200), in_words(None)
    ('a few seconds left', 'about 40 s left', 'about 3 min left', '')
    """
    if seconds is None:
        return ""
    if seconds < 7.5:
        return "a few seconds left"
    if seconds < 90:
        return f"about {5 * round(seconds / 5)} s left"
    return f"about {round(seconds / 60)} min left"
