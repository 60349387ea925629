"""What past weeks would have looked like, as people see it in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cardwatch.backtesting import FIRST, Backtest, Contest, Found
from cardwatch.backtesting.figures import Share, Summary, WeeklyMean
from cardwatch.case_kinds import Strength
from cardwatch.console import out, visible
from cardwatch.injection import Wish
from cardwatch.review.figures import Rate
from cardwatch.week import Numbering
from cardwatch.wording import counted

NONE = "–"
MANY_TIMES = 10
"""Where the customers are not so many times the first, being among the first says little."""


def show_backtest(title: str, backtest: Backtest, wish: Wish | None, numbering: Numbering) -> None:
    """Print one configuration's weeks, and how many of the planted cases it found."""
    out.print(Text(title, "bold"))
    _show_weeks(backtest, numbering)
    for each in backtest.refused:
        out.print(Text(f"week {each.week} is left out, a run would refuse it: {each.why}"))
    _show_remarks(backtest)
    if wish is not None:
        _show_planting(backtest, wish)
        _show_found(backtest)


def _show_weeks(backtest: Backtest, numbering: Numbering) -> None:
    has_lists = any(each.published for each in backtest.weeks)
    has_verdicts = any(each.hits.of for each in backtest.weeks)
    columns = ["listed", "flagged", "still listed"]
    columns += ["as published"] * has_lists + ["hits, of verdicts"] * has_verdicts
    rows = []
    for each in backtest.weeks:
        flagged = f"{each.trial.flagged:,} of {each.trial.scored:,}"
        row = [each.week.label_in(numbering), each.week.dates, f"{len(each.trial.listed):,}"]
        row += [flagged, _of(each.kept)] + [_of(each.published)] * has_lists
        rows.append(row + [_rate(each.hits)] * has_verdicts)
    found = backtest.summary
    churn = NONE if found.churn is None else f"churn {found.churn:.0%}"
    last = ["all", "", f"{found.listed:.1f}", f"{found.flagged_share:.2%}", churn]
    last += [_of(found.published)] * has_lists + [_rate(found.hits)] * has_verdicts
    _show_table(["week", "days", *columns], [*rows, last], names=2)


def _show_remarks(backtest: Backtest) -> None:
    own = sum(not each.trial.earlier_cut for each in backtest.weeks)
    if own:
        out.print(
            f"flagged by the cut of the week itself in {counted(own, 'week')}: "
            "nothing comparable is recorded of six weeks before"
        )
    if found := backtest.summary.hits.of:
        out.print(
            f"{counted(found, 'listed customer')} with a verdict: verdicts are on the lists that "
            "were published, so they favour what made those"
        )


def _show_planting(backtest: Backtest, wish: Wish) -> None:
    plans = list(backtest.plans.values())
    planted = sum(len(each.planted) for each in plans)
    strengths = ", ".join(f"{each} (× {each.factor:g})" for each in wish.strengths)
    out.print(
        f"[bold]Planted[/bold]: {counted(planted, 'customer')} in {counted(len(plans), 'week')}, "
        f"seed {wish.seed}, strength {strengths}"
    )
    lacking: dict[str, int] = {}
    for plan in plans:
        for kind, number in plan.lacking.items():
            lacking[kind] = lacking.get(kind, 0) + number
    if lacking:
        told = ", ".join(f"{kind}: {number:,}" for kind, number in sorted(lacking.items()))
        out.print(f"not planted, for want of customers with enough history: {told}")
    taken = backtest.summary.places_taken
    if taken.share is not None:
        out.print(
            f"planted all at once they take {_percent(taken.share)} of the list; below, each is "
            "given the place it would have alone"
        )


def _show_found(backtest: Backtest) -> None:
    summary, found = backtest.summary, backtest.summary.found
    if found is None:
        return
    _show_recall(summary, f"among the first {FIRST}", lambda each: each.in_first)
    _show_recall(summary, "on the list", lambda each: each.on_list)
    out.print(
        f"mean over the kinds: {_mean(summary.recall_in_first)} among the first {FIRST}, "
        f"{_mean(summary.recall_on_list)} on the list"
    )
    scored = min(each.trial.scored for each in backtest.weeks)
    if scored < MANY_TIMES * FIRST:
        out.print(f"the first {FIRST} are many of {scored:,} customers: look at the list alone")
    out.print(
        f"the same customers without their cases: {found.in_first_without.share:.0%} "
        f"among the first {FIRST}, {found.on_list_without.share:.0%} on the list"
    )


