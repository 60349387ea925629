"""What the lists gain by verdicts: a part of `make bench-detection`.

The first twenty of each week are reviewed by what was planted, and the next week is weighed by it,
with the product's own fitting, weights, guards and ranking. The page is
``benchmarks/results/learning.md``.

    python -m benchmarks.learning [--seeds 200 201 ...] [--handbook FOLDER]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from benchmarks import datasets, portfolios, tables
from benchmarks.datasets import REPORT_SEEDS, Dataset
from benchmarks.judge import DRIVERS, LISTED, REASONS, Truth
from benchmarks.measure import machine
from benchmarks.product import features_built
from cardwatch.config import Config, RankingConfig
from cardwatch.detection.base import Detector
from cardwatch.engine import Engine
from cardwatch.features.catalog import CATALOG
from cardwatch.ranking import rank
from cardwatch.review.verdicts import Review, Verdict
from cardwatch.review.weights import learned_weights
from cardwatch.schema import FeatureTable
from cardwatch.stability import rank_stability
from cardwatch.week import ReportingWeek

WEEKS = 30
RISKS = frozenset(
    {"takeover", "bust_out", "card_test", "gambling", "structured", "refund", "collusion"}
)
WRONG = 0.15
HIDDEN_WEEKS = 11
"""Weeks of verdicts before a kind appears for the first time."""
SPANS = {"weeks 5–10": slice(4, 10), "weeks 11–18": slice(10, 18)}
CODES = {feature.name: feature.code for feature in CATALOG}
LIST = RankingConfig(top_n=LISTED, min_transactions=1)


@dataclass(frozen=True)
class Prepared:
    """A week whose features are built, in an engine of its own; `keys` are customers by id."""

    week: ReportingWeek
    engine: Engine
    table: FeatureTable
    detector: Detector
    keys: dict[str, int]
    truth: Truth


@dataclass(frozen=True)
class Analysts:
    """What they want, how often they err, and whether anybody learns from them."""

    name: str
    wanted: Callable[[str], bool] = lambda kind: True
    wrong: float = 0.0
    learn: bool = True
    hidden: str = ""


@dataclass
class Story:
    """Week by week: the share of the list that was wanted, the kinds on it, and who stands firm."""

    shares: list[float] = field(default_factory=list)
    kinds: list[set[str]] = field(default_factory=list)
    firm: list[bool] = field(default_factory=list)
    shaky: list[bool] = field(default_factory=list)


WITHOUT = Analysts("without verdicts, every planted kind wanted", learn=False)
EVERYTHING = Analysts("with them")
STORIES = (
    WITHOUT,
    EVERYTHING,
    Analysts("… 15% of the verdicts wrong", wrong=WRONG),
    Analysts("without verdicts, only risk kinds wanted", RISKS.__contains__, learn=False),
    Analysts("… with them", RISKS.__contains__),
)


@contextmanager
def prepared(dataset: Dataset, weeks: Sequence[ReportingWeek]) -> Iterator[list[Prepared]]:
    """Build the features of some weeks once; what is learnt changes only what comes after."""
    with ExitStack() as opened:
        made = []
        for week in weeks:
            print(f"{dataset.name} · week {week}", file=sys.stderr, flush=True)
            built = opened.enter_context(features_built(dataset.path, week))
            rows = built[0].rows("SELECT customer_id, customer_key FROM customer")
            keys = {row["customer_id"]: row["customer_key"] for row in rows}
            made.append(Prepared(week, *built, keys, dataset.truth(week)))
        yield made


def tell(weeks: Sequence[Prepared], analysts: Analysts) -> Story:
    """List, review and learn, week after week."""
    story, reviews = Story(), list[Review]()
    errors = np.random.default_rng(1)
    for number, week in enumerate(weeks):
        hidden = analysts.hidden if number < HIDDEN_WEEKS else ""
        listed, seen, firm = _list(week, reviews if analysts.learn else [], hidden)
        kinds = [week.truth.kinds.get(customer, "") for customer in listed]
        hits = [bool(kind) and analysts.wanted(kind) for kind in kinds]
        story.shares.append(mean(hits))
        story.kinds.append(set(kinds))
        for hit, stands in zip(hits, firm, strict=True):
            (story.firm if stands else story.shaky).append(hit)
        wrong = errors.random(len(hits)) < analysts.wrong
        for customer, hit, flipped in zip(listed, hits, wrong, strict=True):
            reviews.append(_review(customer, week.week, hit != flipped, seen[customer]))
    return story


def _list(
    week: Prepared, reviews: Sequence[Review], hidden: str
) -> tuple[list[str], dict[str, tuple[str, ...]], list[bool]]:
    """Return the list in order, the features seen of each customer, and who stands firm."""
    settings = Config().review
    learned = learned_weights(
        reviews, week.week, CODES, prior=settings.prior, half_life=settings.half_life_weeks
    )
    weights = {each.feature: each.weight for each in learned}
    scored = week.detector.fit_score(week.engine, week.table, weights)
    away = {c for c, kind in week.truth.kinds.items() if kind == hidden} | week.truth.left_out
    asleep = {week.keys[customer]: "left_out" for customer in away if customer in week.keys}
    guards = settings.guards if weights else 0
    order = rank(week.engine, scored, LIST, 0.01, {}, guards, lambda thresholds: asleep)
    names = {key: customer for customer, key in week.keys.items()}
    found = week.detector.attribute(week.engine, scored, order.listed)
    seen = {
        names[key]: tuple(part.feature for part in found[key][:REASONS] if part.feature)
        for key in order.listed
    }
    firm = rank_stability(week.engine, week.detector, scored.families, order.listed)
    return [names[key] for key in order.listed], seen, [firm[key] == 1 for key in order.listed]


def _review(customer: str, week: ReportingWeek, hit: bool, features: tuple[str, ...]) -> Review:
    return Review(
        customer_id=customer,
        reporting_week=week.label,
        verdict=Verdict.CONFIRMED_RISK if hit else Verdict.EXPECTED,
        reviewer="simulated",
        reviewed_at=datetime(2025, 1, 1, tzinfo=UTC),
        features=features,
    )


def missed(kind: str, story: Story) -> bool:
    """Whether a kind was not listed in the two weeks from `HIDDEN_WEEKS` on."""
    return not any(kind in seen for seen in story.kinds[HIDDEN_WEEKS : HIDDEN_WEEKS + 2])


def _cell(shares: Sequence[float]) -> str:
    spread = stdev(shares) if len(shares) > 1 else 0.0
    return f"{mean(shares):.3f} ({spread:.3f}, {len(shares)} weeks)"


def simulator_tables(options: argparse.Namespace) -> list[str]:
    """Return the tables about generated portfolios."""
    shares: dict[str, dict[str, list[float]]] = {}
    firm, shaky = list[bool](), list[bool]()
    late: dict[str, list[str]] = {"with verdicts": [], "without": []}
    for seed in options.seeds:
        dataset = datasets.simulated(options.data_dir, seed, WEEKS)
        with prepared(dataset, dataset.weeks) as weeks:
            told = {analysts.name: tell(weeks, analysts) for analysts in STORIES}
            for kind in DRIVERS:
                new = tell(weeks[: HIDDEN_WEEKS + 2], Analysts(kind, hidden=kind))
                late["with verdicts"] += [kind] if missed(kind, new) else []
                late["without"] += [kind] if missed(kind, told[WITHOUT.name]) else []
        for name, story in told.items():
            for span, chosen in SPANS.items():
                shares.setdefault(name, {}).setdefault(span, []).extend(story.shares[chosen])
        firm += told[EVERYTHING.name].firm
        shaky += told[EVERYTHING.name].shaky
    rows = [[name, *(_cell(spans[span]) for span in SPANS)] for name, spans in shares.items()]
    trials = len(DRIVERS) * len(options.seeds)
    late_rows = [
        [word, f"{trials - len(kinds)} of {trials}", ", ".join(kinds) or "none"]
        for word, kinds in late.items()
    ]
    firmness = [
        [name, str(len(hits)), f"{mean(hits):.3f}" if hits else "–"]
        for name, hits in (("in every list without a family", firm), ("in fewer", shaky))
    ]
    return [
        tables.table(["P@20 (sd over weeks)", *SPANS], rows),
        "## A kind that appears after eleven weeks of verdicts",
        tables.table(["listed within two weeks", "trials", "not listed"], late_rows),
        "## Rank stability",
        tables.table(["the customer stays", "listed", "of them planted"], firmness),
    ]


def handbook_table(folder: Path) -> str:
    """Return the table about the handbook's weeks."""
    dataset = datasets.handbook(folder)
    with prepared(dataset, dataset.weeks) as weeks:
        rows = [
            [name, _cell(tell(weeks, Analysts(name, learn=learn)).shares[2:])]
            for name, learn in (("without verdicts", False), ("with verdicts", True))
        ]
    return tables.table(["handbook: P@20 from the third week", "mean (sd)"], rows)


def main() -> None:
    """Read the command line, measure, print and write the page."""
    parser = argparse.ArgumentParser(description="Measure what verdicts teach.")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(REPORT_SEEDS))
    known = os.environ.get("CARDWATCH_HANDBOOK")
    parser.add_argument("--handbook", type=Path, default=Path(known) if known else None)
    parser.add_argument("--data-dir", type=Path, default=portfolios.default_cache())
    parser.add_argument("--output", type=Path, default=tables.RESULTS / "learning.md")
    options = parser.parse_args()
    parts = [
        "# Learning from verdicts",
        f"Written by `make bench-detection`. {machine()}. Simulator: seeds "
        f"{', '.join(map(str, options.seeds))}, {datasets.CUSTOMERS:,} customers and {WEEKS} weeks "
        "each. The first twenty of each week are reviewed by what was planted, and the weeks after "
        "it are weighed by that; two of the twenty are guards. Risk kinds are "
        f"{', '.join(sorted(RISKS))}.",
    ]
    if options.seeds:
        parts += simulator_tables(options)
    if options.handbook:
        parts += ["## Handbook", handbook_table(options.handbook)]
    tables.publish(options.output, parts)


if __name__ == "__main__":
    main()
