"""Cardwatch itself, run week by week as its users run it, and read from what it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cardwatch.config import Config
from cardwatch.detection.base import Detector
from cardwatch.engine import Engine
from cardwatch.features.build import build_features
from cardwatch.pipeline import check_delivery
from cardwatch.schema import FeatureTable
from cardwatch.week import ReportingWeek
from cardwatch.wiring import open_engine, open_parts, open_source

ROOT = Path(__file__).parent.parent
FAMILY_SUFFIX = "_surprise"


@dataclass(frozen=True)
class ScoredWeek:
    """What one run wrote.

    Attributes
    ----------
    scores : pandas.DataFrame
        Every scored customer by rank: ``customer_id, anomaly_score, transaction_count`` and a
        column per family.
    flagged : float
        Share of the scored customers that is flagged.
    has_history : bool
        Whether the cut came from previous weeks.
    list_bytes : bytes
        The list as CSV.
    firm : mapping of customer to bool
        Whether a listed customer stays on the list without any one family.
    """

    scores: pd.DataFrame
    flagged: float
    has_history: bool
    list_bytes: bytes
    firm: Mapping[str, bool]

    def present(self) -> pd.Series:
        """Return the scores of customers with rows in the week."""
        present = self.scores[self.scores["transaction_count"] > 0]
        return present.set_index("customer_id")["anomaly_score"]

    def everybody(self) -> pd.Series:
        """Return the scores of all customers, the absent included."""
        return self.scores.set_index("customer_id")["anomaly_score"]

    def reasons(self) -> Mapping[str, Sequence[str]]:
        """Return each customer's families by surprise, the largest first, none without any."""
        columns = [name for name in self.scores if str(name).endswith(FAMILY_SUFFIX)]
        names = [str(name).removesuffix(FAMILY_SUFFIX) for name in columns]
        values = self.scores[columns].to_numpy()
        ordered = (-values).argsort(axis=1, kind="stable")
        return {
            customer: [names[i] for i in order if row[i] > 0]
            for customer, row, order in zip(
                self.scores["customer_id"], values, ordered, strict=True
            )
        }


def score_week(
    data: Path, week: ReportingWeek, output: Path, *, detector: str = "surprise", threads: int = 2
) -> ScoredWeek:
    """Run one week with the command that users type.

    Parameters
    ----------
    data : pathlib.Path
        File or folder.
    output : pathlib.Path
        The output folder; earlier weeks in it are the history that cuts rest on.
    """
    output.mkdir(parents=True, exist_ok=True)
    settings = {
        "data_source": {"type": "files", "path": str(data)},
        "model": {"detector": detector},
        "engine": {"threads": threads},
        "logging": {"file": None},
    }
    config = output / "benchmark.yaml"
    config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, str(ROOT / "main.py"), "--reporting-week", week.label]
    done = subprocess.run(
        [*command, "--output-dir", str(output)],
        env={**os.environ, "CARDWATCH_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"Week {week} failed with exit code {done.returncode}:\n{done.stderr}")
    listed = json.loads((output / f"anomalies_{week}.json").read_text(encoding="utf-8"))
    scores = pd.read_parquet(output / f"scores_{week}.parquet").sort_values("anomaly_rank")
    table = pd.read_csv(output / f"anomalies_{week}.csv", dtype={"customer_id": str})
    return ScoredWeek(
        scores=scores,
        flagged=listed["flagged"] / len(scores),
        has_history=bool(listed["thresholds"]["weeks"]),
        list_bytes=(output / f"anomalies_{week}.csv").read_bytes(),
        firm=dict(zip(table["customer_id"], table["rank_stability"] == 1, strict=True)),
    )


@contextmanager
def features_built(
    data: Path, week: ReportingWeek
) -> Iterator[tuple[Engine, FeatureTable, Detector]]:
    """Build the features of one week with the product's own steps, in an engine of their own."""
    config = Config.model_validate(
        {
            "data_source": {"type": "files", "path": str(data)},
            "engine": {"threads": 2},
            "logging": {"file": None},
        }
    )
    with open_engine(config) as engine:
        parts = open_parts(config, engine, open_source(config, engine), _untimed)
        delivered = parts.source.read(week, config.feature_engineering.reference_weeks)
        checked = check_delivery(delivered, config, parts)
        seed = config.model.random_state
        table, _ = build_features(checked, config.feature_engineering, engine, seed)
        yield engine, table, parts.detector


@contextmanager
def _untimed(name: str) -> Iterator[None]:
    yield