def _show_recall(summary: Summary, title: str, share: Callable[[Found], Share]) -> None:
    by = summary.found_by
    strengths = [each for each in Strength if any(each in those for those in by.values())]
    rows = []
    for kind, those in by.items():
        every = share(summary.found_by_kind[kind])
        cells = [_share(share(those[each])) if each in those else NONE for each in strengths]
        cells += [_share(every)] * (len(strengths) > 1)
        rows.append([kind.value, f"{every.cases:,}", *cells])
    _show_table(
        [title, "cases", *map(str, strengths), *["all"] * (len(strengths) > 1)], rows, names=1
    )


def _mean(found: WeeklyMean | None) -> str:
    if found is None:
        return NONE
    if found.interval is None:
        return f"{found.mean:.0%}"
    low, high = found.interval
    return f"{found.mean:.0%} ({max(low, 0):.0%}–{min(high, 1):.0%} by week)"


def show_contest(contest: Contest, numbering: Numbering, *, with_customers: bool) -> None:
    """Print champion and challenger side by side, and what may be concluded."""
    out.print("[bold]Champion and challenger[/bold]")
    _show_table(
        ["week", "days", "on both lists", "champion only", "challenger only", "rank correlation"],
        [
            [
                each.week.label_in(numbering),
                each.week.dates,
                f"{each.shared:,}",
                f"{len(each.only_champion):,}",
                f"{len(each.only_challenger):,}",
                NONE if each.rank_correlation is None else f"{each.rank_correlation:.2f}",
            ]
            for each in contest.weeks
        ],
        names=2,
    )
    one, other = contest.champion.summary, contest.challenger.summary
    rows = [
        ["listed a week", f"{one.listed:.1f}", f"{other.listed:.1f}", NONE],
        ["flagged", f"{one.flagged_share:.2%}", f"{other.flagged_share:.2%}", NONE],
        ["churn", _percent(one.churn), _percent(other.churn), _points(contest.churn)],
        ["hits, of verdicts", *_both(one.hits, other.hits), _points(contest.hits)],
        [
            f"planted, among the first {FIRST}",
            _mean(one.recall_in_first),
            _mean(other.recall_in_first),
            _points(contest.in_first),
        ],
        [
            "planted, on the list",
            _mean(one.recall_on_list),
            _mean(other.recall_on_list),
            _points(contest.on_list),
        ],
    ]
    titles = ["", "champion", "challenger", "difference by week, in points"]
    _show_table(titles, [row for row in rows if row[1:3] != [NONE, NONE]])
    if with_customers:
        _show_customers(contest)
    out.print(Text(contest.conclusion))


def _show_customers(contest: Contest) -> None:
    for each in contest.weeks:
        for name, ids in (
            ("champion", each.only_champion),
            ("challenger", each.only_challenger),
        ):
            names = ", ".join(map(visible, ids)) or "nobody"
            out.print(Text(f"  week {each.week}, {name} only: {names}"))


def _both(one: Rate, other: Rate) -> tuple[str, str]:
    return _percent(one.share), _percent(other.share)


def _points(difference: WeeklyMean | None) -> str:
    if difference is None:
        return NONE
    text = f"{100 * difference.mean:+.1f}"
    if difference.interval is None:
        return text
    low, high = (100 * each for each in difference.interval)
    return f"{text} ({low:+.1f} to {high:+.1f})"


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{share:.0%}"


def _of(rate: Rate | None) -> str:
    return NONE if rate is None else f"{rate.count:,} of {rate.of:,}"


def _rate(rate: Rate) -> str:
    if rate.share is None:
        return NONE
    low, high = rate.interval
    return f"{rate.count:,} of {rate.of:,}, {rate.share:.0%} ({low:.0%}–{high:.0%})"


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.share:.0%} ({low:.0%}–{high:.0%})"


def _show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 1) -> None:
    """Print a table whose first columns are names and the others figures."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        is_name = number < names
        table.add_column(
            name, justify="left" if is_name else "right", overflow="fold", no_wrap=is_name
        )
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(Padding(table, (0, 0, 1, 0)))
