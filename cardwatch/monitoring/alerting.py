"""Alerts: who is told what, once, and when it is over.

Sending never fails the command that it follows, and holds it up no longer than
``alerts.timeout_seconds`` in all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
    ChannelState,
    Problem,
    Severity,
    StateFile,
)
from cardwatch.monitoring.channels import Channel, channels_of
from cardwatch.monitoring.settings import MonitoringSettings, QuietHours

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
        self._secrets = [each for each in secret_values(config) if len(each) >= _SHORTEST_SECRET]
        self._path = settings.alerts.state or config.output.directory / STATE_NAME

    def tell(self, problems: Iterable[Problem], scope: str) -> tuple[Delivery, ...]:
        """Tell every channel what it does not know yet of the problems of one scope.

        Parameters
        ----------
        problems : iterable of Problem
            All that there are now in the scope; their keys begin with it. Those under
            ``monitoring.alert_threshold`` are left out.
        scope : str
            ``run`` or ``health:``.

        Returns
        -------
        tuple of Delivery
            One for each channel that was written to.
        """
        least = SEVERITIES[self._config.monitoring.alert_threshold]
        grave = [each for each in problems if SEVERITIES[each.severity] >= least]
        if not self._channels:
            return ()
        lock = FileLock(f"{self._path}.lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=self._settings.timeout_seconds)
        except (OSError, Timeout):
            return (Delivery("alerts", f"{self._path} is not to be had"),)
        try:
            file = StateFile.read(self._path)
            deliveries = self._all_at_once(file.state, grave, scope)
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
        return self._send([(each, "Cardwatch test alert", text, "info") for each in self._channels])

    def _all_at_once(
        self, state: AlertState, problems: Sequence[Problem], scope: str
    ) -> tuple[Delivery, ...]:
        moment = self._clock()
        quiet = is_quiet(self._settings.quiet_hours, moment)
        due: dict[str, tuple[Channel, list[Problem]]] = {}
        messages = []
        for channel in self._channels:
            knows = state.of(channel.key)
            told = [each for each in problems if not quiet or each.severity == "critical"]
            news, over = knows.news(told), [] if quiet else knows.resolved(problems, scope)
            if (news or over) and not knows.is_full(self._settings.max_per_hour, moment):
                due[channel.name] = (channel, told)
                messages.append((channel, *self._message(news, over)))
        deliveries = self._send(messages)
        for delivery in deliveries:
            if not delivery.problem:
                receiver, known = due[delivery.channel]
                _learn(state.of(receiver.key), known, problems, scope, moment)
        return deliveries

    def _message(self, news: Sequence[Problem], over: Sequence[str]) -> tuple[str, str, Severity]:
        severity: Severity = "info"
        for each in news:
            severity = max(severity, each.severity, key=SEVERITIES.__getitem__)
        first = news[0].title if news else f"resolved: {over[0]}"
        more = len(news) + len(over) - 1
        title = f"[{self._config.environment}] {first}" + (f" and {more} more" if more else "")
        parts = [f"{each.severity.upper()}: {each.title}\n{each.text}" for each in news]
        parts += [f"RESOLVED: {title}" for title in over]
        return self._masked(title), self._masked("\n\n".join(parts)), severity

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, SECRET_MASK)
        return mask_card_numbers(text)

    def _send(self, messages: Sequence[tuple[Channel, str, str, Severity]]) -> tuple[Delivery, ...]:
        """Send to all channels side by side: a dead one does not keep the others waiting."""
        senders = [
            _Sender(message, self._settings.attempts, self._settings.timeout_seconds)
            for message in messages
        ]
        until = monotonic() + self._settings.timeout_seconds
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(max(0.0, until - monotonic()))
        return tuple(
            Delivery(
                sender.channel.name,
                self._masked(
                    f"no answer within {self._settings.timeout_seconds:g} seconds"
                    if sender.problem is None
                    else sender.problem
                ),
            )
            for sender in senders
        )


class _Sender(threading.Thread):
    """Sends one message; may be left behind when the time is over."""

    def __init__(
        self, message: tuple[Channel, str, str, Severity], attempts: int, timeout: float
    ) -> None:
        super().__init__(name="alert", daemon=True)
        self.channel, self._title, self._text, self._severity = message
        self._attempts = attempts
        self._timeout = timeout
        self.problem: str | None = None

    def run(self) -> None:
        try:
            self.problem = self.channel.send(
                self._title,
                self._text,
                self._severity,
                attempts=self._attempts,
                timeout=self._timeout,
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


def _learn(
    knows: ChannelState,
    told: Sequence[Problem],
    problems: Sequence[Problem],
    scope: str,
    moment: datetime,
) -> None:
    """Record what a channel was told; what waits for the morning is not known to it yet."""
    waiting = {
        each.key: knows.known[each.key]
        for each in problems
        if each not in told and each.key in knows.known
    }
    knows.learn(told, scope, moment)
    knows.known |= waiting
