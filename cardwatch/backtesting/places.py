"""Where customers stand by score: among all who may be listed, and on a list with its cap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cardwatch.engine import Engine

OPEN = (
    "SELECT r.customer_key, r.anomaly_rank FROM ranked AS r "
    "WHERE NOT EXISTS (SELECT 1 FROM kept_off AS o WHERE o.customer_key = r.customer_key)"
)
"""Those who may be listed, whatever others of their peer group are."""
_NOBODY_CAPPED = 2**31 - 1
_BEFORE = "ORDER BY anomaly_rank ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"


@dataclass(frozen=True)
class Place:
    """A customer's place, from 1.

    Attributes
    ----------
    overall : int
        Among all who may be listed.
    capped : int or None
        Among those whom ``ranking.peer_group_cap`` leaves; None where the peer group has no place
        left for this one.
    """

    overall: int
    capped: int | None


def places(
    engine: Engine, ids: Sequence[str], of_a_group: int | None, *, alone: bool
) -> Mapping[str, Place]:
    """Return the places of those of some customers who may be listed.

    Parameters
    ----------
    of_a_group : int or None
        How many places of the list a peer group may take; None for any number.
    alone : bool
        Whether each one's place is to be what it would be without the others of `ids`.
    """
    rows = engine.execute(
        "WITH open AS (SELECT o.anomaly_rank, c.customer_id, f.peer_group, "
        "list_contains($ids, c.customer_id) AS is_asked, "
        "NOT (is_asked AND $alone) AS counts "
        f"FROM ({OPEN}) AS o INNER JOIN customer AS c ON c.customer_key = o.customer_key "
        "INNER JOIN feature AS f ON f.customer_key = o.customer_key), "
        "in_group AS (SELECT *, count(*) FILTER (WHERE counts) "
        f"OVER (PARTITION BY peer_group {_BEFORE}) AS of_group FROM open), "
        "placed AS (SELECT customer_id, is_asked, of_group, "
        f"1 + count(*) FILTER (WHERE counts) OVER ({_BEFORE}) AS overall, "
        f"1 + count(*) FILTER (WHERE counts AND of_group < $most) OVER ({_BEFORE}) AS capped "
        "FROM in_group) "
        "SELECT customer_id, overall, CASE WHEN of_group < $most THEN capped END "
        "FROM placed WHERE is_asked ORDER BY overall, customer_id",
        ids=list(ids),
        alone=alone,
        most=_NOBODY_CAPPED if of_a_group is None else of_a_group,
    ).fetchall()
    return {customer: Place(overall, capped) for customer, overall, capped in rows}
