"""Cardwatch itself, run week by week as its users run it, and read from what it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cardwatch.week import ReportingWeek

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
    """

    scores: pd.DataFrame
    flagged: float
    has_history: bool
    list_bytes: bytes

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
    return ScoredWeek(
        scores=scores,
        flagged=listed["flagged"] / len(scores),
        has_history=bool(listed["thresholds"]["weeks"]),
        list_bytes=(output / f"anomalies_{week}.csv").read_bytes(),
    )
