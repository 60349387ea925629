"""Pages as a test reads them: the elements, texts and links, and what is hostile to them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input", "base", "col", "wbr"}

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><style>body{display:none}",
    "]]>--><!--&lt;b&gt;{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "C\u202e1234\u2066\u200b\u0000\u001b[31m",
    "9" * 5_000,
    "\u0645\u0631\u062d\u0628\u0627 \u4e2d\u6587 \U0001f600",
)
"""Ids and names that would do harm where they are let through."""


@dataclass
class PageReader(HTMLParser):
    """Reads a page strictly: every element that needs closing is closed in its turn."""

    elements: Counter[str] = field(default_factory=Counter)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    @classmethod
    def of(cls, page: bytes) -> PageReader:
        """Read a whole page."""
        reader = cls()
        reader.feed(page.decode("utf-8"))
        reader.close()
        return reader

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        """Everything a reader is told, in order."""
        return "\n".join(self.texts)

    def values(self, attribute: str) -> list[str]:
        """Return the values of an attribute, of whatever element."""
        return [value for _, name, value in self.attributes if name == attribute]
