from __future__ import annotations

import pytest

from cardwatch.time_left import Pace

PACE = Pace({"read": 1.0, "contract": 10.0, "features": 20.0, "detect": 2.0})


@pytest.mark.parametrize(
    ("done", "step", "spent", "left"),
    [
        ({}, "read", 0.0, 33.0),
        ({}, "read", 0.4, 32.6),
        ({"read": 3.0}, "contract", 0.0, 96.0),  # three times as slow, or as many rows
        ({"read": 1.0, "contract": 5.0}, "features", 6.0, (20 * 6 / 11 - 6) + 2 * 6 / 11),
        ({"read": 1.0, "contract": 10.0}, "features", 50.0, 2.0),  # overdue: what comes after it
        ({"read": 1.0, "contract": 1e6}, "detect", 0.0, 20.0),  # ten times at the most
        ({"read": 1.0}, "publish", 3.0, 0.0),
        ({"read": 1.0}, "explain", 0.0, None),
    ],
)
def test_what_is_left_is_what_the_steps_to_come_took_at_this_runs_pace(
    done: dict[str, float], step: str, spent: float, left: float | None
) -> None:
    assert PACE.left(done, step, spent) == (None if left is None else pytest.approx(left))


def test_a_finished_step_too_short_to_tell_anything_scales_nothing() -> None:
    pace = Pace({"read": 0.05, "contract": 10.0})
    assert pace.left({"read": 0.5}, "contract", 0.0) == pytest.approx(10.0)


def test_nothing_is_told_where_nothing_was_timed() -> None:
    assert Pace.of([], ["read"]) is None
