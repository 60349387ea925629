"""The notifier that tells a chat channel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cardwatch.config import NotifyConfig
from cardwatch.errors import ConfigurationError
from cardwatch.notify.base import SENT, HandingOver, Outcome, ToldByAlerts
from cardwatch.notify.chat import ChatChannel, Kind, slack_channel
from cardwatch.notify.message import FailureNotice, Notice
from cardwatch.notify.text import chat_text

_HTTP_ANSWER = re.compile(r"error=[0-9]{3}\b")


@dataclass(frozen=True)
class ChatNotifier:
    """One short message to a chat channel.

    Parameters
    ----------
    alerts : ToldByAlerts
        Whether a failure is told in the same channel already.
    """

    config: NotifyConfig
    alerts: ToldByAlerts = ToldByAlerts()
    name: str = field(default="chat", init=False)

    @property
    def place(self) -> str:
        """The chat server."""
        return self._channel().name

    def receivers(self, notice: Notice) -> tuple[str, ...]:
        """Return the one channel, by a digest of its address."""
        is_told = self.alerts.chat or not self.config.chat.on_failure
        if isinstance(notice, FailureNotice) and is_told:
            return ()
        return (self._channel().key,)

    def send(
        self,
        notice: Notice,
        receivers: Sequence[str],
        *,
        handing_over: HandingOver,
        timeout: float,
    ) -> Mapping[str, Outcome]:
        """Post one message; the library behind waits four seconds for an answer."""
        del timeout
        channel = self._channel()
        kind: Kind = "critical" if isinstance(notice, FailureNotice) else "info"
        handing_over(receivers)
        problem = channel.send("", chat_text(notice), kind, attempts=1)
        outcome = SENT
        if problem:
            # Without an HTTP status nobody knows whether the server has the message.
            answered = _HTTP_ANSWER.search(problem)
            outcome = Outcome("failed" if answered else "unsure", problem, may_pass=bool(answered))
        return dict.fromkeys(receivers, outcome)

    def _channel(self) -> ChatChannel:
        hook = self.config.slack_webhook_url
        if hook is None or not hook.get_secret_value():
            raise ConfigurationError(
                "There is no chat channel",
                where="notify.slack_webhook_url",
                next_step="Set SLACK_WEBHOOK_URL",
            )
        return slack_channel(hook.get_secret_value())
