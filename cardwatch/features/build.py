"""From accepted rows to one row per customer and one column per catalogued feature.

What is said of all customers together comes first: the categories' norms (SQL), and how categories
are used, added up over blocks of customers. A bounded sample gives the portfolio's parameters;
formulas then stream over the blocks. The scored week is never part of its own baseline.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from cardwatch.config import FeatureConfig
from cardwatch.engine import Engine
from cardwatch.errors import ModelError
from cardwatch.features.block import Block, block_of, concatenated
from cardwatch.features.catalog import CATALOG, HISTORY_FAMILIES, NEWCOMER_FEATURES
from cardwatch.features.categories import fit_categories
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
from cardwatch.features.norms import TicketNorms, read_norms
from cardwatch.features.peers import fit_peers
from cardwatch.features.portfolio import Portfolio, fit_own
from cardwatch.features.rows import LEVEL_FLOOR, Ints, Rows, select_rows
from cardwatch.features.tickets import usual_places_z
from cardwatch.features.use import Use, keep_weeks, measure_use
from cardwatch.features.usual_places import purchases_z
from cardwatch.features.window import Window
from cardwatch.parallel import mapped
from cardwatch.robust import Floats
from cardwatch.sampling import sample_condition
from cardwatch.schema import Checked, FeatureTable

CATEGORY_USERS_NEEDED = 30
TICKET_WEEKS = 6
FEW_CUSTOMERS = 1_000
BLOCK_ROWS = 8_192
"""Customers computed at once by each thread."""
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
    sample = sample_condition(engine.scalar("SELECT count(*) FROM customer"))
    norms = _norms(engine, window, config, sample)
    use = measure_use(_tables(engine, block_rows), window, engine.threads)
    keep_weeks(engine, use)
    weeks = window.scored + 1
    parts = mapped(
        lambda table: block_of(Rows.of(table, weeks), norms),
        _tables(engine, block_rows, sample),
        engine.threads,
    )
    portfolio = _fit(engine, window, config, seed, norms, use, concatenated(tuple(parts)))
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
            purchases_z(block),
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


def _norms(engine: Engine, window: Window, config: FeatureConfig, sample: str) -> TicketNorms:
    """Make ``scored_cell`` and, from the customers that satisfy `sample`, ``category_norm``."""
    engine.run_file(PACKAGE, "scored_cell", scored=window.scored)
    engine.execute(
        "CREATE OR REPLACE TABLE fit_customer AS SELECT customer_key FROM customer "
        f"WHERE {sample} ORDER BY customer_key"
    )
    norm_weeks = window.weeks[-TICKET_WEEKS:] or (window.scored,)
    engine.run_file(
        PACKAGE,
        "category_norm",
        first=norm_weeks[0],
        last=norm_weeks[-1],
        users_needed=CATEGORY_USERS_NEEDED,
    )
    return read_norms(engine, [int(code) for code in config.risky_mccs])


def _tables(engine: Engine, block_rows: int, sample: str = "true") -> Iterator[pa.Table]:
    """Yield the rows of all customers, or of those in a sample, a range of customers at a time."""
    customers = engine.scalar("SELECT count(*) FROM customer")
    chosen = engine.scalar(f"SELECT count(*) FROM customer WHERE {sample}")
    step = block_rows * max(customers // max(chosen, 1), 1)
    where = f"customer_key >= $low AND customer_key < $high AND {sample}"
    for low in range(0, customers, step):
        table = select_rows(engine, where, low=low, high=low + step)
        if table.num_rows:
            yield table


def _fit(
    engine: Engine,
    window: Window,
    config: FeatureConfig,
    seed: int,
    norms: TicketNorms,
    use: Use,
    sample: Block,
) -> Portfolio:
    peers, group = fit_peers(sample, config.peer_groups, seed)
    return Portfolio(
        window=window,
        own=fit_own(sample, window),
        peers=peers,
        categories=fit_categories(engine, norms, use, sample, group, len(peers.centroids)),
        norms=norms,
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
    tables = _tables(engine, block_rows)
    for made in mapped(lambda table: _as_arrow(table, portfolio, columns), tables, engine.threads):
        engine.append("feature", made)


def _as_arrow(table: pa.Table, portfolio: Portfolio, columns: tuple[str, ...]) -> pa.Table:
    block = block_of(Rows.of(table, portfolio.window.scored + 1), portfolio.norms)
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
