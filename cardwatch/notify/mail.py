"""The mail server: one message, handed over once. Whoever sends mail sends it through this."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from cardwatch.config import NotifyConfig, SmtpSecurity
from cardwatch.notify.base import SENT, HandingOver, Outcome
from cardwatch.notify.message import one_line

SENDER_NAME = "Cardwatch"


@dataclass(frozen=True)
class MailServer:
    """A mail server and the account to use there.

    Attributes
    ----------
    user, password : str
        Used to log in where there is a password.
    """

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    security: SmtpSecurity = "starttls"

    @classmethod
    def of(cls, config: NotifyConfig, security: SmtpSecurity | None = None) -> MailServer:
        """Return the configured server."""
        password = config.smtp_password.get_secret_value() if config.smtp_password else ""
        return cls(
            config.smtp_server,
            config.smtp_port,
            config.smtp_user,
            password,
            security or config.smtp_security,
        )

    @property
    def place(self) -> str:
        """For people."""
        return f"mail through {self.host}:{self.port}"

    def send(
        self,
        message: EmailMessage,
        sender: str,
        receivers: Sequence[str],
        *,
        timeout: float,
        handing_over: HandingOver = lambda receivers: None,
    ) -> Mapping[str, Outcome]:
        """Hand a message over once, and say what became of it for each receiver.

        A receiver whom the server refuses keeps it from nobody else. What fails before the text is
        handed over, or is answered, is certain; no answer after that is `unsure`.
        """
        outcomes: dict[str, Outcome] = {}
        accepted: list[str] = []
        handed_over = False
        try:
            with self._connection(timeout) as server:
                _expect(server.mail(sender), 250)
                for each in receivers:
                    code, answer = server.rcpt(each)
                    if code in (250, 251):
                        accepted.append(each)
                    else:
                        outcomes[each] = _refused(code, answer)
                if accepted:
                    handing_over(accepted)
                    handed_over = True
                    _expect(server.data(message.as_bytes(policy=SMTP)), 250)
                    outcomes |= dict.fromkeys(accepted, SENT)
        except (smtplib.SMTPException, OSError, ssl.SSLError) as error:
            failed = _failure(error, handed_over)
            outcomes |= {each: failed for each in receivers if each not in outcomes}
        return outcomes

    @contextmanager
    def _connection(self, timeout: float) -> Iterator[smtplib.SMTP]:
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if self.security == "ssl":
            server = smtplib.SMTP_SSL(self.host, self.port, timeout=timeout, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=timeout)
        try:
            if self.security == "starttls":
                server.starttls(context=context)
            if self.password:
                server.login(self.user, self.password)
            else:
                server.ehlo_or_helo_if_needed()
            yield server
            with suppress(smtplib.SMTPException, OSError):  # the answer that counts is there
                server.quit()
        finally:
            server.close()


def envelope(
    sender: str, receivers: Sequence[str], subject: str, *, identifier: str, moment: datetime
) -> EmailMessage:
    """Return a message with its headers; none of them can hold a line end.

    Parameters
    ----------
    sender, receivers : str, sequence of str
        Checked addresses.
    identifier : str
        What makes the Message-ID: the same for the same message, so that mailboxes can tell.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(SENDER_NAME, addr_spec=sender)
    message["To"] = [Address(addr_spec=each) for each in receivers]
    message["Subject"] = one_line(subject)
    message["Date"] = format_datetime(moment)
    message["Message-ID"] = f"<{identifier}.cardwatch@{sender.rpartition('@')[2]}>"
    # RFC 3834, and what Exchange reads: no out-of-office notes in return.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    return message


def _expect(answer: tuple[int, bytes], code: int) -> None:
    if answer[0] != code:
        raise smtplib.SMTPResponseException(*answer)


def _refused(code: int, answer: bytes) -> Outcome:
    said = one_line(answer.decode(errors="replace"))
    return Outcome("failed", f"the server refused the receiver ({code} {said})", code < 500)


def _failure(error: Exception, handed_over: bool) -> Outcome:
    """Say what an error means; the most specific comes first."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return Outcome("failed", f"the server refused the login ({error.smtp_code})")
        case smtplib.SMTPNotSupportedError():
            return Outcome(
                "failed",
                f"the server does not offer what notify.smtp_security or the login needs:"
                f" {one_line(str(error))}",
            )
        case smtplib.SMTPResponseException():
            said = error.smtp_error
            text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
            answer = f"{error.smtp_code} {one_line(text)}".strip()
            return Outcome("failed", f"the server answered {answer}", 400 <= error.smtp_code < 500)
        case ssl.SSLCertVerificationError():
            return Outcome("failed", f"its certificate is not trusted: {error.verify_message}")
        case ssl.SSLError() if not handed_over:
            return Outcome("failed", "the connection could not be encrypted; see smtp_security")
    what = _silence(error)
    if handed_over:
        return Outcome("unsure", f"{what} after the message was handed over")
    return Outcome("failed", what, may_pass=True)


def _silence(error: Exception) -> str:
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "the server did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers there"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "the server closed the connection"
    reason = getattr(error, "strerror", None) or type(error).__name__
    return f"the server cannot be reached ({one_line(str(reason))})"
