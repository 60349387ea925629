"""What `make bench-detection` found, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks import tables
from benchmarks.judge import DRIVERS, Figure, Summary, WeekFigures
from cardwatch.case_kinds import Strength

SIMULATOR, HANDBOOK = "simulator", "handbook"
PRODUCT = "Cardwatch"
EVERYBODY = "Cardwatch, absent customers too"
FOREST = "Cardwatch, isolation_forest"
PREDECESSOR = "predecessor's features + isolation forest"

RECALL_FLOORS = (
    (("card_test", "structured", "drop"), 0.85),
    (("dormant", "refund", "gambling"), 0.75),
    (("growth", "bust_out"), 0.45),
    (("collusion",), 0.20),
)
QUALITY_TARGETS = {
    (SIMULATOR, "precision"): 0.77,
    (SIMULATOR, "average_precision"): 0.60,
    (HANDBOOK, "precision"): 0.90,
    (HANDBOOK, "average_precision"): 0.80,
}
RECALL_TARGETS = {kind: 0.85 for kind in DRIVERS} | {
    "growth": 0.70,
    "bust_out": 0.70,
    "collusion": 0.60,
}
MOST_LOOKALIKES = 0.05
LEAST_DRIVERS = 0.95
NAMES = {"precision": "P@20", "average_precision": "AP"}


@dataclass
class Findings:
    """Everything that was measured.

    Attributes
    ----------
    figures : dict of (data, program) to list of WeekFigures
    rivals : dict of (data, program) to list of WeekFigures
        On the weeks on which rivals ran too.
    flagged : list of float
        Share flagged in each simulator week whose cut came from previous weeks.
    identical : dict of text to bool
        What was run again, and whether the result was the same.
    """

    figures: dict[tuple[str, str], list[WeekFigures]] = field(default_factory=dict)
    rivals: dict[tuple[str, str], list[WeekFigures]] = field(default_factory=dict)
    flagged: list[float] = field(default_factory=list)
    identical: dict[str, bool] = field(default_factory=dict)

    def summary(self, data: str, program: str) -> Summary | None:
        """Return a program's figures on one kind of data; None if it did not run there."""
        weeks = self.figures.get((data, program))
        return Summary(weeks) if weeks else None


def shown(figure: Figure) -> str:
    """Return a figure as a cell: the mean, the sd over weeks, and the interval."""
    if not figure.weeks:
        return "–"
    return f"{figure.mean:.3f} ± {figure.spread:.3f} ({figure.low:.2f}–{figure.high:.2f})"


def quality(figures: dict[tuple[str, str], list[WeekFigures]]) -> str:
    """Return the table of precision, AP, recall, look-alikes and churn, per data and program."""
    rows = []
    for data, program in sorted(figures, key=lambda key: key[0] != SIMULATOR):
        found = Summary(figures[data, program])
        rows.append(
            [
                f"{data}: {program}",
                str(len(found.weeks)),
                *(shown(found.of(name)) for name in ("precision", "average_precision", "auc")),
                shown(found.everything()),
                shown(found.of("lookalikes")) if data == SIMULATOR else "none planted",
                shown(found.tally("churn")),
            ]
        )
    header = ["data: program", "weeks", "P@20", "AP", "AUC", "recall@100"]
    return tables.table([*header, "look-alikes in the top 20", "new on the list"], rows)


def recall(findings: Findings) -> str:
    """Return the table of recall@100 per kind: of all, and weak, medium and strong alone."""
    ours, theirs = (findings.summary(SIMULATOR, name) for name in (PRODUCT, PREDECESSOR))
    if ours is None or theirs is None:
        return ""
    rows = []
    for kind in DRIVERS:
        cells = [shown(ours.recall(kind, strength)) for strength in (None, *Strength)]
        rest = theirs.recall(kind)
        rows.append([kind, str(ours.recall(kind).total), *cells, f"{rest.mean:.2f}"])
    header = ["recall@100 of", "planted", "all", *Strength, PREDECESSOR]
    return tables.table(header, rows)


def firmness(findings: Findings) -> str:
    """Return the table of what rank stability is worth: precision with it and without."""
    rows = []
    for data in (SIMULATOR, HANDBOOK):
        if found := findings.summary(data, PRODUCT):
            for name, which in (("in every list without a family", "firm"), ("in fewer", "shaky")):
                figure = found.tally(which)
                rows.append([f"{data}: {name}", str(figure.total), shown(figure)])
    return tables.table(["the customer stays", "listed", "of them planted"], rows)


