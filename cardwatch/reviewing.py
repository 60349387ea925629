"""Recording what analysts found, checked against the lists, with the reasons they had seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cardwatch.config import Config
from cardwatch.errors import CardwatchError, ConfigurationError
from cardwatch.history import Listing, read_list, read_manifests
from cardwatch.outputs import week_of
from cardwatch.publish.archives import archives
from cardwatch.publish.database_reviews import read_stored_reviews
from cardwatch.publish.ledgers import holding_ledgers
from cardwatch.publish.lock import Say
from cardwatch.review.ledger import LEDGER_FILE, added, ledger_bytes, read_reviews, standing
from cardwatch.review.sheet import NOT_LISTED, SheetLine, read_sheet, refuse
from cardwatch.review.verdicts import Review
from cardwatch.week import ReportingWeek
from cardwatch.wiring import output_address


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
            seen = lists[review.reporting_week]
            raise ConfigurationError(
                "The customer is not on the list of that week, so there is nothing to review",
                where=f"{folder}, week {week}",
                next_step="Ids are compared as they are written, capitals and zeros included"
                if seen and seen.customers
                else "The folder has no list of that week, or nobody is on it",
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
    sheet = read_sheet(content, where, reviewer=reviewer, now=now)
    lines, folder = sheet.lines, config.output.directory
    with holding_ledgers(folder, config.output.lock_timeout_seconds, on_wait=on_wait) as held:
        lists = _lists(folder, [each.review for each in lines])
        fresh = _not_said_before(lines, read_reviews(folder))
        strangers = [each.line for each in fresh if not _is_listed(each.review, lists)]
        refuse({**dict.fromkeys(strangers, NOT_LISTED), **sheet.problems}, where)
        recorded, content = _add(folder, [each.review for each in fresh], lists)
        if recorded.new:
            held.put(LEDGER_FILE, content)
    known = len(lines) - len(recorded.new)
    return Recorded(recorded.new, known, recorded.replaced)


@dataclass(frozen=True)
class Taken:
    """What was taken over from the database; `unfit` are the ids of rows that are no review.

    `strangers` reviews are about customers who are not on the list of their week.
    """

    recorded: Recorded
    unfit: tuple[int, ...]
    strangers: int

    @property
    def remarks(self) -> tuple[str, ...]:
        """What whoever looks after the table should know."""
        said = []
        if self.unfit:
            rows = ", ".join(map(str, self.unfit))
            said.append(
                f"In anomaly_reviews these ids are passed over, because the verdict or the week is "
                f"none: {rows}. Add rows that say it right"
            )
        if self.strangers:
            said.append(
                f"In anomaly_reviews {self.strangers:,} of the verdicts are passed over, because "
                "the customer is not on the list of that week, or there is none yet"
            )
        return tuple(said)


def record_stored(config: Config, on_wait: Say | None = None, attempts: int | None = None) -> Taken:
    """Take over the verdicts that analysts wrote into the database; those known add nothing.

    Raises
    ------
    PublishError
        If the database cannot be reached, or its table cannot be read.
    """
    database = config.output.database
    if attempts is not None:
        database = database.model_copy(update={"attempts": attempts})
    stored = read_stored_reviews(output_address(config), database)
    folder = config.output.directory
    with holding_ledgers(folder, config.output.lock_timeout_seconds, on_wait=on_wait) as held:
        fresh = added(known := read_reviews(folder), stored.reviews)[len(known) :]
        lists = _lists(folder, fresh)
        listed = [each for each in fresh if _is_listed(each, lists)]
        recorded, content = _add(folder, listed, lists)
        if recorded.new:
            held.put(LEDGER_FILE, content)
    before = len(stored.reviews) - len(fresh)
    taken = Recorded(recorded.new, before, recorded.replaced)
    return Taken(taken, stored.unfit, len(fresh) - len(listed))


def fetch_stored(config: Config, *, dry_run: bool) -> tuple[str, ...]:
    """Take over verdicts from the database before a run; what keeps it from that is only said.

    A database that does not answer is tried once: the run will meet it again when it publishes.
    """
    if not config.output.database.enabled or dry_run:
        return ()
    try:
        return record_stored(config, attempts=1).remarks
    except CardwatchError as error:
        return (f"Verdicts of the database are not taken over: {error.message}",)


def _lists(folder: Path, reviews: Iterable[Review]) -> dict[str, SeenList | None]:
    """Return the lists of the reviewed weeks; a week after all that were run has an empty one."""
    weeks = {review.reporting_week: review.week for review in reviews}
    lists = {label: SeenList.read(folder, week) for label, week in weeks.items()}
    newest = _newest_week(folder)
    to_come = [label for label, week in weeks.items() if newest is None or week > newest]
    return {**lists, **dict.fromkeys(to_come, SeenList({}, ""))}


def _newest_week(folder: Path) -> ReportingWeek | None:
    weeks = {week for path in folder.iterdir() if (week := week_of(path.name))}
    return max(weeks | {ReportingWeek.parse(each.label) for each in archives(folder)}, default=None)


def _is_listed(review: Review, lists: Mapping[str, SeenList | None]) -> bool:
    """Whether the customer is on the list; nobody can tell where it was packed away."""
    seen = lists[review.reporting_week]
    return seen is None or review.customer_id in seen.customers


def _not_said_before(lines: Sequence[SheetLine], known: Sequence[Review]) -> list[SheetLine]:
    """Leave out lines without a time of their own that say what stands already."""
    stands = {(each.customer_id, each.reporting_week): each for each in standing(known)}

    def says_the_same(review: Review) -> bool:
        before = stands.get((review.customer_id, review.reporting_week))
        return before is not None and _said(before) == _said(review)

    return [each for each in lines if each.is_timed or not says_the_same(each.review)]


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
