"""The deployment guide's table and its two indexes, exactly as in the guide."""

from __future__ import annotations

from collections.abc import Callable

from cardwatch.publish.database_objects import Column, Expansion, Index, Table

revision = "0001"
down_revision = None

ANOMALY_REPORTS = Table(
    name="anomaly_reports",
    comment="The weekly list: one row per listed customer and week. As in the deployment guide.",
    columns=(
        Column("customer_id", "VARCHAR(50)", "The customer, as in the source.", "NOT NULL"),
        Column(
            "reporting_week",
            "VARCHAR(7)",
            "The week's label YYYY-WW: strftime('%Y-%W') of its Monday. Text, not a month.",
            "NOT NULL",
        ),
        Column("anomaly_score", "FLOAT", "0 to 1; higher is more anomalous.", "NOT NULL"),
        Column(
            "anomaly_rank",
            "INT",
            "Place among all scored customers of the week; 1 is the most anomalous.",
            "NOT NULL",
        ),
        Column("risk_category", "VARCHAR(20)", "critical, high, medium or low."),
        Column(
            "total_spend",
            "DECIMAL(12, 2)",
            "Net spend of the week, in account currency; negative when refunds exceed it.",
        ),
        Column("transaction_count", "INT", "Transactions of the week."),
        Column("mcc_diversity", "INT", "Merchant categories with a transaction in the week."),
        Column(
            "top_mcc",
            "VARCHAR(50)",
            "The merchant category (MCC) with the largest spend; empty without one.",
        ),
        Column("top_mcc_spend", "DECIMAL(12, 2)", "Net spend there, in account currency."),
        Column(
            "created_at",
            "TIMESTAMP",
            "When the run that made the list had finished, in UTC.",
            "DEFAULT CURRENT_TIMESTAMP",
        ),
    ),
    key=("customer_id", "reporting_week"),
    indexes=(
        Index("idx_reporting_week", ("reporting_week",)),
        Index("idx_anomaly_rank", ("anomaly_rank",)),
    ),
)

EXPANSION = Expansion(tables=(ANOMALY_REPORTS,))


def upgrade(expand: Callable[[Expansion], None]) -> None:
    """Add what this migration adds."""
    expand(EXPANSION)
