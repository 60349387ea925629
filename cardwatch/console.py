"""What people see in a terminal: progress on standard error, results on standard output."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from cardwatch.backfill import WeekOutcome
from cardwatch.checkup import CheckResult
from cardwatch.config import SettingRow
from cardwatch.explanation import amount
from cardwatch.history import History
from cardwatch.schema import (
    Checked,
    ListedCustomer,
    QuarantineCount,
    Receipt,
    WeekReport,
    WeekSummary,
    policy_words,
)
from cardwatch.session import Observer
from cardwatch.time_left import Journey, Pace, in_words
from cardwatch.week import Numbering, ReportingWeek
from cardwatch.wording import counted

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)

STYLES = {
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "dim",
    "concern": "red",
    "opportunity": "green",
}
CHECK_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "unknown": "dim"}
WIDTH_WITHOUT_TERMINAL = 120
FIRM = "stands without its strongest reason"
GUARD = "listed by its score without verdicts"


def use_width() -> None:
    """Give piped output a fixed width, so that it is the same everywhere."""
    if not out.is_terminal:
        out.width = WIDTH_WITHOUT_TERMINAL


@contextmanager
def progress(
    steps: Sequence[object], title: str, pace: Pace | None = None
) -> Iterator[Observer | None]:
    """Show the steps of a run on a terminal; yield None where there is no terminal.

    With the `pace` of an earlier run the display says how long it will still take.
    """
    if not err.is_terminal:
        yield None
        return
    columns = (
        TextColumn("[bold]{task.fields[title]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        _TimeLeft(),
    )
    with Progress(*columns, console=err, transient=True) as display:
        journey = Journey(pace)
        task = display.add_task("starting", total=len(steps), title=title, journey=journey)

        def observe(name: str, seconds: float | None) -> None:
            if seconds is None:
                journey.begin(name, perf_counter())
                display.update(task, description=name)
            else:
                journey.done[name] = seconds
                display.advance(task)

        yield observe


class _TimeLeft(ProgressColumn):
    """The time to come, where an earlier run lets it be told."""

    def render(self, task: Task) -> Text:
        return Text(in_words(task.fields["journey"].left(perf_counter())), "dim")


def show_list(report: WeekReport) -> None:
    """Print the list: one line per customer, its reasons under it."""
    ranking = report.ranking
    out.print(
        f"[bold]Week {report.week.display(report.numbering)}[/bold]: "
        f"{len(ranking.listed)} of {report.coverage.customers_scored:,} customers to look at"
    )
    apart = (0, 1, 1, 1)  # an empty line after each customer
    table = Table(box=None, pad_edge=False, header_style="bold", padding=apart)
    for name in ("#", "customer", "category", "signal"):
        table.add_column(name, no_wrap=name != "customer", overflow="fold")
    for name in ("score", "spend", "count"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for row in ranking.listed:
        table.add_row(*_list_row(row))
    out.print(Padding(table, (1, 0)))


def _list_row(row: ListedCustomer) -> list[Text]:
    why = Text("\n".join(f"• {reason.sentence}" for reason in row.reasons))
    remarks = [FIRM] if row.rank_stability == 1 else []
    remarks += [GUARD] if row.guard else []
    why.append("".join(f"\n({remark})" for remark in remarks), "dim")
    return [
        Text(str(row.anomaly_rank)),
        Text(visible(row.customer_id)),
        Text(row.risk_category, STYLES[row.risk_category]),
        Text(row.signal, STYLES[row.signal]),
        Text(f"{row.anomaly_score:.3f}"),
        Text(amount(float(row.total_spend))),
        Text(f"{row.transaction_count:,}"),
        why,
    ]


def show_coverage(report: WeekReport) -> None:
    """Print the two identities, the categories, and what the reader should know."""
    coverage, ranking = report.coverage, report.ranking
    unscored = sum(coverage.customers_unscored.values())
    out.print(
        f"rows in {coverage.rows_in:,} = accepted {coverage.rows_accepted:,} "
        f"+ quarantined {coverage.rows_quarantined:,}"
    )
    out.print(
        f"customers in {coverage.customers_in:,} = scored {coverage.customers_scored:,} "
        f"(of them {coverage.customers_absent:,} without a transaction this week) "
        f"+ unscored {unscored:,}{_by_reason(coverage.customers_unscored)}"
    )
    counts = ", ".join(f"{number:,} {name}" for name, number in ranking.categories.items())
    out.print(
        f"flagged {ranking.flagged:,} of {coverage.customers_scored:,} "
        f"({ranking.flagged / max(coverage.customers_scored, 1):.2%}): {counts}; "
        f"cuts from {ranking.thresholds.source}"
    )
    for name, number in ranking.left_out_by_policy.items():
        who = counted(number, "customer")
        out.print(f"not listed by {policy_words(name)}: {who} (scored all the same)")
    _show_peer_groups(report)
    show_findings(report.findings)
    show_notes([note for note in report.notes if note not in report.learning.notes])


def _show_peer_groups(report: WeekReport) -> None:
    """Print the peer groups that the list holds more or fewer of than a draw by lot would."""
    listed = len(report.ranking.listed)
    for each in report.peer_groups:
        if each.stands_out:
            share = each.customers / max(report.coverage.customers_scored, 1)
            out.print(
                f"peer group {each.group} (about {amount(each.spend)} a week): {each.listed:,} of "
                f"{listed:,} on the list, {share:.1%} of the customers"
            )


def show_notes(notes: Sequence[str]) -> None:
    """Print what the reader should know, a line each."""
    for note in notes:
        out.print(Text(f"note: {note}"))


def show_remarks(sentences: Sequence[str]) -> None:
    """Print on standard error what the person who runs a command should know, a line each."""
    for sentence in sentences:
        err.print(Text(f"note: {sentence}"), soft_wrap=True)


def show_findings(findings: Sequence[QuarantineCount]) -> None:
    """Print what each rule of the contract set aside or remarked on."""
    for finding in findings:
        out.print(
            Text(
                f"{finding.action.replace('_', ' ')}: {finding.reason} — {finding.sentence} "
                f"({counted(finding.rows, 'row')}"
                + (f", {counted(finding.customers, 'customer')})" if finding.customers else ")")
            )
        )


def show_written(receipts: Sequence[Receipt]) -> None:
    """Print what was written where, and what was done with older files."""
    out.print("[bold]Written[/bold]")
    for receipt in receipts:
        for name in receipt.written:
            out.print(Text(f"  {name}"))
        for note in receipt.notes:
            out.print(Text(f"  {note}"))


def show_dry_run(
    report: WeekReport, history: History, checked: Checked, planned: Sequence[str]
) -> None:
    """Print what a run would read and write, and who would enter or leave the list."""
    weeks = checked.weeks_present
    out.print("[bold]Dry run[/bold]: nothing was written")
    out.print(f"  read: weeks {weeks[0].label} to {weeks[-1].label}, {len(weeks)} with rows")
    for path in planned:
        out.print(Text(f"  would write {path}"))
    previous = next((each for each in reversed(history.weeks) if each.listed is not None), None)
    if previous is None or previous.listed is None:
        out.print("  no earlier list to compare with")
        return
    before = {row.customer_id for row in previous.listed}
    now = {row.customer_id for row in report.ranking.listed}
    for word, ids in (("enter", now - before), ("leave", before - now)):
        names = ", ".join(visible(each) for each in sorted(ids)) or "nobody"
        out.print(Text(f"  {word} the list since {previous.week.label}: {names}"))


def show_checked(checked: Checked, numbering: Numbering) -> None:
    """Print what the contract found."""
    coverage = checked.coverage
    out.print(
        f"Week {checked.week.display(numbering)}: "
        f"{coverage.rows_scored_week:,} rows in the scored week, "
        f"{len(checked.weeks_present)} weeks with rows in all"
    )
    out.print(
        f"rows in {coverage.rows_in:,} = accepted {coverage.rows_accepted:,} "
        f"+ quarantined {coverage.rows_quarantined:,}"
    )
    unscored = sum(coverage.customers_unscored.values())
    out.print(
        f"customers in {coverage.customers_in:,}, to be scored "
        f"{coverage.customers_in - unscored:,}{_by_reason(coverage.customers_unscored)}"
    )
    show_findings(checked.findings)
    show_notes(checked.warnings)
    if not checked.findings:
        out.print("every row keeps the contract")


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show on a terminal that something is under way."""
    if not err.is_terminal:
        yield
        return
    with err.status(text):
        yield


