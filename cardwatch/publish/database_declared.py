"""What the database holds once every migration was run; a new migration is one more line here."""

from __future__ import annotations

from cardwatch.publish.database_objects import combined
from cardwatch.publish.migrations import (
    v0001_anomaly_reports,
    v0002_beside_the_list,
    v0003_bi_views,
    v0004_power_bi,
    v0005_verdicts,
)

REVISIONS = (
    v0001_anomaly_reports,
    v0002_beside_the_list,
    v0003_bi_views,
    v0004_power_bi,
    v0005_verdicts,
)
"""The migrations, oldest first."""

DECLARED = combined(each.EXPANSION for each in REVISIONS)
"""The tables and views that they make together."""

VERSIONS = tuple(each.revision for each in REVISIONS)
HEAD = VERSIONS[-1]

VERSION_TABLE = "cardwatch_alembic_version"
"""Where Alembic notes, in the configured schema, which migrations were run."""
