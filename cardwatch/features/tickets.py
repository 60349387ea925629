"""Tickets against what the same customer usually pays in a category.

The norm of a customer and a category is the category's median, moved by the customer's own tilt and
by what the customer paid there before, as far as that rests on enough purchases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardwatch.engine import Engine
from cardwatch.features.block import Block, Cells, positions
from cardwatch.features.rows import Ints
from cardwatch.robust import MAD_TO_SD, Floats, median_rows

OWN_WEIGHT = 4.0
"""How many of the customer's own earlier purchases there weigh as much as the category's norm."""
TRUST = 8.0
"""With n earlier purchases there, a single large one counts by √(n / (n + 8)): where a customer was
seldom, nobody knows what is usual, and where never, other features speak."""
TICKETS_NEEDED = 30
LEAST_SPREAD = 0.2
COUNT_POWER = 0.25
"""The mean of n purchases spreads less than one: by n^-¼ rather than n^-½, since purchases of one
customer at one place are alike."""
COUNTED = 9
"""Purchases from which more of them add nothing to what their mean is worth."""
LEAST_TICKET = 0.05
USUAL_CLIP = (-3.0, 3.0)
"""Bounds of one place's z, where those of several are added."""
DEARER_CLIP = (-1.0, 1.0)
"""Bounds of one place's log distance, where it says how dear the week was elsewhere."""


@dataclass(frozen=True)
class OwnTickets:
    """Robust z of each cell's tickets against the customer's own norm, one entry per cell.

    `ticket` is that of the mean ticket as if it were one; `mean` knows how many purchases it rests
    on. `largest` is that of the largest purchase there can have been, were the others as usual:
    less what the week's other places were dearer by, and as far as the customer is known there. All
    are 0 where the net spend is not positive.
    """

    ticket: Floats
    mean: Floats
    largest: Floats


def own_tilt(block: Block) -> Floats:
    """Return by how much a customer's tickets differ from the categories' norms, in log units.

    The median of the reference weeks, shrunk toward 0 while fewer than four of them are active.
    """
    tilt = np.nan_to_num(median_rows(block.tilt[:, : block.scored]))
    return np.asarray(tilt * np.minimum(1, block.active_weeks / 4))


def own_tickets(
    block: Block, away: Floats, norm: Floats, spread: Floats, usual_spread: float
) -> OwnTickets:
    """Compare each cell's tickets with the customer's own norm.

    Parameters
    ----------
    away : array of float, shape (cells,)
        Logarithm of spend per transaction over the category's norm, own tilt removed.
    norm : array of float, shape (cells,)
        That norm, own tilt added.
    spread : array of float, shape (cells,)
        How much such a distance varies in the category.
    usual_spread : float
        The same in the middle category. Where little varies, a large purchase is less improbable
        than the spread says, and where much does, more: the largest one is measured half-way.
    """
    cells = block.cells
    purchases = np.where(cells.history_paid > 0, cells.history_count, 0)
    usual = np.log(np.where(purchases > 0, cells.history_paid, 1) / np.maximum(purchases, 1))
    beyond = away - (usual - norm) * purchases / (purchases + OWN_WEIGHT)
    ticket = beyond / spread
    mean = ticket * np.minimum(cells.count, COUNTED) ** COUNT_POWER
    alone = beyond - _dearer_elsewhere(cells, beyond, block.rows)
    others = (cells.count - 1) * np.exp(spread**2 / 4)
    left = cells.count * np.exp(alone) - others
    in_all = alone / spread * np.minimum(cells.count, COUNTED) ** COUNT_POWER
    largest = np.maximum(np.log(np.maximum(left, LEAST_TICKET)) / spread, in_all)
    trust = np.sqrt(purchases / (purchases + TRUST) * spread / usual_spread)
    paid = cells.spend > 0
    return OwnTickets(*(np.where(paid, z, 0.0) for z in (ticket, mean, largest * trust)))


def _dearer_elsewhere(cells: Cells, beyond: Floats, rows: int) -> Floats:
    """Return by how much the week's other usual places were dearer, in log units, 0 at least.

    Who buys more of everything has no single large purchase. One cell of one purchase says half.
    """
    weight, distance = _usual_weight(cells), np.clip(beyond, *DEARER_CLIP)
    total, known = cells.sums(weight * distance, rows), cells.sums(weight, rows)
    rest = total[cells.row] - weight * distance
    return np.maximum(rest / (known[cells.row] - weight + 1.0), 0)


def _usual_weight(cells: Cells) -> Floats:
    """Return the root of the number of purchases in places used before, else 0."""
    usual = (cells.history_count > 0) & (cells.spend > 0)
    return np.where(usual, np.sqrt(np.minimum(cells.count, COUNTED)), 0.0)


def usual_places_z(cells: Cells, tickets: OwnTickets, rows: int) -> Floats:
    """Return the z of a customer's tickets where they have bought before, shape (rows,).

    Purchases of one place count by the root of their number, and their mean as `OwnTickets.mean`
    has it; each z is clipped, so that no single one decides.
    """
    weight = _usual_weight(cells)
    total = cells.sums(weight * np.clip(tickets.ticket, *USUAL_CLIP), rows)
    counted = np.minimum(cells.count, COUNTED)
    variance = cells.sums(weight**2 / counted ** (2 * COUNT_POWER), rows)
    return np.asarray(total / np.sqrt(np.where(variance > 0, variance, 1.0)))


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
