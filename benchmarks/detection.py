"""What is found, and why: `make bench-detection`.

Cardwatch scores every week of several generated portfolios, and of the Fraud Detection Handbook's
data where it is at hand; the predecessor's features with an isolation forest score the same weeks,
and the detectors of `benchmarks.rivals` the last of them, on the first few portfolios. The page is
``benchmarks/results/detection.md``. The seeds from 200 on are for reporting: nothing is chosen on
them.

    python -m benchmarks.detection [--seeds 200 201 ...] [--handbook FOLDER] [--forest]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from benchmarks import datasets, detection_page, portfolios, predecessor, rivals, tables
from benchmarks.datasets import REPORT_SEEDS, Dataset
from benchmarks.detection_page import (
    EVERYBODY,
    FOREST,
    HANDBOOK,
    PREDECESSOR,
    PRODUCT,
    SIMULATOR,
    Findings,
)
from benchmarks.judge import Truth, WeekFigures, judge
from benchmarks.measure import machine
from benchmarks.product import score_week
from cardwatch.week import ReportingWeek

RIVAL_SEEDS = 4
"""The first portfolios, on which the rivals run; the handbook's data comes beside them."""
RIVAL_WEEKS = 5
"""The last weeks of each dataset on which the rivals run."""
STABLE_SEED = 1
STABLE_SEEDS = 1


def measure(
    dataset: Dataset, kind: str, findings: Findings, options: argparse.Namespace, rival_weeks: int
) -> None:
    """Score and judge every week of one dataset, the last ones with the rivals too."""
    record = Record(kind, findings)
    with tempfile.TemporaryDirectory(prefix="cardwatch-benchmark-") as made:
        weeks = dataset.weeks[-options.weeks :]
        for number, week in enumerate(weeks):
            print(f"{dataset.name} · week {week}", file=sys.stderr, flush=True)
            truth = dataset.truth(week)
            scored = score_week(dataset.path, week, Path(made) / "surprise")
            reasons = scored.reasons()
            figures = judge(scored.present(), truth, reasons, scored.firm)
            record.add(PRODUCT, figures)
            record.add(EVERYBODY, judge(scored.everybody(), truth, reasons))
            if scored.has_history and kind == SIMULATOR:
                findings.flagged.append(scored.flagged)
            if options.forest:
                output = Path(made) / "forest"
                forest = score_week(dataset.path, week, output, detector="isolation_forest")
                record.add(FOREST, judge(forest.present(), truth, forest.reasons()))
            theirs = predecessor.scores(dataset.window(week), pd.Timestamp(week.monday))
            record.add(PREDECESSOR, judge(theirs, truth))
            if number >= len(weeks) - rival_weeks:
                record.add(PRODUCT, figures, among_rivals=True)
                against_rivals(dataset, week, truth, record)


def against_rivals(dataset: Dataset, week: ReportingWeek, truth: Truth, record: Record) -> None:
    """Score and judge one week with every rival, on our features and on plain ones."""
    plain = predecessor.features(dataset.window(week), pd.Timestamp(week.monday)).sort_index()
    for name, features in (
        ("Cardwatch's features", rivals.own_features(dataset, week)),
        ("plain features", plain),
    ):
        for rival, scores in rivals.scores(features).items():
            record.add(f"{rival}, {name}", judge(scores, truth), among_rivals=True)


@dataclass
class Record:
    """The figures of one dataset, week by week: each knows the list of the week before."""

    data: str
    findings: Findings
    last: dict[tuple[str, bool], WeekFigures] = field(default_factory=dict)

    def add(self, program: str, figures: WeekFigures, *, among_rivals: bool = False) -> None:
        """Record the next week of one program."""
        key = program, among_rivals
        table = self.findings.rivals if among_rivals else self.findings.figures
        known = table.setdefault((self.data, program), [])
        known.append(figures.after(self.last.get(key)))
        self.last[key] = figures


def check_stability(dataset: Dataset, findings: Findings, detectors: Sequence[str]) -> None:
    """Run one week again, with shuffled rows, and on one thread; compare lists and scores."""
    week = dataset.weeks[-1]
    with tempfile.TemporaryDirectory(prefix="cardwatch-benchmark-") as made:
        mixed = datasets.shuffled(dataset, Path(made), STABLE_SEED)
        for detector in detectors:
            output = Path(made) / detector
            first = _outcome(dataset.path, week, output / "first", detector, 2)
            for change, data, threads in (
                ("again", dataset.path, 2),
                ("on 1 thread", dataset.path, 1),
                ("with shuffled rows", mixed, 2),
                ("with shuffled rows on 1 thread", mixed, 1),
            ):
                outcome = _outcome(data, week, output / change, detector, threads)
                name = f"{dataset.name}, week {week}, {detector}, {change}"
                findings.identical[name] = outcome == first


