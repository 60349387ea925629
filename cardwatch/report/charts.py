"""The charts: Vega-Lite specifications as plain dictionaries, and how they are drawn.

Margins are fixed and nothing is placed by the width of a text, so the same figures give the same
drawing whatever fonts a machine has. Colours are those of the light page, whose style sheet
exchanges them in the dark. A specification says its accessible title in ``usermeta.title`` and its
text alternative in ``description``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from cardwatch.report.chart_frame import (
    CATEGORY_COLOURS,
    EARLIER,
    THIS_WEEK,
    USUAL,
    Spec,
    amounts_axis,
    compiled,
    frame,
    missing_runs,
    over_weeks,
    said_on_top,
    usual_layers,
)
from cardwatch.report.svg import slim
from cardwatch.report.wording import amount, number, shown

_ROW_WIDTH, _ROW_HEIGHT = 352, 31
_LONGEST_NAME = 60

CATEGORY_ROWS: Final = 5
"""Merchant categories that are drawn; the rest is for the text beside the chart."""


@dataclass(frozen=True)
class Point:
    """A figure of one week; None where there is none. `week_start` is the Monday."""

    week_start: date
    value: float | None


@dataclass(frozen=True)
class Range:
    """What is usual: `middle`, and from `low` to `high` what most weeks were."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class CategoryBar:
    """A merchant category: this week's net spend, and that of a usual week."""

    mcc: str
    name: str
    spend: float
    usual: float
    is_new: bool


@dataclass(frozen=True)
class CategoryCounts:
    """Customers per risk category in one week; `counts` is None for a week without a run."""

    week_start: date
    counts: Mapping[str, int] | None


def spend_chart(points: Sequence[Point], usual: Range | None, currency: str) -> Spec:
    """Return a customer's weekly spend, with the usual range shaded and the last week marked.

    Parameters
    ----------
    points : sequence of Point
        Oldest first, the scored week last.
    usual : Range or None
        None where history is too short for one.
    currency : str
        The code of the amounts' currency, empty if not known.
    """
    band = usual_layers() if usual else []
    return over_weeks(
        _in_currency("Weekly spend", currency),
        _spend_sentence(points, usual, currency),
        [day(point.week_start) for point in points],
        [*band, *_bars(points)],
        {**_bar_values(points, amount), **(_usual_values(usual) if usual else {})},
    )


def trend_chart(points: Sequence[Point], title: str) -> Spec:
    """Return a figure of the whole portfolio over the weeks, the last one marked."""
    known = [point.value for point in points if point.value is not None]
    sentence = f"{title} over {len(points)} weeks, none recorded."
    if known:
        last = points[-1].value
        sentence = (
            f"{title} over {len(points)} weeks: {number(last)} in the week of "
            f"{day(points[-1].week_start)}, between {number(min(known))} and {number(max(known))}."
        )
    weeks = [day(point.week_start) for point in points]
    return over_weeks(title, sentence, weeks, _bars(points), _bar_values(points, number))


def anomalies_chart(weeks: Sequence[CategoryCounts]) -> Spec:
    """Return the flagged customers per risk category, stacked, over the weeks."""
    rows = [
        {"week": day(week.week_start), "category": name, "order": order, "customers": count}
        for week in weeks
        for order, name in enumerate(CATEGORY_COLOURS)
        if (count := (week.counts or {}).get(name, 0))
    ]
    missing = [{"week": day(w.week_start), "said": "–", "at": 0} for w in weeks if w.counts is None]
    colours = {"domain": list(CATEGORY_COLOURS), "range": list(CATEGORY_COLOURS.values())}
    stacked = {
        "data": {"name": "customers"},
        "mark": {"type": "bar"},
        "encoding": {
            "x": {"field": "week", "type": "ordinal"},
            "y": amounts_axis("customers"),
            "color": {"field": "category", "type": "nominal", "scale": colours, "legend": None},
            "order": {"field": "order", "type": "quantitative"},
        },
    }
    return over_weeks(
        "Flagged customers by risk category",
        _counts_sentence(weeks),
        [day(week.week_start) for week in weeks],
        [stacked, missing_runs()],
        {"customers": rows, "missing": missing},
    )


def category_chart(bars: Sequence[CategoryBar], currency: str) -> Spec:
    """Return this week's spend per merchant category, with a mark where a usual week stands.

    The upper half of each row is left free for words (`category_words`): text takes a renderer far
    longer than shapes do, and on a page it can be larger, and be selected.
    """
    rows = [_category_row(row, bar) for row, bar in enumerate(bars[:CATEGORY_ROWS])]
    along = {"type": "quantitative", "axis": None, "scale": {"nice": False}}
    down = {
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [len(rows), 0], "nice": False, "zero": False},
    }
    spent = {
        "mark": {"type": "rect", "color": THIS_WEEK},
        "encoding": {
            "x": {"field": "from", **along},
            "x2": {"field": "spend"},
            "y": {"field": "top", **down},
            "y2": {"field": "bottom"},
        },
    }
    usual = {
        "mark": {"type": "rule", "color": USUAL, "strokeWidth": 3},
        "encoding": {
            "x": {"field": "usual", **along},
            "y": {"field": "mark_top", **down},
            "y2": {"field": "mark_bottom"},
        },
    }
    return {
        **frame(
            _in_currency("Spend per merchant category", currency),
            _categories_sentence(bars, currency),
            (_ROW_WIDTH, _ROW_HEIGHT * max(len(rows), 1)),
            {"left": 4, "right": 4, "top": 0, "bottom": 0},
        ),
        "datasets": {"rows": rows},
        "data": {"name": "rows"},
        "layer": [spent, usual],
    }


