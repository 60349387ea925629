"""Everything known of one customer, as a person reads it in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cardwatch.console import out, visible
from cardwatch.explanation import amount, category, count
from cardwatch.schema import Attribution, CustomerFacts, Reason, RiskCategory, Thresholds
from cardwatch.week import Numbering, ReportingWeek
from cardwatch.wording import counted


@dataclass(frozen=True)
class Story:
    """Everything known of one customer; `standing` is their row of the table ``ranked``.

    `weeks` is the window, oldest first; `weeks_present` are those of which the source holds rows.
    """

    customer_id: str
    weeks: tuple[ReportingWeek, ...]
    weeks_present: tuple[ReportingWeek, ...]
    facts: CustomerFacts
    attributions: tuple[Attribution, ...]
    reasons: tuple[Reason, ...]
    standing: Mapping[str, Any]
    risk_category: RiskCategory
    thresholds: Thresholds
    numbering: Numbering

    @property
    def has_little_history(self) -> bool:
        """Whether the customer spent this week without a past to compare it with."""
        return self.facts.usual_spend is None and self.facts.weekly_spend[-1] is not None


def show_story(story: Story) -> None:
    """Print everything known of one customer: place, reasons, weeks, peers, categories."""
    standing, cuts, week = story.standing, story.thresholds, story.weeks[-1]
    named = week.display(story.numbering)
    out.print(Text(f"{visible(story.customer_id)}, week {named}", "bold"))
    out.print(
        f"rank {standing['anomaly_rank']:,} of {standing['customers']:,}, "
        f"score {standing['anomaly_score']:.3f}, {story.risk_category} "
        f"(critical from {cuts.critical:.3f}, high {cuts.high:.3f}, medium {cuts.medium:.3f}), "
        f"{counted(story.facts.history_weeks, 'week')} of history"
    )
    if story.has_little_history:
        out.print("Too little history to be compared with: peers and merchant categories decide.")
    _show_reasons(story)
    _show_history(story)
    _show_peers(story.facts)
    _show_categories(story.facts)


def _show_reasons(story: Story) -> None:
    out.print("\n[bold]Why[/bold] (contributions to the score; in brackets, each family alone)")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for part, reason in zip(story.attributions, story.reasons, strict=True):
        alone = story.standing[f"{part.family}_surprise"]
        sentence = f"{reason.sentence} ({alone:.2f})"
        table.add_row(*map(Text, (f"{part.contribution:.2f}", part.family, sentence)))
    table.add_row(f"{story.standing['surprise_total']:.2f}", "in all")
    out.print(Padding(table, (0, 2)))


def _show_history(story: Story) -> None:
    out.print("\n[bold]Week by week[/bold]")
    facts = story.facts
    peak = max((abs(value) for value in facts.weekly_spend if value is not None), default=0.0)
    whole = zip(story.weeks, facts.weekly_spend, facts.weekly_count, strict=True)
    for week, spend, number in whole:
        label = week.label_in(story.numbering)
        if spend is None or number is None:
            known = week in story.weeks_present
            out.print(f"  {label}  {'no transaction' if known else 'no data'}")
            continue
        bar = "█" * round(30 * abs(spend) / peak) if peak else ""
        noun = "transaction " if number == 1 else "transactions"
        out.print(f"  {label}  {amount(spend):>12}  {number:>5,} {noun}  {bar}")
    if facts.usual_spend is not None and facts.usual_count is not None:
        usual, often = amount(facts.usual_spend), count(facts.usual_count)
        name = f"{'usual':<{len(story.weeks[-1].label_in(story.numbering))}}"
        out.print(f"  {name}  {usual:>12}  {often:>5} transactions")


def _show_peers(facts: CustomerFacts) -> None:
    peers = facts.peers
    out.print(f"\n[bold]Peers[/bold] (group {facts.peer_group}, medians of this week)")
    out.print(
        f"  spend {amount(peers['spend'])}, {count(peers['count'])} transactions of "
        f"{amount(peers['ticket'])}, {count(peers['categories'])} merchant categories"
    )


def _show_categories(facts: CustomerFacts) -> None:
    if not facts.categories:
        return
    out.print("\n[bold]Merchant categories this week[/bold]")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("category")
    for name in ("spend", "usual week", "count", "a purchase", "usual there", "used by"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in facts.categories:
        table.add_row(
            category(row.mcc),
            amount(row.spend),
            amount(row.usual_spend),
            f"{row.transaction_count:,}",
            amount(row.spend / max(row.transaction_count, 1)),
            amount(row.usual_ticket),
            f"{row.users_share:.1%}",
            "new" if row.is_new else "",
        )
    out.print(Padding(table, (0, 2)))
