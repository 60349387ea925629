"""Who is on the list: order, categories, policies and the signal.

Customers are ordered by their rounded score, ties by customer_id. Risk categories cut the scores of
all customers at quantiles that follow from ``model.contamination`` a: medium (the flag) from 1 - a,
high from 1 - a/5, critical from 1 - a/20. The quantiles are those of the previous six weeks (the
median of each week's), so that a bad week shows as more critical customers; until six weeks are
recorded they are this week's own.

Where verdicts weigh the scores, the last places of the list are guards: the best by the score
without them, so that what was once called uninteresting is still seen. Whom a policy keeps off the
list is scored, ranked and counted all the same. One of them caps what a peer group may take of the
list; it counts those who would be on it otherwise.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor

import pyarrow as pa

from cardwatch.config import RankingConfig
from cardwatch.engine import Engine
from cardwatch.schema import (
    RISK_CATEGORIES,
    SNOOZED,
    Reason,
    RiskCategory,
    Scored,
    Signal,
    Thresholds,
)

_TINY = 1e-9
"""So that a share of the list which is a whole number of places is not rounded to one fewer."""
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


Asleep = Callable[[Thresholds], Mapping[int, str]]
"""Given the cuts of the risk categories, says who is snoozed, by key, and in which scope."""


@dataclass(frozen=True)
class Order:
    """Everybody's place (table ``ranked``), the keys of those on the list, and the counts.

    Attributes
    ----------
    guards : frozenset of int
        Those of the list who are on it by their score without weights.
    moved_off : int
        How many would be on the list without weights and are not.
    """

    listed: tuple[int, ...]
    thresholds: Thresholds
    categories: Mapping[str, int]
    flagged: int
    left_out_by_policy: Mapping[str, int]
    score_quantiles: Mapping[str, float]
    guards: frozenset[int] = frozenset()
    moved_off: int = 0


def rank(
    engine: Engine,
    scored: Scored,
    config: RankingConfig,
    contamination: float,
    earlier: Mapping[str, Mapping[str, float]],
    guards: int = 0,
    asleep: Asleep = lambda thresholds: {},
) -> Order:
    """Make the engine's table ``ranked`` and its views, and choose the list.

    Parameters
    ----------
    contamination : float
        Share of customers to flag.
    earlier : mapping of week label to recorded score quantiles
        Of comparable runs of previous weeks, at most six, by probability as text.
    guards : int
        Places at the end of the list, never the first, for the best by the score without weights.
    asleep : callable
        See `Asleep`.
    """
    _order(engine, scored.families)
    quantiles = _quantiles(engine)
    thresholds = _thresholds(quantiles, contamination, earlier)
    policies, left_out = _leave_out(engine, config, asleep(thresholds))
    _show(engine, "kept_off", policies)
    _show(engine, "left_out", policies)
    places = group_places(config)
    listed, guarding, moved_off = _choose(engine, config.top_n, guards)
    if places is not None:
        uncapped = set(listed)
        listed, guarding, moved_off = _choose(engine, config.top_n, guards, places)
        _show(engine, "left_out", policies + _beyond_the_cap(engine, listed, places))
        left_out["peer_group_cap"] = len(uncapped - set(listed))
    categories = _count_categories(engine, thresholds)
    return Order(
        listed=listed,
        thresholds=thresholds,
        categories=categories,
        flagged=sum(categories[name] for name in ("critical", "high", "medium")),
        left_out_by_policy=left_out,
        score_quantiles=quantiles,
        guards=frozenset(guarding),
        moved_off=moved_off,
    )


def group_places(config: RankingConfig) -> int | None:
    """Return how many places of the list a peer group may take, at least one; None for any number.

    >>> group_places(RankingConfig(top_n=20, peer_group_cap=0.3))
    6
    """
    cap = config.peer_group_cap
    return None if cap is None else max(int(cap * config.top_n + _TINY), 1)


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
    query = (
        "SELECT s.customer_key, c.customer_id, s.anomaly_score, "
        "s.surprise_total, s.unweighted_total, "
        "CAST(coalesce(t.transaction_count, 0) AS INTEGER) AS transaction_count, "
        "coalesce(t.spend_cents, 0) AS spend_cents, "
        f"f.history_weeks, {surprises} FROM score AS s "
        "INNER JOIN customer AS c ON c.customer_key = s.customer_key "
        "INNER JOIN feature AS f ON f.customer_key = s.customer_key "
        "LEFT JOIN (SELECT customer_key, sum(transaction_count) AS transaction_count, "
        "CAST(sum(spend_cents) AS BIGINT) AS spend_cents "
        "FROM scored_cell GROUP BY customer_key) AS t ON t.customer_key = s.customer_key"
    )
    order = "anomaly_score DESC, customer_id"
    engine.number("ranked", "anomaly_rank", query, order, hidden="customer_id")


def _quantiles(engine: Engine) -> dict[str, float]:
    """Return the score under which each share of `PROBABILITIES` lies, or of the next customer."""
    customers = int(engine.scalar("SELECT count(*) FROM ranked"))
    # The smallest score that so many have or less: counted from the highest, as ranks are.
    place = {p: min(floor(customers - customers * p) + 1, customers) for p in PROBABILITIES}
    found = dict(
        engine.execute(
            "SELECT anomaly_rank, anomaly_score FROM ranked"
            " WHERE anomaly_rank IN (SELECT unnest($places))",
            places=sorted(set(place.values())),
        ).fetchall()
    )
    return {repr(p): float(found[place[p]]) for p in PROBABILITIES}


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


def _leave_out(
    engine: Engine, config: RankingConfig, asleep: Mapping[int, str]
) -> tuple[list[str], dict[str, int]]:
    """Return the queries of whom each policy keeps off the list, and how many it does."""
    engine.create("asleep", {"customer_key": "INTEGER"})
    engine.append("asleep", pa.table({"customer_key": pa.array(list(asleep), pa.int32())}))
    queries, counts = ["SELECT customer_key FROM asleep"], {}
    for name, column, least in (
        ("min_spend", "spend_cents", round(config.min_spend * 100)),
        ("min_transactions", "transaction_count", config.min_transactions),
    ):
        if least:
            few = f"FROM ranked WHERE {column} < {least}"
            queries.append(f"SELECT customer_key {few}")
            counts[name] = int(engine.scalar(f"SELECT count(*) {few}"))
    for scope in sorted(set(asleep.values())):
        counts[f"{SNOOZED}{scope}"] = sum(each == scope for each in asleep.values())
    return queries, counts


def _show(engine: Engine, view: str, queries: Sequence[str]) -> None:
    """Make a view of what some queries give."""
    engine.execute(f"CREATE OR REPLACE VIEW {view} AS {' UNION ALL '.join(queries)}")


def _choose(
    engine: Engine, top_n: int, guards: int, places: int | None = None
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return who is listed, who of them as a guard, and how many the weights moved off.

    No peer group gets more than `places`, guards included.
    """
    first = _first(engine, "anomaly_rank", top_n, places)
    if not guards:
        return tuple(first), (), 0
    alone = _first(engine, "round(unweighted_total, 9) DESC, customer_id", top_n, places)
    kept = dict(list(first.items())[: max(len(first) - guards, 1)])
    guarding: dict[int, int] = {}
    taken = Counter(kept.values())
    for key, group in alone.items():
        is_full = places is not None and taken[group] >= places
        if key not in kept and not is_full and len(kept) + len(guarding) < len(first):
            guarding[key] = group
            taken[group] += 1
    listed = (*kept, *guarding)
    return listed, tuple(guarding), len(alone.keys() - set(listed))


