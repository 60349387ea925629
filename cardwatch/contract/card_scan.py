"""Searches every delivered text column for card numbers, and stops the run at what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cardwatch.config import ContractConfig
from cardwatch.contract.cards import (
    PREFILTER,
    SEPARATORS,
    count_card_numbers,
    find_card_numbers,
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
DELIVERED_IDS = "SELECT customer_id AS value FROM delivered_customer WHERE customer_id IS NOT NULL"
_LONG_DIGITS = "(^|[^0-9])[0-9]{13,19}($|[^0-9])"
_IN_GROUPS = f"[0-9][{SEPARATORS}][0-9]"


def refuse_card_ids(engine: Engine, delivery: Delivery, rules: ContractConfig) -> None:
    """Stop if customer ids, those of ``delivered_customer``, look like card numbers.

    Raises
    ------
    ContractError
        Naming the column and how many values were found, never a value.
    """
    _refuse(engine, delivery, "customer_id", DELIVERED_IDS, tokens=rules.ids_are_tokens)


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
    if not has_suspects(engine, some_refused=some_refused):
        return
    select = delivery.select(weeks)
    for name, text in columns.texts.items():
        values = f"SELECT DISTINCT {text} AS value FROM ({select}) AS d WHERE {text} IS NOT NULL"
        _refuse(engine, delivery, name, values, tokens=False)


def has_suspects(engine: Engine, *, some_refused: bool) -> bool:
    """Tell whether a delivered text, other than an id, might hold a card number."""
    if engine.scalar("SELECT bool_or(text_suspect) FROM delivered_customer"):
        return True
    refused = "SELECT bool_or(refused_text_suspect) FROM delivered_row WHERE problem IS NOT NULL"
    return some_refused and bool(engine.scalar(refused))


def _refuse(engine: Engine, delivery: Delivery, column: str, values: str, *, tokens: bool) -> None:
    refuse_cards(card_evidence(engine, values, tokens=tokens), delivery, column, tokens=tokens)


@dataclass(frozen=True)
class CardEvidence:
    """What some distinct values of a column say about card numbers; adds up over others.

    Attributes
    ----------
    values, long_digits : int
        How many there are, and how many of them have 13 to 19 digits in a row.
    is_grouped : bool
        Whether one holds a card number in groups.
    sample : tuple of (str, str)
        MD5 and text of those that might hold one unseparated, the first `SAMPLE` of them by MD5.
    """

    values: int = 0
    long_digits: int = 0
    is_grouped: bool = False
    sample: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __add__(self, other: CardEvidence) -> CardEvidence:
        return CardEvidence(
            self.values + other.values,
            self.long_digits + other.long_digits,
            self.is_grouped or other.is_grouped,
            tuple(sorted((*self.sample, *other.sample))[:SAMPLE]),
        )

    @property
    def card_numbers(self) -> int:
        """How many values give the column away; 0 acquits it."""
        if self.is_grouped:
            return 1
        texts = (text for _, text in self.sample)
        return count_card_numbers((), texts, long_digits=self.long_digits, values=self.values)


def refuse_cards(evidence: CardEvidence, delivery: Delivery, column: str, *, tokens: bool) -> None:
    """Stop if a column's values look like card numbers.

    Raises
    ------
    ContractError
        As `refuse_card_ids`.
    """
    found = evidence.card_numbers
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


def card_evidence(engine: Engine, values: str, *, tokens: bool) -> CardEvidence:
    """Look at the distinct values that a query gives; unseparated ones are left where `tokens`."""
    source = f"FROM ({values}) AS v WHERE strlen(value) >= 13"
    total, suspects, long_digits = engine.execute(
        "SELECT count(*), count(*) FILTER (strlen(value) >= 13 AND regexp_matches(value, $any)),"
        " count(*) FILTER (strlen(value) >= 13 AND regexp_matches(value, $long))"
        f" FROM ({values}) AS v",
        any=PREFILTER,
        long=_LONG_DIGITS,
    ).fetchone() or (0, 0, 0)
    if not suspects:
        return CardEvidence(total, long_digits)
    grouped = _stream(
        engine,
        f"SELECT value {source} AND regexp_matches(value, $any) AND regexp_matches(value, $groups)"
        " ORDER BY value",
        any=PREFILTER,
        groups=_IN_GROUPS,
    )
    if any(found.grouped for text in grouped for found in find_card_numbers(text)):
        return CardEvidence(total, long_digits, is_grouped=True)
    if tokens:
        return CardEvidence(total, long_digits)
    sample = engine.execute(
        f"SELECT md5(value), value {source} AND regexp_matches(value, $any)"
        f" ORDER BY md5(value), value LIMIT {SAMPLE}",
        any=PREFILTER,
    ).fetchall()
    return CardEvidence(total, long_digits, sample=tuple(sample))


def _stream(engine: Engine, sql: str, **parameters: object) -> Iterator[str]:
    """Yield the values of a query, which is begun when the first is asked for."""
    result = engine.execute(sql, **parameters)
    for batch in result.to_arrow_reader(10_000):
        yield from batch.column(0).to_pylist()
