"""Totals and averages of purchases and refunds together, which can be nothing, or less.

Nobody reads a minus aloud. A total under zero is a net refund, or money that came back.
"""

from __future__ import annotations

from cardwatch.explanation.numbers import amount, count, counted


def net(value: float) -> str:
    """Return a total as the object of a sentence.

    >>> net(12.5), net(0), net(-640)
    ('12.50', 'nothing', 'a net refund of 640')
    """
    if not round(value, 2):
        return "nothing"
    return amount(value) if value > 0 else f"a net refund of {amount(-value)}"


def spent(total: float, only: str = "") -> str:
    """Return what somebody did who spent a total; `only` stands before an amount over zero.

    >>> spent(12.5), spent(12.5, "only "), spent(0, "only "), spent(-640)
    ('Spent 12.50', 'Spent only 12.50', 'Spent nothing', 'Got 640 more back than was spent')
    """
    if not round(total, 2):
        return "Spent nothing"
    if total > 0:
        return f"Spent {only}{amount(total)}"
    return f"Got {amount(-total)} more back than was spent"


def spent_each(total: float, number: float, only: str = "") -> str:
    """Return what somebody spent a transaction, on average.

    >>> spent_each(60, 3, "only ")
    'Spent only 20.00 a transaction on average'
    >>> spent_each(-640, 3)
    'Got 640 more back than was spent, in 3 transactions'
    """
    if round(total, 2) > 0:
        return f"{spent(total / number, only)} a transaction on average"
    return f"{spent(total)}, in {counted(number, 'transaction')}"


def of_each(total: float, number: float) -> str:
    """Return a number of transactions, and of how much they are.

    >>> of_each(60, 3), of_each(0, 2), of_each(-467.1, 15)
    ('3 of 20.00 on average', '2 that add up to nothing', '15 that add up to a net refund of 467')
    """
    if round(total, 2) > 0:
        return f"{count(number)} of {amount(total / number)} on average"
    return f"{count(number)} that {_add_up(number)} to {net(total)}"


def usually_of(ticket: float | None, number: float | None) -> str:
    """Return the same of a usual week, whose median amount a transaction is `ticket`.

    >>> usually_of(37.5, 8), usually_of(-4, 2), usually_of(None, None)
    ('usually 8 of 37.50', 'usually 2 with more back than was spent', 'usually none')
    """
    if not number:
        return "usually none"
    if ticket is None or not round(ticket, 2):
        return f"usually {count(number)} that {_add_up(number)} to nothing"
    much = f"of {amount(ticket)}" if ticket > 0 else "with more back than was spent"
    return f"usually {count(number)} {much}"


def others_spend(value: float, span: str) -> str:
    """Return what similar customers do who spend so much in the middle.

    >>> others_spend(310, " a week"), others_spend(0, " a week"), others_spend(-5, "")
    ('spend about 310 a week', 'spend hardly anything', 'get more back than they spend')
    """
    if round(value, 2) > 0:
        return f"spend about {amount(value)}{span}"
    return "get more back than they spend" if round(value, 2) else "spend hardly anything"


def _add_up(number: float) -> str:
    return "adds up" if count(number) == "1" else "add up"
