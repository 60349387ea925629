"""How firmly a customer is on the list: whether it stays when one family is not looked at.

Nothing is fitted again. A customer whose place rests on one reason alone leaves the list with it;
one with several stays. On planted cases the firm ones are right far more often (see
``benchmarks/results/learning.md``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from cardwatch.detection.base import Detector
from cardwatch.engine import Engine

CANDIDATES_PER_PLACE = 10
"""Customers looked at first, per place of the list; doubled until they are provably enough."""


def rank_stability(
    engine: Engine, detector: Detector, families: Sequence[str], listed: Sequence[int]
) -> Mapping[int, float]:
    """Return, per listed customer, the share of the lists without one family that keep it.

    Whom a policy keeps off the list (``left_out``) is on none of them.

    Parameters
    ----------
    families : sequence of str
        The families that were scored; one list is made without each.
    listed : sequence of int
        Keys of the customers on the list; the lists without a family are as long.

    Returns
    -------
    mapping of customer_key to float
        0 to 1; 1 for a list of everybody.
    """
    if not listed:
        return {}
    looked_at = CANDIDATES_PER_PLACE * len(listed)
    while True:
        rows = _most_surprising(engine, looked_at)
        beyond = _least_total(rows) if rows.num_rows == looked_at else -np.inf
        lists = [_first(rows, detector, families, each, len(listed), beyond) for each in families]
        if None not in lists:
            return {key: float(np.mean([key in (each or ()) for each in lists])) for key in listed}
        looked_at *= 2


def _most_surprising(engine: Engine, customers: int) -> pa.Table:
    return engine.arrow(
        "SELECT s.*, c.customer_id FROM score AS s INNER JOIN customer AS c "
        "ON c.customer_key = s.customer_key "
        "WHERE NOT EXISTS (SELECT 1 FROM left_out AS o WHERE o.customer_key = s.customer_key) "
        "ORDER BY s.surprise_total DESC, c.customer_id LIMIT $customers",
        customers=customers,
    )


def _least_total(rows: pa.Table) -> float:
    return float(rows["surprise_total"][rows.num_rows - 1].as_py())


def _first(
    rows: pa.Table,
    detector: Detector,
    families: Sequence[str],
    left_out: str,
    places: int,
    beyond: float,
) -> frozenset[int] | None:
    """Return the keys of the list without a family; None if others may belong on it.

    Nobody who was not read has a total over `beyond`, nor one without a family.
    """
    totals = detector.total_without(rows, families, left_out)
    order = np.argsort(-np.round(totals, 9), kind="stable")[:places]
    if totals[order[-1]] < beyond:
        return None
    keys = rows["customer_key"].to_numpy()
    return frozenset(int(key) for key in keys[order])
