"""What a detector is. A higher score is more anomalous: said here, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from cardwatch.engine import Engine
from cardwatch.robust import Floats
from cardwatch.schema import Attribution, FeatureTable, Scored

NO_WEIGHTS: Mapping[str, float] = {}


class Detector(Protocol):
    """Scores every customer of a feature table, and says which features made a score.

    ``anomaly_score`` lies in [0, 1]; **higher is more anomalous**. ``surprise_total`` rises with it
    and is the sum of the contributions of the feature families, so that reasons add up to it.
    """

    name: str
    takes_weights: bool
    """Whether weights learnt from verdicts change its scores."""

    def fit_score(
        self, engine: Engine, table: FeatureTable, weights: Mapping[str, float] = NO_WEIGHTS
    ) -> Scored:
        """Fit, and write the engine's table ``score``: one row per customer of ``feature``.

        The same rows and weights give the same bytes in any row order and on any number of threads.

        Parameters
        ----------
        weights : mapping of feature to float, optional
            What each feature's surprise is multiplied by, over 0; 1 for those not named. The total
            without them is kept in ``unweighted_total``.

        Raises
        ------
        ModelError
            If the table has no customer or no usable feature.
        """
        ...

    def attribute(
        self, engine: Engine, scored: Scored, keys: Sequence[int]
    ) -> Mapping[int, tuple[Attribution, ...]]:
        """Return each customer's attributions, one per family that contributed, largest first.

        They add up to ``surprise_total``. Families in which no feature speaks come last.
        """
        ...

    def total_without(self, rows: pa.Table, families: Sequence[str], left_out: str) -> Floats:
        """Return the surprise_total of rows of ``score``, had a family not been looked at.

        Nothing is fitted again. It is at most the total. Shape (n,).
        """
        ...


def score_types(families: Sequence[str]) -> dict[str, str]:
    """Return the columns of the table ``score`` and their types; see `cardwatch.schema`."""
    names = ["anomaly_score", "surprise_total", "unweighted_total"]
    for family in families:
        names += [f"{family}_surprise", f"{family}_contribution"]
    return {"customer_key": "INTEGER"} | dict.fromkeys(names, "DOUBLE")
