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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks import ceiling_page, datasets, oracles, portfolios, tables
from benchmarks.ceiling_page import Told
from benchmarks.datasets import REPORT_SEEDS
from benchmarks.detection_page import (
    HANDBOOK,
    MOST_LOOKALIKES,
    QUALITY_TARGETS,
    RECALL_TARGETS,
    SIMULATOR,
)
from benchmarks.judge import DRIVERS, SEEN, Summary, judge
from benchmarks.measure import machine
from benchmarks.oracles import NEAR, Board, Dominators, believed
from benchmarks.planted import KINDS, parameters
from benchmarks.surprises import WEIGHTS, SurprisingWeek, surprising_weeks, totals
from cardwatch.robust import Floats

TOLD_SEEDS = tuple(range(100, 116))
"""Development portfolios, of which trees and a regression are told."""
NOBODY = "nobody: as it is"
DEARLY = 10.0
"""What a shortfall of a target costs against as much recall."""
ABOUT_THEM = (
    "Weights are changed one after the other and a few at a time, from the product's, as long as "
    "that helps. They bound whatever only weighs these features; trees bound, as far as they can "
    'learn it, what else could be made of them. "But for the portfolio\'s own": each portfolio is '
    "scored by trees that are told of all others; of the handbook's weeks one half is scored by "
    'trees that are told of the other, the same customers. "Nothing lost": no other figure of '
    "these tables is lower than nobody's."
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
TREES = "boosted trees"
Weeks = Sequence[SurprisingWeek]
Floors = Mapping[tuple[str, str], float]
"""Figures by data and name, or the least that they should be."""
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
    for name, weights in constant_weights(data):
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


def constant_weights(data: Data) -> Iterator[tuple[str, Floats]]:
    """Yield by name the weights of who is told these very weeks, and wants this or that."""
    boards = {SIMULATOR: Board(data.simulator)}
    if data.handbook:
        boards[HANDBOOK] = Board(data.handbook)
    present = _floors(boards, WEIGHTS)
    wanted = {
        **QUALITY_TARGETS,
        **{(SIMULATOR, kind): least for kind, least in RECALL_TARGETS.items()},
        (SIMULATOR, "spared"): 1 - MOST_LOOKALIKES,
    }
    start = oracles.fitted_weights(partial(_quality, boards[SIMULATOR]))
    yield "constant weights: these very weeks, for P@20 and AP", start
    start = WEIGHTS
    for name, floors in (
        ("… for takeovers and single tickets, nothing lost", present),
        ("… the same, every other target kept", wanted),
        ("… the same, subject to nothing", {}),
    ):
        start = oracles.fitted_weights(partial(_pair, boards, floors), start)
        yield name, start


def _floors(boards: Mapping[str, Board], weights: Floats) -> Floors:
    figures = {data: board.figures(weights) for data, board in boards.items()}
    return {(data, name): value for data, its in figures.items() for name, value in its.items()}


def _quality(board: Board, weights: Floats) -> float:
    figures = board.figures(weights)
    return (figures["precision"] + figures["average_precision"]) / 2


def _pair(boards: Mapping[str, Board], floors: Floors, weights: Floats) -> float:
    """Return the recall of both kinds, less what others fall short of; then how near cases are."""
    figures = _floors(boards, weights)
    short = sum(
        max(0.0, least - figures[key])
        for key, least in floors.items()
        if key in figures and key[1] not in KINDS and not key[1].startswith(NEAR)
    )
    both = sum(
        figures[SIMULATOR, kind] + figures[SIMULATOR, f"{NEAR}{kind}"] / 10 for kind in KINDS
    )
    return both - DEARLY * short


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
            ABOUT_THEM,
            "## Who stands before the cases that are missed",
            ABOUT_DOMINATORS,
            ceiling_page.dominators(planted),
            "## What they were made of",
            "What the generator drew for the takeovers and single tickets of medium strength.",
            ceiling_page.made_of(planted),
            ceiling_page.found_by(planted),
            "## Chance",
            ABOUT_CHANCE,
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