def reason_hits(findings: Findings) -> str:
    """Return the table of planted drivers among the first three reasons."""
    ours = findings.summary(SIMULATOR, PRODUCT)
    if ours is None:
        return ""
    rows = []
    for name, which in (("all planted", "reasons"), ("those in the top 100", "reasons_seen")):
        figure = ours.tally(which)
        rows.append([name, str(figure.total), shown(figure)])
    return tables.table(["planted driver in three reasons", "of", "share"], rows)


class Goals:
    """A table of goals, each with what was reached and whether that is enough."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: list[list[str]] = []

    def least(self, what: str, found: float, least: float, digits: int = 3) -> None:
        """Add a figure that should be at least something."""
        met = tables.verdict(found >= least)
        self._rows.append([what, f"{found:.{digits}f}", f"≥ {least:g}", met])

    def most(self, what: str, found: float, most: float) -> None:
        """Add a share that should be at most something."""
        self._rows.append([what, f"{found:.1%}", f"≤ {most:.0%}", tables.verdict(found <= most)])

    def exactly(self, what: str, found: str, wanted: str, met: bool) -> None:
        """Add what is right or wrong."""
        self._rows.append([what, found, wanted, tables.verdict(met)])

    def table(self) -> str:
        """Return the table."""
        return tables.table(["figure", "reached", self._name, "met"], self._rows)


def targets(findings: Findings) -> str:
    """Return the table of the targets, which lie above the floors."""
    goals = Goals("target")
    for (data, name), least in QUALITY_TARGETS.items():
        if found := findings.summary(data, PRODUCT):
            goals.least(f"{data}: {NAMES[name]}", found.of(name).mean, least)
    if ours := findings.summary(SIMULATOR, PRODUCT):
        for kind, least in RECALL_TARGETS.items():
            recalled = ours.recall(kind, "medium").mean
            goals.least(f"recall@100, medium strength: {kind}", recalled, least, digits=2)
        goals.most("look-alikes in the top 20", ours.of("lookalikes").mean, MOST_LOOKALIKES)
        drivers = ours.tally("reasons").mean
        goals.least("planted driver in three reasons: all", drivers, LEAST_DRIVERS)
    return goals.table()


def floors(findings: Findings) -> str:
    """Return the table of the method's floors, each with what was reached."""
    ours = findings.summary(SIMULATOR, PRODUCT)
    theirs = findings.summary(SIMULATOR, PREDECESSOR)
    goals = Goals("floor")
    if book := findings.summary(HANDBOOK, PRODUCT):
        goals.least("handbook: P@20", book.of("precision").mean, 0.65)
        goals.least("handbook: AP", book.of("average_precision").mean, 0.55)
        goals.least("handbook: AUC", book.of("auc").mean, 0.97)
    if ours and theirs:
        goals.least("simulator: weeks", len(ours.weeks), 20, digits=0)
        goals.least("simulator: P@20", ours.of("precision").mean, 0.60)
        goals.least("simulator: AP", ours.of("average_precision").mean, 0.45)
        goals.least("simulator: AUC", ours.of("auc").mean, 0.96)
        times = ours.of("precision").mean / max(theirs.of("precision").mean, 1e-9)
        goals.least("simulator: P@20, times the predecessor's", times, 3.0, digits=1)
        for kinds, least in RECALL_FLOORS:
            for kind in kinds:
                name = f"recall@100, medium strength: {kind}"
                goals.least(name, ours.recall(kind, "medium").mean, least, digits=2)
        goals.least("planted driver in three reasons: all", ours.tally("reasons").mean, 0.80)
        goals.least("… of those in the top 100", ours.tally("reasons_seen").mean, 0.90)
    if findings.flagged:
        share = sum(findings.flagged) / len(findings.flagged)
        met = 0.007 <= share <= 0.013
        goals.exactly("flagged at a 1% cut", f"{share:.2%}", "0.7–1.3%", met)
    if findings.identical:
        found = f"{sum(findings.identical.values())} of {len(findings.identical)} identical"
        what = "list and scores after a rerun, on 1 thread, with shuffled rows, both detectors"
        goals.exactly(what, found, "identical", all(findings.identical.values()))
    return "\n\n".join([goals.table(), *_changed(findings)])


def _changed(findings: Findings) -> Sequence[str]:
    return [f"Not identical: {name}." for name, same in findings.identical.items() if not same]
