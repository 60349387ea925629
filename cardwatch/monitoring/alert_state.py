"""What was told to whom: problems, and per channel which of them it knows.

The state survives restarts. A problem is known by a key; it is told again only when its severity or
its kind has changed, and its end is told to those who know of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from cardwatch.monitoring.whole_files import write_whole

Severity = Literal["info", "warn", "critical"]
SEVERITIES: Mapping[Severity, int] = {"info": 0, "warn": 1, "critical": 2}
STATE_NAME = "alert_state.json"
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Problem:
    """Something somebody should know.

    Attributes
    ----------
    key : str
        What it is about: ``run``, ``health:disk``.
    severity : {"info", "warn", "critical"}
    title : str
        One line.
    text : str
        What was found and what to do; may change from time to time without being news.
    is_event : bool
        It has happened, and does not last: nothing is resolved later.
    """

    key: str
    severity: Severity
    title: str
    text: str
    is_event: bool = False

    @property
    def sign(self) -> str:
        """What makes it another problem when it changes."""
        return f"{self.severity}: {self.title}"


class _Known(BaseModel):
    model_config = ConfigDict(extra="ignore")

    sign: str
    severity: Severity = "warn"
    title: str = ""


class ChannelState(BaseModel):
    """What one channel was told: problems by key, events that wait, and when it was written to."""

    model_config = ConfigDict(extra="ignore")

    known: dict[str, _Known] = {}
    sent: list[AwareDatetime] = []

    def news(self, problems: Sequence[Problem]) -> list[Problem]:
        """Return the problems that this channel does not know as they are now."""
        return [
            each
            for each in problems
            if each.key not in self.known or self.known[each.key].sign != each.sign
        ]

    def resolved(self, problems: Sequence[Problem], scope: str) -> list[str]:
        """Return the titles of problems of a scope that it knows and that are gone."""
        now = {each.key for each in problems}
        return [
            each.title or key
            for key, each in self.known.items()
            if key.startswith(scope) and key not in now
        ]

    def learn(self, problems: Sequence[Problem], scope: str, moment: datetime) -> None:
        """Record that it was told of these problems, and that others of the scope are gone."""
        now = {each.key for each in problems}
        self.known = {
            key: each for key, each in self.known.items() if not key.startswith(scope) or key in now
        }
        for each in problems:
            if not each.is_event:
                self.known[each.key] = _Known(
                    sign=each.sign, severity=each.severity, title=each.title
                )
        self.sent = [*(each for each in self.sent if moment - each < _HOUR), moment]

    def is_full(self, most: int, moment: datetime) -> bool:
        """Whether it got as many messages within the last hour as it may."""
        return len([each for each in self.sent if moment - each < _HOUR]) >= most


class AlertState(BaseModel):
    """Every channel's state, by a digest of its address, and events that nobody could be told."""

    model_config = ConfigDict(extra="ignore")

    version: int = 1
    channels: dict[str, ChannelState] = {}

    def of(self, channel: str) -> ChannelState:
        """Return the state of a channel, a new one where there is none yet."""
        return self.channels.setdefault(channel, ChannelState())


@dataclass
class StateFile:
    """The state on disk. What cannot be read is begun anew: then a problem may be told twice."""

    path: Path
    state: AlertState = field(default_factory=AlertState)

    @classmethod
    def read(cls, path: Path) -> StateFile:
        """Read the state, an empty one where there is none or it is damaged."""
        try:
            return cls(path, AlertState.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            return cls(path)

    def write(self) -> None:
        """Write the state by rename.

        Raises
        ------
        PublishError
            If it cannot be written.
        """
        write_whole(self.path, self.state.model_dump_json(indent=2) + "\n", mode=0o600)
