"""What is found, and why: `make bench-detection`.

Cardwatch scores every week of several generated portfolios, and of the Fraud Detection Handbook's
data where it is at hand; the predecessor's features with an isolation forest score the same weeks.
The page is ``benchmarks/results/detection.md``. The seeds from 200 on are for reporting: nothing is
chosen on them.

    python -m benchmarks.detection [--seeds 200 201 202 203] [--handbook FOLDER] [--forest]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import pandas as pd

from benchmarks import datasets, portfolios, predecessor, tables
from benchmarks.datasets import Dataset
from benchmarks.judge import DRIVERS, Summary, WeekFigures, judge
from benchmarks.measure import machine
from benchmarks.product import score_week
from cardwatch.week import ReportingWeek

SEEDS = (200, 201, 202, 203)
STABLE_SEED = 1
STABLE_WEEKS = 3
PRODUCT = "Cardwatch"
EVERYBODY = "Cardwatch, absent customers too"
FOREST = "Cardwatch, isolation_forest"
PREDECESSOR = "predecessor's features + isolation forest"
SIMULATOR, HANDBOOK = "simulator", "handbook"

RECALL_FLOORS = (
    (("card_test", "structured", "drop"), 0.85),
    (("dormant", "refund", "gambling"), 0.75),
    (("growth", "bust_out"), 0.45),
    (("collusion",), 0.20),
)


@dataclass
class Findings:
    """Everything that was measured.

    Attributes
    ----------
    figures : dict of (data, program) to list of WeekFigures
    flagged : list of float
        Share flagged in each simulator week whose cut came from previous weeks.
    identical : dict of text to bool
        What was run again, and whether the result was the same.
    """

    figures: dict[tuple[str, str], list[WeekFigures]] = field(default_factory=dict)
    flagged: list[float] = field(default_factory=list)
    identical: dict[str, bool] = field(default_factory=dict)

    def add(self, data: str, program: str, figures: WeekFigures) -> None:
        """Record one week of one program."""
        self.figures.setdefault((data, program), []).append(figures)

    def summary(self, data: str, program: str) -> Summary | None:
        """Return a program's figures on one kind of data; None if it did not run there."""
        weeks = self.figures.get((data, program))
        return Summary(weeks) if weeks else None


def measure(dataset: Dataset, kind: str, findings: Findings, with_forest: bool) -> None:
    """Score and judge every week of one dataset with every program."""
    with tempfile.TemporaryDirectory(prefix="cardwatch-benchmark-") as made:
        for week in dataset.weeks:
            print(f"{dataset.name} · week {week}", file=sys.stderr)
            truth = dataset.truth(week)
            scored = score_week(dataset.path, week, Path(made) / "surprise")
            reasons = scored.reasons()
            findings.add(kind, PRODUCT, judge(scored.present(), truth, reasons))
            findings.add(kind, EVERYBODY, judge(scored.everybody(), truth, reasons))
            if scored.has_history and kind == SIMULATOR:
                findings.flagged.append(scored.flagged)
            if with_forest:
                output = Path(made) / "forest"
                forest = score_week(dataset.path, week, output, detector="isolation_forest")
                findings.add(kind, FOREST, judge(forest.present(), truth, forest.reasons()))
            theirs = predecessor.scores(dataset.window(week), pd.Timestamp(week.monday))
            findings.add(kind, PREDECESSOR, judge(theirs, truth))


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


def quality(findings: Findings) -> str:
    """Return the table of precision, AP, AUC and look-alikes, per data and program."""
    rows = []
    for data, program in sorted(findings.figures, key=lambda key: (key[0] != SIMULATOR, key[0])):
        found = Summary(findings.figures[data, program])
        alike = f"{found.mean_of('lookalikes'):.0%}" if data == SIMULATOR else "none planted"
        rows.append(
            [
                f"{data}: {program}",
                str(len(found.weeks)),
                f"{found.mean_of('precision'):.3f} ({found.spread_of('precision'):.3f})",
                _interval(found, "precision"),
                f"{found.mean_of('average_precision'):.3f}",
                _interval(found, "average_precision"),
                f"{found.mean_of('auc'):.3f}",
                alike,
            ]
        )
    header = ["data: program", "weeks", "P@20 (sd over weeks)", "95%", "AP", "95%", "AUC"]
    return tables.table([*header, "look-alikes in the top 20"], rows)


def _interval(found: Summary, name: str) -> str:
    low, high = found.interval_of(name)
    return f"{low:.2f}–{high:.2f}"


