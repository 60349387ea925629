"""What Cardwatch's features say of every customer of a week, before anything is added up."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import portfolios
from benchmarks.datasets import Dataset
from benchmarks.judge import Truth
from benchmarks.product import features_built
from cardwatch.config import ModelConfig
from cardwatch.detection.artefact import Artefact
from cardwatch.detection.surprise import family_surprise
from cardwatch.detection.tails import law_from_json
from cardwatch.features.catalog import ABSENCE, CATALOG, FAMILIES
from cardwatch.robust import Floats
from cardwatch.week import ReportingWeek

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

FEATURES = tuple(feature for feature in CATALOG if feature.name != ABSENCE)
WEIGHTS: Floats = np.array([feature.weight for feature in FEATURES])
MEMBERS = tuple(
    np.flatnonzero([feature.family == family for feature in FEATURES]) for family in FAMILIES
)
SCORE = "anomaly_score"
SUSPECTS = 800
"""Customers of a week that a search or a fit looks at beside the labelled: those with the most
surprising feature. The figures reported are of everybody."""
DECAYS: Floats = np.power(ModelConfig().decay, np.arange(len(FAMILIES)), dtype=np.float64)
MADE_BY = ("features/*.py", "features/*.sql", "detection/*.py", "robust.py")
"""The package's files that a surprise depends on: they name the folder it is kept in."""


@dataclass(frozen=True)
class SurprisingWeek:
    """One week's customers with rows, those left out of the truth not among them; n of them.

    Attributes
    ----------
    data : str
        The dataset's name.
    customers : array of text, shape (n,)
        By the product's score, the highest first.
    score : float64, shape (n,)
        That score.
    surprise : float64, shape (n, features)
        In the order of `FEATURES`, not weighted.
    """

    data: str
    week: ReportingWeek
    customers: NDArray[np.object_]
    score: Floats
    surprise: Floats
    truth: Truth

    def kinds(self) -> NDArray[np.object_]:
        """Return each customer's planted kind, empty for nothing, shape (n,)."""
        known = self.truth.kinds
        return np.array([known.get(customer, "") for customer in self.customers], dtype=object)

    def suspects(self) -> Bools:
        """Return whom a search or a fit looks at: the labelled, and the likeliest of the rest."""
        most = (self.surprise * WEIGHTS).max(axis=1)
        chosen = self.kinds() != ""
        chosen |= np.isin(self.customers, list(self.truth.lookalikes))
        chosen[np.argsort(-most, kind="stable")[:SUSPECTS]] = True
        return np.asarray(chosen)

    def reasons(self, weights: Floats) -> Mapping[str, Sequence[str]]:
        """Return the planted customers' families by weighted surprise, the largest first."""
        planted = self.kinds() != ""
        alone = by_family(self.surprise[planted] * weights)
        ordered = (-alone).argsort(axis=1, kind="stable")
        names = self.customers[planted]
        return {
            str(customer): [FAMILIES[i] for i in order if row[i] > 0]
            for customer, row, order in zip(names, alone, ordered, strict=True)
        }


def by_family(weighted: Floats) -> Floats:
    """Return each family's surprise, shape (n, families)."""
    return np.column_stack([family_surprise(weighted[:, members]) for members in MEMBERS])


def totals(surprise: Floats, weights: Floats) -> Floats:
    """Return the product's total for other weights, shape (n,)."""
    return summed(by_family(surprise * weights))


def summed(alone: Floats) -> Floats:
    """Return the families' surprises added up as the product does, shape (n,)."""
    return np.asarray(np.sort(alone, axis=1) @ DECAYS[::-1])


def surprising_weeks(
    dataset: Dataset, cache: Path, weeks: Sequence[ReportingWeek]
) -> list[SurprisingWeek]:
    """Return some weeks of a dataset, built by the product's own steps the first time."""
    folder = cache / f"surprises-{portfolios.source_digest(*MADE_BY)}" / dataset.path.stem
    folder.mkdir(parents=True, exist_ok=True)
    return [_kept(dataset, week, folder / f"{week}.parquet") for week in weeks]


def _kept(dataset: Dataset, week: ReportingWeek, path: Path) -> SurprisingWeek:
    if not path.exists():
        print(f"{dataset.name} · week {week}", file=sys.stderr, flush=True)
        half = path.with_suffix(f".{os.getpid()}")
        _built(dataset, week).to_parquet(half, index=False)
        half.replace(path)
    rows, truth = pd.read_parquet(path), dataset.truth(week)
    rows = rows[~rows["customer_id"].isin(list(truth.left_out))]
    return SurprisingWeek(
        data=dataset.name,
        week=week,
        customers=rows["customer_id"].to_numpy(dtype=object),
        score=rows[SCORE].to_numpy(),
        surprise=rows[[feature.name for feature in FEATURES]].to_numpy(),
        truth=truth,
    )


def _built(dataset: Dataset, week: ReportingWeek) -> pd.DataFrame:
    """Return each customer's score and surprises, 0 where a feature has no law this week."""
    with features_built(dataset.path, week) as (engine, table, detector):
        laws = Artefact.of(detector.fit_score(engine, table).state).state["laws"]
        rows = engine.arrow(
            f"SELECT c.customer_id, s.{SCORE}, f.* FROM feature AS f "
            "INNER JOIN score AS s ON s.customer_key = f.customer_key "
            "INNER JOIN customer AS c ON c.customer_key = f.customer_key "
            f"WHERE f.has_rows ORDER BY s.{SCORE} DESC, c.customer_id"
        ).to_pandas()
    found: pd.DataFrame = rows[["customer_id", SCORE]].copy()
    for feature in FEATURES:
        law = laws.get(feature.name)
        values = rows[feature.name].to_numpy(dtype=np.float64)
        found[feature.name] = law_from_json(law).surprise(values) if law else 0.0
    return found
