"""The kinds of cases that can be planted, and how strongly."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What happens to a planted customer; the value is the name on the command line."""

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
    """How far a case goes beyond the usual: half of, once or twice what `Kind` says."""

    WEAK = "weak"
    MEDIUM = "medium"
    STRONG = "strong"

    @property
    def factor(self) -> float:
        """What the distance from the usual is multiplied by."""
        return {Strength.WEAK: 0.5, Strength.MEDIUM: 1.0, Strength.STRONG: 2.0}[self]
