"""How the customers of a week spread over each feature: counts in bins that never change.

The same bins in every week make weeks add up and compare exactly, and hold no customer. They follow
the preferred numbers R10 (ISO 3), ten to a decade, from 0.1 to 31.5 on either side of zero, with
zero and "does not apply" in bins of their own: features are z-scores, shares, nats and log ratios,
whose bodies lie there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from cardwatch.engine import Engine
from cardwatch.robust import Floats
from cardwatch.sampling import sample_condition

CUSTOMERS = 32_768
"""As many are counted at most: what chance moves is then far below what is worth a sentence."""

FEW = 10
"""Customers of a merchant category, under which it is not told apart."""
OTHER = "other"

_R10 = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
_UPPER = np.array([round(step * scale, 4) for scale in (0.1, 1, 10) for step in _R10][:26])
_NEXT_TO_ZERO = 1e-9
EDGES = np.concatenate([-_UPPER[::-1], [-_NEXT_TO_ZERO, _NEXT_TO_ZERO], _UPPER])
"""Where one bin ends and the next begins, ascending; a value on an edge is in the upper bin."""
BINS = len(EDGES) + 2
"""Of each histogram; the last one counts customers to whom the feature does not apply."""

Histogram = tuple[int, ...]


def feature_histograms(
    engine: Engine, columns: Sequence[str], of_everybody: Sequence[str]
) -> dict[str, Histogram]:
    """Count the customers of the table ``feature`` per column, at most about `CUSTOMERS` of them.

    Parameters
    ----------
    columns : sequence of str
        Features. Customers without a transaction in the scored week do not count in them.
    of_everybody : sequence of str
        Those of them in which they do.
    """
    customers = engine.scalar("SELECT count(*) FROM feature")
    chosen = ", ".join(f'"{name}"' for name in ("has_rows", *columns))
    rows = engine.arrow(
        f"SELECT {chosen} FROM feature WHERE {sample_condition(customers, CUSTOMERS)}"
    )  # counts are the same in any order
    present = rows["has_rows"].to_numpy()
    found: dict[str, Histogram] = {}
    for name in columns:
        values = _values(rows[name])
        found[name] = histogram(values if name in of_everybody else values[present])
    return found


def category_counts(engine: Engine) -> dict[str, int]:
    """Return how many customers bought in each merchant category of the scored week.

    Categories of fewer than ten customers are counted together, as `OTHER`.
    """
    rows = engine.execute(
        "SELECT CASE WHEN customers < $few THEN NULL ELSE mcc END AS of, "
        "CAST(sum(customers) AS BIGINT) FROM "
        "(SELECT mcc, count(*) AS customers FROM scored_cell GROUP BY mcc) "
        "GROUP BY of ORDER BY of NULLS LAST",
        few=FEW,
    ).fetchall()
    return {OTHER if mcc is None else f"{mcc:04d}": count for mcc, count in rows}


def histogram(values: Floats) -> Histogram:
    """Count values per bin, NaN in the last.

    Examples
    --------
    >>> counts = histogram(np.array([0.0, 0.3, -50.0, np.nan]))
    >>> counts[0], counts[27], counts[-1], sum(counts)
    (1, 1, 1, 4)
    """
    bins = np.searchsorted(EDGES, values, side="right")
    bins[np.isnan(values)] = BINS - 1
    return tuple(np.bincount(bins, minlength=BINS).tolist())


def _values(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), dtype=np.float64)