def category_words(bar: CategoryBar) -> tuple[str, str]:
    """Return what is written above a category's bar: code and name, and the figures.

    Examples
    --------
    >>> category_words(CategoryBar("5411", "Grocery stores", 120.5, 90, False))
    ('5411 Grocery stores', '120 · usual 90.00')
    """
    name = f"{shown(bar.mcc, 8)} {shown(bar.name, _LONGEST_NAME)}"
    usual = "new" if bar.is_new else f"usual {amount(bar.usual)}"
    return name, f"{amount(bar.spend)} · {usual}"


def to_svg(spec: Spec, name: str) -> str:
    """Draw a chart as one ``svg`` element for a page; `name` is unique there.

    It scales with the place that it is given, and is an image with a title and a text alternative
    to a screen reader.
    """
    # Imported when it is used: what is never drawn need not load the engine behind it.
    import vl_convert

    drawn = vl_convert.vega_to_svg(compiled(spec))
    return slim(drawn, name, title=spec["usermeta"]["title"], description=spec["description"])


def to_png(spec: Spec, scale: float = 2.0) -> bytes:
    """Draw a chart as a PNG image, `scale` pixels for each of the specification's."""
    import vl_convert

    return vl_convert.vega_to_png(compiled(spec), scale=scale)


def day(week_start: date) -> str:
    """Return a Monday as the charts name it.

    Examples
    --------
    >>> day(date(2025, 11, 3))
    '3 Nov'
    """
    return f"{week_start.day} {week_start:%b}"


def _bars(points: Sequence[Point]) -> list[Spec]:
    last = day(points[-1].week_start)
    colour = {"test": f"datum.week === '{last}'", "value": THIS_WEEK}
    bars = {
        "data": {"name": "bars"},
        "mark": {"type": "bar"},
        "encoding": {
            "x": {"field": "week", "type": "ordinal"},
            "y": amounts_axis("value"),
            "color": {"condition": colour, "value": EARLIER},
        },
    }
    return [bars, said_on_top()]


def _bar_values(
    points: Sequence[Point], worded: Callable[[float | None], str]
) -> dict[str, list[Spec]]:
    last = points[-1].value
    said = "no transaction" if last is None else f"this week {worded(last)}"
    return {
        "bars": [
            {"week": day(point.week_start), "value": round(point.value, 2)}
            for point in points
            if point.value is not None
        ],
        "last": [{"said": said}],
    }


def _usual_values(usual: Range) -> dict[str, list[Spec]]:
    figures = {"low": usual.low, "middle": usual.middle, "high": usual.high}
    return {"usual": [{name: round(value, 2) for name, value in figures.items()}]}


def _category_row(row: int, bar: CategoryBar) -> Spec:
    return {
        "top": row + 0.56,
        "bottom": row + 0.86,
        "mark_top": row + 0.5,
        "mark_bottom": row + 0.92,
        "from": 0,
        "spend": round(bar.spend, 2),
        "usual": None if bar.is_new else round(bar.usual, 2),
    }


def _spend_sentence(points: Sequence[Point], usual: Range | None, currency: str) -> str:
    last, earlier = points[-1], [p.value for p in points[:-1] if p.value is not None]
    said = [f"Week of {day(last.week_start)}: {_money(last.value, currency)}."]
    if usual:
        said.append(f"Usual range: {amount(usual.low)} to {_money(usual.high, currency)}.")
    if earlier:
        said.append(
            f"The {len(earlier)} weeks with transactions before it: {amount(min(earlier))} to "
            f"{_money(max(earlier), currency)}."
        )
    return " ".join(said)


def _categories_sentence(bars: Sequence[CategoryBar], currency: str) -> str:
    if not bars:
        return "No transaction this week."
    return " ".join(
        f"{shown(bar.name, _LONGEST_NAME)}: {_money(bar.spend, currency)}, "
        + ("new to the customer." if bar.is_new else f"usually {amount(bar.usual)}.")
        for bar in bars[:CATEGORY_ROWS]
    )


def _counts_sentence(weeks: Sequence[CategoryCounts]) -> str:
    said = [
        f"Week of {day(week.week_start)}: "
        + (
            "no run"
            if week.counts is None
            else ", ".join(f"{week.counts.get(name, 0):,} {name}" for name in CATEGORY_COLOURS)
        )
        for week in weeks
    ]
    return "; ".join(said) + "."


def _money(value: float | None, currency: str) -> str:
    return "none" if value is None else f"{amount(value)} {currency}".rstrip()


def _in_currency(title: str, currency: str) -> str:
    return f"{title}, {currency}" if currency else title
