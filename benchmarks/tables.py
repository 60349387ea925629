"""Results as Markdown: tables, and pages that are committed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are aligned right.

    Examples
    --------
    >>> print(table(["size", "seconds"], [["small", "1.5"]]))
    | size | seconds |
    | :--- | ------: |
    | small | 1.5 |
    """
    rule = [":---"] + ["------:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def verdict(holds: bool) -> str:
    """Return the word for a target that is met, or not."""
    return "yes" if holds else "**no**"


def publish(path: Path, parts: Sequence[str]) -> None:
    """Print a page and write it to `path`."""
    page = "\n\n".join(parts) + "\n"
    print(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    print(f"Written to {path}")
