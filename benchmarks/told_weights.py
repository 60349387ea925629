"""Constant weights of the features by someone who is told the planted cases of these very weeks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.detection_page import (
    MOST_LOOKALIKES,
    QUALITY_TARGETS,
    RECALL_TARGETS,
    SIMULATOR,
)
from benchmarks.judge import LISTED, SEEN
from benchmarks.planted import KINDS
from benchmarks.surprises import MEMBERS, WEIGHTS, Bools, Ints, SurprisingWeek, summed
from cardwatch.case_kinds import Strength
from cardwatch.detection.surprise import family_surprise
from cardwatch.robust import Floats

Figures = Mapping[str, float]
Floors = Mapping[tuple[str, str], float]
"""Figures by data and name, or the least that they should be."""
Goal = Callable[[Floats], float]

STEPS = ((0.5, 0.7, 1.4, 2.0), (0.85, 1.18), (0.95, 1.05))
"""What one weight after the other is multiplied by, until none helps any more."""
NEAR = "near "
KICKS = 300
KICKED = 4
SEED = 1
DEARLY = 10.0
"""What a shortfall of a target costs against as much recall."""


class Board:
    """The suspects of many weeks, whose places are found again quickly for other weights."""

    def __init__(self, weeks: Sequence[SurprisingWeek]) -> None:
        kept = [week.suspects() for week in weeks]
        chosen = list(zip(weeks, kept, strict=True))
        surprise = np.concatenate([week.surprise[mask] for week, mask in chosen])
        self._members = [surprise[:, members] for members in MEMBERS]
        self._known: list[tuple[bytes, Floats]] = [(b"", np.zeros(0))] * len(MEMBERS)
        self._ends = np.cumsum([mask.sum() for mask in kept])[:-1]
        self._labels = [_Labels.of(week, mask) for week, mask in chosen]

    def figures(self, weights: Floats) -> Figures:
        """Return P@20, AP, who is spared and, per kind, the recall@100 at medium strength.

        ``spared`` is the share of the first 20 who are no look-alikes. ``near`` of a kind is smooth
        where its recall is not: the mean of 100 over the place.
        """
        alone = np.column_stack([self._alone(f, weights) for f in range(len(MEMBERS))])
        found: dict[str, list[Floats]] = {}
        for total, labels in zip(np.split(summed(alone), self._ends), self._labels, strict=True):
            place = places(total)
            planted = np.sort(place[labels.planted])
            for name, values in (
                ("precision", [(planted <= LISTED).sum() / LISTED]),
                ("average_precision", [np.mean(np.arange(1, planted.size + 1) / planted)]),
                ("spared", [1 - (place[labels.alike] <= LISTED).sum() / LISTED]),
            ):
                found.setdefault(name, []).append(np.array(values))
            for kind, its in labels.medium.items():
                found.setdefault(kind, []).append((place[its] <= SEEN).astype(np.float64))
                found.setdefault(f"{NEAR}{kind}", []).append(np.minimum(1, SEEN / place[its]))
        return {name: float(np.concatenate(parts).mean()) for name, parts in found.items()}

    def _alone(self, family: int, weights: Floats) -> Floats:
        """Return a family's surprise; a search changes one or a few of them at a time."""
        its = weights[MEMBERS[family]]
        if self._known[family][0] != its.tobytes():
            self._known[family] = its.tobytes(), family_surprise(self._members[family] * its)
        return self._known[family][1]


@dataclass(frozen=True)
class _Labels:
    """Positions of the planted, the look-alikes, and per kind those of medium strength."""

    planted: Ints
    alike: Ints
    medium: Mapping[str, Ints]

    @classmethod
    def of(cls, week: SurprisingWeek, mask: Bools) -> _Labels:
        customers, kinds = week.customers[mask], week.kinds()[mask]
        strengths = [week.truth.strengths.get(customer) for customer in customers]
        medium = np.array([strength == Strength.MEDIUM for strength in strengths])
        return cls(
            np.flatnonzero(kinds != ""),
            np.flatnonzero(np.isin(customers, list(week.truth.lookalikes))),
            {
                kind: np.flatnonzero(medium & (kinds == kind))
                for kind in sorted(set(kinds[medium]) - {""})
            },
        )


def places(scores: Floats) -> Ints:
    """Return each one's place, 1 for the highest score; of equals, the first of them."""
    return np.searchsorted(np.sort(-scores), -scores) + 1


def fitted_weights(goal: Goal, start: Floats = WEIGHTS) -> Floats:
    """Return constant weights that raise `goal` as far as steps and kicks from the start do."""
    best, value = start, goal(start)

    def took(trial: Floats) -> bool:
        nonlocal best, value
        if (reached := goal(trial)) <= value:
            return False
        best, value = trial, reached
        return True

    def stepped(steps: Sequence[float]) -> bool:
        marks = np.eye(best.size, dtype=np.bool_)
        return any([took(np.where(mark, best * step, best)) for mark in marks for step in steps])

    for steps in STEPS:
        while stepped(steps):
            pass
    rng = np.random.default_rng(SEED)
    for _ in range(KICKS):
        kick = np.zeros(best.size)
        kick[rng.choice(best.size, KICKED, replace=False)] = 0.3 * rng.standard_normal(KICKED)
        took(best * np.exp(kick))
    return best


def constant_weights(boards: Mapping[str, Board]) -> Iterator[tuple[str, Floats]]:
    """Yield by name the weights of who is told these very weeks, and wants this or that."""
    present = _floors(boards, WEIGHTS)
    wanted = {
        **QUALITY_TARGETS,
        **{(SIMULATOR, kind): least for kind, least in RECALL_TARGETS.items()},
        (SIMULATOR, "spared"): 1 - MOST_LOOKALIKES,
    }
    start = fitted_weights(partial(_quality, boards[SIMULATOR]))
    yield "constant weights: these very weeks, for P@20 and AP", start
    start = WEIGHTS
    for name, floors in (
        ("… for takeovers and single tickets, nothing lost", present),
        ("… the same, every other target but the drivers' kept", wanted),
        ("… the same, subject to nothing", {}),
    ):
        start = fitted_weights(partial(_pair, boards, floors), start)
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
