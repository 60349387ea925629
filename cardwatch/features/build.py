"""From accepted rows to one row per customer and one column per catalogued feature.

SQL reduces the rows to weekly totals, profiles and category norms (the ``.sql`` files of this
folder); a bounded sample gives the portfolio's parameters; row-wise formulas then stream over
blocks of customers. The scored week is never part of its own baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from cardwatch.config import FeatureConfig
from cardwatch.engine import Engine
from cardwatch.errors import ModelError
from cardwatch.features.block import Block, Ints, load_block
from cardwatch.features.catalog import CATALOG, HISTORY_FAMILIES, NEWCOMER_FEATURES
from cardwatch.features.categories import read_categories
from cardwatch.features.cell_terms import (
    CellView,
    cell_terms,
    customer_level,
    novelty_and_ticket,
    summed_terms,
    view_cells,
)
from cardwatch.features.customer_terms import own_history_and_growth, peer_group
from cardwatch.features.event_terms import events
from cardwatch.features.peers import fit_peers
from cardwatch.features.portfolio import (
    Portfolio,
    Window,
    fit_own,
)
from cardwatch.features.tickets import usual_places_z
from cardwatch.parallel import mapped
from cardwatch.robust import Floats
from cardwatch.sampling import sample_condition
from cardwatch.schema import Checked, FeatureTable

LEVEL_FLOOR = 20.0
"""Added to the usual weekly spend (currency units), so that nobody is divided by nothing."""
HEAVY_SHARE = 0.4
CATEGORY_USERS_NEEDED = 30
TICKET_WEEKS = 6
FEW_CUSTOMERS = 1_000
BLOCK_ROWS = 32_768
"""Customers computed at once by each thread."""
IN_SAMPLE = "customer_key IN (SELECT customer_key FROM fit_customer)"
PACKAGE = "cardwatch.features"


def build_features(
    checked: Checked,
    config: FeatureConfig,
    engine: Engine,
    seed: int,
    block_rows: int = BLOCK_ROWS,
) -> tuple[FeatureTable, Portfolio]:
    """Make the engine's table ``feature`` from ``customer`` and ``cell``.

    Parameters
    ----------
    seed : int
        Start of the k-means that finds the peer groups.
    block_rows : int
        Customers computed at once by each thread; bounds memory and changes no result.

    Returns
    -------
    FeatureTable, Portfolio
        What was built, and the fitted parameters (to explain customers with later).

    Raises
    ------
    ModelError
        If no customer has a transaction in the window.
    """
    window = _window(checked, engine)
    _reduce(engine, window, config.risky_mccs)
    portfolio = _fit(engine, window, config, seed)
    columns = _columns(window)
    _write(engine, portfolio, columns, block_rows)
    present, absent = engine.execute(
        "SELECT count(*) FILTER (WHERE has_rows), count(*) FILTER (WHERE NOT has_rows) FROM feature"
    ).fetchone() or (0, 0)
    return (
        FeatureTable(
            week=checked.week,
            columns=columns,
            rows_with_spend=present,
            rows_absent=absent,
            reference_weeks_used=window.available,
            notes=_notes(window, present),
        ),
        portfolio,
    )


def block_features(block: Block, portfolio: Portfolio) -> tuple[dict[str, Floats], CellView, Ints]:
    """Return every feature of a block, with the cell view and peer groups it rests on."""
    group = portfolio.peers.assign(block)
    level = customer_level(block, portfolio, group, LEVEL_FLOOR)
    view = view_cells(block, portfolio, group, level)
    terms = cell_terms(block, view, portfolio.categories, portfolio.window)
    novelty = novelty_and_ticket(
        block, view, terms, summed_terms(block, view, portfolio.categories)
    )
    features = {
        **own_history_and_growth(
            block,
            portfolio,
            np.nan_to_num(novelty["new_share"]),
            usual_places_z(block.cells, view.own, block.rows),
        ),
        **peer_group(block, portfolio.peers, group),
        **novelty,
        **events(block, portfolio, level),
    }
    return features, view, group


def _window(checked: Checked, engine: Engine) -> Window:
    scored = len(checked.reference_weeks)
    found = engine.execute(
        "SELECT DISTINCT week_index FROM cell WHERE transaction_count > 0 ORDER BY week_index"
    ).fetchall()
    if not found:
        raise ModelError(
            "No customer has a transaction in the window",
            where=f"week {checked.week.label}",
            next_step="`cardwatch weeks` shows what the source holds",
        )
    return Window(weeks=tuple(week for (week,) in found if week < scored), scored=scored)


def _reduce(engine: Engine, window: Window, risky: Sequence[str]) -> None:
    _tell_engine(engine, window, risky)
    customers = engine.scalar("SELECT count(*) FROM customer")
    engine.execute(
        "CREATE OR REPLACE TABLE fit_customer AS SELECT customer_key FROM customer "
        f"WHERE {sample_condition(customers)} ORDER BY customer_key"
    )
    norm_weeks = window.weeks[-TICKET_WEEKS:] or (window.scored,)
    settings: dict[str, object] = {
        "scored": window.scored,
        "first": norm_weeks[0],
        "last": norm_weeks[-1],
        "users_needed": CATEGORY_USERS_NEEDED,
        "floor_cents": int(LEVEL_FLOOR * 100),
        "heavy_share": HEAVY_SHARE,
    }
    for name in (
        "category_norm",
        "customer_week",
        "customer_activity",
        "customer_category",
        "category_use",
        "category_newcomers",
        "scored_cell",
    ):
        engine.run_file(PACKAGE, name, **settings)


def _tell_engine(engine: Engine, window: Window, risky: Sequence[str]) -> None:
    engine.create("risky_category", {"mcc": "SMALLINT"})
    mccs = sorted({int(code) for code in risky})
    engine.append("risky_category", pa.table({"mcc": pa.array(mccs, pa.int16())}))
    weeks = window.newcomer_weeks
    engine.create("newcomer_week", {"week_index": "TINYINT", "bit": "BIGINT", "lookback": "BIGINT"})
    engine.append(
        "newcomer_week",
        pa.table(
            {
                "week_index": weeks,
                "bit": [1 << week for week in weeks],
                "lookback": [
                    sum(1 << back for back in range(max(week - window.lookback, 0), week))
                    for week in weeks
                ],
            }
        ),
    )


def _fit(engine: Engine, window: Window, config: FeatureConfig, seed: int) -> Portfolio:
    sample = load_block(engine, window.scored + 1, IN_SAMPLE)
    peers, group = fit_peers(sample, config.peer_groups, seed)
    categories = read_categories(engine, sample, group, len(peers.centroids), window.newcomer_weeks)
    return Portfolio(
        window=window,
        own=fit_own(sample, window),
        peers=peers,
        categories=categories,
        risky=frozenset(int(code) for code in config.risky_mccs),
    )


def _columns(window: Window) -> tuple[str, ...]:
    return tuple(
        feature.name
        for feature in CATALOG
        if window.has_history
        or (feature.family not in HISTORY_FAMILIES and feature.name not in NEWCOMER_FEATURES)
    )


def _write(engine: Engine, portfolio: Portfolio, columns: tuple[str, ...], block_rows: int) -> None:
    kinds = {"customer_key": "INTEGER", "has_rows": "BOOLEAN"}
    kinds |= dict.fromkeys(("history_weeks", "peer_group"), "TINYINT")
    engine.create("feature", kinds | dict.fromkeys(columns, "DOUBLE"))
    blocks = _blocks(engine, portfolio.window.scored + 1, block_rows)
    for rows in mapped(lambda block: _as_arrow(block, portfolio, columns), blocks, engine.threads):
        engine.append("feature", rows)


def _blocks(engine: Engine, weeks: int, block_rows: int) -> Iterator[Block]:
    last = engine.scalar("SELECT max(customer_key) FROM customer_activity")
    for low in range(0, last + 1, block_rows):
        block = load_block(
            engine,
            weeks,
            "customer_key >= $low AND customer_key < $high",
            low=low,
            high=low + block_rows,
        )
        if block.rows:
            yield block


def _as_arrow(block: Block, portfolio: Portfolio, columns: tuple[str, ...]) -> pa.Table:
    features, _, group = block_features(block, portfolio)
    arrays: dict[str, pa.Array] = {
        "customer_key": pa.array(block.keys, pa.int32()),
        "has_rows": pa.array(block.has_rows),
        "history_weeks": pa.array(block.scored - block.first_week, pa.int8()),
        "peer_group": pa.array(group, pa.int8()),
    }
    for name in columns:
        arrays[name] = pa.array(features[name], pa.float64(), from_pandas=True)
    return pa.table(arrays)


def _notes(window: Window, present: int) -> tuple[str, ...]:
    notes = []
    if not window.has_history:
        few = {0: "No reference week holds data", 1: "Only 1 reference week holds data"}
        held = few.get(window.available, f"Only {window.available} reference weeks hold data")
        notes.append(
            f"{held}: customers are compared with their peers and the merchant categories, "
            "not with their own past"
        )
    elif window.available < window.scored:
        notes.append(
            f"{window.available} of {window.scored} reference weeks hold data; "
            "own history rests on fewer weeks than asked for"
        )
    if present < FEW_CUSTOMERS:
        who = "1 customer has" if present == 1 else f"{present} customers have"
        notes.append(f"Only {who} transactions this week; with so few, scores are rough")
    return tuple(notes)
