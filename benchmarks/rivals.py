"""Detectors that others would reach for, on the same customers of the same week.

Each gets two sets of features: Cardwatch's own, and the plain weekly ones of the predecessor. Both
are prepared alike: medians for what is missing, centred and scaled robustly, far values drawn in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from benchmarks.datasets import Dataset
from benchmarks.product import features_built
from cardwatch.week import ReportingWeek

NEIGHBOURS = 20
SVM_ROWS = 2_000
"""Customers that the support vectors are chosen from; the fit takes the square of them."""
SEED = 42
AVERAGE = "rank average of them"

Rows = NDArray[np.float64]


def _isolation_forest(rows: Rows) -> Rows:
    forest = IsolationForest(n_estimators=200, random_state=SEED).fit(rows)
    return np.asarray(-forest.score_samples(rows))


def _local_outlier_factor(rows: Rows) -> Rows:
    model = LocalOutlierFactor(n_neighbors=min(NEIGHBOURS, len(rows) - 1)).fit(rows)
    return np.asarray(-model.negative_outlier_factor_)


def _neighbours(rows: Rows) -> Rows:
    model = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(rows) - 1)).fit(rows)
    distance, _ = model.kneighbors()
    return np.asarray(distance.mean(axis=1))


def _support_vectors(rows: Rows) -> Rows:
    chosen = np.random.default_rng(SEED).permutation(len(rows))[:SVM_ROWS]
    model = OneClassSVM(gamma="scale", nu=0.05).fit(rows[chosen])
    return np.asarray(-model.score_samples(rows))


def _of_pyod(module: str, name: str) -> Callable[[Rows], Rows]:
    def scored(rows: Rows) -> Rows:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant columns have no skewness
            model: Any = getattr(import_module(f"pyod.models.{module}"), name)().fit(rows)
        return np.asarray(model.decision_scores_, dtype=np.float64)

    return scored


Rivals = Mapping[str, Callable[[Rows], Rows]]
OF_SCIKIT_LEARN: Rivals = {
    "isolation forest": _isolation_forest,
    "local outlier factor": _local_outlier_factor,
    "nearest neighbours": _neighbours,
    "one-class SVM": _support_vectors,
}
OF_PYOD: Rivals = {
    "ECOD": _of_pyod("ecod", "ECOD"),
    "COPOD": _of_pyod("copod", "COPOD"),
    "HBOS": _of_pyod("hbos", "HBOS"),
}
RIVALS: Rivals = {**OF_SCIKIT_LEARN, **OF_PYOD}


def scores(features: pd.DataFrame, chosen: Rivals = RIVALS) -> dict[str, pd.Series]:
    """Return every rival's scores of the customers of one week; higher is more anomalous.

    Parameters
    ----------
    features : pandas.DataFrame
        A row per customer; missing values may be in it.
    chosen : mapping of name to rival
    """
    rows = prepared(features)
    found = {name: pd.Series(rival(rows), index=features.index) for name, rival in chosen.items()}
    ranks = [series.rank() for series in found.values()]
    found[AVERAGE] = pd.Series(sum(ranks) / len(ranks), index=features.index)
    return found


def prepared(features: pd.DataFrame) -> Rows:
    """Return the features as a rival gets them, columns without any difference left out."""
    values = features.replace([np.inf, -np.inf], np.nan)
    values = values.fillna(values.median()).dropna(axis=1).astype(float)
    centred = values - values.median()
    spread = 1.4826 * centred.abs().median()
    spread = spread.where(spread > 0, values.std())
    scaled = (centred / spread).loc[:, spread > 0]
    return np.asarray(np.sign(scaled) * np.log1p(scaled.abs()), dtype=np.float64)


def own_features(dataset: Dataset, week: ReportingWeek) -> pd.DataFrame:
    """Return Cardwatch's features of one week, a row per customer with a row in it."""
    with features_built(dataset.path, week) as (engine, table, _):
        columns = ", ".join(f'f."{name}"' for name in table.columns)
        found = engine.arrow(
            f"SELECT c.customer_id, {columns} FROM feature AS f "
            "INNER JOIN customer AS c ON c.customer_key = f.customer_key "
            "WHERE f.has_rows ORDER BY c.customer_id"
        )
    frame: pd.DataFrame = found.to_pandas()
    return frame.set_index("customer_id")
