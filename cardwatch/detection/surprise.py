"""The surprise detector: the few extreme features of a customer, not the average of all.

Each feature's value becomes a surprise (see `tails`). The largest inside a family speaks for it,
and the second adds a little; the families, sorted, are added with weights 1, d, d², …
(``model.decay``). The terms are the reasons. Before anything else a feature's surprise is
multiplied by its weight in the catalogue, and by what was learnt from verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cardwatch.config import ModelConfig
from cardwatch.detection.artefact import Artefact
from cardwatch.detection.base import NO_WEIGHTS, score_types
from cardwatch.detection.tails import (
    Approach,
    FeatureTail,
    Given,
    Law,
    TailMethod,
    Tapered,
    fit_shaped,
    fit_tail,
    law_from_json,
)
from cardwatch.engine import Engine
from cardwatch.errors import ModelError
from cardwatch.robust import Floats
from cardwatch.sampling import sample_condition
from cardwatch.schema import Attribution, Feature, FeatureTable, Scored

HALF_SCORE = 10.0
"""The surprise_total that scores one half: anomaly_score = S / (S + 10)."""
SCORE_DECIMALS = 9
COMPANION = 0.15
"""How much the second surprise of a family adds to the largest."""
BLOCK_ROWS = 32_768
"""Customers scored at once by each thread."""
_VERSION = 5


class SurpriseDetector:
    """Scores customers by how surprising their few most surprising feature families are.

    Parameters
    ----------
    config : ModelConfig
        Tail method, decay and the cap of absent customers' surprise.
    features : sequence of Feature
        The catalogue; gives each feature's family and side.
    capped : mapping of str to float
        Features whose value is a surprise already, with the cap it approaches.
    """

    name = "surprise"
    takes_weights = True

    def __init__(
        self, config: ModelConfig, features: Sequence[Feature], capped: Mapping[str, float]
    ) -> None:
        self._decay = config.decay
        self._seed = config.random_state
        self._method: TailMethod = config.tail
        self._features = {feature.name: feature for feature in features}
        self._capped = dict(capped)

    def fit_score(
        self, engine: Engine, table: FeatureTable, weights: Mapping[str, float] = NO_WEIGHTS
    ) -> Scored:
        """Fit the tails on a bounded sample and score every customer; see `Detector`."""
        return self.score(engine, table, self.fit(engine, table, weights))

    def fit(
        self, engine: Engine, table: FeatureTable, weights: Mapping[str, float] = NO_WEIGHTS
    ) -> Artefact:
        """Fit each feature's law on the customers that `sampling` chooses, and note the weights.

        Raises
        ------
        ModelError
            If no customer has a transaction in the scored week.
        """
        if table.rows_with_spend == 0:
            raise ModelError(
                "No customer has a transaction in the scored week",
                where=f"week {table.week.label}",
                next_step="`cardwatch weeks` lists the weeks with data",
            )
        laws = self._fit_laws(engine, table)
        return Artefact(
            kind=self.name,
            version=_VERSION,
            columns=table.columns,
            seed=self._seed,
            state={
                "tail": self._method,
                "decay": self._decay,
                "laws": {name: law.to_json() for name, law in laws.items()},
                "weights": {name: weights[name] for name in sorted(weights) if name in laws},
            },
        )

    def score(self, engine: Engine, table: FeatureTable, artefact: Artefact) -> Scored:
        """Write the table ``score`` for every customer of ``feature`` from a fitted state.

        Raises
        ------
        ModelError
            If the state belongs to another detector, version or set of features, or is damaged.
        """
        laws, weights = _learned(artefact, table.columns)
        families = tuple(dict.fromkeys(self._features[name].family for name in table.columns))
        engine.derive(
            "score",
            score_types(families),
            "SELECT * FROM feature",
            partial(self._score, laws=laws, weights=weights, families=families),
            BLOCK_ROWS,
        )
        return Scored(self.name, families, artefact.document())

    def attribute(
        self, engine: Engine, scored: Scored, keys: Sequence[int]
    ) -> Mapping[int, tuple[Attribution, ...]]:
        """Return each customer's attributions; see `Detector`."""
        artefact = Artefact.of(scored.state)
        laws, weights = _learned(artefact, artefact.columns)
        rows = engine.arrow(
            "SELECT * FROM feature WHERE customer_key IN (SELECT unnest($keys)) "
            "ORDER BY customer_key",
            keys=list(keys),
        )
        names, surprise = self._told(rows, laws)
        weighted = surprise * _in_columns(weights, names)
        _, contribution, lead = self._combine(names, weighted, scored.families)
        high = _is_high(rows, names, laws)
        found: dict[int, tuple[Attribution, ...]] = {}
        for i, key in enumerate(rows["customer_key"].to_pylist()):
            parts = [
                Attribution(
                    family, names[lead[i, f]], float(contribution[i, f]), bool(high[i, lead[i, f]])
                )
                for f, family in enumerate(scored.families)
                if contribution[i, f] > 0
            ]
            found[key] = tuple(sorted(parts, key=lambda part: -part.contribution))
        return found

    def total_without(self, rows: pa.Table, families: Sequence[str], left_out: str) -> Floats:
        """Return the total without a family: the others move up in the order; see `Detector`."""
        kept = [_column(rows, f"{each}_surprise") for each in families if each != left_out]
        return self._summed(np.column_stack(kept)) if kept else np.zeros(rows.num_rows)

    def _fit_laws(self, engine: Engine, table: FeatureTable) -> dict[str, Law]:
        sample = engine.arrow(
            f"SELECT * FROM feature WHERE has_rows AND {sample_condition(table.rows_with_spend)} "
            "ORDER BY customer_key"
        )
        laws: dict[str, Law] = {}
        for name in table.columns:
            if name in self._capped:
                laws[name] = Approach.among(self._capped[name], table.rows_with_spend)
                continue
            law = self._law(self._features[name], _column(sample, name), table.rows_with_spend)
            if law is not None:
                laws[name] = law
        return laws

    def _law(self, feature: Feature, values: Floats, customers: int) -> Law | None:
        if feature.law == "surprise":
            return Given()
        shaped = fit_shaped(values) if feature.law == "shape" else None
        law = shaped or fit_tail(values, feature.side == "two", self._method)
        return Tapered.among(law, customers) if law and feature.tapers else law

    def _score(
        self,
        batch: pa.RecordBatch | pa.Table,
        laws: Mapping[str, Law],
        weights: Mapping[str, float],
        families: Sequence[str],
    ) -> pa.Table:
        names, surprise = self._told(batch, laws)
        weighted = surprise * _in_columns(weights, names)
        alone, contribution, _ = self._combine(names, weighted, families)
        unweighted = self._combine(names, surprise, families)[1] if weights else contribution
        total = contribution.sum(axis=1)
        columns: dict[str, pa.Array] = {
            "customer_key": batch["customer_key"],
            "anomaly_score": pa.array(np.round(total / (total + HALF_SCORE), SCORE_DECIMALS)),
            "surprise_total": pa.array(total),
            "unweighted_total": pa.array(unweighted.sum(axis=1)),
        }
        for f, family in enumerate(families):
            columns[f"{family}_surprise"] = pa.array(alone[:, f])
            columns[f"{family}_contribution"] = pa.array(contribution[:, f])
        return pa.table(columns)

    def _told(
        self, rows: pa.RecordBatch | pa.Table, laws: Mapping[str, Law]
    ) -> tuple[list[str], Floats]:
        """Return the features that have a law, and their surprises times their own weights."""
        names, surprise = _surprises(rows, laws)
        own = {name: self._features[name].weight for name in names}
        return names, surprise * _in_columns(own, names)

    def _combine(
        self, names: Sequence[str], surprise: Floats, families: Sequence[str]
    ) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
        """Return each family's surprise, its contribution and its leading feature, shape (n, F)."""
        alone = np.zeros((len(surprise), len(families)))
        lead = np.zeros((len(surprise), len(families)), dtype=np.int64)
        for f, family in enumerate(families):
            members = [j for j, name in enumerate(names) if self._features[name].family == family]
            if members:
                lead[:, f] = np.asarray(members)[surprise[:, members].argmax(axis=1)]
                alone[:, f] = family_surprise(surprise[:, members])
        order = np.argsort(-alone, axis=1, kind="stable")
        place = np.argsort(order, axis=1, kind="stable")
        return alone, alone * self._decay**place, lead

    def _summed(self, alone: Floats) -> Floats:
        """Return the sum of families' surprises, the largest first, shape (n,)."""
        ordered = -np.sort(-alone, axis=1)
        return np.asarray(ordered @ self._decay ** np.arange(alone.shape[1]))


