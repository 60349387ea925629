"""The verdicts that analysts wrote into the table ``anomaly_reviews``; it is only ever read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from cardwatch.config import OutputDatabaseConfig
from cardwatch.database.address import DatabaseAddress
from cardwatch.database.faults import translated
from cardwatch.database.retry import retrying
from cardwatch.errors import ConfigurationError, PublishError
from cardwatch.publish.database_objects import identifier
from cardwatch.publish.database_operations import DatabaseOperations
from cardwatch.review.verdicts import Review, Verdict
from cardwatch.week import ReportingWeek

_COLUMNS = ("id", "customer_id", "reporting_week", "verdict", "cause", "action_taken", "note",
            "reviewer", "reviewed_at", "run_id")  # fmt: skip


@dataclass(frozen=True)
class StoredReviews:
    """What the table holds: the reviews in the order they were added, and the ids of other rows.

    Rows there cannot be corrected, only followed by better ones: what is no review is named and
    passed over.
    """

    reviews: tuple[Review, ...]
    unfit: tuple[int, ...]


def read_stored_reviews(
    address: DatabaseAddress,
    config: OutputDatabaseConfig,
    *,
    operations: DatabaseOperations | None = None,
) -> StoredReviews:
    """Read every row of ``anomaly_reviews``, read-only; transient faults are tried again.

    Raises
    ------
    PublishError
        If the database cannot be reached, or the table is missing or may not be read.
    """
    operations = operations or DatabaseOperations()
    table = f"{identifier(config.schema_name)}.anomaly_reviews"
    statement = f"SELECT {', '.join(_COLUMNS)} FROM {table} ORDER BY id"

    def rows() -> list[tuple[Any, ...]]:
        with closing(operations.connect(address, config, read_only=True)) as connection:
            return operations.execute(connection, statement).fetchall()

    with translated(address, PublishError):
        found = retrying(config.attempts)(rows)
    reviews, unfit = [], []
    for each in found:
        row = dict(zip(_COLUMNS, each, strict=True))
        try:
            reviews.append(_review(row))
        except (ConfigurationError, ValueError):  # either may quote a value
            unfit.append(int(row["id"]))
    return StoredReviews(tuple(reviews), tuple(unfit))


def _review(row: Mapping[str, Any]) -> Review:
    told = {
        **{name: row[name] or "" for name in ("cause", "action_taken", "note", "run_id")},
        **{name: row[name] for name in ("customer_id", "reviewer", "reviewed_at")},
        "reporting_week": ReportingWeek.parse(row["reporting_week"]).label,
        "verdict": Verdict.read(row["verdict"]),
    }
    return Review.model_validate(told)
