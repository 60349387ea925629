"""Who is on the list: order, categories, policies and the signal.

Customers are ordered by their rounded score, ties by customer_id. Risk categories cut the scores of
all customers at quantiles that follow from ``model.contamination`` a: medium (the flag) from 1 - a,
high from 1 - a/5, critical from 1 - a/20. The quantiles are those of the previous six weeks (the
median of each week's), so that a bad week shows as more critical customers; until six weeks are
recorded they are this week's own.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cardwatch.config import RankingConfig
from cardwatch.engine import Engine
from cardwatch.schema import (
    RISK_CATEGORIES,
    Reason,
    RiskCategory,
    Scored,
    Signal,
    Thresholds,
)

WEEKS_NEEDED = 6
NOBODY = 1.0
"""A threshold that no score reaches."""
HIGH_PART = 5
CRITICAL_PART = 20

PROBABILITIES = (
    0.5, 0.75, 0.9, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.9925, 0.995, 0.996, 0.997, 0.998,
    0.9985, 0.999, 0.9995, 0.9999, 1.0,
)  # fmt: skip
"""Probabilities whose score quantiles each run records; cuts in between are interpolated."""


@dataclass(frozen=True)
class Order:
    """Everybody's place (table ``ranked``), the keys of those on the list, and the counts."""

    listed: tuple[int, ...]
    thresholds: Thresholds
    categories: Mapping[str, int]
    flagged: int
    left_out_by_policy: Mapping[str, int]
    score_quantiles: Mapping[str, float]


def rank(
    engine: Engine,
    scored: Scored,
    config: RankingConfig,
    contamination: float,
    earlier: Mapping[str, Mapping[str, float]],
) -> Order:
    """Make the engine's table ``ranked`` and choose the list.

    Parameters
    ----------
    contamination : float
        Share of customers to flag.
    earlier : mapping of week label to recorded score quantiles
        Of comparable runs of previous weeks, at most six, by probability as text.
    """
    _order(engine, scored.families)
    quantiles = _quantiles(engine)
    thresholds = _thresholds(quantiles, contamination, earlier)
    listed, left_out = _choose(engine, config)
    categories = _count_categories(engine, thresholds)
    return Order(
        listed=listed,
        thresholds=thresholds,
        categories=categories,
        flagged=sum(categories[name] for name in ("critical", "high", "medium")),
        left_out_by_policy=left_out,
        score_quantiles=quantiles,
    )


def risk_category(score: float, thresholds: Thresholds) -> RiskCategory:
    """Return the category of a score.

    >>> risk_category(0.5, Thresholds(critical=0.9, high=0.5, medium=0.3, source="example"))
    'high'
    """
    if score >= thresholds.critical:
        return "critical"
    if score >= thresholds.high:
        return "high"
    return "medium" if score >= thresholds.medium else "low"


def signal_of(reasons: Sequence[Reason], config: RankingConfig) -> tuple[Signal, str]:
    """Return the signal and the name of the first rule that matches; else the default."""
    for rule in config.signals:
        looked_at = reasons if rule.any_reason else reasons[:1]
        if any(each.family in rule.families or each.code in rule.codes for each in looked_at):
            return rule.signal, rule.name
    return config.default_signal, "default"


def _order(engine: Engine, families: Sequence[str]) -> None:
    surprises = ", ".join(f's."{family}_surprise"' for family in families)
    engine.execute(
        "CREATE OR REPLACE TABLE ranked AS SELECT s.customer_key, row_number() OVER "
        "(ORDER BY s.anomaly_score DESC, c.customer_id) AS anomaly_rank, s.anomaly_score, "
        "s.surprise_total, CAST(coalesce(t.transaction_count, 0) AS INTEGER) AS transaction_count, "
        "coalesce(t.spend_cents, 0) AS spend_cents, "
        f"f.history_weeks, {surprises} FROM score AS s "
        "INNER JOIN customer AS c ON c.customer_key = s.customer_key "
        "INNER JOIN feature AS f ON f.customer_key = s.customer_key "
        "LEFT JOIN (SELECT customer_key, sum(transaction_count) AS transaction_count, "
        "CAST(sum(spend_cents) AS BIGINT) AS spend_cents "
        "FROM scored_cell GROUP BY customer_key) AS t ON t.customer_key = s.customer_key "
        "ORDER BY anomaly_rank"
    )


def _quantiles(engine: Engine) -> dict[str, float]:
    values = engine.scalar(
        "SELECT quantile_disc(anomaly_score, $p) FROM score", p=list(PROBABILITIES)
    )
    return {repr(p): float(value) for p, value in zip(PROBABILITIES, values, strict=True)}


def _thresholds(
    own: Mapping[str, float], contamination: float, earlier: Mapping[str, Mapping[str, float]]
) -> Thresholds:
    recorded = dict(sorted(earlier.items())[-WEEKS_NEEDED:])
    enough = len(recorded) == WEEKS_NEEDED
    weeks = list(recorded.values()) if enough else [own]
    source = f"the previous {WEEKS_NEEDED} weeks" if enough else "the scored week itself"

    def cut(part: int) -> float:
        return statistics.median(_cut(week, 1 - contamination / part) for week in weeks)

    return Thresholds(
        critical=cut(CRITICAL_PART),
        high=cut(HIGH_PART),
        medium=cut(1),
        source=source,
        weeks=tuple(recorded) if enough else (),
    )


def _cut(quantiles: Mapping[str, float], probability: float) -> float:
    points = sorted((float(p), value) for p, value in quantiles.items())
    if points[0][1] == points[-1][1]:
        return NOBODY  # the upper half of the customers score alike, and none of them stands out
    for (low, below), (high, above) in zip(points, points[1:], strict=False):
        if low <= probability <= high:
            return below + (above - below) * (probability - low) / (high - low)
    return points[0][1] if probability < points[0][0] else points[-1][1]


def _choose(engine: Engine, config: RankingConfig) -> tuple[tuple[int, ...], dict[str, int]]:
    spend_cents = round(config.min_spend * 100)
    passes = (
        "($cents = 0 OR spend_cents >= $cents) AND ($number = 0 OR transaction_count >= $number)"
    )
    limits = {"cents": spend_cents, "number": config.min_transactions}
    rows = engine.execute(
        f"SELECT customer_key FROM ranked WHERE {passes} ORDER BY anomaly_rank LIMIT $top",
        top=config.top_n, **limits,
    ).fetchall()  # fmt: skip
    left_out = {}
    if spend_cents:
        left_out["min_spend"] = engine.scalar(
            "SELECT count(*) FROM ranked WHERE spend_cents < $cents", cents=spend_cents
        )
    if config.min_transactions:
        left_out["min_transactions"] = engine.scalar(
            "SELECT count(*) FROM ranked WHERE transaction_count < $number",
            number=config.min_transactions,
        )
    return tuple(row[0] for row in rows), left_out


def _count_categories(engine: Engine, thresholds: Thresholds) -> dict[str, int]:
    counts = engine.execute(
        "SELECT count(*) FILTER (WHERE anomaly_score >= $critical), "
        "count(*) FILTER (WHERE anomaly_score >= $high AND anomaly_score < $critical), "
        "count(*) FILTER (WHERE anomaly_score >= $medium AND anomaly_score < $high), "
        "count(*) FILTER (WHERE anomaly_score < $medium) FROM score",
        critical=thresholds.critical,
        high=thresholds.high,
        medium=thresholds.medium,
    ).fetchone()
    return dict(zip(RISK_CATEGORIES, counts or (0, 0, 0, 0), strict=True))
