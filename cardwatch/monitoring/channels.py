"""The channels that alerts go to: mail, Slack, and others by their URL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Protocol
from urllib.parse import urlsplit
from uuid import uuid4

from cardwatch.config import Config
from cardwatch.config.values import is_mail_address
from cardwatch.errors import ConfigurationError
from cardwatch.monitoring.alert_state import Severity
from cardwatch.monitoring.settings import AlertSettings
from cardwatch.notify.chat import ChatChannel, slack_channel
from cardwatch.notify.mail import MailServer, envelope


class Channel(Protocol):
    """Takes a message for everybody on it."""

    @property
    def name(self) -> str:
        """For people: what it is and where, without a secret."""
        ...

    @property
    def key(self) -> str:
        """What the state knows it by: a digest, so that no secret is written down."""
        ...

    @property
    def secrets(self) -> Sequence[str]:
        """What of its address must not be read anywhere."""
        ...

    def send(
        self, title: str, text: str, severity: Severity, /, *, attempts: int, wait_seconds: float
    ) -> str:
        """Send a message; returns what went wrong, empty where it was taken."""
        ...


@dataclass(frozen=True)
class MailChannel:
    """Mail to everybody who gets alerts, in one message; `timeout` is in seconds."""

    server: MailServer
    sender: str
    receivers: tuple[str, ...]
    timeout: float

    @property
    def name(self) -> str:
        """The server."""
        return self.server.place

    @property
    def key(self) -> str:
        """A digest of who gets it, and through which server."""
        content = [self.server.place, self.sender, *self.receivers]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    @property
    def secrets(self) -> Sequence[str]:
        """The password."""
        return (self.server.password,)

    def send(
        self, title: str, text: str, severity: Severity, /, *, attempts: int, wait_seconds: float
    ) -> str:
        """Send one mail, again to those for whom trying again may help."""
        del severity  # the text says it
        until, due = monotonic() + self.timeout, list(self.receivers)
        message = envelope(
            self.sender, due, title, identifier=uuid4().hex, moment=datetime.now(UTC)
        )
        message.set_content(text, cte="quoted-printable")
        problems: dict[str, str] = {}
        for attempt in range(attempts):
            left = max(0.1, until - monotonic())
            outcomes = self.server.send(message, self.sender, due, timeout=left)
            problems |= {each: outcome.problem for each, outcome in outcomes.items()}
            due = [each for each, outcome in outcomes.items() if outcome.may_pass]
            if not due or attempt + 1 == attempts or monotonic() + wait_seconds >= until:
                break
            sleep(wait_seconds)
        return next(filter(None, problems.values()), "")


def channels_of(config: Config, settings: AlertSettings) -> Sequence[Channel]:
    """Return the configured channels: mail, Slack, then the others.

    Raises
    ------
    ConfigurationError
        If mail has nobody to go to, or the Slack webhook is no URL.
    """
    found: list[Channel] = []
    if config.notify.smtp_server:
        found.append(_mail(config, settings))
    hook = config.notify.slack_webhook_url
    if hook and hook.get_secret_value():
        found.append(slack_channel(hook.get_secret_value()))
    for number, each in enumerate(settings.channels, start=1):
        url = each.get_secret_value()
        parts = urlsplit(url)
        place = f" {parts.hostname}" if parts.hostname and "." in parts.hostname else ""
        found.append(ChatChannel(f"channel {number}, {parts.scheme}{place}", url))
    return found


def mail_receivers(config: Config, settings: AlertSettings) -> tuple[str, ...]:
    """Return the addresses that alerts are mailed to; empty where there is no mail."""
    user = config.notify.smtp_user
    if not config.notify.smtp_server:
        return ()
    return settings.mail_to or ((user,) if "@" in user else ())


def _mail(config: Config, settings: AlertSettings) -> Channel:
    sender = settings.mail_from or config.notify.smtp_user
    receivers = mail_receivers(config, settings)
    if not receivers or not all(map(_is_address, (sender, *receivers))):
        raise ConfigurationError(
            "Mail has no address to come from or to go to",
            where="alerts.mail_from and alerts.mail_to in config/monitoring_config.yaml",
            next_step="Set them, or SMTP_USER to a mail address",
        )
    server = MailServer.of(config.notify, settings.smtp_security)
    return MailChannel(server, sender, receivers, settings.timeout_seconds)


def _is_address(text: str) -> bool:
    try:
        return bool(is_mail_address(text))
    except ValueError:
        return False
