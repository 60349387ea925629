from __future__ import annotations

from dataclasses import replace

import pytest

from cardwatch.errors import ConfigurationError
from cardwatch.room import MEGABYTE, Room, check_room

ROWS = 13_600_000
AMPLE = Room(800 * MEGABYTE, 50_000 * MEGABYTE, 8_000 * MEGABYTE, "/spill")


def test_an_ample_machine_is_told_nothing() -> None:
    assert list(check_room(AMPLE, ROWS)) == []


def test_a_small_portfolio_runs_in_little() -> None:
    assert list(check_room(replace(AMPLE, memory_limit=20 * MEGABYTE), 50_000)) == []


@pytest.mark.parametrize(
    ("change", "rows", "message"),
    [
        ({"memory_limit": 20 * MEGABYTE}, 900_000, "found 20 MB, expected at least 100 MB"),
        ({"memory_limit": 50 * MEGABYTE}, ROWS, "for 13,600,000 rows"),
        ({"free_disk": 200 * MEGABYTE}, ROWS, "found 200 MB free, expected about 544 MB"),
    ],
)
def test_what_cannot_end_is_refused_with_figures(
    change: dict[str, int], rows: int, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        list(check_room(replace(AMPLE, **change), rows))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"memory_limit": 80 * MEGABYTE}, "engine.memory_limit is 80 MB"),
        ({"free_disk": 400 * MEGABYTE}, "a run needs up to 544 MB"),
        ({"available_memory": 1_000 * MEGABYTE}, "a run may take 1,341 MB"),
    ],
)
def test_what_may_not_end_is_said(change: dict[str, int], sentence: str) -> None:
    [found] = check_room(replace(AMPLE, **change), ROWS)  # type: ignore[arg-type]
    assert sentence in found


def test_three_million_customers_are_promised_two_gigabytes_with_the_usual_limit() -> None:
    room = replace(AMPLE, memory_limit=800 * MEGABYTE)
    assert list(check_room(replace(room, available_memory=2_000 * MEGABYTE), 136_517_191)) == []
    [found] = check_room(replace(room, available_memory=1_500 * MEGABYTE), 136_517_191)
    assert "1,710 MB" in found
