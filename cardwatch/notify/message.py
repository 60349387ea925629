"""What there is to tell, in numbers and words, whatever the channel.

Everything in a `ListNotice` is read from published files, so that telling it again tells the same.
Ids are already as readers may see them.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from cardwatch.logs import mask_card_numbers
from cardwatch.week import Numbering, ReportingWeek

Kind = Literal["list", "failure"]

_LONGEST_ERROR = 600


@dataclass(frozen=True)
class Figure:
    """A headline figure with that of the week before, None where there is none."""

    label: str
    value: int
    before: int | None = None

    @property
    def change(self) -> str:
        """The figure of the week before, in words."""
        return "" if self.before is None else f"{self.before:,} the week before"


@dataclass(frozen=True)
class Listed:
    """A customer of the list.

    Attributes
    ----------
    name : str
        The id, masked where it has to be.
    standing : str
        ``new``, ``back``, or the rank on the list before, in words; empty where not known.
    spend, usual_spend : str
        Amounts as people read them; `usual_spend` is empty where nothing is usual yet.
    chart : bytes
        A picture of the customer's weeks, PNG; empty where there is none. `chart_text` says the
        same in words.
    """

    rank: int
    name: str
    category: str
    signal: str
    standing: str
    spend: str
    usual_spend: str
    transactions: str
    reasons: tuple[str, ...]
    chart: bytes = field(default=b"", repr=False)
    chart_text: str = ""

    @property
    def reason(self) -> str:
        """The first reason, empty if there is none."""
        return self.reasons[0] if self.reasons else ""


@dataclass(frozen=True)
class Left:
    """A customer of the list before who is not on this one, and why."""

    earlier_rank: int
    name: str
    why: str


@dataclass(frozen=True)
class ListNotice:
    """A week's list, for its readers.

    Attributes
    ----------
    list_digest : str
        SHA-256 of the published list: what makes it another list.
    before : ReportingWeek or None
        The week that `new`, `back`, `gone` and the figures are compared with.
    remarks : tuple of str
        What readers should know about the week.
    attachment : bytes
        The list as CSV; empty where none is attached.
    is_revision : bool
        Whether another list of the week was told before.
    """

    week: ReportingWeek
    numbering: Numbering
    environment: str
    run_id: str
    version: str
    list_digest: str
    figures: tuple[Figure, ...]
    listed: tuple[Listed, ...]
    details: int
    before: ReportingWeek | None
    new: int
    back: int
    gone: tuple[Left, ...]
    remarks: tuple[str, ...]
    coverage: str
    currency: str
    is_masked: bool
    link: str = ""
    attachment: bytes = field(default=b"", repr=False)
    attachment_name: str = ""
    is_revision: bool = False

    kind: ClassVar[Kind] = "list"

    @property
    def key(self) -> str:
        """What tells this notice from others of its kind and week."""
        return self.list_digest

    @property
    def label(self) -> str:
        """The week as people see it."""
        return self.week.display(self.numbering)

    @property
    def headline(self) -> str:
        """The list in a few words, with what changed since the week before where that is known."""
        found = f"{len(self.listed):,} listed" if self.listed else "nobody is listed"
        if self.before is None:
            return found
        return ", ".join([found, *self._changes()])

    @property
    def sentence(self) -> str:
        """The same in a sentence."""
        count = len(self.listed)
        customers = (
            f"{count:,} customer{' is' if count == 1 else 's are'}" if count else "Nobody is"
        )
        found = f"{customers} on the list"
        if self.before is None:
            return f"{found}; there is no list of the week before to compare it with."
        return f"{found}. Since the week before: {', '.join(self._changes())}."

    def _changes(self) -> list[str]:
        changes = ((self.new, "new"), (self.back, "back"), (len(self.gone), "gone"))
        return [f"{each:,} {word}" for each, word in changes if each] or ["nobody new or gone"]

    @property
    def subject(self) -> str:
        """One line, without a customer in it."""
        revised = "revised: " if self.is_revision else ""
        return f"[{self.environment}] {revised}Card anomalies, week {self.label}: {self.headline}"


@dataclass(frozen=True)
class FailureNotice:
    """A run that failed, in short.

    Attributes
    ----------
    step : str
        The step that failed; ``start`` before the first one.
    error : str
        The line that the command ended with.
    log : str
        Where the log is.
    last_list : str
        The newest list that there is, as people see it; empty where there is none.
    """

    week: ReportingWeek
    numbering: Numbering
    environment: str
    command: str
    step: str
    exit_code: int
    error: str
    run_id: str
    log: str
    last_list: str = ""

    kind: ClassVar[Kind] = "failure"

    @property
    def key(self) -> str:
        """What tells this notice from others of its kind and week."""
        return f"{self.step}, exit code {self.exit_code}"

    @property
    def label(self) -> str:
        """The week as people see it."""
        return self.week.display(self.numbering)

    @property
    def headline(self) -> str:
        """What happened, in one clause."""
        return f"there is no new list, the run failed in step {self.step}"

    @property
    def subject(self) -> str:
        """One line."""
        return f"[{self.environment}] Card anomalies, week {self.label}: failed in step {self.step}"

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What to look at, as pairs of a name and a text."""
        pairs = (
            ("Command", f"{self.command}, exit code {self.exit_code}"),
            ("Step", self.step),
            ("Error", one_line(self.error, _LONGEST_ERROR)),
            ("Run", self.run_id or "none yet"),
            ("Log", self.log),
            ("Newest list", self.last_list or "none"),
        )
        return tuple((name, text) for name, text in pairs if text)


Notice = ListNotice | FailureNotice


def identity(notice: Notice) -> str:
    """Return what a notice is known by, the same whenever it is made: 32 hexadecimal digits."""
    parts = (notice.environment, notice.week.label, notice.kind, notice.key)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def plain(text: str) -> str:
    r"""Return text without characters that a reader cannot see, and without card numbers.

    Line ends, other control characters and those that turn the direction of text become a question
    mark in a diamond, so that an id can neither forge a line nor hide a part of itself.

    Examples
    --------
    >>> plain("C-1\r\nBcc: all")
    'C-1��Bcc: all'
    """
    shown = "".join("\ufffd" if unicodedata.category(c) in _UNSEEN else c for c in text)
    return mask_card_numbers(shown)


_UNSEEN = ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")


def one_line(text: str, longest: int = 200) -> str:
    """Return text on one line, shortened where it is too long."""
    line = plain(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def masker(secrets: Sequence[str], mask: str, shortest: int = 4) -> Callable[[str], str]:
    """Return what replaces these secrets in a text; those under `shortest` characters stay."""
    hidden = sorted((each for each in secrets if len(each) >= shortest), key=len, reverse=True)

    def masked(text: str) -> str:
        for each in hidden:
            text = text.replace(each, mask)
        return text

    return masked
