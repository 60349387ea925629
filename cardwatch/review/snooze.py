"""Customers whom somebody looks after, and who need not be listed again for the same reason.

``snoozes.jsonl`` beside the lists holds them, one per line, oldest first; lines are only added. Of
a customer's snoozes of one scope the last stands, and one that `is_over` ends it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cardwatch.review.ledger import read_lines
from cardwatch.review.verdicts import Label, Words
from cardwatch.schema import RISK_CATEGORIES, RiskCategory
from cardwatch.week import ReportingWeek

SNOOZE_FILE = "snoozes.jsonl"
Scope = Literal["customer", "family", "mcc"]


class Snooze(BaseModel):
    """One decision not to list a customer for a while.

    Attributes
    ----------
    reporting_week : str
        The list it was decided on; it concerns the weeks after it.
    family, mcc : str
        The reasons it is about: all of a family, or those about a merchant category; empty for
        whatever led the list then.
    until : datetime.date
        The last day a concerned week may begin on.
    leading_family, risk_category : str
        The family of the leading reason, and the category, on that list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    customer_id: Annotated[str, Field(min_length=1)]
    reporting_week: Label
    family: str = ""
    mcc: str = ""
    owner: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Annotated[Words, Field(min_length=1)]
    until: date
    leading_family: str
    risk_category: RiskCategory
    noted_at: AwareDatetime
    is_over: bool = False

    @property
    def scope(self) -> Scope:
        """What it is about."""
        return "family" if self.family else "mcc" if self.mcc else "customer"

    @property
    def key(self) -> tuple[str, str, str]:
        """What a later snooze must share to stand in the place of this one."""
        return self.customer_id, self.family, self.mcc

    def concerns(self, week: ReportingWeek) -> bool:
        """Whether a week is one of those it was meant for."""
        return ReportingWeek.parse(self.reporting_week) < week and week.monday <= self.until


@dataclass(frozen=True)
class Seen:
    """What a scored week says of a customer: the leading reason and the category."""

    family: str
    mcc: str
    risk_category: RiskCategory


def sleeps(snooze: Snooze, seen: Seen) -> bool:
    """Whether a snooze holds: not where another reason leads, nor where the category has risen."""
    if RISK_CATEGORIES.index(seen.risk_category) < RISK_CATEGORIES.index(snooze.risk_category):
        return False
    if snooze.scope == "mcc":
        return seen.mcc == snooze.mcc
    return seen.family == (snooze.family or snooze.leading_family)


def read_snoozes(folder: Path) -> tuple[Snooze, ...]:
    """Return all snoozes of an output folder in the order they were given; none without the file.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a line in it is no snooze.
    """
    return read_lines(folder / SNOOZE_FILE, Snooze)


def standing_snoozes(snoozes: Iterable[Snooze]) -> tuple[Snooze, ...]:
    """Return the snoozes that stand and are not over, by customer and scope."""
    latest = {each.key: each for each in snoozes}
    return tuple(latest[key] for key in sorted(latest) if not latest[key].is_over)
