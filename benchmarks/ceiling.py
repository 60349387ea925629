"""How far up one could go, for someone who is told the planted cases: the ceiling.

Nothing is chosen here: whoever is told of the report seeds' cases gives a bound for whoever is not,
and no setting of Cardwatch rests on it. Surprises are kept in the cache folder beside the
portfolios, so that a second run begins with them. The page is ``benchmarks/results/ceiling.md``.

    python -m benchmarks.ceiling [--seeds 200 201 ...] [--told 100 101 ...] [--handbook FOLDER]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks import ceiling_page, datasets, oracles, portfolios, tables
from benchmarks.ceiling_page import Told
from benchmarks.datasets import REPORT_SEEDS
from benchmarks.detection_page import (
    HANDBOOK,
    SIMULATOR,
)
from benchmarks.judge import DRIVERS, SEEN, Summary, judge
from benchmarks.measure import machine
from benchmarks.oracles import Dominators, believed
from benchmarks.planted import KINDS, parameters
from benchmarks.surprises import WEIGHTS, SurprisingWeek, surprising_weeks, totals
from benchmarks.told_weights import Board, constant_weights
from cardwatch.robust import Floats

TOLD_SEEDS = tuple(range(100, 116))
"""Development portfolios, of which trees and a regression are told."""
NOBODY = "nobody: as it is"
TREES = "boosted trees"
Weeks = Sequence[SurprisingWeek]
Scores = Callable[[SurprisingWeek], Floats]


@dataclass(frozen=True)
class Data:
    """The weeks that are scored, and those of the development seeds."""

    simulator: Weeks
    handbook: Weeks
    development: Weeks


def read(options: argparse.Namespace) -> Data:
    """Return the surprises of every week, those of the first run from the cache folder."""

    def simulated(seeds: Sequence[int]) -> Weeks:
        made = (datasets.simulated(options.data_dir, seed) for seed in seeds)
        return [
            week for each in made for week in surprising_weeks(each, options.data_dir, each.weeks)
        ]

    book: Weeks = []
    if options.handbook is not None:
        dataset = datasets.handbook(options.handbook)
        book = surprising_weeks(dataset, options.data_dir, dataset.weeks)
    return Data(simulated(options.seeds), book, simulated(options.told))


def everyone_who_is_told(data: Data) -> Iterator[tuple[str, Told]]:
    """Yield by name what a list is worth by whoever is told something."""

    def told_of_both(name: str, scores: Scores, weights: Floats | None = None) -> tuple[str, Told]:
        print(name, file=sys.stderr, flush=True)
        worth = (judged(weeks, scores, weights) for weeks in (data.simulator, data.handbook))
        return name, Told(*worth)

    yield told_of_both(NOBODY, lambda week: week.score, WEIGHTS)
    boards = {SIMULATOR: Board(data.simulator)}
    if data.handbook:
        boards[HANDBOOK] = Board(data.handbook)
    for name, weights in constant_weights(boards):
        yield told_of_both(name, partial(_total, weights), weights)
    seeds = "the development seeds"
    for name, model in (("logistic regression", oracles.logistic()), (TREES, oracles.trees())):
        oracles.told(model, data.development)
        yield told_of_both(f"{name}: {seeds}", partial(believed, model))
    scores = _by_others([*data.simulator, *data.handbook])
    yield told_of_both(f"{TREES}: these weeks, but for the portfolio's own", scores)
    for kind in KINDS:
        scores = _by_others(data.simulator, kind)
        only = judged(data.simulator, scores, None)
        yield f"… a list of nothing but {kind}", Told(only, Summary([]))


def _total(weights: Floats, week: SurprisingWeek) -> Floats:
    return totals(week.surprise, weights)


def _by_others(weeks: Weeks, kind: str = "") -> Scores:
    """Score a week by trees that were told of the other portfolios; of the handbook's, by halves.

    The handbook is one portfolio: its even weeks are scored by who was told of the odd ones.
    """
    models = {}
    for fold in {_fold(week) for week in weeks}:
        models[fold] = oracles.told(oracles.trees(), [w for w in weeks if _fold(w) != fold], kind)
    return lambda week: believed(models[_fold(week)], week)


def _fold(week: SurprisingWeek) -> str:
    weeks = week.week.monday.toordinal() // 7
    return f"{HANDBOOK}, half {weeks % 2 + 1}" if week.data == HANDBOOK else week.data


def judged(weeks: Weeks, scores: Scores, weights: Floats | None) -> Summary:
    """Return what a list by these scores is worth; it has reasons where there are weights."""
    judgements = []
    for week in weeks:
        reasons = None if weights is None else week.reasons(weights)
        judgements.append(judge(pd.Series(scores(week), week.customers), week.truth, reasons))
    return Summary(judgements)


def cases(weeks: Weeks, seeds: Sequence[int]) -> pd.DataFrame:
    """Return each medium takeover and single ticket: what it was made of, and who is before it.

    Beside `parameters`: ``found``, and the attributes of `Dominators`.
    """
    planted = pd.concat([parameters(seed) for seed in seeds]).query("strength == 'medium'")
    made = {
        (each["customer_id"], each["week"], each["kind"]): each
        for each in planted.to_dict("records")
    }
    rows = []
    for week in weeks:
        for at, (customer, kind) in enumerate(zip(week.customers, week.kinds(), strict=True)):
            if (case := made.get((customer, week.week, kind))) is not None:
                ahead = Dominators.of(week, at, DRIVERS[kind])
                rows.append(case | vars(ahead) | {"found": at < SEEN})
    return pd.DataFrame(rows)


def main() -> None:
    """Read the command line, measure, print and write the page."""
    options = _options()
    data = read(options)
    found = dict(everyone_who_is_told(data))
    development = judged(data.development, lambda week: week.score, None)
    planted = cases(data.simulator, options.seeds)
    tables.publish(
        options.output,
        [
            "# The ceiling",
            "Written by `python -m benchmarks.ceiling`, which `make bench-detection` leaves out. "
            f"{machine()}. Simulator: seeds {_listed(options.seeds)}, {len(data.simulator)} weeks; "
            f"{len(data.handbook)} weeks of the handbook; development seeds {_listed(options.told)}"
            f", {len(data.development)} weeks. Everything else is as in [detection](detection.md).",
            "Who is told the planted cases of the weeks that are scored gives a bound for whoever "
            "is not. Nothing was chosen by these figures, and no setting rests on them.",
            ceiling_page.quality(found),
            ceiling_page.recall(found),
            ceiling_page.ABOUT_THEM,
            "## Who stands before the cases that are missed",
            ceiling_page.ABOUT_DOMINATORS,
            ceiling_page.dominators(planted),
            "## What they were made of",
            "What the generator drew for the takeovers and single tickets of medium strength.",
            ceiling_page.made_of(planted),
            ceiling_page.found_by(planted),
            "## Chance",
            ceiling_page.ABOUT_CHANCE,
            ceiling_page.chances(found[NOBODY].simulator, development, KINDS),
        ],
    )


def _listed(seeds: Sequence[int]) -> str:
    return f"{min(seeds)} to {max(seeds)}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how far up one could go.")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(REPORT_SEEDS))
    parser.add_argument("--told", type=int, nargs="+", default=list(TOLD_SEEDS))
    known = os.environ.get("CARDWATCH_HANDBOOK")
    parser.add_argument("--handbook", type=Path, default=Path(known) if known else None)
    parser.add_argument("--data-dir", type=Path, default=portfolios.default_cache())
    parser.add_argument("--output", type=Path, default=tables.RESULTS / "ceiling.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
