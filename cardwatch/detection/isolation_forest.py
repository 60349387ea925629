"""Isolation forest over the features, with credits per family that add up to its evidence.

Rows are sorted before fitting, so their order does not matter; missing values are routed by the
trees, so nobody is dropped for one. The fit reads customers with a transaction in the week. Absent
ones lack nearly every feature; they are walked with the median customer's, so that absence, which
they share, does not put all of them on the list at once.
``surprise_total`` is in splits: how many fewer random splits
than usual isolate the customer, on average over the trees. It is negative for customers who are
harder to isolate than most, and so may be the part of a family.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.ensemble import IsolationForest

from cardwatch.config import ModelConfig
from cardwatch.detection.artefact import Artefact
from cardwatch.detection.base import NO_WEIGHTS, score_types
from cardwatch.detection.compiled import WORTHWHILE_STEPS, CompiledForest, is_installed
from cardwatch.detection.trees import Floats, Singles, Trees, average_path_length
from cardwatch.engine import BATCH_ROWS, Engine
from cardwatch.errors import ModelError
from cardwatch.sampling import sample_condition
from cardwatch.schema import Attribution, Feature, FeatureTable, Scored

_log = logging.getLogger(__name__)

FIT_ROWS = 262_144
"""Customers the forest is fitted on at most; each tree draws ``max_samples`` of them."""

BLOCK_ROWS = 16_384
"""Rows walked at once by one thread: small enough to stay in its cache."""

_VERSION = 1
_LIMIT = 1e30
_SCORE_DECIMALS = 9


class IsolationForestDetector:
    """scikit-learn's isolation forest behind the `Detector` protocol.

    Parameters
    ----------
    config : ModelConfig
        Its ``n_estimators``, ``max_samples`` and ``random_state``; ``contamination`` changes
        neither scores nor ranks.
    features : sequence of Feature
        The catalogue; gives each feature's family and side.
    """

    name = "isolation_forest"
    takes_weights = False

    def __init__(self, config: ModelConfig, features: Sequence[Feature]) -> None:
        self._config = config
        self._features = {feature.name: feature for feature in features}

    def fit_score(
        self, engine: Engine, table: FeatureTable, weights: Mapping[str, float] = NO_WEIGHTS
    ) -> Scored:
        """Fit on the engine's table ``feature``, and write the table ``score``; see `Detector`.

        Path lengths know no weights of features: `weights` change nothing.

        Raises
        ------
        ModelError
            If no customer has a transaction in the week, or no feature has a value.
        """
        artefact = self.fit(engine, table)
        return self.score(engine, table, artefact)

    def fit(self, engine: Engine, table: FeatureTable) -> Artefact:
        """Fit on at most `FIT_ROWS` customers with a transaction, chosen by a hash of their key.

        Raises
        ------
        ModelError
            If no customer has a transaction in the week, or no feature has a value.
        """
        rows = _fit_rows(engine, table)
        if not table.rows_with_spend or not np.isfinite(rows).any():
            raise ModelError(
                "There is nothing to fit the isolation forest on",
                where=f"week {table.week.label}",
                observed=f"{table.rows_with_spend} customers with a transaction, "
                f"{len(table.columns)} features, {np.isfinite(rows).sum()} values",
                expected="at least one customer with one value",
                next_step="`cardwatch weeks` lists the weeks with data",
            )
        forest = IsolationForest(
            n_estimators=self._config.n_estimators,
            max_samples=min(self._config.max_samples, len(rows)),
            random_state=self._config.random_state,
            n_jobs=engine.threads,
        ).fit(rows)
        return Artefact(
            kind=self.name,
            version=_VERSION,
            columns=table.columns,
            seed=self._config.random_state,
            state={"trees": Trees.of(forest).state(), "centres": _centres(rows)},
        )

    def score(self, engine: Engine, table: FeatureTable, artefact: Artefact) -> Scored:
        """Write the table ``score`` for every customer of ``feature`` from a fitted state.

        Raises
        ------
        ModelError
            If the state belongs to another detector, version or set of features, or is damaged.
        """
        artefact.require(self.name, _VERSION, table.columns)
        families = self._families(artefact.columns)
        groups = [families.index(self._features[name].family) for name in artefact.columns]
        customers = int(engine.scalar("SELECT count(*) FROM feature"))
        scorer = _Scorer(artefact, tuple(groups), customers, families)
        query = _select(artefact.columns)
        engine.derive("score", score_types(families), query, scorer, BLOCK_ROWS)
        return Scored(self.name, families, artefact.document())

    def attribute(
        self, engine: Engine, scored: Scored, keys: Sequence[int]
    ) -> Mapping[int, tuple[Attribution, ...]]:
        """Return each customer's attributions; see `Detector`."""
        artefact = Artefact.of(scored.state)
        artefact.require(self.name, _VERSION, artefact.columns)
        centres = _centres_of(artefact)
        batch = _rows_of(engine, artefact.columns, keys)
        rows = _matrix(batch, artefact.columns)
        forest = _Forest.of(artefact, range(len(artefact.columns)), len(keys))
        credits = forest.credits(_to_walk(batch, artefact.columns, centres))
        return {
            key: self._attributions(artefact.columns, scored.families, row, credit, centres)
            for key, row, credit in zip(
                batch["customer_key"].to_pylist(), rows, credits, strict=True
            )
        }

    def total_without(self, rows: pa.Table, families: Sequence[str], left_out: str) -> Floats:
        """Return the total less the family's part where that is positive; see `Detector`."""
        total, part = (
            np.asarray(rows[name].to_numpy(), dtype=np.float64)
            for name in ("surprise_total", f"{left_out}_contribution")
        )
        return np.asarray(total - np.maximum(part, 0))

    def _attributions(
        self,
        columns: Sequence[str],
        families: Sequence[str],
        values: Singles,
        credits: Floats,
        centres: Singles,
    ) -> tuple[Attribution, ...]:
        """Return one customer's attributions: families with something to say first."""
        found = []
        for family in families:
            members = [i for i, name in enumerate(columns) if self._features[name].family == family]
            part = float(reduce(np.add, credits[members]))
            best = max(
                (i for i in members if self._speaks(columns[i], values[i], centres[i])),
                key=lambda i: credits[i],
                default=None,
            )
            if best is None or part <= 0:
                found.append(Attribution(family, "", part, is_high=True))
            else:
                high = bool(values[best] >= centres[best])
                found.append(Attribution(family, columns[best], part, high))
        return tuple(sorted(found, key=lambda item: (not item.feature, -item.contribution)))

    def _speaks(self, name: str, value: float, centre: float) -> bool:
        """Whether a value can be a reason: it is there, and on the side that matters."""
        if np.isnan(value):
            return False
        return self._features[name].side == "two" or bool(value > centre)

    def _families(self, columns: Sequence[str]) -> tuple[str, ...]:
        unknown = [name for name in columns if name not in self._features]
        if unknown:
            raise ModelError(
                "A feature belongs to no family",
                observed=", ".join(unknown[:5]),
                expected="catalogued features only",
            )
        return tuple(dict.fromkeys(self._features[name].family for name in columns))


