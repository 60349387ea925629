"""What the generator did to the customers of its cases, which no feature is told."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.datasets import CUSTOMERS, LAST_WEEKS, WEEKS
from cardwatch.case_kinds import Kind
from cardwatch.sources.sample_cases import Casebook
from cardwatch.sources.sample_cells import Purpose, stream
from cardwatch.sources.sample_lives import Lives
from cardwatch.sources.sample_plan import plan
from cardwatch.sources.sample_population import Population
from cardwatch.week import ReportingWeek

KINDS = (Kind.TAKEOVER, Kind.TICKET)


def casebook(seed: int) -> Casebook:
    """Return the cases of `datasets.simulated`, as they were planted."""
    people = Population.make(seed, 0, CUSTOMERS, WEEKS)
    lives, people = Lives.draw(people, seed, 0)
    rng = stream(seed, Purpose.CASES, 0)
    return Casebook.make(people, plan(seed, [CUSTOMERS], WEEKS)[0], 1.0, rng, lives.involved)


def parameters(seed: int) -> pd.DataFrame:
    """Return what each takeover and single ticket of a portfolio was made of.

    Returns
    -------
    pandas.DataFrame
        ``customer_id, week, kind, strength``; ``places`` and ``purchases`` planted; ``dear``: how
        many times the usual a purchase of them was, in the mean; ``weeks_worth``: what they cost
        over the customer's usual week; ``usual_count``: purchases of a usual week in such a place.
    """
    book = casebook(seed)
    people = book.people
    first = ReportingWeek.parse(LAST_WEEKS[seed % len(LAST_WEEKS)]) - (WEEKS - 1)
    rows = []
    for customer, at, kind, strength in book.labels:
        if kind not in KINDS:
            continue
        cells = [cell for cell in book.added[at] if cell[0] == customer]
        slots = [np.flatnonzero(people.habit[customer] == cell[1]) for cell in cells]
        usual = [
            100 * np.exp(people.log_ticket[customer, slot[0]])
            if kind == Kind.TICKET
            else book.ticket(customer, cell[1])
            for cell, slot in zip(cells, slots, strict=True)
        ]
        spent = sum(cell[3] for cell in cells)
        counts = [cell[2] for cell in cells]
        rows.append(
            {
                "customer_id": f"C{customer + 1:07d}",
                "week": first + at,
                "kind": str(kind),
                "strength": str(strength),
                "places": len(cells),
                "purchases": sum(counts),
                "dear": spent / sum(n * each for n, each in zip(counts, usual, strict=True)),
                "weeks_worth": spent / people.usual_week[customer],
                "usual_count": sum(people.rate[customer, slot].sum() for slot in slots),
            }
        )
    return pd.DataFrame(rows)
