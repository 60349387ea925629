"""How long a run takes, and how much memory: `make bench-speed`.

Three programs read the same 13 weeks, each in a process of its own, in turn, on two cores:
Cardwatch from delivered files to written results, the floor (a DuckDB scan and group-by of the same
rows), and the same job in pandas and scikit-learn. The page is ``benchmarks/results/speed.md``.

    python -m benchmarks.speed [--large] [--repeats 3] [--data-dir FOLDER]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks import portfolios, tables
from benchmarks.measure import CORES, Usage, machine, measured, pin_to_cores

ROOT = Path(__file__).parent.parent
WEEKS = 13
SEED = 100
CUSTOMERS = (20_000, 60_000, 300_000)
PANDAS_CUSTOMERS = (20_000, 60_000)
LARGE = 3_000_000
JUDGED = 300_000
WANTED_PART = 20
"""A run should take one part in so many of the time of pandas and scikit-learn."""

SCAN, PRODUCT = "DuckDB scan and group-by", "Cardwatch"
PANDAS = "pandas + scikit-learn"
APPLIED = "pandas + scikit-learn, a function per customer"


@dataclass(frozen=True)
class Timed:
    """The runs of one program on one portfolio; an extrapolated one has no runs behind it."""

    program: str
    customers: int
    rows: int
    runs: tuple[Usage, ...]
    extrapolated: bool = False

    @property
    def wall(self) -> float:
        """Median wall seconds."""
        return median(run.wall_seconds for run in self.runs)

    @property
    def cpu(self) -> float:
        """Median CPU seconds."""
        return median(run.cpu_seconds for run in self.runs)

    @property
    def peak(self) -> float:
        """Largest peak memory, in 10^6 bytes."""
        return max(run.peak_mb for run in self.runs)


def portfolio(cache: Path, customers: int, weeks: int = WEEKS) -> Path:
    """Return the folder of a portfolio, generated first where it is missing."""
    folder = portfolios.folder_of(cache, customers, weeks, SEED)
    if not folder.exists():
        print(f"Generating {customers:,} customers × {weeks} weeks", file=sys.stderr)
        numbers = [str(number) for number in (customers, weeks, SEED)]
        measured([sys.executable, "-m", "benchmarks.portfolios", str(folder), *numbers])
    return folder


def run_product(
    folder: Path, week: str = portfolios.LAST_WEEK.label, cache: Path | None = None
) -> Usage:
    """Score the last week of a portfolio with the command that users type; says its steps.

    With a `cache` folder the roll-ups of the weeks before are kept there, or taken from it.
    """
    with tempfile.TemporaryDirectory(prefix="cardwatch-benchmark-") as made:
        config = Path(made) / "config.yaml"
        settings: dict[str, object] = {
            "data_source": {"type": "files", "path": str(folder)},
            "engine": {"threads": CORES},
            "logging": {"file": None},
        }
        if cache is not None:
            settings["feature_engineering"] = {"use_cache": True, "cache_dir": str(cache)}
        config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        output = Path(made) / "outputs"
        command = [sys.executable, str(ROOT / "main.py"), "--reporting-week", week]
        usage = measured([*command, "--output-dir", str(output)], {"CARDWATCH_CONFIG": str(config)})
        manifest = json.loads((output / f"run_{week}.json").read_text(encoding="utf-8"))
        return replace(usage, said=json.dumps(manifest["seconds"]))


def run_scan(folder: Path) -> Usage:
    """Scan and group the same rows."""
    return measured([sys.executable, "-m", "benchmarks.scan", str(folder)])


def run_pandas(folder: Path, *options: str) -> Usage:
    """Do the same job in pandas and scikit-learn."""
    monday = portfolios.LAST_WEEK.monday.isoformat()
    with tempfile.TemporaryDirectory(prefix="cardwatch-benchmark-") as made:
        command = [sys.executable, "-m", "benchmarks.baseline_pandas", str(folder), monday, made]
        return measured([*command, *options])


def run_applied(folder: Path) -> Usage:
    """Do the same job with a function applied to each customer's weeks."""
    return run_pandas(folder, "--per-customer")


