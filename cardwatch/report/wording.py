"""How text and figures are shown to people on a page, in a chart or in a mail."""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that are not seen, turn the reading direction, or are no characters at all."""

LONGEST = 48
"""Characters of an id that are shown; a longer one is cut in the middle."""
_KEPT_IN_A_MASK = 3


def shown(text: str, longest: int | None = None) -> str:
    r"""Return text with nothing in it that hides, reorders or breaks what stands around it.

    Line breaks and tabs become blanks, other control and formatting characters are spelt out.

    Examples
    --------
    >>> shown("C\u202e42"), shown("two\nlines"), shown("abcdefghij", longest=5)
    ('C<U+202E>42', 'two lines', 'abcd…')
    """
    seen = "".join(map(_seen, text)) if not text.isascii() or not text.isprintable() else text
    if longest is None or len(seen) <= longest:
        return seen
    return f"{seen[: longest - 1]}…"


def identified(customer_id: str) -> str:
    """Return an id as it is shown: both ends of one that is very long.

    Examples
    --------
    >>> identified("C-104233"), len(identified("9" * 1_000))
    ('C-104233', 48)
    """
    seen = shown(customer_id)
    half = LONGEST // 2
    return seen if len(seen) <= LONGEST else f"{seen[:half]}…{seen[1 - half :]}"


def _seen(character: str) -> str:
    if character in "\t\n\r":
        return " "
    if unicodedata.category(character) in _HIDDEN:
        return f"<U+{ord(character):04X}>"
    return character


def masked(customer_id: str) -> str:
    """Return an id of which only the end is shown, and of a short one nothing.

    Examples
    --------
    >>> masked("C-104233"), masked("4711")
    ('•••233', '•••')
    """
    kept = _KEPT_IN_A_MASK if len(customer_id) >= 2 * _KEPT_IN_A_MASK else 0
    return "•••" + shown(customer_id[len(customer_id) - kept :])


def amount(value: float | None) -> str:
    """Return an amount of money for a reader: cents only where they matter.

    Examples
    --------
    >>> amount(12345.6), amount(9.5), amount(-0.001), amount(None)
    ('12,346', '9.50', '0.00', '–')
    """
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 100 else 2
    return _minus(f"{round(value, digits) + 0.0:,.{digits}f}")


def number(value: float | None, digits: int = 0) -> str:
    """Return a count or a share for a reader.

    Examples
    --------
    >>> number(1234), number(3.14159, 2), number(None)
    ('1,234', '3.14', '–')
    """
    return "–" if value is None else _minus(f"{round(value, digits) + 0.0:,.{digits}f}")


def percent(part: float, whole: float, digits: int = 1) -> str:
    """Return a share in per cent.

    Examples
    --------
    >>> percent(1, 8), percent(0, 0)
    ('12.5%', '–')
    """
    return f"{100 * part / whole:,.{digits}f}%" if whole else "–"


def _minus(text: str) -> str:
    return text.replace("-", "−")
