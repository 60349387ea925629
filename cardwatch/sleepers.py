"""Who of the scored customers is snoozed this week, and who is awake again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cardwatch.detection.base import Detector
from cardwatch.engine import Engine
from cardwatch.features.catalog import CATALOG
from cardwatch.features.facts import customer_facts
from cardwatch.features.portfolio import Portfolio
from cardwatch.ranking import risk_category
from cardwatch.review.snooze import Seen, Snooze, sleeps
from cardwatch.schema import Scored, Thresholds

_FAMILIES = {feature.name: feature.family for feature in CATALOG}


@dataclass(frozen=True)
class Sleepers:
    """The snoozes in force and what the week says of their customers.

    Attributes
    ----------
    leading : mapping of customer_key to (family, mcc)
        Of the leading reason; customers without one, or without a score, are left out.
    scores : mapping of customer_key to float
        Their anomaly_score.
    """

    snoozes: Mapping[int, Sequence[Snooze]]
    leading: Mapping[int, tuple[str, str]]
    scores: Mapping[int, float]

    @classmethod
    def find(
        cls,
        engine: Engine,
        snoozes: Sequence[Snooze],
        detector: Detector,
        scored: Scored,
        portfolio: Portfolio,
    ) -> Sleepers:
        """Look up the customers of these snoozes in the engine's table ``score``."""
        rows = engine.rows(
            "SELECT s.customer_key, c.customer_id, s.anomaly_score FROM score AS s "
            "INNER JOIN customer AS c ON c.customer_key = s.customer_key "
            "WHERE c.customer_id IN (SELECT unnest($ids)) ORDER BY s.customer_key",
            ids=[each.customer_id for each in snoozes],
        )
        keys = [row["customer_key"] for row in rows]
        facts = customer_facts(engine, portfolio, keys) if keys else {}
        leading = {}
        for key, parts in (detector.attribute(engine, scored, keys) if keys else {}).items():
            if parts and parts[0].feature:
                mcc = facts[key].drivers.get(parts[0].feature) or ""
                leading[key] = (_FAMILIES[parts[0].feature], mcc)
        of = {
            row["customer_key"]: [s for s in snoozes if s.customer_id == row["customer_id"]]
            for row in rows
        }
        return cls(of, leading, {row["customer_key"]: row["anomaly_score"] for row in rows})

    def asleep(self, thresholds: Thresholds) -> dict[int, str]:
        """Return who is not to be listed, with the scope of the snooze."""
        found: dict[int, str] = {}
        for key, (family, mcc) in self.leading.items():
            seen = Seen(family, mcc, risk_category(self.scores[key], thresholds))
            scopes = [each.scope for each in self.snoozes[key] if sleeps(each, seen)]
            if scopes:
                found[key] = scopes[0]
        return found

    def notes(self, listed: Sequence[int]) -> tuple[str, ...]:
        """Say how many of those on the list were snoozed."""
        count = len(self.snoozes.keys() & set(listed))
        if not count:
            return ()
        subject = "1 customer" if count == 1 else f"{count:,} customers"
        return (
            f"{subject} on the list would be snoozed, but another reason leads now or the risk "
            "category has risen",
        )