def time_weeks(folder: Path, repeats: int) -> list[tuple[Usage, Usage]]:
    """Score a week with an empty cache and again with its twelve roll-ups there, pair by pair."""
    pairs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="cardwatch-benchmark-") as made:
            first, next_one = (run_product(folder, cache=Path(made)) for _ in range(2))
        pairs.append((first, next_one))
    return pairs


def weeks_table(found: Mapping[int, Sequence[tuple[Usage, Usage]]]) -> str:
    """Return the table of first runs and of weeks after, by number of customers."""
    rows = []
    for customers, pairs in found.items():
        cells = [f"{customers:,}"]
        for name in ("wall_seconds", "cpu_seconds"):
            both = [tuple(getattr(usage, name) for usage in pair) for pair in pairs]
            shares = [after / first for first, after in both]
            cells += [f"{median(times):.2f}" for times in zip(*both, strict=True)]
            cells.append(f"{median(shares):.2f} ({min(shares):.2f}–{max(shares):.2f})")
        rows.append(cells)
    header = ["first, seconds", "next, seconds", "share (range)"]
    named = [f"{what} {name}" for what in ("wall:", "CPU:") for name in header]
    return tables.table(["customers", *named], rows)


PROGRAMS: Mapping[str, Callable[[Path], Usage]] = {
    SCAN: run_scan,
    PRODUCT: run_product,
    PANDAS: run_pandas,
    APPLIED: run_applied,
}


def time_size(cache: Path, customers: int, repeats: int, programs: Sequence[str]) -> list[Timed]:
    """Run the programs on one portfolio in turn, `repeats` times over."""
    folder = portfolio(cache, customers)
    runs: dict[str, list[Usage]] = {name: [] for name in programs}
    for turn in range(repeats):
        for name in programs:
            runs[name].append(PROGRAMS[name](folder))
            wall = runs[name][-1].wall_seconds
            print(f"{customers:,} · {name} · {turn + 1}: {wall:.2f} s", file=sys.stderr)
    rows = int(runs[SCAN][0].said.split()[0])
    return [Timed(name, customers, rows, tuple(done)) for name, done in runs.items()]


def extrapolated(known: Sequence[Timed], start_up: Usage, customers: int, rows: int) -> Timed:
    """Continue a program's measured portfolios to a larger one.

    Above what its start-up takes, the figures follow the power law through the smallest and the
    largest measured portfolio; through one alone, a straight line.
    """
    small, large = (pick(known, key=lambda run: run.customers) for pick in (min, max))

    def continued(name: str, base: float) -> float:
        low, high = (max(getattr(run, name) - base, 1e-3) for run in (small, large))
        exponent = 1.0
        if small.customers < large.customers:
            exponent = math.log(high / low) / math.log(large.customers / small.customers)
        return float(base + high * (customers / large.customers) ** exponent)

    usage = Usage(
        continued("wall", start_up.wall_seconds),
        continued("cpu", start_up.cpu_seconds),
        continued("peak", start_up.peak_mb),
    )
    return Timed(known[0].program, customers, rows, (usage,), extrapolated=True)


def comparison(timed: Sequence[Timed]) -> str:
    """Return the table of every program and portfolio, with ratios."""
    rows = []
    for run in timed:
        walls = [usage.wall_seconds for usage in run.runs]
        spread = f" ({min(walls):.2f}–{max(walls):.2f})" if len(walls) > 1 else ""
        mark = " *" if run.extrapolated else ""
        floor = _find(timed, SCAN, run.customers)
        yardstick = _find_or_none(timed, PANDAS, run.customers)
        faster = f"{yardstick.wall / run.wall:.1f} ×" if yardstick else "not measured"
        rows.append(
            [
                f"{run.program}{mark}",
                f"{run.customers:,}",
                f"{run.rows:,}",
                f"{run.wall:.2f}{spread}",
                f"{run.cpu:.2f}",
                f"{run.peak:,.0f}",
                f"{run.wall / floor.wall:.1f} ×",
                faster,
            ]
        )
    header = ["program", "customers", "rows", "wall seconds (range)", "CPU seconds", "peak MB"]
    return tables.table([*header, "of the scan's time", "as fast as pandas"], rows)