def _first(engine: Engine, order: str, customers: int, places: int | None) -> dict[int, int]:
    """Return the first customers whom no policy leaves out, with their peer group."""
    rows = "ranked AS r INNER JOIN customer AS c ON c.customer_key = r.customer_key "
    columns = "r.customer_key, r.anomaly_rank, r.unweighted_total, c.customer_id"
    group, few = "0 AS peer_group", ""
    if places is not None:
        rows += "INNER JOIN feature AS f ON f.customer_key = r.customer_key "
        group = (
            "f.peer_group, row_number() OVER"
            f" (PARTITION BY f.peer_group ORDER BY {order}) AS place_in_group"
        )
        few = f"WHERE place_in_group <= {places} "
    found = engine.execute(
        f"SELECT customer_key, peer_group FROM (SELECT {columns}, {group} FROM {rows}"
        "WHERE NOT EXISTS (SELECT 1 FROM left_out AS o WHERE o.customer_key = r.customer_key)) "
        f"{few}ORDER BY {order} LIMIT $customers",
        customers=customers,
    ).fetchall()
    return dict(found)


def _beyond_the_cap(engine: Engine, listed: Sequence[int], places: int) -> list[str]:
    """Return the query of whoever is not listed of peer groups that have no place left."""
    full = engine.execute(
        "SELECT peer_group FROM feature WHERE customer_key IN (SELECT unnest($listed)) "
        "GROUP BY peer_group HAVING count(*) >= $places ORDER BY peer_group",
        listed=list(listed),
        places=places,
    ).fetchall()
    if not full:
        return []
    groups, keys = (", ".join(map(str, found)) for found in ([g for (g,) in full], listed))
    return [
        f"SELECT customer_key FROM feature WHERE peer_group IN ({groups})"
        f" AND customer_key NOT IN ({keys})"
    ]


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
