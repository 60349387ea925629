from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from pages import HOSTILE

from cardwatch.report import chart_frame
from cardwatch.report.chart_frame import Spec
from cardwatch.report.charts import (
    CATEGORY_ROWS,
    CategoryBar,
    CategoryCounts,
    Point,
    Range,
    anomalies_chart,
    category_chart,
    category_words,
    spend_chart,
    to_png,
    to_svg,
    trend_chart,
)
from cardwatch.report.svg import ATTRIBUTES, SHAPES

MONDAY = date(2025, 8, 25)
WEEKS = [MONDAY + timedelta(weeks=week) for week in range(13)]
STYLE = Path(chart_frame.__file__).parent / "templates" / "style.css"
SVG = "{http://www.w3.org/2000/svg}"


def points(*values: float | None) -> list[Point]:
    return [Point(week, value) for week, value in zip(WEEKS, values, strict=False)]


STEADY = points(200, 210, None, 190, 205, 220, 180, 200, 210, 190, 200, 205, 1_674)
BARS = [
    CategoryBar("5411", "Grocery stores", 120.5, 90, False),
    CategoryBar("7995", "Betting", 80, 0, True),
    CategoryBar("5732", "Electronics", -20, 30, False),
]
COUNTS = [
    CategoryCounts(week, {"critical": i, "high": 2 * i, "medium": 9, "low": 900} if i else None)
    for i, week in enumerate(WEEKS)
]

CHARTS: dict[str, Callable[[], Spec]] = {
    "spend": lambda: spend_chart(STEADY, Range(180, 205, 220), "EUR"),
    "categories": lambda: category_chart(BARS, "EUR"),
    "trend": lambda: trend_chart(STEADY, "Customers"),
    "anomalies": lambda: anomalies_chart(COUNTS),
}


def drawn(spec: Spec, name: str = "c") -> ET.Element:
    return ET.fromstring(to_svg(spec, name))


def painted(svg: ET.Element, colour: str, *, text: bool = False) -> list[ET.Element]:
    return [
        each
        for each in svg.iter()
        if colour in (each.get("fill"), each.get("stroke")) and (each.tag == "text") is text
    ]


@pytest.mark.parametrize("kind", CHARTS)
def test_a_chart_is_an_image_with_a_title_and_a_text_alternative(kind: str) -> None:
    svg = drawn(CHARTS[kind](), "one")
    title, text = svg[0], svg[1]
    assert (title.tag, text.tag, svg.get("role")) == ("title", "desc", "img")
    assert (
        svg.get("aria-labelledby") == f"{title.get('id')} {text.get('id')}" == "one-title one-text"
    )
    assert title.text
    assert text.text
    assert svg.get("width") is None
    assert svg.get("viewBox")


@pytest.mark.parametrize("kind", CHARTS)
def test_a_chart_has_shapes_and_words_only_and_is_the_same_again(kind: str) -> None:
    once, again = to_svg(CHARTS[kind](), "c"), to_svg(CHARTS[kind](), "c")
    assert once == again
    svg = ET.fromstring(once)
    assert {each.tag for each in svg.iter()} <= SHAPES | {"title", "desc"}
    names = {name for each in list(svg.iter())[3:] for name in each.attrib}
    assert names <= ATTRIBUTES
    assert "url(" not in once
    assert "id=" not in re.sub(r'id="c-(title|text)"', "", once)


def test_every_colour_of_a_chart_is_exchanged_in_the_dark() -> None:
    sheet = STYLE.read_text(encoding="utf-8")
    colours = {
        value for value in vars(chart_frame).values() if re.match("#[0-9a-f]{6}$", str(value))
    }
    colours |= set(chart_frame.CATEGORY_COLOURS.values())
    assert len(colours) == 10
    assert [each for each in colours if f'="{each}"]' not in sheet] == []