def steps(timed: Sequence[Timed]) -> str:
    """Return the table of Cardwatch's steps, in seconds of the fastest run per portfolio."""
    ours = [run for run in timed if run.program == PRODUCT]
    fastest = [min(run.runs, key=lambda usage: usage.wall_seconds) for run in ours]
    seconds = [json.loads(usage.said) for usage in fastest]
    names = dict.fromkeys(name for step in seconds for name in step)
    rows = [[name, *(f"{step.get(name, 0):.2f}" for step in seconds)] for name in names]
    return tables.table(["step", *(f"{run.customers:,}" for run in ours)], rows)


def targets(timed: Sequence[Timed], start_up: Usage, first_run: float) -> str:
    """Return the table of targets, each with what was reached."""
    lines = [
        ("`--help`", start_up.wall_seconds, 0.5, "s"),
        ("20,000 customers × 26 weeks generated and scored", first_run, 20.0, "s"),
    ]
    if product := _find_or_none(timed, PRODUCT, JUDGED):
        size = f"{JUDGED:,} customers"
        scan = _find(timed, SCAN, JUDGED).wall
        lines.append((f"{size}: times the scan", product.wall / scan, 30.0, "×"))
        for program in (PANDAS, APPLIED):
            if yardstick := _find_or_none(timed, program, JUDGED):
                share = f"{size}: share of the time of {program}{' *' * yardstick.extrapolated}"
                wanted = 100 / WANTED_PART
                lines.append((share, 100 * product.wall / yardstick.wall, wanted, "%"))
        lines.append((f"{size}: peak memory", product.peak, 1_500.0, "MB"))
    if product := _find_or_none(timed, PRODUCT, LARGE):
        size = f"{LARGE:,} customers"
        lines.append(
            (f"{size}: times the scan", product.wall / _find(timed, SCAN, LARGE).wall, 20.0, "×")
        )
        lines.append((f"{size}: wall time", product.wall, 240.0, "s"))
        lines.append((f"{size}: peak memory", product.peak, 2_000.0, "MB"))
    rows = [
        [what, f"{_shown(found)} {unit}", f"≤ {_shown(most)} {unit}", tables.verdict(found <= most)]
        for what, found, most, unit in lines
    ]
    return tables.table(["target", "reached", "wanted", "met"], rows)


def growth(timed: Sequence[Timed], start_up: Usage) -> str:
    """Say with which power of the rows Cardwatch's time grows, its start-up taken off."""
    ours = sorted((run for run in timed if run.program == PRODUCT), key=lambda run: run.rows)
    if len(ours) < 2:
        return ""
    small, large = ours[0], ours[-1]
    longer = (large.wall - start_up.wall_seconds) / (small.wall - start_up.wall_seconds)
    exponent = math.log(longer) / math.log(large.rows / small.rows)
    return (
        f"From {small.customers:,} to {large.customers:,} customers the time above the start-up "
        f"grows as the rows to the power of {exponent:.2f}."
    )


def what_a_share_means(timed: Sequence[Timed]) -> str:
    """Say what a twentieth of each pandas program is, in scans of the same rows."""
    scan = _find_or_none(timed, SCAN, JUDGED)
    rivals = [_find_or_none(timed, program, JUDGED) for program in (PANDAS, APPLIED)]
    if scan is None or None in rivals:
        return ""
    grouped, applied = (rival.wall / WANTED_PART for rival in rivals if rival)
    return (
        "Which program a twentieth can mean: the two do the same job, and differ only in how the "
        "medians of each customer's weeks are computed. With a function per customer, as such "
        f"programs are usually written, a twentieth is {applied:.1f} s, {applied / scan.wall:.1f} "
        f"times the plain scan of the same rows. With every step grouped, it is {grouped:.1f} s, "
        f"{grouped / scan.wall:.1f} times the scan, and a run reads the rows twice (to number the "
        "customers, and to judge and sort what they did) before anything is computed. Both shares "
        "are reported; the first is the one to hold."
    )


