"""What one purchase usually costs in each merchant category, ready to be looked up by code."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardwatch.engine import Engine
from cardwatch.features.rows import CODES, Ints
from cardwatch.robust import Floats


@dataclass(frozen=True)
class TicketNorms:
    """Per merchant category code, shape (`CODES`,); NaN where the window has no transaction.

    `log_ticket` and `log_ticket_spread`: median and scaled median absolute deviation of ln(spend
    per transaction); `is_risky` marks the watched categories.
    """

    log_ticket: Floats
    log_ticket_spread: Floats
    is_risky: npt.NDArray[np.bool_]

    @property
    def mccs(self) -> Ints:
        """The codes with a norm, ascending."""
        return np.flatnonzero(~np.isnan(self.log_ticket))

    @classmethod
    def of(
        cls, mccs: Ints, log_ticket: Floats, log_ticket_spread: Floats, risky: Collection[int]
    ) -> TicketNorms:
        """Spread values per entry of `mccs` over all codes."""
        norms = cls(np.full(CODES, np.nan), np.full(CODES, np.nan), np.zeros(CODES, dtype=np.bool_))
        norms.log_ticket[mccs], norms.log_ticket_spread[mccs] = log_ticket, log_ticket_spread
        norms.is_risky[list(risky)] = True
        return norms


def read_norms(engine: Engine, risky: Collection[int]) -> TicketNorms:
    """Return the norms of the engine's table ``category_norm``."""
    table = engine.arrow("SELECT mcc, log_ticket, log_ticket_spread FROM category_norm")
    mcc, middle, spread = (column.to_numpy() for column in table.columns)
    return TicketNorms.of(mcc.astype(np.int64), middle, spread, risky)
