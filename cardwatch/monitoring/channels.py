"""The channels that alerts go to, through the library apprise: mail, Slack, others by URL."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

from apprise import Apprise, AppriseAsset, NotifyType

from cardwatch.config import Config
from cardwatch.errors import ConfigurationError
from cardwatch.monitoring.alert_state import Severity
from cardwatch.monitoring.settings import AlertSettings

_SLACK_HOST = "hooks.slack.com"
_KINDS = {
    "info": NotifyType.INFO,
    "warn": NotifyType.WARNING,
    "critical": NotifyType.FAILURE,
    "resolved": NotifyType.SUCCESS,
}
_PAYLOAD = {":message": "text", ":title": "", ":version": "", ":type": "", ":attachments": ""}
"""What a chat server that takes Slack's webhooks reads of apprise's JSON message."""


@dataclass(frozen=True)
class Channel:
    """One channel.

    Attributes
    ----------
    name : str
        For people: what it is and where, without a secret.
    url : str
        For apprise; holds secrets.
    """

    name: str
    url: str

    @property
    def key(self) -> str:
        """What the state knows it by: a digest, so that no secret is written down."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def secrets(self) -> Sequence[str]:
        """What of its address must not be read anywhere."""
        password = urlsplit(self.url).password or ""
        return (self.url, password, unquote(password))

    def send(
        self, title: str, text: str, severity: Severity, *, attempts: int, wait_seconds: float
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
        result = sender.notify(body=text, title=title, notify_type=_KINDS[severity])
        if result:
            return ""
        said = [entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR")]
        return _one_line(said[0]) if said else "it was not taken"


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
        found.append(_slack(hook.get_secret_value()))
    for number, each in enumerate(settings.channels, start=1):
        url = each.get_secret_value()
        parts = urlsplit(url)
        place = f" {parts.hostname}" if parts.hostname and "." in parts.hostname else ""
        found.append(Channel(f"channel {number}, {parts.scheme}{place}", url))
    return found


def _mail(config: Config, settings: AlertSettings) -> Channel:
    notify = config.notify
    sender = settings.mail_from or notify.smtp_user
    receivers = settings.mail_to or ((notify.smtp_user,) if "@" in notify.smtp_user else ())
    if "@" not in sender or not receivers:
        raise ConfigurationError(
            "Mail has no address to come from or to go to",
            where="alerts.mail_from and alerts.mail_to in config/monitoring_config.yaml",
            next_step="Set them, or SMTP_USER to a mail address",
        )
    secure = settings.smtp_security != "none"
    password = notify.smtp_password.get_secret_value() if notify.smtp_password else ""
    login = ""
    if password:
        login = f"{quote(notify.smtp_user, safe='')}:{quote(password, safe='')}@"
    query = {
        "from": f"Cardwatch <{sender}>",
        "to": ",".join(receivers),
        "format": "text",
        **({"mode": settings.smtp_security} if secure else {}),
    }
    scheme = "mailtos" if secure else "mailto"
    place = f"{notify.smtp_server}:{notify.smtp_port}"
    return Channel(
        f"mail through {place}", f"{scheme}://{login}{place}/?{urlencode(query, quote_via=quote)}"
    )


def _slack(hook: str) -> Channel:
    parts = urlsplit(hook)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConfigurationError(
            "The Slack webhook is no URL",
            where="SLACK_WEBHOOK_URL",
            expected=f"https://{_SLACK_HOST}/services/…",
        )
    if parts.hostname == _SLACK_HOST:
        return Channel("Slack", hook)
    scheme = "jsons" if parts.scheme == "https" else "json"
    query = urlencode(_PAYLOAD)
    return Channel(
        f"Slack webhook at {parts.hostname}", f"{scheme}://{parts.netloc}{parts.path}?{query}"
    )


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")[:200]