def recall(findings: Findings) -> str:
    """Return the table of recall@100 and reason hits per planted kind."""
    programs = [
        name for name in (PRODUCT, FOREST, PREDECESSOR) if (SIMULATOR, name) in findings.figures
    ]
    summaries = {name: Summary(findings.figures[SIMULATOR, name]) for name in programs}
    rows = []
    for kind in DRIVERS:
        tallies = [summary.recall_of(kind) for summary in summaries.values()]
        rows.append([kind, str(tallies[0].total), *(f"{tally.share:.2f}" for tally in tallies)])
    return tables.table(["recall@100 of", "planted", *programs], rows)


def floors(findings: Findings) -> str:
    """Return the table of the method's floors, each with what was reached."""
    ours = findings.summary(SIMULATOR, PRODUCT)
    theirs = findings.summary(SIMULATOR, PREDECESSOR)
    rows: list[list[str]] = []

    def add(what: str, found: float, least: float, digits: int = 3) -> None:
        met = tables.verdict(found >= least)
        rows.append([what, f"{found:.{digits}f}", f"≥ {least:g}", met])

    if book := findings.summary(HANDBOOK, PRODUCT):
        add("handbook: P@20", book.mean_of("precision"), 0.65)
        add("handbook: AP", book.mean_of("average_precision"), 0.55)
        add("handbook: AUC", book.mean_of("auc"), 0.97)
    if ours and theirs:
        add("simulator: weeks", len(ours.weeks), 20, digits=0)
        add("simulator: P@20", ours.mean_of("precision"), 0.60)
        add("simulator: AP", ours.mean_of("average_precision"), 0.45)
        add("simulator: AUC", ours.mean_of("auc"), 0.96)
        times = ours.mean_of("precision") / max(theirs.mean_of("precision"), 1e-9)
        add("simulator: P@20, times the predecessor's", times, 3.0, digits=1)
        for kinds, least in RECALL_FLOORS:
            for kind in kinds:
                add(f"recall@100: {kind}", ours.recall_of(kind).share, least, digits=2)
        add("planted driver in three reasons: all", ours.tally_of("reasons").share, 0.80)
        add("… of those in the top 100", ours.tally_of("reasons_seen").share, 0.90)
    if findings.flagged:
        share = mean(findings.flagged)
        met = tables.verdict(0.007 <= share <= 0.013)
        rows.append(["flagged at a 1% cut", f"{share:.2%}", "0.7–1.3%", met])
    if findings.identical:
        same = all(findings.identical.values())
        found = f"{sum(findings.identical.values())} of {len(findings.identical)} identical"
        what = "list and scores after a rerun, on 1 thread, with shuffled rows, both detectors"
        rows.append([what, found, "identical", tables.verdict(same)])
    page = tables.table(["figure", "reached", "floor", "met"], rows)
    changed = [name for name, same in findings.identical.items() if not same]
    return "\n\n".join([page, *(f"Not identical: {name}." for name in changed)])


def run(options: argparse.Namespace) -> tuple[Findings, str]:
    """Measure everything asked for; return the findings and a sentence about the handbook."""
    findings = Findings()
    detectors = ["surprise", "isolation_forest"]
    for number, seed in enumerate(options.seeds):
        dataset = datasets.simulated(options.data_dir, seed)
        measure(dataset, SIMULATOR, findings, options.forest)
        if number < STABLE_WEEKS:
            check_stability(dataset, findings, detectors)
    folder = options.handbook
    if folder is None or not (folder / "transactions.parquet").exists():
        place = "no folder was given" if folder is None else f"{folder} does not hold it"
        return findings, (
            f"The handbook's data was left out: {place} (--handbook FOLDER or CARDWATCH_HANDBOOK)."
        )
    dataset = datasets.handbook(folder)
    measure(dataset, HANDBOOK, findings, options.forest)
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
    tables.publish(
        options.output,
        [
            "# Detection",
            f"Written by `make bench-detection`. {machine()}. Simulator: seeds {seeds}, "
            f"{datasets.CUSTOMERS:,} customers and {datasets.WEEKS} weeks each, the last "
            f"{datasets.WEEKS - datasets.REFERENCE_WEEKS} scored; about 35 planted customers a "
            "week, 3% look-alikes counted as negatives, the ramp-up weeks of a bust-out left out. "
            "The seeds serve for reporting only. Customers with rows in the scored week, unless "
            "said otherwise. P@20 is the share of the first 20 that was planted.",
            about_handbook,
            quality(findings),
            recall(findings),
            "## Floors",
            floors(findings),
        ],
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what is found, and why.")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    known = os.environ.get("CARDWATCH_HANDBOOK")
    parser.add_argument("--handbook", type=Path, default=Path(known) if known else None)
    parser.add_argument("--forest", action="store_true", help="measure that detector too")
    parser.add_argument("--data-dir", type=Path, default=portfolios.default_cache())
    parser.add_argument("--output", type=Path, default=tables.RESULTS / "detection.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
