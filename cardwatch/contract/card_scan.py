"""Searches every delivered text column for card numbers, and stops the run at what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cardwatch.config import ContractConfig
from cardwatch.contract.cards import (
    PREFILTER,
    SEPARATORS,
    count_card_numbers,
    mask_card_numbers,
)
from cardwatch.contract.columns import Columns
from cardwatch.contract.rules import ReasonCode
from cardwatch.engine import Engine
from cardwatch.errors import ContractError
from cardwatch.schema import Delivery
from cardwatch.week import ReportingWeek

SAMPLE = 20_000
"""Values with long digits that are tried at most, chosen by their MD5 so that no order matters."""
_LONG_DIGITS = "(^|[^0-9])[0-9]{13,19}($|[^0-9])"
_IN_GROUPS = f"[0-9][{SEPARATORS}][0-9]"


def refuse_card_ids(engine: Engine, delivery: Delivery, rules: ContractConfig) -> None:
    """Stop if customer ids, those of ``delivered_customer``, look like card numbers.

    Raises
    ------
    ContractError
        Naming the column and how many values were found, never a value.
    """
    ids = "SELECT customer_id AS value FROM delivered_customer WHERE customer_id IS NOT NULL"
    _refuse(engine, delivery, "customer_id", ids, tokens=rules.ids_are_tokens)


def refuse_card_texts(
    engine: Engine,
    delivery: Delivery,
    columns: Columns,
    weeks: Sequence[ReportingWeek],
    *,
    some_refused: bool,
) -> None:
    """Stop if another text column of the delivered weeks holds what looks like card numbers.

    Reads the columns only where a text might hold a number. In those whose values a rule judges,
    that needs a row that was set aside: `some_refused`.

    Raises
    ------
    ContractError
        As `refuse_card_ids`.
    """
    if not _has_suspects(engine, some_refused=some_refused):
        return
    select = delivery.select(weeks)
    for name, text in columns.texts.items():
        values = f"SELECT DISTINCT {text} AS value FROM ({select}) AS d WHERE {text} IS NOT NULL"
        _refuse(engine, delivery, name, values, tokens=False)


def _has_suspects(engine: Engine, *, some_refused: bool) -> bool:
    if engine.scalar("SELECT bool_or(text_suspect) FROM delivered_customer"):
        return True
    refused = "SELECT bool_or(refused_text_suspect) FROM delivered_row WHERE problem IS NOT NULL"
    return some_refused and bool(engine.scalar(refused))


def _refuse(engine: Engine, delivery: Delivery, column: str, values: str, *, tokens: bool) -> None:
    found = _count(engine, values, tokens=tokens)
    if not found:
        return
    declare = (
        "; if they are surrogate tokens, set contract.ids_are_tokens: true"
        if column == "customer_id" and not tokens
        else ""
    )
    raise ContractError(
        f"{ReasonCode.CARD_NUMBER.name}: {ReasonCode.CARD_NUMBER.value.rstrip('.')}",
        where=f"column {mask_card_numbers(column)} of {delivery.origin}",
        observed=f"{found:,} or more values that begin like an issuer's numbers and pass Luhn",
        expected="customer ids that are no card numbers, and no card numbers elsewhere",
        next_step=f"Replace them by tokens where the data is made{declare}",
    )


def _count(engine: Engine, values: str, *, tokens: bool) -> int:
    source = f"FROM ({values}) AS v WHERE strlen(value) >= 13"
    total, suspects, long_digits = engine.execute(
        "SELECT count(*), count(*) FILTER (strlen(value) >= 13 AND regexp_matches(value, $any)),"
        " count(*) FILTER (strlen(value) >= 13 AND regexp_matches(value, $long))"
        f" FROM ({values}) AS v",
        any=PREFILTER,
        long=_LONG_DIGITS,
    ).fetchone() or (0, 0, 0)
    if not suspects:
        return 0
    grouped = _stream(
        engine,
        f"SELECT value {source} AND regexp_matches(value, $any) AND regexp_matches(value, $groups)"
        " ORDER BY value",
        any=PREFILTER,
        groups=_IN_GROUPS,
    )
    unseparated: Iterator[str] = iter(())
    if not tokens:
        unseparated = _stream(
            engine,
            f"SELECT value {source} AND regexp_matches(value, $any)"
            f" ORDER BY md5(value), value LIMIT {SAMPLE}",
            any=PREFILTER,
        )
    return count_card_numbers(grouped, unseparated, long_digits=long_digits, values=total)


def _stream(engine: Engine, sql: str, **parameters: object) -> Iterator[str]:
    """Yield the values of a query, which is begun when the first is asked for.

    An engine's next query ends the one before it, so two streams are read one after the other.
    """
    result = engine.execute(sql, **parameters)
    for batch in result.to_arrow_reader(10_000):
        yield from batch.column(0).to_pylist()
