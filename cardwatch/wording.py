"""Words that go with numbers, for every sentence of the program."""

from __future__ import annotations


def counted(count: int, one: str, several: str = "") -> str:
    """Return a count with its noun, in the singular where there is one.

    Examples
    --------
    >>> counted(1, "week"), counted(1200, "category", "categories")
    ('1 week', '1,200 categories')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"