def _outcome(
    data: Path, week: ReportingWeek, output: Path, detector: str, threads: int
) -> tuple[bytes, str]:
    """Return the list, and everybody's scores as text with every digit."""
    scored = score_week(data, week, output, detector=detector, threads=threads)
    return scored.list_bytes, scored.scores.to_csv(index=False, float_format="%.17g")


def run(options: argparse.Namespace) -> tuple[Findings, str]:
    """Measure everything asked for; return the findings and a sentence about the handbook."""
    findings = Findings()
    detectors = ["surprise", "isolation_forest"]
    for number, seed in enumerate(options.seeds):
        dataset = datasets.simulated(options.data_dir, seed)
        rival_weeks = options.rival_weeks if number < RIVAL_SEEDS else 0
        measure(dataset, SIMULATOR, findings, options, rival_weeks)
        if number < STABLE_SEEDS:
            check_stability(dataset, findings, detectors)
    folder = options.handbook
    if folder is None or not (folder / "transactions.parquet").exists():
        place = "no folder was given" if folder is None else f"{folder} does not hold it"
        return findings, (
            f"The handbook's data was left out: {place} (--handbook FOLDER or CARDWATCH_HANDBOOK)."
        )
    dataset = datasets.handbook(folder)
    measure(dataset, HANDBOOK, findings, options, options.rival_weeks)
    check_stability(dataset, findings, detectors)
    return findings, (
        "Handbook: the Fraud Detection Handbook's simulated transactions; positive is a "
        "compromised card (scenario 3) with at least two fraudulent transactions in the week; "
        "customers with any other fraud in the week are left out."
    )


def main() -> None:
    """Read the command line, measure, print and write the page."""
    options = _options()
    findings, about_handbook = run(options)
    seeds = ", ".join(str(seed) for seed in options.seeds)
    scored = options.weeks or datasets.WEEKS - datasets.REFERENCE_WEEKS
    tables.publish(
        options.output,
        [
            "# Detection",
            f"Written by `make bench-detection`. {machine()}. Simulator: seeds {seeds}, "
            f"{datasets.CUSTOMERS:,} customers and {datasets.WEEKS} weeks each to "
            f"{', '.join(datasets.LAST_WEEKS)} in turn, the last {scored} scored; about 35 planted "
            "customers a week, a third each weak (× 0.6), medium and strong (× 1.6); over 3% "
            "look-alikes counted as negatives, the ramp-up weeks of a bust-out left out. "
            "The seeds serve for reporting only. Customers with rows in the scored week, unless "
            "said otherwise. P@20 is the share of the first 20 that was planted.",
            about_handbook,
            "Every figure: the mean, ± its standard deviation over weeks, and the 95% bootstrap "
            "interval of the mean, drawing whole weeks. New on the list: the share of the first "
            "20 who were not among the 20 of the week before.",
            detection_page.quality(findings.figures),
            "## By kind and strength",
            detection_page.recall(findings),
            detection_page.reason_hits(findings),
            "## Rank stability",
            detection_page.firmness(findings),
            "## Rivals",
            f"On the last {options.rival_weeks} weeks of the handbook and of each portfolio of "
            f"{', '.join(map(str, options.seeds[:RIVAL_SEEDS]))}, each rival on Cardwatch's own "
            "features and on the predecessor's plain ones. The one-class SVM is fitted on "
            f"{rivals.SVM_ROWS:,} customers. ECOD, COPOD and HBOS are PyOD's, the others "
            f"scikit-learn's; nearest neighbours: the mean distance to {rivals.NEIGHBOURS}.",
            detection_page.quality(findings.rivals),
            "## Targets",
            detection_page.targets(findings),
            "## Floors",
            detection_page.floors(findings),
        ],
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what is found, and why.")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(REPORT_SEEDS))
    known = os.environ.get("CARDWATCH_HANDBOOK")
    parser.add_argument("--handbook", type=Path, default=Path(known) if known else None)
    parser.add_argument("--forest", action="store_true", help="measure that detector too")
    parser.add_argument("--weeks", type=int, default=0, help="of each data set; 0 for all")
    parser.add_argument("--rival-weeks", type=int, default=RIVAL_WEEKS)
    parser.add_argument("--data-dir", type=Path, default=portfolios.default_cache())
    parser.add_argument("--output", type=Path, default=tables.RESULTS / "detection.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
