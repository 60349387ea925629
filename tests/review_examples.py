"""Reviews for tests: who was found to be what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cardwatch.review.verdicts import Review


def review(
    customer: str = "C-1",
    week: str = "2025-45",
    verdict: str = "confirmed_risk",
    *features: str,
    **changes: Any,
) -> Review:
    """Return one review; its list's reasons rest on `features`."""
    told = {
        "customer_id": customer,
        "reporting_week": week,
        "verdict": verdict,
        "reviewer": "ada",
        "reviewed_at": datetime(2025, 11, 25, 9, tzinfo=UTC),
        "features": features,
    }
    return Review.model_validate(told | changes)
