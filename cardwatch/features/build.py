"""From accepted rows to one row per customer and one column per catalogued feature.

What is said of all customers together comes first: the categories' norms (SQL), and how categories
are used, added up over blocks of customers. A bounded sample gives the portfolio's parameters;
formulas then stream over the blocks. The scored week is never part of its own baseline.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from cardwatch.features.rows import LEVEL_FLOOR, USED_CELLS, Ints, Rows
from cardwatch.features.tickets import usual_places_z
from cardwatch.features.use import Use, keep_weeks, measure_use
from cardwatch.features.usual_places import purchases_z
from cardwatch.features.window import Window
from cardwatch.robust import Floats
from cardwatch.sampling import sample_condition
from cardwatch.schema import Checked, FeatureTable

CATEGORY_USERS_NEEDED = 30
TICKET_WEEKS = 6
FEW_CUSTOMERS = 1_000
MANY_NEW = 0.5
"""Share of the week's customers that cannot be new by chance."""
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
    norms = _norms(engine, window, config)
    use = measure_use(engine, window, block_rows)
    keep_weeks(engine, use)
    sample = _sample(engine, window, norms, block_rows)
    portfolio = _fit(engine, window, config, seed, norms, use, sample)
    engine.drop(("fit_cell",))
    columns = _columns(window)
    engine.derive(
        "feature", _feature_types(columns), USED_CELLS, FeatureRows(portfolio, columns), block_rows
    )
    present, absent, new = engine.execute(
        "SELECT count(*) FILTER (WHERE has_rows), count(*) FILTER (WHERE NOT has_rows),"
        " count(*) FILTER (WHERE has_rows AND history_weeks = 0) FROM feature"
    ).fetchone() or (0, 0, 0)
    return (
        FeatureTable(
            week=checked.week,
            columns=columns,
            rows_with_spend=present,
            rows_absent=absent,
            reference_weeks_used=window.available,
            notes=_notes(window, present, new),
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


@dataclass(frozen=True)
class FeatureRows:
    """Makes rows of ``feature`` from all the rows of ``cell`` that some customers have."""

    portfolio: Portfolio
    columns: tuple[str, ...]

    def __call__(self, cells: pa.Table) -> pa.Table:
        """Return a row per customer of `cells`, in the order of customer_key."""
        portfolio = self.portfolio
        block = block_of(Rows.of(cells, portfolio.window.scored + 1), portfolio.norms)
        features, _, group = block_features(block, portfolio)
        arrays: dict[str, pa.Array] = {
            "customer_key": pa.array(block.keys, pa.int32()),
            "has_rows": pa.array(block.has_rows),
            "history_weeks": pa.array(block.scored - block.first_week, pa.int8()),
            "peer_group": pa.array(group, pa.int8()),
        }
        for name in self.columns:
            arrays[name] = pa.array(features[name], pa.float64(), from_pandas=True)
        return pa.table(arrays)


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


def _norms(engine: Engine, window: Window, config: FeatureConfig) -> TicketNorms:
    """Make ``scored_cell`` and, from the customers that fits read, ``category_norm``."""
    engine.run_file(PACKAGE, "scored_cell", scored=window.scored)
    sample = sample_condition(engine.scalar("SELECT count(*) FROM customer"))
    engine.execute(f"CREATE OR REPLACE TEMP TABLE fit_cell AS {USED_CELLS} AND {sample}")
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE seen_category AS SELECT DISTINCT mcc FROM ({USED_CELLS})"
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


def _sample(engine: Engine, window: Window, norms: TicketNorms, block_rows: int) -> Block:
    """Return the customers that fits read as one block."""
    weeks = window.scored + 1
    blocks = engine.by_customers(
        "SELECT * FROM fit_cell", lambda table: block_of(Rows.of(table, weeks), norms), block_rows
    )
    return concatenated(tuple(blocks))


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


def _feature_types(columns: tuple[str, ...]) -> dict[str, str]:
    kinds = {"customer_key": "INTEGER", "has_rows": "BOOLEAN"}
    kinds |= dict.fromkeys(("history_weeks", "peer_group"), "TINYINT")
    return kinds | dict.fromkeys(columns, "DOUBLE")


def _notes(window: Window, present: int, new: int) -> tuple[str, ...]:
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
    if window.has_history and new > MANY_NEW * present:
        notes.append(
            f"{new:,} of {present:,} customers with transactions this week have none in the weeks "
            "before: were their ids written otherwise?"
        )
    if present < FEW_CUSTOMERS:
        who = "1 customer has" if present == 1 else f"{present} customers have"
        notes.append(f"Only {who} transactions this week; with so few, scores are rough")
    return tuple(notes)
