"""What cannot be judged row by row: repeated rows, unit errors, and customers left with nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa

from cardwatch.config import ContractConfig
from cardwatch.contract.cards import PREFILTER, mask_card_numbers
from cardwatch.contract.rules import ReasonCode
from cardwatch.contract.window import PACKAGE, Window
from cardwatch.engine import Engine
from cardwatch.schema import Delivery

WEEKS_NEEDED = 3
"""Reference weeks with the category before a customer's own ticket counts as usual."""
LONGEST_SHOWN = 1000
"""Characters of a delivered value that the quarantine shows."""
DELIVERED_COLUMNS = (
    "week_value",
    "customer_id",
    "mcc",
    "amount",
    "transaction_count",
    "detail",
    "source",
)
"""Of ``quarantine``, between the reason and the copies."""


def fold_repeats(engine: Engine, delivery: Delivery) -> None:
    """Fold exact copies, and set rows in conflict aside."""
    if delivery.shape == "transactions":
        if engine.scalar("SELECT coalesce(max(folded), 0) FROM rolled_up"):
            engine.run_file(PACKAGE, "fold_transactions", copy=ReasonCode.DUPLICATE_COPY.name)
        return
    engine.run_file(PACKAGE, "repeats_weekly")
    if engine.scalar("SELECT count(*) FROM repeated_row"):
        engine.run_file(
            PACKAGE,
            "fold_weekly",
            copy=ReasonCode.DUPLICATE_COPY.name,
            conflict=ReasonCode.DUPLICATE_CONFLICT.name,
        )


def measure_tickets(engine: Engine, delivery: Delivery, rules: ContractConfig) -> None:
    """Make ``category_ticket``: what a ticket usually is, where one may be far above it."""
    limits = unit_limits(delivery, rules)
    engine.run_file(PACKAGE, f"largest_ticket_{delivery.shape}", **limits)
    engine.run_file(PACKAGE, "category_ticket", **limits)


def unit_limits(delivery: Delivery, rules: ContractConfig) -> dict[str, object]:
    """Return the parameters of the statements about unit errors."""
    low, high = rules.unit_error_ratio
    return {
        "scored": Window.of(delivery).scored,
        "scored_monday": delivery.week.monday,
        "low": low,
        "high": high,
        "weeks_needed": WEEKS_NEEDED,
    }


def drop_unit_errors(engine: Engine, delivery: Delivery, rules: ContractConfig) -> bool:
    """Set amounts of the scored week aside that look 100 times too large; tell whether any did.

    Reads ``category_ticket`` (`measure_tickets`).

    The reference weeks are left as they are: their medians withstand single errors, and what is
    known of them does not change with the week that is scored.
    """
    limits = unit_limits(delivery, rules)
    engine.run_file(PACKAGE, f"unit_suspects_{delivery.shape}", **limits)
    engine.run_file(PACKAGE, "unit_errors", **limits)
    found = bool(engine.scalar("SELECT count(*) FROM unit_error"))
    if found:
        name = f"drop_unit_errors_{delivery.shape}"
        engine.run_file(PACKAGE, name, reason=ReasonCode.UNIT_ERROR.name, **limits)
    return found


def renumber_customers(engine: Engine) -> None:
    """Leave out customers without an accepted row; those that remain are numbered from 0 on."""
    left = engine.scalar("SELECT count(DISTINCT customer_key) FROM rolled_up")
    if left != engine.scalar("SELECT count(*) FROM customer"):
        engine.run_file(PACKAGE, "renumber")


def mask(engine: Engine, rules: ContractConfig) -> None:
    """Mask what looks like a card number in everything set aside."""
    texts = ", ".join(name for name in DELIVERED_COLUMNS if name != "customer_id")
    fields = f"SELECT unnest([{texts}]) AS value FROM set_aside"
    ids = "SELECT customer_id AS value FROM set_aside"
    _make_masks(engine, "masked", fields, mask_card_numbers)
    if engine.scalar("SELECT count(*) FROM masked"):
        engine.run_file(PACKAGE, "mask")
    tokens = rules.ids_are_tokens
    _make_masks(
        engine, "masked_customer", ids, lambda text: mask_card_numbers(text, grouped_only=tokens)
    )


def make_quarantine(engine: Engine) -> None:
    """Make the table ``quarantine``: what was set aside, masked, endless values cut, in order."""
    source = (
        "(SELECT s.* REPLACE (coalesce(m.shown, s.customer_id) AS customer_id) FROM set_aside AS s"
        " LEFT JOIN masked_customer AS m ON m.value = s.customer_id)"
    )
    shown = ", ".join(f"{_cut(name)} AS {name}" for name in DELIVERED_COLUMNS)
    engine.execute(
        f"CREATE OR REPLACE TABLE quarantine AS SELECT reason, {shown}, row_copies"
        f" FROM {source} AS s ORDER BY ALL"
    )


def _cut(name: str) -> str:
    shorter = f"left({name}, {LONGEST_SHOWN}) || '… (' || length({name}) || ' characters)'"
    return f"CASE WHEN length({name}) > {LONGEST_SHOWN} THEN {shorter} ELSE {name} END"


def _make_masks(engine: Engine, table: str, values: str, shown: Callable[[str], str]) -> None:
    engine.create(table, {"value": "VARCHAR", "shown": "VARCHAR"})
    suspects = engine.arrow(
        f"SELECT DISTINCT value FROM ({values}) AS v WHERE strlen(value) >= 13"
        " AND regexp_matches(value, $pattern) ORDER BY value",
        pattern=PREFILTER,
    )
    engine.append(table, _changed(suspects.column("value").to_pylist(), shown))


def _changed(texts: Iterable[str], shown: Callable[[str], str]) -> pa.Table:
    pairs = [(text, masked) for text in texts if (masked := shown(text)) != text]
    return pa.table(
        {
            "value": pa.array([old for old, _ in pairs], pa.string()),
            "shown": pa.array([new for _, new in pairs], pa.string()),
        }
    )