def _shown(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def time_first_run(cache: Path) -> float:
    """Return the wall seconds of generating the default sample and scoring its last week."""
    folder = cache / "first-run"
    numbers = [str(number) for number in (20_000, 26, SEED)]
    made = measured([sys.executable, "-m", "benchmarks.portfolios", str(folder), *numbers])
    return made.wall_seconds + run_product(folder).wall_seconds


def main() -> None:
    """Read the command line, measure, print and write the page."""
    options = _options()
    pin_to_cores()
    sizes = sorted({*options.customers, *options.pandas, *([LARGE] if options.large else [])})
    yardsticks = [PANDAS, *([APPLIED] if options.per_customer else [])]
    timed: list[Timed] = []
    for customers in sizes:
        repeats = 1 if customers >= LARGE else options.repeats
        programs = [SCAN, PRODUCT, *(yardsticks if customers in options.pandas else [])]
        timed += time_size(options.data_dir, customers, repeats, programs)
    timed += extrapolations(timed)
    timed.sort(key=lambda run: run.customers)
    start_up = min(
        (measured([sys.executable, str(ROOT / "main.py"), "--help"]) for _ in range(3)),
        key=lambda usage: usage.wall_seconds,
    )
    tables.publish(
        options.output,
        [
            "# Speed",
            f"Written by `make bench-speed`. {machine()}. {WEEKS} weeks; median of "
            f"{options.repeats} runs, each program in turn, in a process of its own with its "
            "start-up; peak memory is the largest.",
            comparison(timed),
            "A star: extrapolated, above the start-up along the power law through the measured "
            "portfolios.",
            targets(timed, start_up, time_first_run(options.data_dir)),
            *filter(None, [growth(timed, start_up), what_a_share_means(timed)]),
            "Seconds per step of Cardwatch's fastest run, start-up aside, by number of customers:",
            steps(timed),
            "A first run caches the roll-ups of the twelve weeks before; a week after it reads its "
            "own rows only, a thirteenth (each pair: an empty cache, then the same week again):",
            weeks_table(
                {
                    customers: time_weeks(portfolio(options.data_dir, customers), options.repeats)
                    for customers in options.weekly
                }
            ),
        ],
    )


def extrapolations(timed: Sequence[Timed]) -> list[Timed]:
    """Return what the pandas programs would take on the portfolios where they did not run."""
    start_up = measured([sys.executable, "-m", "benchmarks.baseline_pandas", "--help"])
    found = []
    for program in (PANDAS, APPLIED):
        known = [run for run in timed if run.program == program]
        for run in [run for run in timed if run.program == SCAN] if known else []:
            if _find_or_none(timed, program, run.customers) is None:
                found.append(extrapolated(known, start_up, run.customers, run.rows))
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure time and memory of a weekly run.")
    parser.add_argument("--customers", type=int, nargs="+", default=list(CUSTOMERS))
    parser.add_argument("--pandas", type=int, nargs="*", default=list(PANDAS_CUSTOMERS))
    parser.add_argument(
        "--per-customer",
        action="store_true",
        help="measure pandas with a function applied to each customer, too",
    )
    parser.add_argument("--weekly", type=int, nargs="*", default=list(PANDAS_CUSTOMERS))
    parser.add_argument("--large", action="store_true", help=f"measure {LARGE:,} customers too")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data-dir", type=Path, default=portfolios.default_cache())
    parser.add_argument("--output", type=Path, default=tables.RESULTS / "speed.md")
    return parser.parse_args()


def _find_or_none(timed: Sequence[Timed], program: str, customers: int) -> Timed | None:
    return next(
        (run for run in timed if (run.program, run.customers) == (program, customers)), None
    )


def _find(timed: Sequence[Timed], program: str, customers: int) -> Timed:
    found = _find_or_none(timed, program, customers)
    if found is None:
        raise SystemExit(f"{program} was not measured at {customers:,} customers")
    return found


if __name__ == "__main__":
    main()
