"""Unusual and harmless weeks: what an analyst should not be shown.

Every week 3% of the customers travel, furnish, move house, have money to spend, pay fees and taxes,
or buy a gadget. They are labelled, so that a measurement counts them as negatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardwatch.sources.sample_categories import categories
from cardwatch.sources.sample_cells import Bools, Cells, Ints
from cardwatch.sources.sample_population import Population
from cardwatch.sources.sample_week import Factors

LOOKALIKE_SHARE = 0.03


@dataclass(frozen=True)
class Item:
    """Something a look-alike buys: with what probability, where, how often, at how many tickets."""

    probability: float
    codes: tuple[str, ...]
    purchases: tuple[int, int]
    tickets: tuple[float, float]


_HOTELS = ("7011", "3501", "3504", "3509", "3665", "3690", "3502", "3640")
_AIRLINES = ("4511", "3000", "3001", "3058", "3066", "3245", "3246")
_RECIPES: dict[str, tuple[Item, ...]] = {
    "lookalike_travel": (
        Item(1.0, _HOTELS, (1, 3), (0.7, 1.2)),
        Item(0.7, _AIRLINES, (1, 2), (0.6, 1.2)),
        Item(0.9, ("5812",), (2, 6), (0.8, 1.3)),
        Item(0.4, ("7512", "3357", "3389", "3405"), (1, 1), (0.8, 1.5)),
        Item(0.5, ("4121", "4111"), (1, 3), (0.8, 1.4)),
        Item(0.3, ("7991", "5309", "5947"), (1, 2), (0.7, 1.3)),
    ),
    "lookalike_furniture": (
        Item(1.0, ("5712",), (1, 3), (1.0, 6.0)),
        Item(0.4, ("5719", "5714"), (1, 2), (0.8, 1.3)),
        Item(0.35, ("5722",), (1, 1), (1.0, 4.0)),
        Item(0.15, ("5713",), (1, 1), (0.8, 1.5)),
    ),
    "lookalike_moving": (
        Item(1.0, ("4214", "7513"), (1, 2), (0.8, 4.0)),
        Item(0.8, ("5200", "5211"), (1, 3), (0.7, 1.4)),
        Item(0.6, ("5251", "5231"), (1, 2), (0.8, 1.3)),
        Item(0.4, ("5712", "5722"), (1, 1), (0.8, 1.6)),
        Item(0.5, ("4900", "4814"), (1, 1), (0.8, 1.3)),
        Item(0.3, ("4225", "9402"), (1, 1), (0.8, 1.3)),
    ),
    "lookalike_bonus": (
        Item(1.0, ("5651", "5311", "5691"), (1, 3), (0.8, 1.6)),
        Item(0.6, ("5812", "5813"), (1, 3), (0.9, 1.6)),
        Item(0.3, ("7922", "7298", "5661"), (1, 1), (0.8, 1.6)),
    ),
    "lookalike_taxes": (
        Item(1.0, ("9311", "9399"), (1, 2), (1.0, 6.0)),
        Item(0.5, ("9399", "9222"), (1, 2), (0.7, 1.8)),
        Item(0.4, ("7276", "8931"), (1, 1), (0.7, 1.4)),
    ),
    "lookalike_gadget": (
        Item(1.0, ("5732", "5045"), (1, 2), (1.0, 6.0)),
        Item(0.3, ("5045",), (1, 1), (1.0, 5.0)),
        Item(0.35, ("4812", "5946"), (1, 1), (1.0, 4.0)),
        Item(0.3, ("5734", "5817"), (1, 2), (0.8, 1.3)),
    ),
}
LOOKALIKE_KINDS = tuple(_RECIPES)
_BONUS = "lookalike_bonus"
_MOVING = "lookalike_moving"


@dataclass(frozen=True)
class Lookalikes:
    """The harmless unusual weeks of one week and block; L of them.

    Attributes
    ----------
    customer, kind : int64, shape (L,)
        Who, ascending, and which of `LOOKALIKE_KINDS`.
    bonus : Factors
        On the ordinary spending of those with a bonus.
    bought : Cells
        What they buy beside it.
    """

    customer: Ints
    kind: Ints
    bonus: Factors
    bought: Cells

    @classmethod
    def draw(
        cls, people: Population, away: Bools, movers: Ints, week: int, rng: np.random.Generator
    ) -> Lookalikes:
        """Choose among the active customers of one week.

        `away` marks who is not to be chosen; `movers` move for good and buy what movers do.
        """
        pool = np.flatnonzero(people.active[:, week] & ~away)
        size = min(round(LOOKALIKE_SHARE * people.size), pool.size)
        customer = np.sort(rng.choice(pool, size, replace=False))
        kind = rng.integers(0, len(LOOKALIKE_KINDS), size)
        generous = customer[kind == LOOKALIKE_KINDS.index(_BONUS)]
        return cls(
            customer=customer,
            kind=kind,
            bonus=Factors(
                customer=generous,
                on_counts=rng.uniform(1.1, 1.6, generous.size),
                on_tickets=rng.uniform(1.0, 1.3, generous.size),
            ),
            bought=Cells.merged(
                [
                    _purchases(people, buyers, item, rng)
                    for at, (name, items) in enumerate(_RECIPES.items())
                    for buyers in [
                        np.union1d(customer[kind == at], movers if name == _MOVING else movers[:0])
                    ]
                    for item in items
                ]
            ),
        )


def _purchases(people: Population, invited: Ints, item: Item, rng: np.random.Generator) -> Cells:
    world = categories()
    customer = invited[rng.random(invited.size) < item.probability]
    category = rng.choice(world.index(*item.codes), customer.size)
    low, high = item.purchases
    count = rng.integers(low, high + 1, customer.size)
    ticket = np.exp(world.log_ticket[category] + people.tilt[customer])
    ticket *= rng.uniform(*item.tickets, customer.size)
    return Cells(customer, category, count, np.rint(100 * ticket * count).astype(np.int64))
