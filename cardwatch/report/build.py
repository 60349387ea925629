"""What a run has to say, as numbers and words: the one thing every sink renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from cardwatch.engine import Engine
from cardwatch.errors import CardwatchError
from cardwatch.schema import (
    Attribution,
    Checked,
    Coverage,
    CustomerFacts,
    FeatureTable,
    Learning,
    ListedCustomer,
    PeerGroup,
    PortfolioWeek,
    Ranking,
    Reason,
    RiskCategory,
    Scored,
    Signal,
    WeekReport,
)

NOTHING_LEARNT = Learning()


def standings(engine: Engine, keys: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """Return the place, score and totals of these customers, by key."""
    rows = engine.rows(
        "SELECT c.customer_key, c.customer_id, r.anomaly_score, r.anomaly_rank, r.spend_cents, "
        "r.transaction_count, r.history_weeks, r.surprise_total FROM ranked AS r "
        "INNER JOIN customer AS c ON c.customer_key = r.customer_key "
        "WHERE r.customer_key IN (SELECT unnest($keys))",
        keys=list(keys),
    )
    return {row["customer_key"]: row for row in rows}


def listed_customer(
    standing: Mapping[str, Any],
    facts: CustomerFacts,
    attributions: Sequence[Attribution],
    reasons: tuple[Reason, ...],
    category: RiskCategory,
    signal: tuple[Signal, str],
    *,
    rank_stability: float = 1.0,
    guard: bool = False,
) -> ListedCustomer:
    """Put one row of the list together from `standings`; amounts are exact sums of cents."""
    top = facts.categories[0] if facts.categories else None
    return ListedCustomer(
        customer_id=standing["customer_id"],
        anomaly_score=standing["anomaly_score"],
        anomaly_rank=standing["anomaly_rank"],
        risk_category=category,
        total_spend=_money(standing["spend_cents"]),
        transaction_count=standing["transaction_count"],
        mcc_diversity=len(facts.categories),
        top_mcc=top.mcc if top else "",
        top_mcc_spend=_money(round(top.spend * 100)) if top else Decimal("0.00"),
        signal=signal[0],
        signal_rule=signal[1],
        history_weeks=standing["history_weeks"],
        surprise_total=standing["surprise_total"],
        reasons=reasons,
        contributions={part.family: part.contribution for part in attributions},
        facts=facts,
        rank_stability=rank_stability,
        guard=guard,
    )


def portfolio_weeks(engine: Engine, checked: Checked) -> tuple[PortfolioWeek, ...]:
    """Return what all customers together did in each week of the window, oldest first."""
    rows = engine.rows(
        "SELECT week_index, spend_cents, transaction_count, customers FROM portfolio_week "
        "WHERE customers > 0"
    )
    found = {row["week_index"]: row for row in rows}
    nothing = {"spend_cents": 0, "transaction_count": 0, "customers": 0}
    weeks = (*checked.reference_weeks, checked.week)
    return tuple(
        PortfolioWeek(
            week=week,
            spend=_money(row["spend_cents"]),
            transaction_count=row["transaction_count"],
            customers=row["customers"],
        )
        for week, row in ((week, found.get(i, nothing)) for i, week in enumerate(weeks))
    )


def peer_groups(
    engine: Engine, listed: Sequence[int], norms: Sequence[tuple[float, float]]
) -> tuple[PeerGroup, ...]:
    """Return each peer group's part of the scored customers and of the list, by number.

    Parameters
    ----------
    norms : sequence of tuple of float
        Per group, the medians of its customers' spend and count this week.
    """
    rows = engine.execute(
        "SELECT peer_group, count(*), count(*) FILTER (WHERE customer_key IN "
        "(SELECT unnest($listed))) FROM feature GROUP BY peer_group ORDER BY peer_group",
        listed=list(listed),
    ).fetchall()
    everybody = sum(customers for _, customers, _ in rows)
    return tuple(
        PeerGroup(
            group,
            round(norms[group][0], 2),
            round(norms[group][1], 6),
            customers,
            on_list,
            drawn_by_lot(len(listed), customers / everybody),
        )
        for group, customers, on_list in rows
    )


def drawn_by_lot(places: int, share: float, confidence: float = 0.99) -> tuple[int, int]:
    """Return how many of so many places a share of everybody gets by lot, nearly always.

    Examples
    --------
    >>> drawn_by_lot(20, 0.1), drawn_by_lot(20, 0.02), drawn_by_lot(20, 1.0)
    ((0, 6), (0, 3), (20, 20))
    """
    # Imported when it is used: reading a report takes no statistics.
    from scipy.special import bdtr

    below = bdtr(np.arange(places + 1), places, share)
    low, high = np.searchsorted(below, [(1 - confidence) / 2, (1 + confidence) / 2])
    return int(low), int(high)


def build_report(
    ranking: Ranking,
    checked: Checked,
    table: FeatureTable,
    scored: Scored,
    notes: Sequence[str],
    numbering: Literal["guide", "iso"],
    portfolio: tuple[PortfolioWeek, ...] = (),
    learning: Learning = NOTHING_LEARNT,
) -> WeekReport:
    """Collect a run's list, coverage and remarks; `notes` come before those of the steps."""
    return WeekReport(
        week=ranking.week,
        ranking=ranking,
        coverage=_covered(checked.coverage, table),
        findings=checked.findings,
        notes=(*notes, *checked.warnings, *table.notes, *learning.notes),
        detector=scored.detector,
        families=scored.families,
        numbering=numbering,
        portfolio=portfolio,
        learning=learning,
    )


def _covered(coverage: Coverage, table: FeatureTable) -> Coverage:
    """Fill in who was scored; what is left over is named, never dropped."""
    scored = table.rows_with_spend + table.rows_absent
    named = dict(coverage.customers_unscored)
    rest = coverage.customers_in - scored - sum(named.values())
    if rest < 0:
        raise CardwatchError(
            "More customers were scored than were delivered",
            where=f"week {table.week.label}",
            observed=f"{scored} scored",
            expected=f"at most {coverage.customers_in}",
        )
    if rest:
        named["no transaction in the window"] = rest
    return replace(
        coverage,
        customers_scored=scored,
        customers_absent=table.rows_absent,
        customers_unscored=named,
    )


def _money(cents: int) -> Decimal:
    return Decimal(cents) / 100
