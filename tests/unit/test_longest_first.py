from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from longest_first import longest_first


class Named:
    """What is asked of a test that is collected."""

    def __init__(self, name: str, seconds: int = 0, module: Named | None = None) -> None:
        self.name = name
        self.seconds = seconds
        self.module = module

    def iter_markers_with_node(self, name: str) -> Iterator[tuple[Named, pytest.Mark]]:
        if self.seconds:
            yield self, getattr(pytest.mark, name)(self.seconds).mark
        if self.module:
            yield from self.module.iter_markers_with_node(name)


def names(tests: list[Named], workers: int) -> str:
    ordered = longest_first(cast("list[pytest.Item]", tests), workers)
    return "".join(item.name for item in ordered)


def test_the_longest_are_dealt_out_and_the_others_keep_their_order() -> None:
    tests = [*map(Named, "abcdefghij"), Named("K", 60), Named("L", 90), Named("M", 20)]
    assert names(tests, 2) == "Labcde" + "KMfghij"
    assert names(tests, 1) == "LKM" + "abcdefghij"
    assert names(tests, 3) == "Labc" + "Kdef" + "Mghij"


def test_tests_of_a_module_that_says_so_stay_together() -> None:
    module = Named("", 100)
    tests = [Named("a"), Named("X", 0, module), Named("b"), Named("Y", 0, module), Named("Z", 50)]
    assert names(tests, 2) == "XY" + "Zab"


def test_a_share_of_long_ones_alone_loses_none() -> None:
    tests = [Named("a"), *(Named(name, 10) for name in "KLMN"), Named("b")]
    assert sorted(names(tests, 4)) == sorted("aKLMNb")