def show_checks(results: Sequence[CheckResult]) -> None:
    """Print what each check found, and the commands that help."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("check", "week", ""):
        table.add_column(name, no_wrap=True)
    for name in ("found", "what to do"):
        table.add_column(name, overflow="fold")
    for each in results:
        status = Text(each.status, CHECK_STYLES[each.status])
        cells = (Text(each.name), Text(each.week), status, Text(each.measured), Text(each.advice))
        table.add_row(*cells)
    out.print(table)


def show_progress(text: str) -> None:
    """Say on standard error how far a command is."""
    err.print(Text(text), soft_wrap=True)


def show_outcomes(outcomes: Sequence[WeekOutcome], dry_run: bool) -> None:
    """Print what became of each week of a backfill, and what their runs warned of."""
    if dry_run:
        out.print("[bold]Dry run[/bold]: nothing was written")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("week", "days"):
        table.add_column(name, no_wrap=True)
    for name in ("", "why"):
        table.add_column(name, overflow="fold")
    for name in ("listed", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in outcomes:
        listed = "" if each.listed is None else f"{each.listed:,}"
        seconds = f"{each.seconds:.1f}" if each.seconds else ""
        style = "red" if each.exit_code else ""
        cells = (each.week.label, each.week.dates, each.action, each.why, listed, seconds)
        table.add_row(*map(Text, cells), style=style)
    out.print(table)
    show_notes(list(dict.fromkeys(text for each in outcomes for text in each.warnings)))


def show_settings(rows: Sequence[SettingRow]) -> None:
    """Print settings with their values, origins and meanings."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("setting", "value", "from", "meaning"):
        table.add_column(name, overflow="fold")
    for row in rows:
        unit = f" [{row.unit}]" if row.unit else ""
        table.add_row(*map(Text, (row.key, row.value, str(row.origin), row.description + unit)))
    out.print(table)


