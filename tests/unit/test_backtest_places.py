"""Places of planted customers, with and without the cap of a peer group."""

from __future__ import annotations

import pytest
from cells import name

from cardwatch.backtesting.places import OPEN, Place, places
from cardwatch.engine import Engine


@pytest.fixture
def ranked(engine: Engine) -> Engine:
    """Twelve customers by rank: 1 to 6 of peer group 0, 7 to 12 of group 1; 2 is snoozed."""
    engine.execute("CREATE TABLE ranked AS SELECT range AS customer_key, range AS anomaly_rank "
                   "FROM range(1, 13)")  # fmt: skip
    engine.execute("CREATE TABLE feature AS SELECT range AS customer_key, "
                   "CAST(range > 6 AS INTEGER) AS peer_group FROM range(1, 13)")  # fmt: skip
    ids = ", ".join(f"({key}, '{name(key)}')" for key in range(1, 13))
    engine.execute(f"CREATE TABLE customer AS FROM (VALUES {ids}) AS t(customer_key, customer_id)")
    engine.execute("CREATE VIEW kept_off AS SELECT 2 AS customer_key")
    return engine


def found(engine: Engine, keys: tuple[int, ...], cap: int | None, alone: bool) -> list[Place]:
    got = places(engine, [name(key) for key in keys], cap, alone=alone)
    return [got[name(key)] for key in keys if name(key) in got]


def test_whoever_is_kept_off_has_no_place_and_takes_none(ranked: Engine) -> None:
    assert found(ranked, (2,), None, alone=True) == []
    assert found(ranked, (1, 3), None, alone=False) == [Place(1, 1), Place(2, 2)]
    assert ranked.scalar(f"SELECT count(*) FROM ({OPEN})") == 11


def test_alone_the_others_asked_for_take_no_place(ranked: Engine) -> None:
    assert found(ranked, (1, 3, 4), None, alone=True) == [Place(1, 1)] * 3


def test_a_full_group_has_no_place_on_the_list_and_its_rank_stays(ranked: Engine) -> None:
    assert found(ranked, (4, 5, 7), 3, alone=False) == [Place(3, 3), Place(4, None), Place(6, 4)]


def test_others_asked_for_do_not_fill_the_group(ranked: Engine) -> None:
    assert found(ranked, (1, 3, 5, 6), 2, alone=True) == [
        Place(1, 1), Place(1, 1), Place(2, 2), Place(2, 2)
    ]  # fmt: skip
