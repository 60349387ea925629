"""Takes roll-ups of reference weeks from the cache, and puts new ones there.

What is kept of a week depends on that week's rows and on the settings alone, never on the other
weeks of a run, so that a run with the cache and one without give the same result. The scored week
is always read from its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from cardwatch.cache import RollupCache
from cardwatch.config import ContractConfig
from cardwatch.contract.window import PACKAGE, Window
from cardwatch.engine import Engine
from cardwatch.schema import Delivery
from cardwatch.week import ReportingWeek

_STORED = {
    "customer_id": "string",
    "mcc": "int16",
    "spend_cents": "int64",
    "transaction_count": "int32",
    "ticket_disagrees": "bool",
    "reason": "string",
    "week_value": "string",
    "mcc_text": "string",
    "amount_text": "string",
    "count_text": "string",
    "detail": "string",
    "source": "string",
    "row_copies": "int64",
}
_WEEK_SQL = """
SELECT
    k.customer_id, r.mcc, r.spend_cents, r.transaction_count, r.ticket_disagrees,
    CAST(NULL AS VARCHAR) AS reason, CAST(NULL AS VARCHAR) AS week_value,
    CAST(NULL AS VARCHAR) AS mcc_text, CAST(NULL AS VARCHAR) AS amount_text,
    CAST(NULL AS VARCHAR) AS count_text, CAST(NULL AS VARCHAR) AS detail,
    CAST(NULL AS VARCHAR) AS source, CAST({delivered} AS BIGINT) AS row_copies
FROM rolled_up AS r
INNER JOIN customer AS k ON k.customer_key = r.customer_key
WHERE r.week_index = {index}
UNION ALL
SELECT
    customer_id, NULL, NULL, NULL, NULL, reason, week_value, mcc, amount, transaction_count, detail,
    source, CAST(row_copies AS BIGINT)
FROM set_aside
WHERE week_index = {index}
ORDER BY ALL
"""


@dataclass(frozen=True)
class Recalled:
    """Verified roll-ups by week index, the keys of weeks that can be kept, and warnings."""

    paths: Mapping[int, Path] = field(default_factory=dict)
    keys: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def source_keys(delivery: Delivery) -> dict[ReportingWeek, str | None]:
    """Return what the source says of the content of each week of the window."""
    return {week: delivery.content_key(week) for week in Window.of(delivery).weeks}


def recall(
    cache: RollupCache | None,
    delivery: Delivery,
    contents: Mapping[ReportingWeek, str | None],
    rules: ContractConfig,
    currency: str,
    engine: Engine,
) -> Recalled:
    """Look up every reference week of a delivery whose content is known (`source_keys`)."""
    if cache is None:
        return Recalled()
    window = Window.of(delivery)
    keys = {
        window.index(week): _key(week.label, content, delivery, rules, currency)
        for week in delivery.reference_weeks
        if (content := contents[week]) is not None
    }
    entries = {
        index: cache.fetch(window.weeks[index], key, _STORED, engine.folder)
        for index, key in keys.items()
    }
    return Recalled(
        {index: entry.path for index, entry in entries.items() if entry.path},
        keys,
        tuple(entry.warning for entry in entries.values() if entry.warning),
    )


def remember(
    cache: RollupCache | None, recalled: Recalled, delivery: Delivery, engine: Engine
) -> tuple[str, ...]:
    """Store the roll-ups of reference weeks that were read from the source; return warnings.

    Reads ``rolled_up``, ``customer`` and ``set_aside``.
    """
    if cache is None:
        return ()
    window = Window.of(delivery)
    delivered = "1" if delivery.shape == "weekly" else "r.transaction_count"
    for index in recalled.keys.keys() - recalled.paths.keys():
        made = engine.folder / f"roll-up-{index}.parquet"
        literal = str(made).replace("'", "''")
        week = _WEEK_SQL.format(delivered=delivered, index=index)
        engine.execute(f"COPY ({week}) TO '{literal}' (FORMAT parquet)")
        warning = cache.store(window.weeks[index], recalled.keys[index], made)
        made.unlink()
        if warning:
            return (warning,)
    cache.prune()
    return ()


def _key(label: str, content: str, delivery: Delivery, rules: ContractConfig, currency: str) -> str:
    settings = (rules.max_amount, rules.max_id_length, rules.ids_are_tokens, currency)
    parts = (_code_version(), label, content, delivery.shape, delivery.extra_columns, settings)
    return sha256(repr(parts).encode()).hexdigest()


def _code_version() -> str:
    """Return a digest of this package's own text: other rules make other roll-ups."""
    own = sorted(files(PACKAGE).iterdir(), key=lambda entry: entry.name)
    texts = [entry.read_bytes() for entry in own if entry.name.endswith((".py", ".sql"))]
    return sha256(b"\0".join(texts)).hexdigest()
