"""Whether a delivery as a whole is fit to be scored: enough of it, and enough of it usable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import exp, log, sqrt
from statistics import median

from cardwatch.config import ContractConfig
from cardwatch.contract.rules import ReasonCode
from cardwatch.contract.tally import Tally
from cardwatch.errors import ContractError
from cardwatch.schema import Delivery

WEEKS_NEEDED = 3
"""Reference weeks with rows before they suggest a volume; also how many of the latest count."""


@dataclass(frozen=True)
class Refusal:
    """Why a delivery is unusable, in an error's terms."""

    code: ReasonCode
    observed: str
    expected: str
    next_step: str

    @property
    def sentence(self) -> str:
        """The refusal as a warning."""
        return f"{self.code.value} Found {self.observed}, expected {self.expected}."


def expected_volume(rows: Sequence[int], ahead: int = 1) -> tuple[float, float] | None:
    """Return the least and the most rows that the weeks before suggest; None where too few do.

    Parameters
    ----------
    rows : sequence of int
        Rows of each reference week, oldest first; 0 where there is none.

    References
    ----------
    Sen (1968), Estimates of the regression coefficient based on Kendall's tau: the trend is the
    median of the slopes between all pairs of weeks, here of log rows, which single odd weeks
    cannot move.

    Examples
    --------
    >>> expected_volume([100, 100, 50, 100])
    (100.0, 100.0)
    """
    points = [(at, log(count)) for at, count in enumerate(rows) if count > 0]
    if len(points) < WEEKS_NEEDED:
        return None
    slope = median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2))
    level = median(y - slope * x for x, y in points)
    trend = exp(level + slope * (len(rows) - 1 + ahead))
    recent = exp(median(y for _, y in points[-WEEKS_NEEDED:]))
    return round(min(trend, recent), 6), round(max(trend, recent), 6)


def refusals(tally: Tally, delivery: Delivery, rules: ContractConfig) -> list[Refusal]:
    """Return every reason why the delivery as a whole is unusable."""
    found = [_empty(tally, delivery), _quarantined(tally, rules), _volume(tally, rules)]
    return [refusal for refusal in found if refusal]


def refuse_unusable(found: Sequence[Refusal], delivery: Delivery, rules: ContractConfig) -> None:
    """Stop the run for the first refusal, unless the configuration only wants to be warned.

    Raises
    ------
    ContractError
        With the counts, what was expected, and what can be done.
    """
    if found and rules.on_unusable == "stop":
        first = found[0]
        if first.code is ReasonCode.EMPTY_WEEK:  # the volume of an empty week says nothing more
            found = [each for each in found if each.code is not ReasonCode.VOLUME_OUTSIDE_RANGE]
        wanted = found[:1] if first.code is ReasonCode.EMPTY_WEEK else found
        raise ContractError(
            f"{first.code.name}: {first.code.value.rstrip('.')}",
            where=f"week {delivery.week.label} of {delivery.origin}",
            observed="; ".join(refusal.observed for refusal in found),
            expected="; ".join(refusal.expected for refusal in wanted),
            next_step=first.next_step,
        )


def _empty(tally: Tally, delivery: Delivery) -> Refusal | None:
    if tally.rows_accepted[-1]:
        return None
    return Refusal(
        ReasonCode.EMPTY_WEEK,
        f"0 usable of {tally.rows_in_week:,} delivered rows",
        f"rows for {delivery.week.dates}",
        (
            "Mend the delivery"
            if tally.rows_in_week
            else "`cardwatch weeks` lists the weeks there are"
        )
        + _or_warn(),
    )


def _quarantined(tally: Tally, rules: ContractConfig) -> Refusal | None:
    limit = rules.max_quarantined_share
    places = (
        ("the window", sum(tally.rows_refused), sum(tally.volumes)),
        ("the scored week", tally.rows_refused[-1], tally.volumes[-1]),
    )
    for place, refused, rows in places:
        if rows and refused / rows > limit:
            worst = ", ".join(f"{code} {count:,}" for code, count in tally.worst(3))
            share = f"{refused / rows:.1%}"
            return Refusal(
                ReasonCode.TOO_MUCH_QUARANTINED,
                f"{refused:,} of {rows:,} rows of {place} set aside ({share}; {worst})",
                f"at most {limit:.1%}",
                "Mend the delivery, or raise contract.max_quarantined_share" + _or_warn(),
            )
    return None


def _volume(tally: Tally, rules: ContractConfig) -> Refusal | None:
    expected = expected_volume(tally.volumes[:-1])
    rows = tally.volumes[-1]
    if expected is None or not rows:
        return None
    factor = 1 + rules.volume_tolerance
    low, high = expected[0] / factor, expected[1] * factor
    # In a portfolio of a few customers the Poisson error of a count is wider than any tolerance.
    low, high = low - sqrt(low), high + sqrt(high)
    if low <= rows <= high:
        return None
    return Refusal(
        ReasonCode.VOLUME_OUTSIDE_RANGE,
        f"{rows:,} rows in the scored week",
        f"{max(low, 0):,.0f} to {high:,.0f} from the weeks before",
        "Look whether the whole week has arrived, once; contract.volume_tolerance widens the range"
        + _or_warn(),
    )


def _or_warn() -> str:
    return ", or contract.on_unusable: warn goes on regardless"
