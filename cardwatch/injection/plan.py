"""Which customers of a checked week get which case: drawn by lot, the same for the same seed.

The lot falls on customer ids, so that neither the order of rows nor the number of threads matters.
A plan names customers and weeks, not keys and places in a window: it can be planted under another
configuration as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cardwatch.case_kinds import Kind, Strength
from cardwatch.engine import Engine
from cardwatch.injection.cases import Changes, planted
from cardwatch.injection.spending import Customer, Market, Spend
from cardwatch.schema import Checked

PACKAGE = "cardwatch.injection"
SEASONED = 5 / 6
"""Share of the reference weeks with data in which a customer must have been active."""
RECENT = 3
"""Reference weeks, right before the scored one, that must have been active ones."""
LEAST_COUNT = 5
"""Transactions of a usual week from which it is well enough defined."""
BUSIEST = 0.97
"""From this quantile of the usual count on, a week of one purchase is a drop."""
FEW_BUSY = 10
"""So many count as busy at least."""
FEW = 3
"""Cases per kind and week, unless said otherwise and where the portfolio is large enough."""
SHARE = 0.01
"""Of the customers, who are planted unless said otherwise."""
RARE_SHARE = 0.001
"""Of the rows, under which a merchant category is rare; the five least used ones always are."""


@dataclass(frozen=True)
class Wish:
    """What is to be planted in every week.

    Attributes
    ----------
    strengths : tuple of Strength
        Dealt to the cases of a kind in turn, and on from week to week.
    per_kind : int or None
        Cases per kind and week; None chooses by the size of the portfolio.
    """

    kinds: tuple[Kind, ...] = tuple(Kind)
    strengths: tuple[Strength, ...] = tuple(Strength)
    per_kind: int | None = None
    seed: int = 0

    def cases(self, customers: int) -> int:
        """Return how many cases of each kind are to be planted among so many customers.

        >>> Wish().cases(100_000), Wish().cases(3_000), Wish().cases(200), Wish(per_kind=9).cases(1)
        (3, 2, 1, 9)
        """
        if self.per_kind is not None:
            return self.per_kind
        each = sum(kind.customers for kind in self.kinds)
        return max(min(FEW, round(SHARE * customers / each)), 1)


@dataclass(frozen=True)
class Planted:
    """One customer of one case, with the weeks it changes."""

    customer_id: str
    kind: Kind
    strength: Strength
    weeks: Changes = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """The cases of one week.

    Attributes
    ----------
    lacking : mapping of Kind to int
        Cases for which no customer with enough history was left.
    candidates : int
        Customers with enough history, cases or not.
    """

    planted: tuple[Planted, ...]
    lacking: Mapping[Kind, int]
    candidates: int


def plan_cases(engine: Engine, checked: Checked, wish: Wish) -> Plan:
    """Draw the cases of a week from the engine's ``customer`` and ``cell``; changes neither."""
    weeks = _weeks_ago(checked)
    customers = int(engine.scalar("SELECT count(*) FROM customer"))
    _find_candidates(engine, checked, weeks, wish.seed)
    market = _market(engine, checked)
    draws = list(_deal(engine, wish, wish.cases(customers)))
    of = _customers(engine, checked, [each for draw in draws for each in draw.chosen])
    found = int(engine.scalar("SELECT count(*) FROM candidate"))
    engine.drop(("candidate", "market"))
    turn = checked.week.monday.toordinal() // 7
    lacking: dict[Kind, int] = {}
    cases: list[Planted] = []
    places = list(market.rare)
    for draw in draws:
        if not draw.chosen:
            lacking[draw.kind] = lacking.get(draw.kind, 0) + 1
            continue
        kind = list(Kind).index(draw.kind)
        rng = np.random.default_rng([wish.seed, turn, kind, draw.number])
        strength = wish.strengths[(turn + kind + draw.number) % len(wish.strengths)]
        those = [of[each] for each in draw.chosen]
        place = _meeting_place(those, places, rng) if draw.kind is Kind.COLLUSION else 0
        for each in those:
            changes = planted(draw.kind, each, market, strength.factor, rng, place)
            kept = {ago: week for ago, week in changes.items() if ago in weeks}
            cases.append(Planted(each.customer_id, draw.kind, strength, kept))
    return Plan(tuple(cases), lacking, found)


@dataclass(frozen=True)
class _Draw:
    """The customers of one case, none where they were too few; cases of a kind are numbered."""

    kind: Kind
    number: int
    chosen: tuple[str, ...]


