"""Telling a notice through every notifier: to each receiver at most once, and recorded.

Guaranteed is *at most once*: a receiver who has a notice, or of whom nobody knows whether they have
it, is not sent the same one again unless a person asks for it. What certainly did not arrive is
sent at the next occasion. The record is written right before the text is handed over, under a lock,
so that neither a second process nor one that was killed in between changes that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from cardwatch.errors import CardwatchError
from cardwatch.notify.base import Notifier, Outcome
from cardwatch.notify.message import ListNotice, Notice
from cardwatch.notify.record import Entry, Record, read_record, telling, write_record
from cardwatch.notify.side_by_side import side_by_side

_FIRST_WAIT_SECONDS = 1.0
_GRACE_SECONDS = 1.0
"""How much longer than a server everything may take."""


@dataclass(frozen=True)
class Told:
    """What became of a notice through one notifier.

    Attributes
    ----------
    already : tuple of str
        Receivers who had it before, or may have had it (`unsure_before`); nothing was sent to them.
    problem : str
        What kept anything from being sent at all; empty otherwise.
    """

    channel: str
    place: str
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    already: tuple[str, ...] = ()
    unsure_before: tuple[str, ...] = ()
    problem: str = ""

    @property
    def sent(self) -> int:
        """How many receivers it was taken for just now."""
        return sum(each.status == "sent" for each in self.outcomes.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """What is in the way of its being everywhere, in words, each once."""
        found = [each.problem for each in self.outcomes.values() if each.status != "sent"]
        return tuple(dict.fromkeys(filter(None, (self.problem, *found))))

    @property
    def is_certain(self) -> bool:
        """Whether nothing is left that may or may not have arrived."""
        unsure = any(each.status == "unsure" for each in self.outcomes.values())
        return not unsure and not self.unsure_before

    @property
    def is_done(self) -> bool:
        """Whether every receiver has it."""
        return not self.problem and not self.unsure_before and self.sent == len(self.outcomes)


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Teller:
    """Tells notices through notifiers, and keeps the record in a folder.

    Parameters
    ----------
    again : bool
        Whether receivers are told who have been told already, or may have been.
    """

    folder: Path
    notifiers: Sequence[Notifier]
    attempts: int
    timeout_seconds: float
    again: bool = False
    clock: Callable[[], datetime] = now

    def tell(self, news: Callable[[], Notice]) -> tuple[Told, ...]:
        """Tell every receiver who does not know yet; whatever goes wrong is in what is returned.

        Parameters
        ----------
        news : callable
            Returns the notice; called only where somebody is to be told.
        """
        if not self.notifiers:
            return ()
        try:
            notice = news()
            with telling(self.folder, self.timeout_seconds + 2 * _GRACE_SECONDS):
                return self._tell(notice, read_record(self.folder, notice.week))
        except CardwatchError as error:
            return self._kept_by(error.message)
        except Exception as error:
            return self._kept_by(f"the notice could not be made ({type(error).__name__})")

    def _kept_by(self, problem: str) -> tuple[Told, ...]:
        return tuple(Told(each.name, _place_of(each), problem=problem) for each in self.notifiers)

    def _tell(self, notice: Notice, record: Record) -> tuple[Told, ...]:
        lock = threading.Lock()  # deliveries write the same record
        deliveries = [_Delivery(self, each, notice, record, lock) for each in self.notifiers]
        side_by_side([each.send for each in deliveries], self.timeout_seconds + _GRACE_SECONDS)
        told = tuple(each.close() for each in deliveries)
        if notice.kind == "list" and any(each.sent for each in told):
            record.forget("failure")
        if any(each.outcomes for each in told):
            write_record(self.folder, notice.week, record)
        return told


class _TooLateError(Exception):
    """Nobody waits for this delivery any more."""


class _Delivery:
    """One notice on its way through one notifier; may be left behind when the time is over."""

    def __init__(
        self,
        teller: Teller,
        notifier: Notifier,
        notice: Notice,
        record: Record,
        lock: threading.Lock,
    ) -> None:
        self._teller, self._notifier, self._record = teller, notifier, record
        self._notice, self._lock = notice, lock
        self._had: dict[str, str] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._already: list[str] = []
        self._unsure: list[str] = []
        self._problem = ""
        self._is_closed = False

    def send(self) -> None:
        """Send to whoever does not know yet, again where trying again may help."""
        try:
            due = self._due()
            until = monotonic() + self._teller.timeout_seconds
            for attempt in range(self._teller.attempts):
                if due:
                    due = self._attempt(due, until)
                wait = _FIRST_WAIT_SECONDS * (attempt + 1)
                if not due or monotonic() + wait >= until:
                    return
                if attempt + 1 < self._teller.attempts:
                    sleep(wait)
        except CardwatchError as error:
            self._problem = error.message
        except _TooLateError:
            return
        except Exception as error:
            self._problem = f"sending failed ({type(error).__name__})"

    def close(self) -> Told:
        """Say what became of it; from now on nothing more is handed over."""
        with self._lock:
            self._is_closed = True
            late = f"no answer within {self._teller.timeout_seconds:g} seconds"
            for receiver, outcome in self._outcomes.items():
                if not outcome.problem and outcome.status != "sent":
                    self._outcomes[receiver] = replace(outcome, problem=self._problem or late)
                self._put(receiver)
            return Told(
                self._notifier.name,
                _place_of(self._notifier),
                dict(self._outcomes),
                tuple(self._already),
                tuple(self._unsure),
                self._problem,
            )

    def _due(self) -> list[str]:
        due, again = [], self._teller.again
        for receiver in self._notifier.receivers(self._notice):
            known = self._known(receiver)
            self._had[receiver] = known.told_key if known else ""
            if known is not None and known.told_key == self._notice.key and not again:
                is_unsure = known.status == "unsure" and known.key == known.told_key
                (self._unsure if is_unsure else self._already).append(receiver)
            else:
                due.append(receiver)
                self._outcomes[receiver] = Outcome("failed")
        return due

    def _attempt(self, due: Sequence[str], until: float) -> list[str]:
        """Try once, and return who should be tried again."""
        notice = self._notice
        if isinstance(notice, ListNotice) and any(map(self._was_told_another, due)):
            notice = replace(notice, is_revision=True)
        outcomes = self._notifier.send(
            notice,
            due,
            handing_over=self._handing_over,
            timeout=max(0.1, until - monotonic()),
        )
        with self._lock:
            if self._is_closed:
                raise _TooLateError
            self._outcomes |= outcomes
        return [each for each, outcome in outcomes.items() if outcome.may_pass]

    def _handing_over(self, receivers: Sequence[str]) -> None:
        """Write down that these are about to get it, before they do."""
        with self._lock:
            if self._is_closed:
                raise _TooLateError
            for each in receivers:
                self._outcomes[each] = Outcome("unsure")
                self._put(each)
            write_record(self._teller.folder, self._notice.week, self._record)

    def _put(self, receiver: str) -> None:
        outcome, key = self._outcomes[receiver], self._notice.key
        self._record.put(
            Entry(
                kind=self._notice.kind,
                channel=self._notifier.name,
                receiver=receiver,
                key=key,
                run_id=self._notice.run_id,
                status=outcome.status,
                at=self._teller.clock(),
                problem=outcome.problem,
                told_key=self._had[receiver] if outcome.status == "failed" else key,
            )
        )

    def _known(self, receiver: str) -> Entry | None:
        return self._record.find(self._notice.kind, self._notifier.name, receiver)

    def _was_told_another(self, receiver: str) -> bool:
        return self._had[receiver] not in ("", self._notice.key)


def _place_of(notifier: Notifier) -> str:
    try:
        return notifier.place
    except CardwatchError:
        return notifier.name