def test_the_scored_week_is_marked_and_the_usual_range_shaded() -> None:
    svg = drawn(CHARTS["spend"]())
    assert len(painted(svg, chart_frame.EARLIER)) == 11
    assert len(painted(svg, chart_frame.THIS_WEEK)) == 1
    assert [each.text for each in painted(svg, chart_frame.THIS_WEEK, text=True)] == [
        "this week 1,674"
    ]
    assert len(painted(svg, chart_frame.BAND)) == len(painted(svg, chart_frame.USUAL)) == 1
    [band] = painted(svg, chart_frame.BAND)
    top, height = map(float, re.findall(r"M0,([\d.]+)h308v([\d.]+)", band.get("d") or "")[0])
    scale = height / (220 - 180)
    assert top + height == pytest.approx(140 - 180 * scale, abs=0.1)
    assert svg[1].text == (
        "Week of 17 Nov: 1,674 EUR. Usual range: 180 to 220 EUR. "
        "The 11 weeks with transactions before it: 180 to 220 EUR."
    )


def test_without_history_there_is_no_usual_range() -> None:
    svg = drawn(spend_chart(points(*[None] * 12, 50), None, ""))
    assert painted(svg, chart_frame.BAND) == painted(svg, chart_frame.USUAL) == []
    assert svg[0].text == "Weekly spend"
    assert svg[1].text == "Week of 17 Nov: 50.00."


@pytest.mark.parametrize(
    "values",
    [[None] * 13, [0.0] * 13, [-5.0] * 12 + [3.0], [1e12] * 13, [0.001] * 13, [7.0]],
    ids=["absent", "zero", "refunds", "huge", "tiny", "one week"],
)
def test_any_weeks_can_be_drawn(values: list[float | None]) -> None:
    for usual in (None, Range(-5, 0, 5), Range(7, 7, 7)):
        svg = drawn(spend_chart(points(*values), usual, "EUR"))
        assert "NaN" not in ET.tostring(svg, encoding="unicode")


def test_a_merchant_category_shows_this_week_against_the_usual_one() -> None:
    svg = drawn(CHARTS["categories"]())
    assert [category_words(bar) for bar in BARS] == [
        ("5411 Grocery stores", "120 · usual 90.00"),
        ("7995 Betting", "80.00 · new"),
        ("5732 Electronics", "−20.00 · usual 30.00"),
    ]
    assert svg[1].text == (
        "Grocery stores: 120 EUR, usually 90.00. Betting: 80.00 EUR, new to the customer. "
        "Electronics: −20.00 EUR, usually 30.00."
    )
    assert len(painted(svg, chart_frame.THIS_WEEK)) == 3
    assert len(painted(svg, chart_frame.USUAL)) == 2, "a new category has no usual spend"
    many = [CategoryBar(f"{mcc:04d}", "Shop", mcc, 1, False) for mcc in range(1, 30)]
    assert len(painted(drawn(category_chart(many, "")), chart_frame.THIS_WEEK)) == CATEGORY_ROWS


def test_a_week_without_a_run_is_told_from_one_without_anomalies() -> None:
    quiet = [CategoryCounts(WEEKS[0], None), CategoryCounts(WEEKS[1], {"critical": 0})]
    svg = drawn(anomalies_chart(quiet))
    assert [each.text for each in svg.iter("text")].count("–") == 1
    assert svg[1].text == ("Week of 25 Aug: no run; Week of 1 Sep: 0 critical, 0 high, 0 medium.")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_gets_markup_into_a_chart(name: str) -> None:
    svg = to_svg(category_chart([CategoryBar("5411", name, 5, 1, False)], "EUR"), "c")
    tree = ET.fromstring(svg)
    assert {each.tag for each in tree.iter()} <= SHAPES | {"title", "desc"}
    assert len(svg) < 2_000
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00\x1b]", svg)


def test_a_chart_can_be_a_picture_too() -> None:
    small, large = to_png(CHARTS["spend"](), 1), to_png(CHARTS["spend"](), 2)
    assert small.startswith(b"\x89PNG\r\n\x1a\n")
    width = int.from_bytes(small[16:20])
    assert (width, int.from_bytes(large[16:20])) == (360, 720)
