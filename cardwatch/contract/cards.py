"""What looks like a payment card number, and how it is masked.

A number counts when it has 13 to 19 digits, begins like an issuer's numbers of that length, and
passes the Luhn check. One in ten surrogate ids passes by chance, so a column is judged by share.

References
----------
ISO/IEC 7812-1 (numbering and the Luhn formula), PCI DSS 4.0 requirement 3 (stored account data).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import comb, log2

from stdnum import luhn

SEPARATORS = " \u00a0\u2010\u2011\u2012\u2013-"
PREFILTER = f"[0-9](?:[{SEPARATORS}]?[0-9]){{12}}"
"""A pattern (RE2 and Python) that every text with a card number matches; most others do not."""

_RUN = re.compile(f"[0-9]+(?:[{SEPARATORS}][0-9]+)*")
_GROUP = re.compile("[0-9]+")
_GROUPINGS = re.compile(r"4-4-4-4(-[1-3])?|4-4-4-[1-3]|4-4-5|4-6-[45]|8-8")
"""How people write numbers in groups; other shapes (dates, UUIDs, phones) are left alone."""

_ISSUERS = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"30[0-5]|3095|3[689]"), (14, 16, 17, 18, 19)),
    (re.compile(r"6011|64[4-9]|65|352[89]|35[3-8]|62"), (16, 17, 18, 19)),
    (re.compile(r"5018|5020|5038|5893|6304|6759|676[1-3]"), (13, 14, 15, 16, 17, 18, 19)),
    (re.compile(r"220[0-4]|508|606985|9792"), (16, 17, 18, 19)),
)

RULE_SHARE, RULE_COUNT = 0.1, 20
"""From this share and number of long-digit values on, long digits are the rule in a column."""
CHANCE_PASS = 0.1
FALSE_STOP = 0.001
"""How often a column of surrogate digits may be taken for card numbers by chance."""


@dataclass(frozen=True)
class CardNumber:
    """Where a text holds a card number, and whether it is written in groups."""

    start: int
    end: int
    grouped: bool


def find_card_numbers(text: str) -> Iterator[CardNumber]:
    """Yield the card numbers in a text, from left to right.

    Examples
    --------
    >>> [(c.start, c.end, c.grouped) for c in find_card_numbers("paid with 4111-1111-1111-1111")]
    [(10, 29, True)]
    >>> list(find_card_numbers("4111111111111112"))
    []
    """
    end = 0
    for found in _candidates(text):
        digits = "".join(_GROUP.findall(text[found.start : found.end]))
        if found.start >= end and begins_like_an_issuer(digits) and luhn.is_valid(digits):
            yield found
            end = found.end


def begins_like_an_issuer(digits: str) -> bool:
    """Whether the leading digits belong to an issuer whose numbers have this length."""
    return any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _ISSUERS)


def mask_card_numbers(text: str, *, grouped_only: bool = False) -> str:
    """Replace all but the last four digits of every card number by asterisks.

    Examples
    --------
    >>> mask_card_numbers("card 4111111111111111")
    'card ************1111'
    """
    for found in find_card_numbers(text):
        if found.grouped or not grouped_only:
            hidden = re.sub("[0-9]", "*", text[found.start : found.end])[:-4]
            text = text[: found.start] + hidden + text[found.end - 4 :]
    return text


def count_card_numbers(
    grouped: Iterable[str], unseparated: Iterable[str], *, long_digits: int, values: int
) -> int:
    """Return how many values give a column away as holding card numbers; 0 acquits it.

    Parameters
    ----------
    grouped, unseparated : iterable of str
        The column's distinct values that could hold a number of either writing; of the latter a
        sample is enough where long digits are the rule.
    long_digits, values : int
        How many distinct values have 13 to 19 digits in a row, and how many there are.
    """
    for text in grouped:
        if any(found.grouped for found in find_card_numbers(text)):
            return 1
    tried = [digits for text in unseparated for digits in _issuer_digits(text)]
    passed = sum(luhn.is_valid(digits) for digits in tried)
    is_rule = long_digits >= RULE_COUNT and long_digits >= RULE_SHARE * values
    if is_rule and chance_of_at_least(passed, len(tried)) > FALSE_STOP:
        return 0
    return passed


def chance_of_at_least(passed: int, tried: int) -> float:
    """Return the chance that this many of `tried` random numbers pass Luhn, or more.

    Exact up to 200 numbers; beyond that the Chernoff bound, which is never too small.

    Examples
    --------
    >>> round(chance_of_at_least(1, 1), 3), chance_of_at_least(100, 1000)
    (0.1, 1.0)
    """
    if tried <= 200:
        return sum(
            comb(tried, k) * CHANCE_PASS**k * (1 - CHANCE_PASS) ** (tried - k)
            for k in range(passed, tried + 1)
        )
    share = passed / tried
    if share <= CHANCE_PASS:
        return 1.0
    return float(2.0 ** (-tried * _bits(share)))


def _bits(share: float) -> float:
    other = (1 - share) * log2((1 - share) / (1 - CHANCE_PASS)) if share < 1 else 0.0
    return share * log2(share / CHANCE_PASS) + other


def _issuer_digits(text: str) -> Iterator[str]:
    for found in _candidates(text):
        digits = text[found.start : found.end]
        if not found.grouped and begins_like_an_issuer(digits):
            yield digits


def _candidates(text: str) -> Iterator[CardNumber]:
    """Yield spans of digits that have a card number's length and writing; they may overlap."""
    for run in _RUN.finditer(text):
        groups = [
            (run.start() + g.start(), run.start() + g.end()) for g in _GROUP.finditer(run.group())
        ]
        for position, (start, end) in enumerate(groups):
            if 13 <= end - start <= 19 and _stands_alone(text, start, end):
                yield CardNumber(start, end, grouped=False)
            for chosen in _groupings(groups[position : position + 5]):
                end = chosen[-1][1]
                if _stands_alone(text, start, end) and not _is_iban(text, *groups[0]):
                    yield CardNumber(start, end, grouped=True)


def _groupings(groups: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Yield the leading groups whose lengths are those of a number in groups, longest first."""
    for count in range(len(groups), 1, -1):
        if _GROUPINGS.fullmatch("-".join(str(end - start) for start, end in groups[:count])):
            yield groups[:count]


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Tell a number from digits inside a hexadecimal or mixed id (those hold other digits too)."""
    before, after = text[:start], text[end:]
    if before[-1:].isalnum() or after[:1].isalnum():
        return not _GROUP.search(before + after)
    return True


def _is_iban(text: str, start: int, end: int) -> bool:
    return end - start == 2 and start >= 2 and text[start - 2 : start].isalpha()
