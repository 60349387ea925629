"""Every review ever given, in one file beside the lists.

``reviews.jsonl`` has one review per line, oldest first. Lines are only ever added; of a customer's
reviews of a week the last one stands. The file is written anew as a whole and put in place by a
rename, so that an interrupted command leaves what was there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cardwatch.errors import ConfigurationError
from cardwatch.review.verdicts import Review

LEDGER_FILE = "reviews.jsonl"

Record = TypeVar("Record", bound=BaseModel)


def read_reviews(folder: Path) -> tuple[Review, ...]:
    """Return all reviews of an output folder in the order they were given; none without the file.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a line in it is no review. The message names the line.
    """
    return read_lines(folder / LEDGER_FILE, Review)


def read_lines(path: Path, kind: type[Record]) -> tuple[Record, ...]:
    """Return the records of a file that has one per line; none without the file.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a line in it is no such record. The message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        observed = getattr(error, "strerror", None) or type(error).__name__
        raise _unreadable(str(path), observed) from error
    return tuple(
        _record(line, kind, f"{path}, line {number}")
        for number, line in enumerate(text.split("\n"), start=1)
        if line
    )


def _record(line: str, kind: type[Record], where: str) -> Record:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise _unreadable(where, f"{field}: {first['msg']}" if field else first["msg"]) from error


def _unreadable(where: str, observed: str) -> ConfigurationError:
    return ConfigurationError(
        "What was recorded of the lists cannot be read",
        where=where,
        observed=observed,
        expected="one record per line, as `cardwatch review` writes them",
        next_step="Restore the file from a backup, or take the line out",
    )


def ledger_bytes(records: Iterable[BaseModel]) -> bytes:
    """Return the content of the file that holds these records."""
    return "".join(f"{record.model_dump_json()}\n" for record in records).encode()


def added(known: Sequence[Review], new: Iterable[Review]) -> tuple[Review, ...]:
    """Return `known` and those of `new` that it does not hold yet; giving them twice adds nothing.

    What `run_id` and `features` say is looked up when a review is recorded, and tells no two apart.
    """
    held = {_told(review) for review in known}
    fresh = []
    for review in new:
        if _told(review) not in held:
            held.add(_told(review))
            fresh.append(review)
    return (*known, *fresh)


def _told(review: Review) -> str:
    return review.model_dump_json(exclude={"run_id", "features"})


def standing(reviews: Iterable[Review]) -> tuple[Review, ...]:
    """Return the review that stands of each customer and week: the latest, of equals the last."""
    latest: dict[tuple[str, str], Review] = {}
    for review in sorted(reviews, key=lambda each: each.reviewed_at):
        latest[review.customer_id, review.reporting_week] = review
    return tuple(latest[key] for key in sorted(latest))
