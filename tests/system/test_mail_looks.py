"""The mail in a real browser: at the width of a phone and of a laptop, and to a screen reader."""

from __future__ import annotations

import base64
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from debian import NOT_HERE
from notices_examples import failure_notice, list_notice, listed
from playwright.sync_api import Browser, sync_playwright

from cardwatch.notify.letter import html, picture_id
from cardwatch.notify.message import ListNotice, Notice

pytestmark = pytest.mark.system

CHROMIUM = shutil.which("chromium")
PHONE, LAPTOP = 375, 1_280


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(f"Debian's chromium {NOT_HERE}")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def picture() -> str:
    """A white picture of 1,000 pixels by one, as an address."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 1_000, 1, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\x00" + b"\xff" * 1_000)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def as_shown(notice: Notice) -> str:
    """The HTML with its pictures in it, as a mail program puts them there."""
    text = html(notice)
    if isinstance(notice, ListNotice):
        for each in notice.listed:
            text = text.replace(f"cid:{picture_id(notice, each.rank)}", picture())
    return text


NOTICES: dict[str, Notice] = {
    "list": list_notice(20, link="https://files.bank.example/{label}.html", is_revision=True),
    "long": list_notice(
        listed=tuple(
            listed(rank, name="CUSTOMER-" + "0123456789" * 5, spend="123,456,789 EUR")
            for rank in range(1, 5)
        )
    ),
    "failure": failure_notice(),
}


@pytest.mark.parametrize("name", NOTICES)
@pytest.mark.parametrize("width", [PHONE, LAPTOP])
def test_a_mail_fits_the_screen_and_keeps_everybody_reading(
    browser: Browser, tmp_path: Path, name: str, width: int
) -> None:
    requests: list[str] = []
    (tmp_path / "mail.html").write_text(as_shown(NOTICES[name]), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("request", lambda request: requests.append(request.url.partition(":")[0]))
    page.goto((tmp_path / "mail.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert set(requests) <= {"file", "data"}
    page.close()