@dataclass(frozen=True)
class _Forest:
    """Trees that add up what their leaves are worth to a row, group by group."""

    sums: Callable[[Singles], Floats]
    trees: int
    root_length: float

    @classmethod
    def of(cls, artefact: Artefact, group_of: Sequence[int], customers: int) -> _Forest:
        """Rebuild the stored trees; `group_of` is the group of each column, from 0.

        Compiled code walks a forest for many customers, scikit-learn for few or where nothing
        compiles: the sums are the same to the last bit.
        """
        columns = len(artefact.columns)
        trees = Trees.from_state(artefact.state.get("trees"), columns)
        credits = trees.credits(group_of, max(group_of) + 1)
        number, root_length = len(trees.nodes), float(average_path_length(trees.samples[0]))
        if customers * number >= WORTHWHILE_STEPS:
            if is_installed():
                return cls(CompiledForest.of(trees, credits, columns).sums, number, root_length)
            _log.info("the extra `forest` is not installed: scikit-learn walks the forest, slower")
        leaves = np.split(credits, trees.offsets()[1:])
        walkers = list(zip(trees.walkers(columns), leaves, strict=True))
        return cls(partial(_sums, walkers), number, root_length)

    def credits(self, rows: Singles) -> Floats:
        """Return the splits that each group spared, mean over the trees, shape (rows, groups)."""
        return self.sums(rows) / self.trees


