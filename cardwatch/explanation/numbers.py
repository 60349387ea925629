"""Figures as people say them: amounts, counts, shares, ratios, names of merchant categories."""

from __future__ import annotations

from cardwatch.merchant_categories import mcc_name

MANY_TIMES = 999.0
"""Ratios above this are not spelled out."""


def amount(value: float) -> str:
    """Return an amount as people write it: thousands separators, cents only below 100.

    >>> amount(12345.6), amount(9.5), amount(-1200)
    ('12,346', '9.50', '-1,200')
    """
    cents = round(value, 2) + 0.0
    return f"{cents:,.0f}" if abs(cents) >= 100 else f"{cents:,.2f}"


def share(value: float) -> str:
    """Return a share in per cent.

    >>> share(0.417), share(0.002), share(0.00001)
    ('42%', '0.2%', 'under 0.1%')
    """
    if 0 < value < 0.001:
        return "under 0.1%"
    return f"{value:.1%}" if value < 0.095 else f"{value:.0%}"


def ratio(value: float) -> str:
    """Return how many times as much.

    >>> ratio(4.13), ratio(38.2), ratio(float("inf"))
    ('4.1', '38', 'over 999')
    """
    if value > MANY_TIMES:
        return f"over {MANY_TIMES:.0f}"
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def weeks(value: float) -> str:
    """Return a number of weeks in words.

    >>> weeks(1), weeks(9)
    ('1 week', '9 weeks')
    """
    return counted(value, "week")


def count(value: float) -> str:
    """Return a count, with one decimal where a usual count is no whole number.

    >>> count(12.0), count(2.5), count(1234)
    ('12', '2.5', '1,234')
    """
    tenths = round(value, 1)
    return f"{tenths:,.0f}" if value >= 10 or tenths == round(tenths) else f"{tenths:.1f}"


def counted(value: float, what: str, several: str = "") -> str:
    """Return a count with what is counted, in the singular or the plural.

    >>> counted(1, "purchase"), counted(2.5, "category", "categories")
    ('1 purchase', '2.5 categories')
    """
    said = count(value)
    return f"{said} {what if said == '1' else several or what + 's'}"


def category(mcc: str) -> str:
    """Return a merchant category's name with its code.

    >>> category("5411")
    'Grocery stores and supermarkets (5411)'
    """
    name = mcc_name(mcc)
    return name if name.endswith(mcc) else f"{name} ({mcc})"