def _meeting_place(
    customers: Sequence[Customer], places: list[int], rng: np.random.Generator
) -> int:
    """Draw a category that none of the customers has used, and nobody else meets at this week."""
    used = frozenset[int]().union(*(each.used for each in customers))
    place = int(rng.choice([mcc for mcc in places if mcc not in used] or places))
    if len(places) > 1:
        places.remove(place)
    return place


def _weeks_ago(checked: Checked) -> frozenset[int]:
    """Return the weeks that hold data, by how many weeks ago they were."""
    return frozenset(checked.week - week for week in checked.weeks_present)


def _find_candidates(engine: Engine, checked: Checked, weeks: frozenset[int], seed: int) -> None:
    scored = len(checked.reference_weeks)
    recent = [ago for ago in weeks if ago <= RECENT]
    engine.run_file(
        PACKAGE,
        "candidates",
        scored=scored,
        recent=scored - RECENT,
        recent_weeks=len(recent),
        seasoned=max(math.ceil(SEASONED * (len(weeks) - 1)), RECENT),
        least=LEAST_COUNT,
        lottery=f"{seed} {checked.week.label} ",
    )
    engine.run_file(PACKAGE, "market", scored=scored)


def _market(engine: Engine, checked: Checked) -> Market:
    rows = engine.rows("SELECT mcc, cells, purchases, log_sum FROM market ORDER BY cells, mcc")
    logs = {row["mcc"]: row["log_sum"] / 1e6 / row["purchases"] for row in rows if row["purchases"]}
    bought = sum(row["purchases"] for row in rows)
    everything = sum(row["log_sum"] for row in rows) / 1e6 / max(bought, 1)
    cells = sum(row["cells"] for row in rows)
    rare = [row["mcc"] for row in rows if row["cells"] <= RARE_SHARE * cells]
    return Market(
        tickets={mcc: math.exp(log) for mcc, log in sorted(logs.items())},
        ticket=math.exp(everything),
        rare=tuple(rare if len(rare) >= 5 else [row["mcc"] for row in rows[:5]]),
    )


def _deal(engine: Engine, wish: Wish, cases: int) -> Iterator[_Draw]:
    """Give every case its customers, no customer twice; kinds take turns where they are few."""
    wanted = cases * sum(kind.customers for kind in wish.kinds)
    busy = _drawn(
        engine,
        cases,
        "WHERE usual_count >= least((SELECT quantile_disc(usual_count, $busiest) FROM candidate), "
        "(SELECT min(usual_count) FROM "
        "(SELECT usual_count FROM candidate ORDER BY usual_count DESC LIMIT $few)))",
        busiest=BUSIEST,
        few=max(FEW_BUSY, cases),
    )
    dropped = busy if Kind.DROP in wish.kinds else []
    taken = set(dropped)
    others = iter([each for each in _drawn(engine, wanted + cases) if each not in taken])
    turns = {Kind.DROP: iter(dropped)}
    for number in range(cases):
        for kind in wish.kinds:
            queue = turns.get(kind, others)
            chosen = [each for _, each in zip(range(kind.customers), queue, strict=False)]
            enough = len(chosen) == kind.customers
            yield _Draw(kind, number, tuple(chosen) if enough else ())


def _drawn(engine: Engine, number: int, condition: str = "", **parameters: object) -> list[str]:
    rows = engine.execute(
        f"SELECT customer_id FROM candidate {condition} ORDER BY draw, customer_id LIMIT $number",
        number=number,
        **parameters,
    ).fetchall()
    return [customer for (customer,) in rows]


def _customers(engine: Engine, checked: Checked, ids: Sequence[str]) -> dict[str, Customer]:
    """Read the weeks of a few customers."""
    scored = len(checked.reference_weeks)
    rows = engine.execute(
        "SELECT k.customer_id, c.week_index, c.mcc, c.spend_cents, c.transaction_count "
        "FROM cell AS c INNER JOIN customer AS k ON k.customer_key = c.customer_key "
        "WHERE k.customer_id IN (SELECT unnest($ids)) "
        "ORDER BY k.customer_id, c.week_index, c.mcc",
        ids=list(ids),
    ).fetchall()
    weeks: dict[str, dict[int, dict[int, Spend]]] = {each: {} for each in ids}
    for customer, index, mcc, cents, transactions in rows:
        weeks[customer].setdefault(scored - index, {})[mcc] = Spend(cents, transactions)
    return {customer: Customer(customer, found) for customer, found in weeks.items()}
