"""Pieces computed by several threads: results in order, pieces taken only as they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier

import pytest

from cardwatch.parallel import mapped


def test_two_pieces_are_computed_at_once_and_come_back_in_order() -> None:
    both = Barrier(2, timeout=10)

    def meet(piece: int) -> int:
        both.wait()  # breaks unless another piece is under way
        return -piece

    assert list(mapped(meet, range(6), threads=2)) == [0, -1, -2, -3, -4, -5]


def test_no_more_pieces_are_taken_than_can_be_held() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[int]:
        for piece in range(10):
            taken.append(piece)
            yield piece

    results = mapped(str, pieces(), threads=2)
    assert next(results) == "0"
    assert taken == [0, 1, 2]


def test_an_error_in_a_piece_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(mapped(lambda piece: 1 // piece, [1, 0, 1], threads=2))
