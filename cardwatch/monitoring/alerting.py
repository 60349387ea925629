"""Alerts: who is told what, once, and when it is over.

Sending never fails the command that it follows, and holds it up no longer than
``alerts.timeout_seconds`` in all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from zoneinfo import ZoneInfo

from filelock import FileLock, Timeout

import cardwatch
from cardwatch.config import Config, secret_values
from cardwatch.errors import CardwatchError
from cardwatch.logs import SECRET_MASK, mask_card_numbers
from cardwatch.monitoring.alert_state import (
    SEVERITIES,
    STATE_NAME,
    AlertState,
    Message,
    Problem,
    Severity,
    StateFile,
)
from cardwatch.monitoring.channels import Channel, channels_of
from cardwatch.monitoring.settings import AlertSettings, MonitoringSettings, QuietHours

_SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Delivery:
    """What became of a message to one channel; `problem` is empty where it was taken."""

    channel: str
    problem: str = ""


class Alerter:
    """Tells the channels of problems, of each once, and of their end.

    Parameters
    ----------
    clock : callable
        Returns the present moment, aware.
    """

    def __init__(
        self,
        config: Config,
        settings: MonitoringSettings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._settings = settings.alerts
        self._clock = clock
        self._channels = channels_of(config, settings.alerts)
        hidden = {
            *secret_values(config),
            *(word for each in self._channels for word in each.secrets),
        }
        self._secrets = [each for each in sorted(hidden) if len(each) >= _SHORTEST_SECRET]
        self._path = settings.alerts.state or config.output.directory / STATE_NAME

    def tell(self, problems: Iterable[Problem], scope: str) -> tuple[Delivery, ...]:
        """Tell every channel what it does not know yet, and what is over.

        Parameters
        ----------
        problems : iterable of Problem
            All that there are now in the scope; their keys begin with it. Those under
            ``monitoring.alert_threshold`` are left out. Problems of other scopes stay as they were.
        scope : str
            ``run`` or ``health:``.

        Returns
        -------
        tuple of Delivery
            One for each channel that was written to.
        """
        if not self._channels:
            return ()
        until = monotonic() + self._settings.timeout_seconds
        lock = FileLock(f"{self._path}.lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=self._settings.timeout_seconds)
        except (OSError, Timeout):
            return (Delivery("alerts", f"{self._path} is not to be had"),)
        try:
            file = StateFile.read(self._path)
            keys = [each.key for each in self._channels]
            file.state.update(self._worth_telling(problems), scope, keys)
            deliveries = self._tell_all(file.state, until)
            file.write()
        except CardwatchError as error:
            return (Delivery("alerts", error.message),)
        finally:
            lock.release()
        return deliveries

    def test(self) -> tuple[Delivery, ...]:
        """Send a test to every channel, whatever it knows."""
        place = f"{self._config.environment}, version {cardwatch.__version__}"
        text = f"This is a test from Cardwatch ({place}). Nothing is wrong."
        messages = [_Letter(each, "Cardwatch test alert", text, "info") for each in self._channels]
        return self._send(messages, monotonic() + self._settings.timeout_seconds)

    def _worth_telling(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return the problems that are grave enough, without what nobody may read."""
        least = SEVERITIES[self._config.monitoring.alert_threshold]
        return [
            replace(each, title=self._masked(each.title), text=self._masked(each.text))
            for each in problems
            if SEVERITIES[each.severity] >= least
        ]

    def _tell_all(self, state: AlertState, until: float) -> tuple[Delivery, ...]:
        moment = self._clock()
        quiet = is_quiet(self._settings.quiet_hours, moment)
        letters, told = [], {}
        for channel in self._channels:
            knows = state.of(channel.key)
            message = knows.message(state.lasting, is_quiet=quiet)
            if message and not knows.is_full(self._settings.max_per_hour, moment):
                letters.append(self._letter(channel, message))
                told[channel.name] = (knows, message)
        deliveries = self._send(letters, until)
        for delivery in deliveries:
            if not delivery.problem:
                knows, message = told[delivery.channel]
                knows.learn(message, moment)
        return deliveries

    def _letter(self, channel: Channel, message: Message) -> _Letter:
        severity: Severity = "info"
        for each in message.news:
            severity = max(severity, each.severity, key=SEVERITIES.__getitem__)
        titles = [each.title for each in message.news]
        titles += [f"resolved: {each.title}" for each in message.over]
        more = f" and {len(titles) - 1} more" if len(titles) > 1 else ""
        parts = [f"{each.severity.upper()}: {each.title}\n{each.text}" for each in message.news]
        parts += [f"RESOLVED: {each.title}" for each in message.over]
        title = f"[{self._config.environment}] {titles[0]}{more}"
        return _Letter(channel, title, "\n\n".join(parts), severity)

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, SECRET_MASK)
        return mask_card_numbers(text)

    def _send(self, letters: Sequence[_Letter], until: float) -> tuple[Delivery, ...]:
        """Send to all channels side by side: a dead one does not keep the others waiting."""
        senders = [_Sender(each, self._settings) for each in letters]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(max(0.0, until - monotonic()))
        late = f"no answer within {self._settings.timeout_seconds:g} seconds"
        return tuple(
            Delivery(
                sender.letter.channel.name,
                late if sender.problem is None else self._masked(sender.problem),
            )
            for sender in senders
        )


@dataclass(frozen=True)
class _Letter:
    """A message as one channel gets it."""

    channel: Channel
    title: str
    text: str
    severity: Severity


class _Sender(threading.Thread):
    """Sends one message; may be left behind when the time is over."""

    def __init__(self, letter: _Letter, settings: AlertSettings) -> None:
        super().__init__(name="alert", daemon=True)
        self.letter = letter
        self._settings = settings
        self.problem: str | None = None

    def run(self) -> None:
        letter = self.letter
        try:
            self.problem = letter.channel.send(
                letter.title,
                letter.text,
                letter.severity,
                attempts=self._settings.attempts,
                wait_seconds=self._settings.wait_seconds,
            )
        except Exception as error:
            self.problem = f"sending failed ({type(error).__name__})"


def is_quiet(hours: QuietHours, moment: datetime) -> bool:
    """Whether a moment falls into the quiet hours, which may go over midnight.

    Examples
    --------
    >>> from datetime import time as TimeOfDay
    >>> night = QuietHours(begin=TimeOfDay(22), end=TimeOfDay(6), timezone="UTC")
    >>> is_quiet(night, datetime(2025, 11, 17, 23, tzinfo=UTC))
    True
    >>> is_quiet(night, datetime(2025, 11, 17, 6, tzinfo=UTC))
    False
    """
    now = moment.astimezone(ZoneInfo(hours.timezone)).time().replace(tzinfo=None)
    if hours.begin <= hours.end:
        return hours.begin <= now < hours.end
    return now >= hours.begin or now < hours.end
