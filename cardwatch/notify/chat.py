"""Chat channels and whatever else takes a short text, through the library apprise."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlencode, urlsplit

from apprise import Apprise, AppriseAsset, NotifyType

from cardwatch.errors import ConfigurationError
from cardwatch.notify.message import one_line

Kind = Literal["info", "warn", "critical"]

_SLACK_HOST = "hooks.slack.com"
_KINDS = {
    "info": NotifyType.INFO,
    "warn": NotifyType.WARNING,
    "critical": NotifyType.FAILURE,
}
_PAYLOAD = {":message": "text", ":title": "", ":version": "", ":type": "", ":attachments": ""}
"""What a chat server that takes Slack's webhooks reads of apprise's JSON message."""


@dataclass(frozen=True)
class ChatChannel:
    """One channel.

    Attributes
    ----------
    name : str
        For people: what it is and where, without a secret.
    url : str
        For apprise; holds secrets.
    """

    name: str
    url: str = field(repr=False)

    @property
    def key(self) -> str:
        """What a record knows it by: a digest, so that no secret is written down."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def secrets(self) -> Sequence[str]:
        """What of its address must not be read anywhere."""
        password = urlsplit(self.url).password or ""
        return (self.url, password, unquote(password))

    def send(
        self, title: str, text: str, kind: Kind, /, *, attempts: int, wait_seconds: float = 0.0
    ) -> str:
        """Send a message; returns what went wrong, empty where it was taken.

        A channel that fails is tried again after `wait_seconds`. A server that asks for more
        patience than all attempts have gets it: nothing more is sent until the next occasion.
        """
        asset = AppriseAsset(
            app_id="Cardwatch",
            app_desc="Card portfolio anomaly detection",
            app_url="",
            secure_logging=True,
            async_mode=False,
            default_service_retry=attempts - 1,
            default_service_wait=wait_seconds,
        )
        sender = Apprise(asset=asset)
        if not sender.add(self.url):
            return "its address is not one that apprise understands"
        # No time-out of apprise's own: it would send from a thread that the process waits for.
        result = sender.notify(body=text, title=title, notify_type=_KINDS[kind])
        if result:
            return ""
        said = [entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR")]
        return one_line(said[0]).rstrip(".") if said else "it was not taken"


def slack_channel(hook: str) -> ChatChannel:
    """Return the channel of a Slack webhook, or of a server that takes the same messages.

    Raises
    ------
    ConfigurationError
        If it is no URL.
    """
    parts = urlsplit(hook)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConfigurationError(
            "The Slack webhook is no URL",
            where="SLACK_WEBHOOK_URL",
            expected=f"https://{_SLACK_HOST}/services/…",
        )
    if parts.hostname == _SLACK_HOST:
        return ChatChannel("Slack", hook)
    scheme = "jsons" if parts.scheme == "https" else "json"
    return ChatChannel(
        f"Slack webhook at {parts.hostname}",
        f"{scheme}://{parts.netloc}{parts.path}?{urlencode(_PAYLOAD)}",
    )
