"""A page as HTML: one file that asks nobody for anything, with or without a screen."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cardwatch.report.charts import to_svg
from cardwatch.report.page import Chart, Index, Page
from cardwatch.report.wording import shown
from cardwatch.wording import counted

MOST_BYTES: Final = 1_000_000
"""What a page may weigh, so that it opens at once and goes through any mail."""

_KEPT = 0.75


def render_page(page: Page) -> bytes:
    """Return the page of a week, of at most `MOST_BYTES`; the last cards give way."""
    drawings: dict[str, Markup] = {}

    def draw(chart: Chart, name: str) -> Markup:
        if name not in drawings:
            # Drawn from escaped text and kept to shapes: see `svg`.
            drawings[name] = Markup(to_svg(dict(chart), name))
        return drawings[name]

    while True:
        content = _render("week.html", page=page, draw=draw)
        if len(content) <= MOST_BYTES or not page.cards:
            return content
        fewer = page.cards[: int(len(page.cards) * _KEPT)]
        page = replace(page, cards=fewer)


def render_index(index: Index) -> bytes:
    """Return the page that links the pages of all weeks."""
    return _render("index.html", index=index)


def _render(template: str, **words: Any) -> bytes:
    return _environment().get_template(template).render(**words, style=_style()).encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cardwatch.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalised,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["counted"] = counted
    return environment


def _finalised(value: Any) -> Any:
    """Let through only what may be seen; markup that the templates made stays as it is."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _style() -> dict[str, Markup]:
    """Return the style sheet, and the digest by which the page allows it and no other."""
    environment = _environment()
    source, _, _ = PackageLoader("cardwatch.report").get_source(environment, "style.css")
    digest = b64encode(sha256(source.encode()).digest()).decode()
    return {"sheet": Markup(source), "digest": Markup(digest)}
