"""The notifier that mails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cardwatch.config import NotifyConfig
from cardwatch.config.values import is_mail_address
from cardwatch.errors import ConfigurationError
from cardwatch.notify.base import HandingOver, Outcome, ToldByAlerts
from cardwatch.notify.letter import letter
from cardwatch.notify.mail import MailServer
from cardwatch.notify.message import FailureNotice, Notice


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class MailNotifier:
    """One mail to all its receivers, as text and as HTML.

    Parameters
    ----------
    alerts : ToldByAlerts
        Who gets no second mail about a failure.
    clock : callable
        Returns the present moment, aware.
    """

    config: NotifyConfig
    alerts: ToldByAlerts = ToldByAlerts()
    clock: Callable[[], datetime] = _now
    name: str = field(default="email", init=False)

    @property
    def place(self) -> str:
        """The server."""
        return MailServer.of(self.config).place

    def receivers(self, notice: Notice) -> tuple[str, ...]:
        """Return the addresses."""
        email = self.config.email
        if not email.to:
            raise ConfigurationError(
                "The mail has nobody to go to", where="notify.email.to", expected="mail addresses"
            )
        if not isinstance(notice, FailureNotice):
            return email.to
        if not email.on_failure:
            return ()
        wanted = email.failure_to or email.to
        return tuple(each for each in wanted if each.lower() not in self.alerts.addresses)

    def send(
        self,
        notice: Notice,
        receivers: Sequence[str],
        *,
        handing_over: HandingOver,
        timeout: float,
    ) -> Mapping[str, Outcome]:
        """Hand one message over to the mail server."""
        sender = sender_of(self.config)
        server = MailServer.of(self.config)
        if not server.host:
            raise ConfigurationError(
                "There is no mail server", where="notify.smtp_server", next_step="Set SMTP_SERVER"
            )
        message = letter(notice, sender, receivers, self.clock())
        return server.send(message, sender, receivers, timeout=timeout, handing_over=handing_over)


def sender_of(config: NotifyConfig) -> str:
    """Return the address that mail comes from.

    Raises
    ------
    ConfigurationError
        If neither the sender nor the account is a mail address.
    """
    sender = config.email.sender or config.smtp_user
    try:
        return is_mail_address(sender)
    except ValueError as error:
        raise ConfigurationError(
            "Mail has no address to come from",
            where="notify.email.sender",
            next_step="Set it, or SMTP_USER to a mail address",
        ) from error
