"""Notices as plain text: the text part of a mail, and the short message of a chat."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from cardwatch.notify.message import FailureNotice, Figure, Left, Listed, ListNotice, Notice, plain

WIDTH = 72
LIMITS = (
    "The list names customers whose week does not look like their own past, their peers or the"
    " merchant category. It says where to look, not what is wrong: nobody should be refused or"
    " accused because of it alone."
)
"""What every reader should know of the list."""

_GONE_SHOWN = 5
_CHAT_SHOWN = 3
_CHAT_SAFE = str.maketrans({"<": "‹", ">": "›", "&": "+", "@": "@\u200b", "`": "'", "*": "∗"})
"""In a chat these characters call people or begin a format."""


def mail_text(notice: Notice) -> str:
    """Return the text part of a mail, lines of at most `WIDTH` characters where words allow."""
    lines = _failure(notice) if isinstance(notice, FailureNotice) else _list(notice)
    return "\n".join(lines) + "\n"


def chat_text(notice: Notice) -> str:
    """Return a message of a few lines; nothing in it calls anybody or is a format."""
    lines = _chat_failure(notice) if isinstance(notice, FailureNotice) else _chat_list(notice)
    text = "\n".join(plain(line).translate(_CHAT_SAFE) for line in lines)
    link = link_of(notice) if isinstance(notice, ListNotice) else ""
    return f"{text}\n{link}" if link else text


def link_of(notice: ListNotice) -> str:
    """Return the configured link for the week of a notice."""
    return notice.link.replace("{label}", notice.week.label)


def standing_of(row: Listed) -> str:
    """Return category, signal and standing of a customer in one line."""
    return " · ".join(part for part in (row.category, row.signal, row.standing) if part)


def spend_of(row: Listed) -> str:
    """Return a customer's spend beside the usual one, in words."""
    usual = f"usually {row.usual_spend}" if row.usual_spend else "no usual week yet"
    return f"{row.spend} in {row.transactions}; {usual}"


def shown_gone(notice: ListNotice) -> tuple[tuple[Left, ...], int]:
    """Return those who left the list that are told by name, and how many others there are."""
    return notice.gone[:_GONE_SHOWN], max(0, len(notice.gone) - _GONE_SHOWN)


def _list(notice: ListNotice) -> Iterator[str]:
    yield from _wrapped(f"Card portfolio, week {notice.label}")
    yield from _wrapped(notice.sentence)
    if notice.is_revision:
        yield from _wrapped("This list replaces one of the same week that you were told before.")
    if notice.link:
        yield f"List: {link_of(notice)}"
    yield ""
    yield from _figures(notice.figures)
    for row in notice.listed[: notice.details]:
        yield from _detailed(row)
    others = notice.listed[notice.details :]
    if others:
        yield from _heading("The rest of the list" if notice.details else "The list")
        for row in others:
            yield from _short(row)
    if notice.before is not None and notice.gone:
        yield from _gone(notice)
    yield from _heading("About this week")
    for remark in (*notice.remarks, notice.coverage):
        yield from _wrapped(remark, "- ", "  ")
    yield ""
    if notice.is_masked:
        yield from _wrapped(
            "Ids are masked; the rank tells who it is on the list"
            f" anomalies_{notice.week.label} in the output folder."
        )
    yield from _wrapped(LIMITS)
    yield ""
    yield from _wrapped(f"Run {notice.run_id}, Cardwatch {notice.version}, {notice.environment}")


def _figures(figures: Sequence[Figure]) -> Iterator[str]:
    if not figures:
        return
    label = max(len(figure.label) for figure in figures)
    value = max(len(f"{figure.value:,}") for figure in figures)
    for figure in figures:
        before = f"   ({figure.change})" if figure.change else ""
        yield f"{figure.label:<{label}}  {figure.value:>{value},}{before}"


def _detailed(row: Listed) -> Iterator[str]:
    yield from _heading(f"{row.rank}. {row.name}")
    yield from _wrapped(standing_of(row))
    yield from _wrapped(spend_of(row))
    for reason in row.reasons:
        yield from _wrapped(reason, "- ", "  ")


def _short(row: Listed) -> Iterator[str]:
    head = f"{row.rank:>3}. "
    yield from _wrapped(f"{row.name} · {standing_of(row)} · {row.spend}", head, " " * len(head))
    if row.reason:
        yield from _wrapped(row.reason, " " * len(head), " " * len(head))


def _gone(notice: ListNotice) -> Iterator[str]:
    yield from _heading("No longer on the list")
    shown, more = shown_gone(notice)
    for each in shown:
        yield from _wrapped(f"{each.name} (was {each.earlier_rank}): {each.why}", "- ", "  ")
    if more:
        yield f"- and {more:,} more"


def _heading(text: str) -> Iterator[str]:
    text = plain(text)
    yield ""
    yield text
    yield "-" * min(len(text), WIDTH)


def _wrapped(text: str, first: str = "", then: str = "") -> Iterator[str]:
    yield from textwrap.wrap(
        plain(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def _failure(notice: FailureNotice) -> Iterator[str]:
    yield from _wrapped(f"Card portfolio, week {notice.label}: {notice.headline}.")
    yield ""
    width = max(len(name) for name, _ in notice.facts) + 2
    for name, text in notice.facts:
        yield from _wrapped(text, f"{name + ':':<{width}}", " " * width)
    yield ""
    yield from _wrapped(
        "Earlier lists stand as they are. When the cause is gone, run the week again; the list is"
        " then mailed as always."
    )


def _chat_list(notice: ListNotice) -> Iterator[str]:
    yield notice.subject
    for row in notice.listed[:_CHAT_SHOWN]:
        reason = f": {row.reason}" if row.reason else ""
        yield f"{row.rank}. {row.name} ({standing_of(row)}){reason}"
    more = len(notice.listed) - _CHAT_SHOWN
    if more > 0:
        yield f"and {more:,} more"


def _chat_failure(notice: FailureNotice) -> Iterator[str]:
    yield notice.subject
    for name, text in notice.facts:
        yield f"{name}: {text}"
