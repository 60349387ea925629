"""Every feature against a plain recomputation on dense arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from cells import Dense, build, column, portfolio
from feature_oracle import SCORED, WEEKS, Floats, Oracle

from cardwatch.engine import Engine
from cardwatch.features.block import load_block
from cardwatch.features.catalog import CATALOG, NEWCOMER_FEATURES
from cardwatch.features.portfolio import Portfolio


@pytest.fixture(scope="module")
def compared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[dict[str, Floats], dict[str, Floats], Portfolio]]:
    dense = with_peculiar_weeks(portfolio(300))
    with Engine("500MB", 2, tmp_path_factory.mktemp("engine")) as engine:
        table, fitted = build(engine, dense)
        assert table.rows_with_spend + table.rows_absent == 300, "keys are places in the arrays"
        ours = {feature.name: column(engine, feature.name) for feature in CATALOG}
        group = fitted.peers.assign(load_block(engine, WEEKS, fitted.norms, "true"))
    assert len(np.unique(group)) > 3
    number = dense.number.astype(np.float64)
    oracle = Oracle(dense.cents / 100, number, np.array(dense.mccs), group)
    yield ours, oracle.all(), fitted


def with_peculiar_weeks(dense: Dense) -> Dense:
    """Plant a big new purchase, refunds, cash, a return after silence and a new crowd."""
    cents, number = dense.cents.copy(), dense.number.copy()
    place = {mcc: i for i, mcc in enumerate(dense.mccs)}
    for i, mcc, amount, times in [
        (1, 5944, 90_000, 1),
        (2, 5411, -40_000, 3),
        (3, 7995, 60_000, 8),
        (4, 6011, 50_000, 2),
        *((i, 4511, 30_000, 1) for i in range(21, 30)),
        (5, 5814, 150, 25),
    ]:
        cents[i, SCORED, place[mcc]], number[i, SCORED, place[mcc]] = amount, times
    cents[6, 5:12], number[6, 5:12] = 0, 0
    return Dense(cents, number, dense.mccs)


@pytest.mark.parametrize("feature", [feature.name for feature in CATALOG])
def test_a_feature_equals_its_plain_recomputation(
    feature: str, compared: tuple[dict[str, Floats], dict[str, Floats], Portfolio]
) -> None:
    ours, theirs, _ = compared
    np.testing.assert_allclose(ours[feature], theirs[feature], rtol=1e-6, atol=2e-5)
    known = ~np.isnan(ours[feature])
    assert known.sum() > 25
    fewest = 1 if feature in NEWCOMER_FEATURES else 5  # a crowd's members share one value
    assert len(np.unique(ours[feature][known].round(6))) > fewest, (
        "the portfolio says something about it"
    )
