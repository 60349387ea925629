"""What verdicts do to a list: who is a guard, and what everybody's total would be without them."""

from __future__ import annotations

from collections.abc import Callable

from cardwatch.publish.database_objects import Column, Expansion

revision = "0005"
down_revision = "0004"

EXPANSION = Expansion(
    columns={
        "anomaly_details": (
            Column(
                "guard",
                "BOOLEAN",
                "Whether the customer is listed by the score without verdicts. Empty: not known.",
            ),
        ),
        "anomaly_scores": (
            Column(
                "unweighted_total",
                "DOUBLE PRECISION",
                "What surprise_total would be without verdicts. Empty: not known.",
            ),
        ),
    }
)


def upgrade(expand: Callable[[Expansion], None]) -> None:
    """Add what this migration adds."""
    expand(EXPANSION)
