"""What `benchmarks.ceiling` found, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from benchmarks import tables
from benchmarks.judge import DRIVERS, SEEN, Summary, Tally
from benchmarks.oracles import Chance
from cardwatch.case_kinds import Kind, Strength
from cardwatch.robust import Floats

MADE_OF = {
    "places": "places",
    "purchases": "purchases",
    "dear": "times the usual price",
    "weeks_worth": "usual weeks' worth",
    "usual_count": "usual purchases there a week",
}
BOUNDS: Mapping[Kind, tuple[str, Sequence[float]]] = {
    Kind.TAKEOVER: ("purchases", (2, 4, 6, 13)),
    Kind.TICKET: ("dear", (12, 16, 20, 28, 41)),
}

ABOUT_THEM = (
    "Weights are changed one after the other and a few at a time, from the product's, as long as "
    "that helps. They bound whatever only weighs these features; trees bound, as far as they can "
    'learn it, what else could be made of them. "But for the portfolio\'s own": each portfolio is '
    "scored by trees that are told of all others; of the handbook's weeks one half is scored by "
    'trees that are told of the other, the same customers. "Nothing lost": no other figure of '
    "these tables is lower than nobody's, drivers aside. No search is exhaustive: there may be "
    "weights that do more."
)
ABOUT_DOMINATORS = (
    "Where a hundred harmless customers are at least as surprising in every feature, a case cannot "
    "be among the first hundred by any score that rises with the features; in every family, by any "
    "that rises with the families; in the largest, the second and so on, by any decay. In the "
    "family of the kind: who is more surprising in what the case is about, and has to be told "
    "apart by what the case does not show."
)
ABOUT_CHANCE = (
    "How probable it is that as small a share is found in so many weeks, if each case is found "
    "with the development seeds' probability; if whole weeks are drawn from theirs; and if these "
    "weeks are a random part of all, theirs and these. Choices were made on the development seeds, "
    "so that their share is rather too high."
)


@dataclass(frozen=True)
class Told:
    """What a list is worth by someone who was told something."""

    simulator: Summary
    handbook: Summary


def quality(found: Mapping[str, Told]) -> str:
    """Return the table of P@20, AP, look-alikes and drivers, by who was told what."""
    rows = []
    for name, each in found.items():
        cells = [_mean(each.simulator, which) for which in ("precision", "average_precision")]
        cells += [f"{each.simulator.of('lookalikes').mean:.1%}"]
        drivers = each.simulator.tally("reasons")
        cells += [f"{drivers.mean:.3f}" if drivers.total else "–"]
        cells += [_mean(each.handbook, which) for which in ("precision", "average_precision")]
        rows.append([name, *cells])
    header = ["who is told what", "P@20", "AP", "look-alikes in the top 20", "driver in three"]
    return tables.table([*header, "handbook: P@20", "handbook: AP"], rows)


def recall(found: Mapping[str, Told]) -> str:
    """Return the table of recall@100 at medium strength, by kind and by who was told what."""
    rows = [
        [name, *(f"{each.simulator.recall(kind, Strength.MEDIUM).mean:.2f}" for kind in DRIVERS)]
        for name, each in found.items()
    ]
    return tables.table(["recall@100, medium", *DRIVERS], rows)


def _mean(summary: Summary, name: str) -> str:
    return f"{summary.of(name).mean:.3f}" if summary.weeks else "–"


def dominators(cases: pd.DataFrame) -> str:
    """Return the table of who stands before the cases that are missed, and in how many of them."""
    names = {
        "features": "every feature",
        "families": "every family",
        "sizes": "the largest family, the second, …",
        "driver": "the family of the kind",
    }
    rows = [
        [
            f"{kind}: at least as surprising in {name}",
            str(len(its)),
            f"{its[which].median():.0f}",
            f"{its[which].quantile(0.9):.0f}",
            str((its[which] >= SEEN).sum()),
        ]
        for kind, its in cases[~cases["found"]].groupby("kind")
        for which, name in names.items()
    ]
    header = ["harmless customers, per missed case", "missed", "median", "90% have at most"]
    return tables.table([*header, f"cases with {SEEN} or more"], rows)


def made_of(cases: pd.DataFrame) -> str:
    """Return the table of what found and missed cases were made of: the middle half of them."""
    rows = []
    for (kind, found), its in cases.groupby(["kind", "found"], sort=False):
        cells = [
            "{:.3g} ({:.3g}–{:.3g})".format(*its[which].quantile([0.5, 0.25, 0.75]))
            for which in MADE_OF
        ]
        rows.append([f"{kind}: {'found' if found else 'missed'}", str(len(its)), *cells])
    rows.sort()
    return tables.table(["median (middle half)", "cases", *MADE_OF.values()], rows)


def found_by(cases: pd.DataFrame) -> str:
    """Return the table of how many are found of the cases that were planted so far from usual."""
    rows = []
    for kind, (which, edges) in BOUNDS.items():
        its = cases[cases["kind"] == kind]
        for low, high in pairwise(edges):
            found = its["found"][its[which].between(low, high, inclusive="left")]
            rows.append(
                [f"{kind}, {low:g} to {high:g} {MADE_OF[which]}", f"{found.sum()}", f"{len(found)}"]
            )
    return tables.table(["medium cases", "found", "of"], rows)


def by_week(summary: Summary, kind: str) -> Floats:
    """Return (found, planted) of one kind at medium strength, a row per week."""
    tallies = [week.recall.get((kind, Strength.MEDIUM), Tally()) for week in summary.weeks]
    return np.array([(each.hits, each.total) for each in tallies], dtype=np.float64)


def chances(found: Summary, development: Summary, kinds: Sequence[str]) -> str:
    """Return the table of how probable it is that as few are found by chance."""
    rows = []
    for kind in kinds:
        here, there = (by_week(which, kind) for which in (found, development))
        chance = Chance.of(here, there)
        counts = [f"{rows.sum(0)[0]:.0f} of {rows.sum(0)[1]:.0f}" for rows in (here, there)]
        rows.append([kind, *counts, *(f"{each:.3f}" for each in vars(chance).values())])
    header = ["as few or fewer by chance", "found here", "on development seeds"]
    ways = ["case by case", "weeks drawn from those", "from both together"]
    return tables.table([*header, *ways], rows)
