"""The contract for the rows of some customers, where others hold those of the rest.

All that is said of a customer rests on the customer's own rows, except for what `Known` holds. So a
delivery can be parted by customer and each part judged by itself, with the statements that judge a
delivery as a whole. Whoever the usual tickets of the categories must be known for waits, and is
judged in a second round, from the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from cardwatch.config import ContractConfig
from cardwatch.contract.additive import WeekSums, week_sums
from cardwatch.contract.card_scan import DELIVERED_IDS, CardEvidence, card_evidence, has_suspects
from cardwatch.contract.delivered import (
    describe,
    keep_currency,
    present_rows,
    reading,
    show_usable,
    sum_usable,
    take_census,
)
from cardwatch.contract.setting_aside import (
    drop_unit_errors,
    fold_repeats,
    make_quarantine,
    mask,
    renumber_customers,
    unit_limits,
)
from cardwatch.contract.tally import Tally, count
from cardwatch.contract.window import PACKAGE, Window
from cardwatch.engine import Engine
from cardwatch.schema import Delivery

WAITING_ROWS = "waiting_row"
"""Table of the rows, as delivered, of the customers who wait."""


@dataclass(frozen=True)
class Known:
    """What only the delivery as a whole tells.

    Attributes
    ----------
    currency : str
        The portfolio's.
    precise_weeks : tuple of int
        Indices of the weeks whose times carry seconds.
    tickets : mapping of int to float, optional
        Usual ticket in cents of the merchant categories in which one of the scored week may be far
        above it; None while it is not known.
    """

    currency: str
    precise_weeks: tuple[int, ...] = ()
    tickets: Mapping[int, float] | None = None


@dataclass(frozen=True)
class Part:
    """What the rows of some customers came to; see `judge_part` for the tables.

    Attributes
    ----------
    ids : CardEvidence
        Of their ids.
    has_suspects : bool
        Whether a text might hold a card number.
    largest : mapping of int to float
        Largest ticket of the scored week in cents, by merchant category.
    digests : mapping of int to WeekSums
        By week index, of everybody, those who wait too; empty in the second round.
    customers, waiting : int
        How many there are, those who wait among them, and how many wait.
    """

    tally: Tally
    ids: CardEvidence
    has_suspects: bool
    largest: Mapping[int, float]
    digests: Mapping[int, WeekSums] = field(default_factory=dict)
    customers: int = 0
    waiting: int = 0


def judge_part(engine: Engine, delivery: Delivery, rules: ContractConfig, known: Known) -> Part:
    """Accept or set aside the rows of some customers.

    Makes ``customer``, ``cell`` and ``quarantine`` of them, and where `known` has no tickets yet
    ``waiting``, ``waiting_cell`` and ``waiting_row`` of those who wait: they are numbered, and in
    none of the others.

    Raises
    ------
    SourceError
        If the rows cannot be read to the end.
    """
    with reading(delivery):
        has_suspects = _roll_up(engine, delivery, rules, known)
        ids = card_evidence(engine, DELIVERED_IDS, tokens=rules.ids_are_tokens)
        fold_repeats(engine, delivery)
        limits = unit_limits(delivery, rules)
        engine.run_file(PACKAGE, f"largest_ticket_{delivery.shape}", **limits)
        largest = dict(engine.execute("SELECT mcc, ticket_cents FROM largest_ticket").fetchall())
        digests, waiting = {}, 0
        if known.tickets is None:
            digests = week_sums(engine)
            waiting = _find_waiting(engine, delivery, rules, largest)
        else:
            _keep_tickets(engine, known.tickets)
            drop_unit_errors(engine, delivery, rules)
    mask(engine, rules)
    renumber_customers(engine)
    if waiting:
        engine.run_file(PACKAGE, "without_waiting")
    make_quarantine(engine)
    customers = int(engine.scalar("SELECT count(*) FROM customer"))
    tally = count(engine, delivery, customers - waiting)
    engine.run_file(PACKAGE, "finish")
    return Part(tally, ids, has_suspects, largest, digests, customers, waiting)


def _roll_up(engine: Engine, delivery: Delivery, rules: ContractConfig, known: Known) -> bool:
    """Make ``rolled_up`` and ``set_aside``; tell whether a text might hold a card number."""
    keep_currency(engine, known.currency)
    columns = describe(engine, delivery)
    present_rows(engine, delivery, columns, rules, {}, known.currency)
    take_census(engine)
    show_usable(engine, "WHERE problem IS NULL")
    engine.create("precise_week", {"week_index": "TINYINT"})
    precise = pa.array(known.precise_weeks, pa.int8())
    engine.append("precise_week", pa.table({"week_index": precise}))
    some_refused = sum_usable(engine, delivery)
    return has_suspects(engine, some_refused=some_refused)


def _keep_tickets(engine: Engine, tickets: Mapping[int, float]) -> None:
    engine.create("category_ticket", {"mcc": "SMALLINT", "usual_cents": "DOUBLE"})
    made = {
        "mcc": pa.array(list(tickets), pa.int16()),
        "usual_cents": pa.array(list(tickets.values()), pa.float64()),
    }
    engine.append("category_ticket", pa.table(made))


def _find_waiting(
    engine: Engine, delivery: Delivery, rules: ContractConfig, largest: Mapping[int, float]
) -> int:
    """Find who is far above the own usual ticket, whatever the category's, and count them."""
    limits = unit_limits(delivery, rules)
    _keep_tickets(engine, dict.fromkeys(largest, 0.0))
    engine.run_file(PACKAGE, f"unit_suspects_{delivery.shape}", **limits)
    engine.run_file(PACKAGE, "waiting", **limits)
    found = int(engine.scalar("SELECT count(*) FROM waiting"))
    if not found:
        return 0
    customer = describe(engine, delivery)["customer_id"].text
    rows = delivery.select(Window.of(delivery).weeks)
    engine.execute(
        f"CREATE OR REPLACE TABLE {WAITING_ROWS} AS SELECT d.* FROM ({rows}) AS d"
        f" WHERE {customer} IN (SELECT customer_id FROM waiting)"
    )
    return found
