"""Known cases: their kinds, how strong they are, and the sizes that all of one kind share.

The generated portfolio holds such cases from the start, and `cardwatch backtest --inject` plants
them at real customers. Both mean the same by the same name, so what is found can be compared.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What happens to a customer; the value is its name in options and labels."""

    TAKEOVER = "takeover"
    BUST_OUT = "bust_out"
    CARD_TEST = "card_test"
    GAMBLING = "gambling"
    STRUCTURED = "structured"
    REFUND = "refund"
    DORMANT = "dormant"
    DROP = "drop"
    GROWTH = "growth"
    TICKET = "ticket"
    COLLUSION = "collusion"

    @property
    def sentence(self) -> str:
        """What happens, at medium strength, for people."""
        return _SENTENCES[self]

    @property
    def customers(self) -> int:
        """How many customers one case takes."""
        return COLLUDERS if self is Kind.COLLUSION else 1


COLLUDERS = 5
RAMP = (1.5, 2.2, 3.5, 6.0)
"""A bust-out's weeks, oldest first, times the usual."""
TAKEOVER_CODES = (4829, 5045, 5094, 5732, 5944, 5946, 5948, 6051)
CASH_CODES = (6010, 6011, 6051, 4829)
CARD_TEST_CODES = (5815, 5816, 5817, 5818, 8398, 5814, 5968, 4816, 7299)
GAMBLING_CODES = (7995, 6051)
TRANSFER_CODES = (4829, 6012)

_SENTENCES = {
    Kind.TAKEOVER: "two to four merchant categories never used before, at 1.3 to 3.5 times their"
    " usual purchase",
    Kind.BUST_OUT: "four weeks that rise to six times the usual, much of it cash",
    Kind.CARD_TEST: "10 to 35 tiny charges at one to three merchant categories",
    Kind.GAMBLING: "5 to 20 bets worth one to three usual weeks",
    Kind.STRUCTURED: "3 to 9 transfers of nearly the same amount",
    Kind.REFUND: "2 to 7 refunds of 0.4 to 1.5 usual weeks each",
    Kind.DORMANT: "8 to 11 silent weeks, then a return at 1.5 to 3.5 times the usual",
    Kind.DROP: "a busy customer's week shrinks to one purchase",
    Kind.GROWTH: "all spending times 3 to 6",
    Kind.TICKET: "one purchase in an everyday category at 12 to 40 times the usual",
    Kind.COLLUSION: "five customers meet at one rare merchant category, with 0.6 to 2 usual weeks"
    " each",
}


class Strength(StrEnum):
    """How far a case goes beyond the usual; the value is its name, as `Kind`'s is."""

    WEAK = "weak"
    MEDIUM = "medium"
    STRONG = "strong"

    @property
    def factor(self) -> float:
        """What the distance from the usual is multiplied by."""
        return {Strength.WEAK: 0.6, Strength.MEDIUM: 1.0, Strength.STRONG: 1.6}[self]
