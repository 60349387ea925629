"""What a notifier is, and what becomes of a notice on its way to a receiver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cardwatch.notify.message import Notice

Status = Literal["sent", "failed", "unsure"]
"""It was taken; it certainly was not; it was handed over, and no answer came."""

HandingOver = Callable[[Sequence[str]], None]
"""Told the receivers right before the text is handed over; what it raises stops that."""


@dataclass(frozen=True)
class Outcome:
    """What became of a notice to one receiver.

    Attributes
    ----------
    problem : str
        One line; empty where it was taken.
    may_pass : bool
        Whether trying again in a moment may help; only of what certainly was not taken.
    """

    status: Status
    problem: str = ""
    may_pass: bool = False


SENT = Outcome("sent")


@dataclass(frozen=True)
class ToldByAlerts:
    """Who is told of a failed run by an alert, and so needs no notice of it.

    Attributes
    ----------
    addresses : frozenset of str
        Mail addresses, in small letters.
    chat : bool
        Whether alerts go to the chat channel.
    """

    addresses: frozenset[str] = frozenset()
    chat: bool = False


class Notifier(Protocol):
    """Tells notices to its receivers, such as the addresses of a mail."""

    @property
    def name(self) -> str:
        """In the configuration, and in the record of what was told."""
        ...

    @property
    def place(self) -> str:
        """For people: what it is and through which server, without a secret."""
        ...

    def receivers(self, notice: Notice) -> tuple[str, ...]:
        """Return who is to be told, without a secret; empty where nobody is."""
        ...

    def send(
        self,
        notice: Notice,
        receivers: Sequence[str],
        *,
        handing_over: HandingOver,
        timeout: float,
    ) -> Mapping[str, Outcome]:
        """Try once to tell these receivers, and say what became of each; other than that, no error.

        Parameters
        ----------
        handing_over : callable
            See `HandingOver`.
        timeout : float
            Seconds that the server may take.

        Raises
        ------
        ConfigurationError
            If its settings do not say where to or how; nothing was sent.
        """
        ...
