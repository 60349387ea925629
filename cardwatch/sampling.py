"""Which customers a bounded fit reads: the same ones in any row order and on any machine."""

from __future__ import annotations

FIT_CUSTOMERS = 65_536
"""Customers that portfolio parameters and score laws are fitted on, at most."""

_RANGE = 2**32
_MULTIPLIER = 2_654_435_761
"""The prime next to 2^32 / golden ratio: multiples of it fill the range evenly, so a cut takes an
even share of the keys however they are laid out (Knuth, The Art of Computer Programming 3, 6.4)."""


def sample_condition(customers: int, at_most: int = FIT_CUSTOMERS) -> str:
    """Return an SQL condition on ``customer_key`` that holds for about `at_most` of the customers.

    Examples
    --------
    >>> sample_condition(1_000)
    'true'
    >>> sample_condition(1_000, at_most=250)
    '(CAST(customer_key AS BIGINT) * 2654435761) % 4294967296 < 1073741824'
    """
    if customers <= at_most:
        return "true"
    cut = _RANGE * at_most // customers
    return f"(CAST(customer_key AS BIGINT) * {_MULTIPLIER}) % {_RANGE} < {cut}"
