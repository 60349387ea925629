"""The pages in a real browser: on a phone, on a laptop, on paper, in the dark, read aloud."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from debian import chromium
from pages import HOSTILE
from playwright.sync_api import Browser, Page, sync_playwright
from small_portfolio import WEEK, ScoredWeek

from cardwatch.config import Config
from cardwatch.outputs import INDEX, OutputFile
from cardwatch.pages import WeekPages

pytestmark = pytest.mark.system

PAGE = OutputFile.REPORT.of(WEEK)
LAPTOP, PHONE = (1280, 800), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        # Chromium's own sandbox refuses root, who may run these tests.
        started = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def folder(scored: ScoredWeek, portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of pages, and ``hostile.html``: the second week with names that would do harm."""
    place = tmp_path_factory.mktemp("pages")
    shutil.copytree(scored.outputs, place / "outputs")
    earlier = ScoredWeek.run(place, portfolio, WEEK - 1, REPORT_ENABLED="true")
    maker, outputs = WeekPages(Config()), earlier.outputs
    (outputs / PAGE).write_bytes(maker.published(outputs, WEEK))
    path = outputs / OutputFile.LIST_JSON.of(WEEK)
    whole = path.read_text(encoding="utf-8")
    document = json.loads(whole)
    for customer, name in zip(document["customers"], HOSTILE, strict=False):
        customer["customer_id"] = name
        customer["reasons"][0]["sentence"] = name
        customer["categories"] = [{**c, "name": name} for c in customer["categories"]]
    document["notes"] = list(HOSTILE)
    path.write_text(json.dumps(document), encoding="utf-8")
    (outputs / "hostile.html").write_bytes(maker.published(outputs, WEEK))
    path.write_text(whole, encoding="utf-8")
    return outputs


NAMES = [PAGE, INDEX, "hostile.html"]


def opened(
    browser: Browser, path: Path, size: tuple[int, int], scheme: str = "light", **settings: bool
) -> Page:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        **settings,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize(
    ("size", "scheme"), [(LAPTOP, "light"), (PHONE, "dark")], ids=["laptop-light", "phone-dark"]
)
@pytest.mark.parametrize("name", NAMES)
def test_everybody_can_read_a_page(
    browser: Browser, folder: Path, name: str, size: tuple[int, int], scheme: str
) -> None:
    page = opened(browser, folder / name, size, scheme, bypass_csp=True)
    found = Axe().run(page)
    said = [(each["id"], each["nodes"][0]["html"][:200]) for each in found.response["violations"]]
    assert said == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_asks_for_nothing_but_itself_and_says_nothing_to_the_console(
    browser: Browser, folder: Path, name: str
) -> None:
    page = browser.new_context().new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((folder / name).as_uri(), wait_until="load")
    page.wait_for_timeout(200)
    assert asked == [(folder / name).as_uri()]
    assert said == []


@pytest.mark.parametrize("size", [LAPTOP, PHONE, (320, 640)], ids=["laptop", "phone", "small"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wider_than_the_screen(
    browser: Browser, folder: Path, name: str, size: tuple[int, int]
) -> None:
    page = opened(browser, folder / name, size)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    smallest = page.evaluate(
        "Math.min(99, ...[...document.querySelectorAll('svg text')].map("
        "text => 11 * text.getScreenCTM().a))"
    )
    assert smallest >= (7.5 if size[0] == 320 else 9), "the words of a chart can be read"


def test_the_first_screen_says_what_changed_and_the_headline_figures(
    browser: Browser, folder: Path
) -> None:
    page = opened(browser, folder / PAGE, LAPTOP, java_script_enabled=False)
    for said in ("Portfolio spend", "Flagged customers", "Changes since last week"):
        box = page.get_by_text(said).first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < LAPTOP[1]
    for group in ("New", "Back", "Gone"):
        box = page.get_by_role("heading", name=re.compile(f"^{group} ")).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < LAPTOP[1]
    assert "last week" in page.locator(".tile .before").first.inner_text()


def test_the_dark_page_has_dark_charts(browser: Browser, folder: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page = opened(browser, folder / PAGE, LAPTOP, scheme)
        colours[scheme] = page.evaluate(
            "[...document.querySelectorAll('.chart svg *')].map(each => getComputedStyle(each))"
            ".flatMap(style => [style.fill, style.stroke]).filter(c => c.startsWith('rgb'))"
        )
    assert set(colours["light"]) & set(colours["dark"]) == {"rgb(0, 0, 0)"} or not (
        set(colours["light"]) & set(colours["dark"])
    )


def test_a_page_prints_on_a4_without_cutting_a_customer(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    page = opened(browser, folder / PAGE, LAPTOP, "dark")
    printed = page.pdf(prefer_css_page_size=True)
    boxes = set(re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed))
    assert {(round(float(w)), round(float(h))) for w, h in boxes} == {(595, 842)}
    assert 8 <= len(re.findall(rb"/Type /Page\b", printed)) <= 16
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    kept = page.evaluate(
        "[...document.querySelectorAll('.card')].map(e => getComputedStyle(e).breakInside)"
    )
    assert set(kept) == {"avoid"}


def test_hostile_names_are_shown_and_change_nothing(browser: Browser, folder: Path) -> None:
    plain, hostile = (opened(browser, folder / name, LAPTOP) for name in (PAGE, "hostile.html"))
    shape = "[...document.querySelectorAll('main > *, script, img, style')].map(e => e.tagName)"
    assert hostile.evaluate(shape) == plain.evaluate(shape)
    assert hostile.get_by_role("heading", name="<script>alert(1)</script>").count() == 1
    assert hostile.get_by_role("heading", name="C<U+202E>1234<U+2066>").count() == 1
