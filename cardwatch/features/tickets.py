"""Tickets against what the same customer usually pays in a category.

The norm of a customer and a category is the category's median, moved by the customer's own tilt and
by what the customer paid there before, as far as that rests on enough purchases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardwatch.engine import Engine
from cardwatch.features.block import Block, positions
from cardwatch.features.rows import Ints
from cardwatch.robust import MAD_TO_SD, Floats, median_rows

OWN_WEIGHT = 4.0
"""How many of the customer's own earlier purchases there weigh as much as the category's norm."""
TICKETS_NEEDED = 30
LEAST_SPREAD = 0.2
COUNT_POWER = 0.25
"""The mean of n purchases spreads less than one: by n^-¼ rather than n^-½, since purchases of one
customer at one place are alike."""
LEAST_TICKET = 0.05


@dataclass(frozen=True)
class OwnTickets:
    """Robust z of each cell's tickets against the customer's own norm, one entry per cell.

    `mean` is that of the mean ticket, which knows how many purchases it rests on; `largest` that of
    the largest purchase there can have been, were the others as usual, and never under `mean`.
    Both are 0 where the net spend is not positive.
    """

    mean: Floats
    largest: Floats


def own_tilt(block: Block) -> Floats:
    """Return by how much a customer's tickets differ from the categories' norms, in log units.

    The median of the reference weeks, shrunk toward 0 while fewer than four of them are active.
    """
    tilt = np.nan_to_num(median_rows(block.tilt[:, : block.scored]))
    return np.asarray(tilt * np.minimum(1, block.active_weeks / 4))


def own_tickets(block: Block, away: Floats, norm: Floats, spread: Floats) -> OwnTickets:
    """Compare each cell's tickets with the customer's own norm.

    Parameters
    ----------
    away : array of float, shape (cells,)
        Logarithm of spend per transaction over the category's norm, own tilt removed.
    norm : array of float, shape (cells,)
        That norm, own tilt added.
    spread : array of float, shape (cells,)
        How much such a distance varies in the category.
    """
    cells = block.cells
    purchases = np.where(cells.history_paid > 0, cells.history_count, 0)
    usual = np.log(np.where(purchases > 0, cells.history_paid, 1) / np.maximum(purchases, 1))
    beyond = away - (usual - norm) * purchases / (purchases + OWN_WEIGHT)
    mean = beyond / spread * np.minimum(cells.count, 9) ** COUNT_POWER
    others = (cells.count - 1) * np.exp(spread**2 / 4)
    left = cells.count * np.exp(beyond) - others
    largest = np.maximum(np.log(np.maximum(left, LEAST_TICKET)) / spread, mean)
    paid = cells.spend > 0
    return OwnTickets(np.where(paid, mean, 0.0), np.where(paid, largest, 0.0))


def own_spread(engine: Engine, sample: Block, mccs: Ints, log_ticket: Floats) -> Floats:
    """Return how much log tickets vary around customers' tilted norms, shape (m,).

    Fitted on the engine's table ``ticket``, the tickets of the fitting sample; a category with few
    of them gets the portfolio's spread.
    """
    tickets = engine.arrow("SELECT customer_key, mcc, log_ticket FROM ticket")
    category = positions(mccs, tickets["mcc"].to_numpy().astype(np.int64)).astype(np.int16)
    customer = positions(sample.keys, tickets["customer_key"].to_numpy())
    tilt = own_tilt(sample)[customer]
    away = np.abs(tickets["log_ticket"].to_numpy() - log_ticket[category] - tilt)
    # A stable sort of 16-bit numbers is a radix sort; a median needs no order inside a category.
    order = np.argsort(category, kind="stable")
    away, ends = away[order], np.searchsorted(category[order], np.arange(len(mccs) + 1))
    everywhere = float(np.median(away)) if len(away) else 0.0
    middle = [
        np.median(away[start:end]) if end - start >= TICKETS_NEEDED else everywhere
        for start, end in zip(ends[:-1], ends[1:], strict=True)
    ]
    return np.maximum(MAD_TO_SD * np.asarray(middle, dtype=np.float64), LEAST_SPREAD)
