"""The words an analyst closes a case with, and the record of one such decision."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cardwatch.week import ReportingWeek

Label = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")]
Words = Annotated[str, Field(max_length=2_000)]


class Verdict(StrEnum):
    """What a listed customer turned out to be; the value is what files and tables hold."""

    CONFIRMED_RISK = "confirmed_risk"
    OPPORTUNITY = "opportunity"
    EXPECTED = "expected"
    DATA_ERROR = "data_error"
    UNCLEAR = "unclear"

    @classmethod
    def read(cls, text: str) -> Verdict:
        """Return the verdict that a person wrote; raises ValueError where it is none.

        >>> Verdict.read(" Data error "), Verdict.read("confirmed-risk")
        (<Verdict.DATA_ERROR: 'data_error'>, <Verdict.CONFIRMED_RISK: 'confirmed_risk'>)
        """
        return cls(text.strip().lower().replace(" ", "_").replace("-", "_"))

    @property
    def sentence(self) -> str:
        """What the verdict says, for people."""
        return _SENTENCES[self]

    @property
    def is_hit(self) -> bool | None:
        """Whether listing the customer was worth it; None where nobody can tell.

        >>> Verdict("opportunity").is_hit, Verdict("expected").is_hit, Verdict("unclear").is_hit
        (True, False, None)
        """
        return None if self is Verdict.UNCLEAR else self in _HITS


_SENTENCES = {
    Verdict.CONFIRMED_RISK: "A risk, confirmed: fraud, abuse or a customer in difficulty",
    Verdict.OPPORTUNITY: "Business to win or to keep",
    Verdict.EXPECTED: "Real, and nothing to look at: the customer's life explains it",
    Verdict.DATA_ERROR: "Not what happened: the data was wrong",
    Verdict.UNCLEAR: "Looked at, and could not be told",
}
_HITS = frozenset({Verdict.CONFIRMED_RISK, Verdict.OPPORTUNITY})


class Review(BaseModel):
    """One decision about one listed customer of one week; never changed, only followed by another.

    Attributes
    ----------
    action_taken : str
        What was done about it; empty for nothing.
    run_id : str
        The run whose list the analyst had seen; empty where it is not known.
    features : tuple of str
        The features of the reasons on that list. They are noted with the verdict, so that what is
        learnt from it does not depend on lists that retention packs away.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    customer_id: Annotated[str, Field(min_length=1)]
    reporting_week: Label
    verdict: Verdict
    cause: Words = ""
    action_taken: Words = ""
    note: Words = ""
    reviewer: Annotated[str, Field(min_length=1, max_length=200)]
    reviewed_at: AwareDatetime
    run_id: str = ""
    features: tuple[str, ...] = ()

    @property
    def week(self) -> ReportingWeek:
        """The week of the list."""
        return ReportingWeek.parse(self.reporting_week)

    @property
    def teaches(self) -> bool:
        """Whether it says that listing the customer was worth it or not, and for which reasons."""
        return self.verdict.is_hit is not None and bool(self.features)


def telling(reviews: Iterable[Review]) -> tuple[Review, ...]:
    """Return the reviews that something can be learnt from."""
    return tuple(each for each in reviews if each.teaches)
