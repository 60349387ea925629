"""Recording what analysts found, checked against the lists, with the reasons they had seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cardwatch.config import Config
from cardwatch.errors import ConfigurationError
from cardwatch.history import Listing, read_list, read_manifests
from cardwatch.publish.ledgers import holding_ledgers
from cardwatch.publish.lock import Say
from cardwatch.review.ledger import LEDGER_FILE, added, ledger_bytes, read_reviews, standing
from cardwatch.review.sheet import NOT_LISTED, SheetLine, read_sheet, refuse
from cardwatch.review.verdicts import Review
from cardwatch.week import ReportingWeek


@dataclass(frozen=True)
class Recorded:
    """What became of some reviews.

    Attributes
    ----------
    new : tuple of Review
        Those that were added, with what was noted.
    known : int
        Those that were there already.
    replaced : tuple of Review
        Those that stood until now, of customers and weeks among `new`.
    """

    new: tuple[Review, ...]
    known: int
    replaced: tuple[Review, ...] = ()

    @property
    def without_reasons(self) -> int:
        """How many of the new ones teach nothing, because their list's reasons are not there."""
        return sum(not each.features for each in self.new)


@dataclass(frozen=True)
class SeenList:
    """A list as its analysts had it: who was on it, and which run made it."""

    customers: Mapping[str, Listing]
    run_id: str

    @classmethod
    def read(cls, folder: Path, week: ReportingWeek) -> SeenList | None:
        """Return the list of a week; None where it is packed or was never made."""
        listed = read_list(folder, week)
        if listed is None:
            return None
        run_id = next((run.run_id for run in read_manifests(folder, [week])), "")
        return cls({each.customer_id: each for each in listed}, run_id)

    def noted(self, review: Review) -> Review:
        """Return a review with the run and the features behind the reasons that were seen."""
        listing = self.customers.get(review.customer_id)
        features = listing.features if listing else ()
        run_id = review.run_id or self.run_id
        return review.model_copy(update={"run_id": run_id, "features": features})


def record_one(config: Config, review: Review, on_wait: Say | None = None) -> Recorded:
    """Record one review of a listed customer.

    Raises
    ------
    ConfigurationError
        If the customer is not on the list of that week.
    """
    folder, week = config.output.directory, review.week
    with holding_ledgers(folder, config.output.lock_timeout_seconds, on_wait=on_wait) as held:
        lists = _lists(folder, [review])
        if not _is_listed(review, lists):
            raise ConfigurationError(
                "The customer is not on the list of that week, so there is nothing to review",
                where=f"{folder}, week {week}",
                next_step="Ids are compared as they are written, capitals and zeros included",
            )
        recorded, content = _add(folder, [review], lists)
        if recorded.new:
            held.put(LEDGER_FILE, content)
    return recorded


def record_sheet(
    config: Config,
    content: bytes,
    where: str,
    *,
    reviewer: str,
    now: datetime,
    on_wait: Say | None = None,
) -> Recorded:
    """Record every verdict of a sheet, or none of them.

    Raises
    ------
    ConfigurationError
        If a line is bad, or about a customer who is not on the list; each one is named.
    """
    lines = read_sheet(content, where, reviewer=reviewer, now=now)
    folder = config.output.directory
    with holding_ledgers(folder, config.output.lock_timeout_seconds, on_wait=on_wait) as held:
        lists = _lists(folder, [each.review for each in lines])
        strangers = [each.line for each in lines if not _is_listed(each.review, lists)]
        refuse(dict.fromkeys(strangers, NOT_LISTED), where)
        fresh = _not_said_before(lines, read_reviews(folder))
        recorded, content = _add(folder, fresh, lists)
        if recorded.new:
            held.put(LEDGER_FILE, content)
    known = len(lines) - len(recorded.new)
    return Recorded(recorded.new, known, recorded.replaced)


def _lists(folder: Path, reviews: Iterable[Review]) -> dict[str, SeenList | None]:
    weeks = {review.reporting_week: review.week for review in reviews}
    return {label: SeenList.read(folder, week) for label, week in weeks.items()}


def _is_listed(review: Review, lists: Mapping[str, SeenList | None]) -> bool:
    """Whether the customer is on the list; nobody can tell where it was packed away."""
    seen = lists[review.reporting_week]
    return seen is None or review.customer_id in seen.customers


def _not_said_before(lines: Sequence[SheetLine], known: Sequence[Review]) -> list[Review]:
    """Leave out lines without a time of their own that say what stands already."""
    stands = {(each.customer_id, each.reporting_week): each for each in standing(known)}

    def says_the_same(review: Review) -> bool:
        before = stands.get((review.customer_id, review.reporting_week))
        return before is not None and _said(before) == _said(review)

    return [each.review for each in lines if each.is_timed or not says_the_same(each.review)]


def _said(review: Review) -> tuple[str, ...]:
    return (review.verdict, review.cause, review.action_taken, review.note, review.reviewer)


def _add(
    folder: Path, reviews: Sequence[Review], lists: Mapping[str, SeenList | None]
) -> tuple[Recorded, bytes]:
    """Return what is new of some reviews, and the ledger's content with them."""
    known = read_reviews(folder)
    seen = ((lists[each.reporting_week], each) for each in reviews)
    everything = added(known, (of.noted(each) if of else each for of, each in seen))
    new = everything[len(known) :]
    keys = {(each.customer_id, each.reporting_week) for each in new}
    replaced = tuple(
        each for each in standing(known) if (each.customer_id, each.reporting_week) in keys
    )
    return Recorded(new, len(reviews) - len(new), replaced), ledger_bytes(everything)
