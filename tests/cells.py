"""Small portfolios in the engine, as the contract leaves them: ``customer`` and ``cell``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cardwatch.config import FeatureConfig, ModelConfig
from cardwatch.detection.base import Detector
from cardwatch.detection.isolation_forest import IsolationForestDetector
from cardwatch.detection.surprise import SurpriseDetector
from cardwatch.engine import BATCH_ROWS, Engine
from cardwatch.features.build import build_features
from cardwatch.features.catalog import ABSENCE, CATALOG
from cardwatch.features.portfolio import Portfolio
from cardwatch.schema import Checked, Coverage, FeatureTable
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")
Order = npt.NDArray[np.intp]

EVERYDAY = (5411, 5541, 5812, 5814, 5912, 4111, 5310, 5651, 5732, 5942)
RARE = (5944, 4829, 7995, 6011, 4511, 7011, 5712, 8062, 742, 5999)


class Cell(NamedTuple):
    """One accepted row; spend in cents."""

    customer: str
    week: int
    mcc: int
    cents: int
    number: int


class Dense(NamedTuple):
    """A portfolio as arrays of shape (customers, weeks, categories): cents and transactions."""

    cents: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    mccs: tuple[int, ...]

    def cells(self) -> list[Cell]:
        """The rows with transactions; customers are named by their place, so keys equal places."""
        return [
            Cell(name(i), int(w), self.mccs[m], int(self.cents[i, w, m]), int(self.number[i, w, m]))
            for i, w, m in np.argwhere(self.number > 0)
        ]


def name(place: int) -> str:
    return f"C{place:05d}"


def portfolio(customers: int = 300, weeks: int = 13, seed: int = 7) -> Dense:
    """Customers with habits of their own, over twenty categories.

    The last tenth is seen only in the last two to four weeks, every tenth customer is absent in the
    last week, and one purchase in fifty is a refund.
    """
    random = np.random.default_rng(seed)
    mccs = tuple(sorted(EVERYDAY + RARE))
    usual = np.array([1.0 if mcc in EVERYDAY else 0.08 for mcc in mccs])
    taste = random.gamma(0.4, size=(customers, len(mccs))) * usual
    busy = random.lognormal(1.6, 0.6, customers)
    rate = busy[:, None] * taste / taste.sum(axis=1, keepdims=True)
    count = random.poisson(np.broadcast_to(rate[:, None, :], (customers, weeks, len(mccs))))
    ticket = random.lognormal(3.2, 0.4, len(mccs)) * random.lognormal(0, 0.3, (customers, 1))
    noise = random.lognormal(0, 0.4, count.shape) / np.sqrt(np.maximum(count, 1))
    sign = np.where(random.random(count.shape) < 0.02, -1, 1)
    cents = np.round(100 * sign * count * ticket[:, None, :] * (1 + noise)).astype(np.int64)
    late = np.arange(customers) >= customers - customers // 10
    count[late, : weeks - 4] = 0
    count[late & (np.arange(customers) % 2 == 0), : weeks - 2] = 0
    count[::10, -1] = 0
    return Dense(np.where(count > 0, cents, 0), count.astype(np.int64), mccs)


def steady(customers: int, weeks: Sequence[int], cents: int = 5_000, mcc: int = 5411) -> list[Cell]:
    """Customers who do the same, one purchase a week at one place, in the given weeks."""
    return [Cell(name(i), week, mcc, cents, 1) for i in range(customers) for week in weeks]


def fill(
    engine: Engine,
    rows: Iterable[Cell] | Dense,
    reference_weeks: int = 12,
    order: Order | None = None,
    week: ReportingWeek = WEEK,
) -> Checked:
    """Make the contract's tables; `order` inserts the rows of ``cell`` in another order."""
    names, table = _dense_table(rows) if isinstance(rows, Dense) else _table(rows)
    placed = table if order is None else table.take(pa.array(order))
    engine.create("customer", {"customer_key": "INTEGER", "customer_id": "VARCHAR"})
    engine.append(
        "customer", pa.table({"customer_key": list(range(len(names))), "customer_id": names})
    )
    types = {"customer_key": "INTEGER", "week_index": "TINYINT", "mcc": "SMALLINT"}
    engine.create("cell", types | {"spend_cents": "BIGINT", "transaction_count": "INTEGER"})
    engine.append("cell", placed)
    return _checked(table, len(names), reference_weeks, week)


def _table(cells: Iterable[Cell]) -> tuple[list[str], pa.Table]:
    rows = sorted(cells, key=lambda cell: (cell.customer, cell.week, cell.mcc))
    names = sorted({cell.customer for cell in rows})
    key_of = {customer: key for key, customer in enumerate(names)}
    columns = {
        "customer_key": [key_of[cell.customer] for cell in rows],
        "week_index": [cell.week for cell in rows],
        "mcc": [cell.mcc for cell in rows],
        "spend_cents": [cell.cents for cell in rows],
        "transaction_count": [cell.number for cell in rows],
    }
    return names, pa.table(columns)


def _dense_table(dense: Dense) -> tuple[list[str], pa.Table]:
    customer, week, category = np.nonzero(dense.number)
    places, key = np.unique(customer, return_inverse=True)
    columns = {
        "customer_key": key,
        "week_index": week,
        "mcc": np.array(dense.mccs)[category],
        "spend_cents": dense.cents[customer, week, category],
        "transaction_count": dense.number[customer, week, category],
    }
    return [name(place) for place in places], pa.table(columns)


def _checked(cells: pa.Table, customers: int, reference_weeks: int, week: ReportingWeek) -> Checked:
    window = (*week.window(reference_weeks), week)
    weeks = cells["week_index"].to_pylist()
    coverage = Coverage(
        rows_in=len(weeks),
        rows_accepted=len(weeks),
        rows_quarantined=0,
        rows_scored_week=weeks.count(reference_weeks),
        cells=len(weeks),
        customers_in=customers,
    )
    return Checked(
        week=week,
        reference_weeks=window[:-1],
        weeks_present=tuple(window[index] for index in sorted(set(weeks))),
        coverage=coverage,
        findings=(),
        warnings=(),
        week_fingerprints={},
    )


def build(
    engine: Engine,
    rows: Iterable[Cell] | Dense,
    reference_weeks: int = 12,
    order: Order | None = None,
    block_rows: int = BATCH_ROWS,
) -> tuple[FeatureTable, Portfolio]:
    """Fill the tables and build the features with the default configuration."""
    checked = fill(engine, rows, reference_weeks, order)
    return build_features(checked, FeatureConfig(), engine, 42, block_rows)


def surprise(**settings: object) -> SurpriseDetector:
    """The default detector."""
    config = ModelConfig.model_validate(settings)
    return SurpriseDetector(config, CATALOG, {ABSENCE: config.absent_cap})


def forest(**settings: object) -> IsolationForestDetector:
    """A small isolation forest."""
    return IsolationForestDetector(
        ModelConfig.model_validate({"n_estimators": 20, **settings}), CATALOG
    )


def detectors() -> tuple[Detector, ...]:
    """Every detector, with its default settings or smaller ones."""
    return surprise(), forest()


def column(engine: Engine, feature: str) -> npt.NDArray[np.float64]:
    """One feature by customer_key, NaN for NULL."""
    values = engine.arrow(f'SELECT "{feature}" FROM feature ORDER BY customer_key')[feature]
    return np.asarray(values.to_numpy(), dtype=np.float64)