def _sums(walkers: Sequence[tuple[Any, Floats]], rows: Singles) -> Floats:
    """Return each row's credits, summed tree after tree, as scikit-learn finds its leaves."""
    total = np.zeros((len(rows), walkers[0][1].shape[1]))
    for tree, credit in walkers:
        total += credit.take(tree.apply(rows), axis=0)
    return total


@dataclass(frozen=True)
class _Scorer:
    """Makes rows of ``score`` from rows of ``feature``; rebuilds the forest where it is used."""

    artefact: Artefact
    groups: tuple[int, ...]
    customers: int
    families: tuple[str, ...]

    @cached_property
    def _forest(self) -> _Forest:
        return _Forest.of(self.artefact, self.groups, self.customers)

    def __call__(self, rows: pa.Table) -> pa.Table:
        columns = self.artefact.columns
        credits = self._forest.credits(_to_walk(rows, columns, _centres_of(self.artefact)))
        return _scores(rows, self._forest, credits, self.families)


def _scores(batch: pa.Table, forest: _Forest, credits: Floats, families: Sequence[str]) -> pa.Table:
    total = reduce(np.add, credits.T)
    unusual = total / forest.root_length if forest.root_length > 0 else np.zeros(len(total))
    columns = {
        "customer_key": batch["customer_key"],
        "anomaly_score": np.exp2(unusual - 1.0).round(_SCORE_DECIMALS),
        "surprise_total": total,
        "unweighted_total": total,
    }
    for family, part in zip(families, credits.T, strict=True):
        columns[f"{family}_surprise"] = columns[f"{family}_contribution"] = part
    return pa.table(columns)


def _fit_rows(engine: Engine, table: FeatureTable) -> Singles:
    customers = int(engine.scalar("SELECT count(*) FROM feature WHERE has_rows"))
    chosen = f"has_rows AND {sample_condition(customers, FIT_ROWS)}"
    query = f"{_select(table.columns)} WHERE {chosen}"
    engine.execute(f"CREATE OR REPLACE TEMP TABLE fit_feature AS {query}")
    parts = engine.by_customers(
        "SELECT * FROM fit_feature",
        lambda rows: _matrix(rows.sort_by("customer_key"), table.columns),
        BATCH_ROWS,
    )
    rows = np.concatenate([np.empty((0, len(table.columns)), np.float32), *parts])[:FIT_ROWS]
    engine.drop(("fit_feature",))
    return rows


def _centres(rows: Singles) -> list[float | None]:
    """Return each column's median; None for a column without a value."""
    known = (column[~np.isnan(column)] for column in rows.T)
    return [float(np.median(column)) if column.size else None for column in known]


def _centres_of(artefact: Artefact) -> Singles:
    centres = artefact.state.get("centres")
    if not isinstance(centres, Sequence) or len(centres) != len(artefact.columns):
        raise ModelError(
            "The stored isolation forest cannot be used",
            observed="no median per feature",
            expected="one for each feature it was fitted on",
            next_step="Fit the detector again",
        )
    return np.array([np.nan if value is None else value for value in centres], np.float32)


def _rows_of(engine: Engine, columns: Sequence[str], keys: Sequence[int]) -> pa.Table:
    return engine.arrow(
        f"{_select(columns)} WHERE customer_key IN (SELECT unnest($keys)) ORDER BY customer_key",
        keys=list(keys),
    )


def _select(columns: Sequence[str]) -> str:
    names = ", ".join(f'"{name}"' for name in ("customer_key", "has_rows", *columns))
    return f"SELECT {names} FROM feature"


def _matrix(batch: pa.Table, columns: Sequence[str]) -> Singles:
    """Return the features as float32, shape (rows, columns), missing ones as NaN."""
    rows = np.empty((batch.num_rows, len(columns)), np.float32)
    for place, name in enumerate(columns):
        rows[:, place] = np.clip(batch[name].to_numpy(), -_LIMIT, _LIMIT)
    return rows


def _to_walk(batch: pa.Table, columns: Sequence[str], centres: Singles) -> Singles:
    """Return the features as the trees see them: an absent customer's gaps hold the medians."""
    rows = _matrix(batch, columns)
    absent = ~batch["has_rows"].to_numpy()
    rows[absent] = np.where(np.isnan(rows[absent]), centres, rows[absent])
    return rows