def family_surprise(members: Floats) -> Floats:
    """Return the largest of a family's surprises with `COMPANION` of the second, shape (n,)."""
    largest, second = members[:, 0], np.zeros(len(members))
    for each in members.T[1:]:
        second = np.maximum(second, np.minimum(largest, each))
        largest = np.maximum(largest, each)
    return largest + COMPANION * second


def _surprises(
    rows: pa.RecordBatch | pa.Table, laws: Mapping[str, Law]
) -> tuple[list[str], Floats]:
    """Return the features that have a law, and their surprises, shape (n, features)."""
    names = [name for name in rows.schema.names if name in laws]
    surprise = np.zeros((rows.num_rows, len(names)))
    for j, name in enumerate(names):
        surprise[:, j] = laws[name].surprise(_column(rows, name))
    return names, surprise


def _in_columns(weights: Mapping[str, float], names: Sequence[str]) -> Floats:
    return np.array([weights.get(name, 1.0) for name in names])


def _is_high(
    rows: pa.Table, names: Sequence[str], laws: Mapping[str, Law]
) -> npt.NDArray[np.bool_]:
    high = np.ones((rows.num_rows, len(names)), dtype=np.bool_)
    for j, name in enumerate(names):
        law = laws[name]
        if isinstance(law, FeatureTail) and law.lower is not None:
            high[:, j] = _column(rows, name) >= law.centre
    return high


def _learned(artefact: Artefact, columns: Sequence[str]) -> tuple[dict[str, Law], dict[str, float]]:
    """Return each feature's law, and the weights that are not 1."""
    artefact.require(SurpriseDetector.name, _VERSION, columns)
    try:
        laws = {name: law_from_json(state) for name, state in artefact.state["laws"].items()}
        weights = {name: float(weight) for name, weight in artefact.state["weights"].items()}
        return laws, weights
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            "The stored detector state cannot be used",
            observed="laws of another form",
            expected=f"the state of {SurpriseDetector.name} version {_VERSION}",
            next_step="Fit the detector again",
        ) from error


def _column(rows: pa.RecordBatch | pa.Table, name: str) -> Floats:
    column = rows[name]
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