def write_json(text: str) -> None:
    """Print a JSON text as it is, for machines: UTF-8 wherever it goes."""
    if isinstance(out.file, TextIOWrapper):
        out.file.reconfigure(encoding="utf-8")
    out.file.write(text.rstrip("\n") + "\n")


def _by_reason(counts: Mapping[str, int]) -> str:
    named = ", ".join(f"{name}: {number:,}" for name, number in counts.items())
    return f" ({named})" if named else ""


def show_next_steps(steps: Sequence[Sequence[str]]) -> None:
    """Print commands to try next, each on a line of its own, ready to be copied."""
    command = _own_command()
    out.print("[bold]Next[/bold]")
    for step in steps:
        words = shlex.join(step)
        if words.isprintable():
            out.print(Text(f"  {command} {words}"), soft_wrap=True)


def _own_command() -> str:
    """Return how to call Cardwatch from here: by name where the shell would find it."""
    if shutil.which("cardwatch"):
        return "cardwatch"
    beside = Path(sys.executable).parent / "cardwatch"
    here = Path.cwd()
    return str(beside.relative_to(here)) if beside.is_relative_to(here) else str(beside)


def show_weeks(
    weeks: Sequence[WeekSummary], today_last: ReportingWeek | None, numbering: Numbering
) -> None:
    """Print the weeks of a source."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("week", "days"):
        table.add_column(name)
    for name in ("rows", "customers", "spend"):
        table.add_column(name, justify="right")
    table.add_column("")
    for summary in weeks:
        remark = "last complete" if summary.week == today_last else ""
        if today_last is None or summary.week > today_last:
            remark = "not over"
        table.add_row(
            summary.week.label_in(numbering),
            summary.week.dates,
            f"{summary.rows:,}",
            f"{summary.customers:,}",
            f"{summary.spend:,.2f}",
            remark,
        )
    out.print(table)


def visible(text: str, longest: int = 40) -> str:
    """Return a text on one line, control characters and length tamed."""
    shown = "".join(c if c.isprintable() else "�" for c in text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
