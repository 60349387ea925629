"""What there is to tell, and per channel what it was told. It survives restarts.

A problem is known by its key; it is told again only when its severity or its title has changed, and
its end is told to those who know of it. What could not be told yet, because a channel was dead, had
enough messages or is not to be woken, stays to be told at the next occasion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from cardwatch.whole_files import write_whole

Severity = Literal["info", "warn", "critical"]
SEVERITIES: Mapping[Severity, int] = {"info": 0, "warn": 1, "critical": 2}
STATE_NAME = "alert_state.json"
MOST_WAITING = 50
"""Events kept for a channel that is not to be had; older ones are dropped."""
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
    def sign(self) -> tuple[Severity, str]:
        """What makes it another problem when it changes."""
        return self.severity, self.title


@dataclass(frozen=True)
class Message:
    """What a channel is told at once: problems and events, and problems that are over."""

    news: Sequence[Problem]
    over: Sequence[Problem]

    def __bool__(self) -> bool:
        return bool(self.news or self.over)


class ChannelState(BaseModel):
    """One channel: the problems it knows, the events that wait, and when it was written to."""

    model_config = ConfigDict(extra="ignore")

    known: dict[str, Problem] = {}
    waiting: list[Problem] = []
    sent: list[AwareDatetime] = []

    def message(self, lasting: Mapping[str, Problem], *, is_quiet: bool) -> Message:
        """Return what it does not know yet; only what is critical where it `is_quiet`."""
        changed = [
            each
            for key, each in lasting.items()
            if key not in self.known or self.known[key].sign != each.sign
        ]
        news = [*changed, *self.waiting]
        if is_quiet:
            return Message([each for each in news if each.severity == "critical"], ())
        return Message(news, [each for key, each in self.known.items() if key not in lasting])

    def learn(self, told: Message, moment: datetime) -> None:
        """Record that it was told something."""
        over = {each.key for each in told.over}
        self.known = {key: each for key, each in self.known.items() if key not in over}
        self.known |= {each.key: each for each in told.news if not each.is_event}
        self.waiting = [each for each in self.waiting if each not in told.news]
        self.sent = [*(each for each in self.sent if moment - each < _HOUR), moment]

    def is_full(self, most: int, moment: datetime) -> bool:
        """Whether it got as many messages within the last hour as it may."""
        return len([each for each in self.sent if moment - each < _HOUR]) >= most


class AlertState(BaseModel):
    """The problems that last, by key, and every channel's state by a digest of its address."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[2] = 2
    lasting: dict[str, Problem] = {}
    channels: dict[str, ChannelState] = {}

    def of(self, channel: str) -> ChannelState:
        """Return the state of a channel, a new one where there is none yet."""
        return self.channels.setdefault(channel, ChannelState())

    def update(self, problems: Iterable[Problem], scope: str, channels: Iterable[str]) -> None:
        """Take over all that there is now of one scope; its events wait for every channel."""
        found = list(problems)
        self.lasting = {
            key: each for key, each in self.lasting.items() if not key.startswith(scope)
        }
        self.lasting |= {each.key: each for each in found if not each.is_event}
        events = [each for each in found if each.is_event]
        for key in channels:
            knows = self.of(key)
            knows.waiting = [*knows.waiting, *events][-MOST_WAITING:]


@dataclass
class StateFile:
    """The state on disk. What cannot be read is begun anew: then a problem may be told twice."""

    path: Path
    state: AlertState

    @classmethod
    def read(cls, path: Path) -> StateFile:
        """Read the state, an empty one where there is none or it is damaged."""
        try:
            return cls(path, AlertState.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            return cls(path, AlertState())

    def write(self) -> None:
        """Write the state by rename.

        Raises
        ------
        PublishError
            If it cannot be written.
        """
        write_whole(self.path, self.state.model_dump_json(indent=2) + "\n", mode=0o600)
