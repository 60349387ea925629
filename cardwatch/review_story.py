"""What verdicts say of the lists and teach, as people see it in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cardwatch.console import out, show_notes, visible
from cardwatch.review.figures import Figures, Rate, ReviewReport, WeekFigures
from cardwatch.schema import Learning
from cardwatch.week import Numbering
from cardwatch.wording import counted


def show_learning(learning: Learning) -> None:
    """Print what was learnt from verdicts: the weight of each reason, and what the weights did."""
    if not learning.weights:
        show_notes(learning.notes)
        return
    verdicts, places = counted(learning.reviews, "verdict"), counted(learning.guards, "place")
    out.print(f"[bold]Learnt from {verdicts} on earlier lists[/bold]")
    for each in sorted(learning.weights, key=lambda weight: weight.weight):
        if each.is_moved:
            out.print(Text(f"  {each.sentence}"))
    moved = counted(learning.moved_off, "other customer")
    out.print(f"  without them {moved} would be listed; {places} at the end go by that score")


@dataclass(frozen=True)
class Goals:
    """The shares of reviewed customers that should be hits, and that should be acted upon."""

    hits: float
    acted: float


def show_review_report(report: ReviewReport, goals: Goals, numbering: Numbering) -> None:
    """Print the rates by week and family beside their goals, and who has no verdict yet."""
    if not report.overall.reviewed:
        out.print("No list has a verdict yet: `cardwatch review import` takes a filled-in sheet")
    else:
        rows = [(each.week.display(numbering), _of(each), each.figures) for each in report.weeks]
        rows.append(("all", str(report.overall.reviewed), report.overall))
        _show_rates("week", rows, goals)
        families = [(name, str(each.reviewed), each) for name, each in report.families.items()]
        _show_rates("leading reason", families, goals)
        if others := sum(each.elsewhere for each in report.weeks):
            out.print(
                f"+: {counted(others, 'verdict')} on customers of an earlier list of the week, who "
                "are not on the one there is now; counted in the rates"
            )
    for each in report.weeks:
        if each.not_reviewed:
            names = ", ".join(map(visible, each.not_reviewed))
            count = counted(len(each.not_reviewed), "customer")
            out.print(Text(f"{count} of week {each.week.label} without a verdict: {names}"))


def _of(week: WeekFigures) -> str:
    if week.listed is None:
        return f"{week.figures.reviewed:,}"
    others = f" + {week.elsewhere:,}" if week.elsewhere else ""
    return f"{week.figures.reviewed - week.elsewhere:,} of {week.listed:,}{others}"


def _show_rates(title: str, rows: Sequence[tuple[str, str, Figures]], goals: Goals) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title, overflow="fold")
    for name in (
        "reviewed",
        f"hits (goal {goals.hits:.0%})",
        f"acted upon (goal {goals.acted:.0%})",
    ):
        table.add_column(name, justify="right")
    for name, reviewed, figures in rows:
        cells = (name, reviewed, _rate(figures.hits, goals.hits), _rate(figures.acted, goals.acted))
        table.add_row(*map(Text, cells))
    out.print(Padding(table, (0, 0, 1, 0)))


def _rate(rate: Rate, goal: float) -> str:
    if rate.share is None:
        return "–"
    low, high = rate.interval
    word = "" if rate.share >= goal else ", below"
    return f"{rate.share:.0%} ({low:.0%}–{high:.0%}{word})"


def report_document(report: ReviewReport, goals: Goals) -> dict[str, JsonValue]:
    """Return the report for machines."""
    return {
        "goal_hit_rate": goals.hits,
        "goal_acted_rate": goals.acted,
        "overall": _figures(report.overall),
        "weeks": [
            {
                "reporting_week": each.week.label,
                "week_start": each.week.monday.isoformat(),
                "listed": each.listed,
                **_figures(each.figures),
                "not_reviewed": list(each.not_reviewed),
                "not_on_list": each.elsewhere,
            }
            for each in report.weeks
        ],
        "families": {name: _figures(each) for name, each in report.families.items()},
    }


def _figures(figures: Figures) -> dict[str, JsonValue]:
    return {
        "reviewed": figures.reviewed,
        "hits": _rate_document(figures.hits),
        "acted": _rate_document(figures.acted),
    }


def _rate_document(rate: Rate) -> dict[str, JsonValue]:
    low, high = rate.interval
    return {"count": rate.count, "of": rate.of, "share": rate.share, "low": low, "high": high}
