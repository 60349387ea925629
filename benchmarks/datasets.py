"""The data that detection is measured on: rows for the programs, and the truth about each week."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import portfolios
from benchmarks.judge import Truth
from cardwatch.week import ReportingWeek

CUSTOMERS = 6_000
WEEKS = 26
REFERENCE_WEEKS = 12
RAMP = "bust_out_ramp"
LOOKALIKE = "lookalike"
REPORT_SEEDS = tuple(range(200, 208))
"""Portfolios that serve for reporting only; 204 to 207 were added before anything ran on them."""
LAST_WEEKS = ("2025-46", "2026-02", "2025-18", "2025-32")
"""The last week of a portfolio, by its seed: autumn, over the holidays, spring, summer."""
MAIN_SCENARIO = 3
FRAUD_NEEDED = 2


@dataclass(frozen=True)
class Dataset:
    """One portfolio with labels.

    Attributes
    ----------
    path : pathlib.Path
        What Cardwatch is pointed at.
    weeks : tuple of ReportingWeek
        Weeks with twelve reference weeks before them, oldest first.
    rows : pandas.DataFrame
        The same rows per customer, week and category, for the predecessor's method.
    """

    name: str
    path: Path
    weeks: tuple[ReportingWeek, ...]
    rows: pd.DataFrame
    truth: Callable[[ReportingWeek], Truth]

    def window(self, week: ReportingWeek) -> pd.DataFrame:
        """Return the rows of a week and its reference weeks."""
        first = pd.Timestamp(week.monday) - pd.Timedelta(weeks=REFERENCE_WEEKS)
        return self.rows[self.rows["week_start"].between(first, pd.Timestamp(week.monday))]


def simulated(cache: Path, seed: int, weeks_made: int = WEEKS) -> Dataset:
    """Return a generated portfolio of 6,000 customers, whose season depends on the seed."""
    last = ReportingWeek.parse(LAST_WEEKS[seed % len(LAST_WEEKS)])
    folder = portfolios.folder_of(cache, CUSTOMERS, weeks_made, seed, last)
    if not folder.exists():
        portfolios.generate(folder, CUSTOMERS, weeks_made, seed, last)
    rows = pd.concat(
        [pd.read_parquet(path) for path in sorted(folder.glob("spend_*.parquet"))],
        ignore_index=True,
    )
    labels = pd.read_csv(folder / "_labels.csv")
    weeks = {label: ReportingWeek.parse(label) for label in rows["reporting_week"].unique()}
    mondays = {label: pd.Timestamp(week.monday) for label, week in weeks.items()}
    rows["week_start"] = rows["reporting_week"].map(mondays)

    def truth(week: ReportingWeek) -> Truth:
        known = labels[labels["week_start"] == week.monday.isoformat()]
        kinds = dict(zip(known["customer_id"], known["kind"], strict=True))
        ramps = frozenset(customer for customer, kind in kinds.items() if kind == RAMP)
        alike = frozenset(c for c, kind in kinds.items() if kind.startswith(LOOKALIKE))
        planted = {c: kind for c, kind in kinds.items() if c not in ramps | alike}
        strengths = dict(zip(known["customer_id"], known["strength"].fillna(""), strict=True))
        return Truth(planted, alike, ramps, strengths)

    scored = tuple(sorted(weeks.values()))[REFERENCE_WEEKS:]
    return Dataset(f"simulator, seed {seed}", folder, scored, rows, truth)


def handbook(folder: Path) -> Dataset:
    """Return the Fraud Detection Handbook's simulated transactions.

    Positive: a compromised card (scenario 3) with at least two fraudulent transactions in the week
    and no other fraud in it. Left out: customers with any other fraud in the week.
    """
    path = folder / "transactions.parquet"
    transactions = pd.read_parquet(path)
    day = transactions["transaction_time"].dt.normalize()
    transactions["week_start"] = day - pd.to_timedelta(day.dt.day_of_week, unit="D")
    rows = (
        transactions.groupby(["customer_id", "week_start", "mcc"])["amount"]
        .agg(spend_amount="sum", transaction_count="size")
        .reset_index()
    )
    labels = pd.read_csv(folder / "labels.csv")
    mondays = np.sort(rows["week_start"].unique())

    def truth(week: ReportingWeek) -> Truth:
        known = labels[labels["week_start"] == week.monday.isoformat()]
        main = known["scenario"] == MAIN_SCENARIO
        enough = known["fraud_transactions"] >= FRAUD_NEEDED
        positive = set(known[main & enough]["customer_id"]) - set(known[~main]["customer_id"])
        left_out = frozenset(known["customer_id"]) - positive
        return Truth(dict.fromkeys(sorted(positive), "compromised card"), left_out=left_out)

    weeks = tuple(ReportingWeek(pd.Timestamp(monday).date()) for monday in mondays)
    return Dataset("handbook", path, weeks[REFERENCE_WEEKS:], rows, truth)


def shuffled(dataset: Dataset, folder: Path, seed: int) -> Path:
    """Write the delivered rows in random order to one file, and return it."""
    source = dataset.path
    files = [source] if source.is_file() else sorted(source.glob("spend_*.parquet"))
    rows = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
    target = folder / "shuffled.parquet"
    rows.sample(frac=1, random_state=seed).to_parquet(target, index=False)
    return target
