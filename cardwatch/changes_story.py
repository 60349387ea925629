"""What changed in the lists, in a terminal: between two weeks, and when a week was run again."""

from __future__ import annotations

from collections.abc import Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cardwatch import console
from cardwatch.comparison import Comparison, OnTheList
from cardwatch.revision import Revised, Revision


def show_comparison(comparison: Comparison) -> None:
    """Print who is new, back and gone."""
    console.out.print(f"[bold]{comparison.summary}[/bold]")
    for title, rows in (("New", comparison.new), ("Back", comparison.back)):
        console.out.print(f"\n[bold]{title}[/bold]")
        told = [(row.anomaly_rank, row.customer_id, _standing(row)) for row in rows]
        _show_places(told)
    console.out.print("\n[bold]Gone[/bold] (by their rank then)")
    _show_places([(row.earlier_rank, row.customer_id, row.why) for row in comparison.gone])
    console.show_notes(comparison.warnings)


def _standing(row: OnTheList) -> str:
    before = f"was {row.earlier_rank}, " if row.earlier_rank else ""
    again = f"on {row.times_listed} lists, " if row.times_listed > 1 else ""
    return f"{row.risk_category}, {before}{again}{row.reason}"


def show_revision(revision: Revision) -> None:
    """Print what a later run of a week changed in its list, and why."""
    console.out.print(Text(revision.summary, "bold"))
    for cause in revision.causes:
        console.out.print(Text(f"changed: {cause}"))
    console.out.print("\n[bold]Came[/bold]")
    _show_places([(row.anomaly_rank, row.customer_id, _before(row)) for row in revision.came])
    console.out.print("\n[bold]Went[/bold] (by their rank then)")
    _show_places([(row.earlier_rank, row.customer_id, row.why) for row in revision.gone])
    console.out.print("\n[bold]Moved[/bold]")
    _show_places([(row.anomaly_rank, row.customer_id, _before(row)) for row in revision.moved])
    console.show_notes(revision.warnings)


def _before(row: Revised) -> str:
    category = row.risk_category
    if row.category_before not in (None, category):
        category = f"{row.category_before} then, {category} now"
    place = f"was {row.rank_before:,}" if row.rank_before else "had no score"
    return f"{place}, {category}, {row.reason}"


def _show_places(rows: Sequence[tuple[int, str, str]]) -> None:
    """Print ranks, customers and what there is to say, long texts in a column of their own."""
    if not rows:
        console.out.print("  nobody")
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for rank, customer, text in rows:
        table.add_row(Text(str(rank)), Text(console.visible(customer)), Text(text))
    console.out.print(Padding(table, (0, 2)))
