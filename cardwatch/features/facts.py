"""What can be said about single customers: the numbers behind their features, in currency units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cardwatch.engine import Engine
from cardwatch.features.block import Block, Bools, load_block
from cardwatch.features.build import block_features
from cardwatch.features.cell_terms import (
    CELL_FEATURES,
    CellView,
    cell_terms,
    newcomer_cells,
    summed_terms,
)
from cardwatch.features.event_terms import gap_weeks, refunds, risky_spend
from cardwatch.features.peers import MEASURES
from cardwatch.features.portfolio import Portfolio
from cardwatch.features.rows import CENTS, Ints
from cardwatch.features.tickets import own_tilt
from cardwatch.robust import Floats, median_rows
from cardwatch.schema import CategoryFacts, CustomerFacts

_LOGARITHMIC = ("spend", "count", "ticket", "categories")


@dataclass(frozen=True)
class _Sheet:
    """Everything about a block's customers, computed once for all of them.

    `drivers` holds the deciding cell of each customer, -1 where there is none; `refunds` and
    `risky` this week's amounts and the usual ones; `newcomer` marks cells.
    """

    block: Block
    portfolio: Portfolio
    features: dict[str, Floats]
    view: CellView
    group: Ints
    drivers: dict[str, Ints]
    usual: dict[str, Floats]
    refunds: tuple[Floats, Floats]
    risky: tuple[Floats, Floats]
    silent: Ints
    tilt: Floats
    newcomer: Bools


def customer_facts(
    engine: Engine, portfolio: Portfolio, keys: Sequence[int]
) -> dict[int, CustomerFacts]:
    """Return the facts of the customers with these keys; unknown keys are left out."""
    block = load_block(
        engine,
        portfolio.window.scored + 1,
        portfolio.norms,
        "customer_key IN (SELECT unnest($keys))",
        keys=sorted(keys),
    )
    sheet = _sheet(block, portfolio)
    return {int(key): _one(i, sheet) for i, key in enumerate(block.keys)}


def _sheet(block: Block, portfolio: Portfolio) -> _Sheet:
    features, view, group = block_features(block, portfolio)
    return _Sheet(
        block=block,
        portfolio=portfolio,
        features=features,
        view=view,
        group=group,
        drivers=_drivers(block, view, portfolio),
        usual=_usual(block, portfolio),
        refunds=refunds(block),
        risky=risky_spend(block),
        silent=gap_weeks(block, portfolio.window) + ~block.has_rows,
        tilt=own_tilt(block),
        newcomer=newcomer_cells(block, portfolio.window)[0],
    )


def _one(i: int, sheet: _Sheet) -> CustomerFacts:
    block = sheet.block
    return CustomerFacts(
        customer_key=int(block.keys[i]),
        weekly_spend=tuple(_number(value) for value in block.spend[i]),
        weekly_count=tuple(None if np.isnan(n) else int(n) for n in block.count[i]),
        usual_spend=_number(sheet.usual["spend"][i]),
        usual_count=_number(sheet.usual["count"][i]),
        usual_ticket=_number(sheet.usual["ticket"][i]),
        peer_group=int(sheet.group[i]),
        peers=_peers(sheet.portfolio, int(sheet.group[i])),
        level=float(sheet.view.level[i]),
        history_weeks=int(block.scored - block.first_week[i]),
        active_weeks=int(block.active_weeks[i]),
        gap_weeks=int(sheet.silent[i]),
        refunds=float(sheet.refunds[0][i]),
        usual_refunds=float(sheet.refunds[1][i]),
        risky=float(sheet.risky[0][i]),
        usual_risky=float(sheet.risky[1][i]),
        categories=_categories(i, sheet),
        features={name: _number(values[i]) for name, values in sheet.features.items()},
        drivers={
            name: f"{block.cells.mcc[cell[i]]:04d}"
            for name, cell in sheet.drivers.items()
            if cell[i] >= 0
        },
    )


def _categories(i: int, sheet: _Sheet) -> tuple[CategoryFacts, ...]:
    block, view, norms = sheet.block, sheet.view, sheet.portfolio.categories
    cells, own = block.cells, _rows_of(block.profile.row, i)
    paid = dict(zip(block.profile.mcc[own], block.profile.paid[own], strict=True))
    did = dict(zip(block.profile.mcc[own], block.profile.count[own], strict=True))
    all_paid, all_done = max(sum(paid.values()), CENTS), max(sum(did.values()), 1)
    weeks = max(int(block.active_weeks[i]), 1)
    found = []
    for cell in range(*_rows_of(cells.row, i).indices(len(cells.row))):
        c, mcc = view.category[cell], cells.mcc[cell]
        found.append(
            CategoryFacts(
                mcc=f"{mcc:04d}",
                spend=round(float(cells.spend[cell]), 2),
                transaction_count=int(cells.count[cell]),
                usual_spend=float(paid.get(mcc, 0.0)) / weeks,
                usual_spend_share=float(paid.get(mcc, 0.0) / all_paid),
                usual_count_share=float(did.get(mcc, 0.0) / all_done),
                is_new=bool(view.is_new[cell]),
                usual_ticket=float(np.exp(norms.log_ticket[c] + sheet.tilt[i])),
                users_share=float(norms.users_share[c]),
                others_new=max(int(norms.newcomers[c]) - int(sheet.newcomer[cell]), 0),
                others_new_usual=float(norms.newcomers_usual[c]),
            )
        )
    return tuple(sorted(found, key=lambda facts: (-facts.spend, facts.mcc)))


def _rows_of(row: Ints, i: int) -> slice:
    return slice(int(np.searchsorted(row, i)), int(np.searchsorted(row, i, side="right")))


def _usual(block: Block, portfolio: Portfolio) -> dict[str, Floats]:
    history = slice(0, block.scored)
    weeks = portfolio.window.baseline if portfolio.window.has_history else history
    ticket = block.spend / block.count
    values = {"spend": block.spend, "count": block.count, "ticket": ticket}
    return {name: median_rows(value[:, weeks]) for name, value in values.items()}


def _peers(portfolio: Portfolio, group: int) -> dict[str, float]:
    centre = portfolio.peers.centre[group]
    return {
        name: float(np.expm1(value)) if name in _LOGARITHMIC else float(value)
        for name, value in zip(MEASURES, centre, strict=True)
    }


def _drivers(block: Block, view: CellView, portfolio: Portfolio) -> dict[str, Ints]:
    """Per feature, the cell that decided it for each customer; -1 where there is none."""
    terms = {
        name: term
        for name, term in cell_terms(block, view, portfolio.categories, portfolio.window).items()
        if name in CELL_FEATURES
    }
    terms["mix_spend"] = view.spend_share * np.log(
        np.maximum(view.spend_share, 1e-12) / view.expected_share
    )
    terms["mix_count"] = view.count_share * np.log(view.count_share / view.expected_share)
    terms |= summed_terms(block, view, portfolio.categories)
    return {name: _largest(block, term) for name, term in terms.items()}


def _largest(block: Block, term: Floats) -> Ints:
    best = np.full(block.rows, -1, dtype=np.int64)
    for cell in np.lexsort((-block.cells.mcc, term)):
        best[block.cells.row[cell]] = cell
    return best


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
