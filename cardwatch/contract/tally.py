"""Counts what was delivered, accepted and set aside, and checks that nothing was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cardwatch.contract.rules import ORDER, RULES, ReasonCode
from cardwatch.contract.window import Window
from cardwatch.engine import Engine
from cardwatch.errors import CardwatchError
from cardwatch.schema import Coverage, Delivery, QuarantineCount

_FOLDED = ReasonCode.DUPLICATE_COPY.name
_UNSCORED = """
SELECT reason, count(*) AS customers
FROM (
    SELECT s.customer_id, arg_min(s.reason, list_position($order, s.reason)) AS reason
    FROM set_aside AS s
    INNER JOIN delivered_customer AS d ON d.customer_id = s.customer_id
    WHERE
        trim(s.customer_id) <> ''
        AND s.customer_id NOT IN (SELECT customer_id FROM customer)
    GROUP BY s.customer_id
) AS lost
GROUP BY reason
"""


@dataclass(frozen=True)
class Tally:
    """The counts of one check.

    Attributes
    ----------
    volumes, rows_accepted, rows_refused : tuple of int
        Delivered rows per week of the window: all but folded copies, accepted, and set aside for
        another reason than being a copy.
    rows_in_week : int
        Delivered rows of the scored week.
    findings : tuple of QuarantineCount
        What each rule on rows set aside or remarked on, in the order of the rules.
    """

    coverage: Coverage
    volumes: tuple[int, ...]
    rows_accepted: tuple[int, ...]
    rows_refused: tuple[int, ...]
    rows_in_week: int
    findings: tuple[QuarantineCount, ...]

    def __add__(self, other: Tally) -> Tally:
        """Return the counts of two checks that have no customer in common."""
        coverage = self.coverage + other.coverage
        unscored = coverage.customers_unscored
        return Tally(
            replace(coverage, customers_unscored={c: unscored[c] for c in ORDER if c in unscored}),
            _sums(self.volumes, other.volumes),
            _sums(self.rows_accepted, other.rows_accepted),
            _sums(self.rows_refused, other.rows_refused),
            self.rows_in_week + other.rows_in_week,
            _added(self.findings, other.findings),
        )

    def worst(self, count: int) -> Sequence[tuple[str, int]]:
        """Return the codes that set most rows aside, copies left out."""
        causes = [
            (found.reason, found.rows)
            for found in self.findings
            if RULES[ReasonCode[found.reason]].severity == "error"
        ]
        return sorted(causes, key=lambda cause: (-cause[1], cause[0]))[:count]


def finding(code: ReasonCode, rows: int, customers: int) -> QuarantineCount:
    """Return what one rule found, in the words that every output uses."""
    return QuarantineCount(code.name, code.value, str(RULES[code].action), rows, customers)


def count(engine: Engine, delivery: Delivery, customers: int) -> Tally:
    """Count ``rolled_up`` and ``set_aside`` and check both identities.

    Parameters
    ----------
    customers : int
        How many have an accepted row.

    Raises
    ------
    CardwatchError
        If a delivered row or customer is neither accepted nor set aside: a fault of this program.
    """
    window = Window.of(delivery)
    accepted, cells = _accepted(engine, delivery, window)
    aside = _aside_by_week(engine, window)
    refused = [sum(n for code, n in week.items() if code != _FOLDED) for week in aside]
    coverage = _coverage(engine, accepted, cells, aside)
    check_counts(coverage, customers)
    return Tally(
        coverage=coverage,
        volumes=tuple(a + r for a, r in zip(accepted, refused, strict=True)),
        rows_accepted=tuple(accepted),
        rows_refused=tuple(refused),
        rows_in_week=accepted[-1] + sum(aside[-1].values()),
        findings=_findings(engine),
    )


def _accepted(engine: Engine, delivery: Delivery, window: Window) -> tuple[list[int], int]:
    """Return accepted delivered rows per week, and the number of cells they make."""
    counted = "count(*)" if delivery.shape == "weekly" else "sum(transaction_count)"
    rows = [0] * len(window.weeks)
    cells = 0
    for week, delivered, cell_count in engine.execute(
        f"SELECT week_index, {counted}, count(*) FROM rolled_up GROUP BY week_index"
    ).fetchall():
        rows[week] = int(delivered)
        cells += cell_count
    return rows, cells


def _aside_by_week(engine: Engine, window: Window) -> list[dict[str, int]]:
    """Return rows set aside per week and code; those of no week count with the scored one."""
    weeks: list[dict[str, int]] = [{} for _ in window.weeks]
    for week, reason, rows in engine.execute(
        "SELECT coalesce(week_index, $scored), reason, sum(row_copies) FROM set_aside GROUP BY ALL",
        scored=window.scored,
    ).fetchall():
        weeks[week][reason] = int(rows)
    return weeks


def _coverage(
    engine: Engine, accepted: Sequence[int], cells: int, aside: Sequence[Mapping[str, int]]
) -> Coverage:
    unscored = dict(engine.execute(_UNSCORED, order=list(ORDER)).fetchall())
    customers_in = "SELECT count(*) FROM delivered_customer WHERE trim(customer_id) <> ''"
    return Coverage(
        rows_in=engine.scalar("SELECT coalesce(sum(rows_in), 0)::BIGINT FROM delivered_customer"),
        rows_accepted=sum(accepted),
        rows_quarantined=sum(sum(week.values()) for week in aside),
        rows_scored_week=accepted[-1],
        cells=cells,
        customers_in=engine.scalar(customers_in),
        customers_unscored={code: unscored[code] for code in ORDER if code in unscored},
    )


def check_counts(coverage: Coverage, customers: int) -> None:
    """Check both identities of a coverage, given how many customers have an accepted row.

    Raises
    ------
    CardwatchError
        If a delivered row or customer is neither accepted nor set aside.
    """
    rows = coverage.rows_accepted + coverage.rows_quarantined
    people = customers + sum(coverage.customers_unscored.values())
    if (coverage.rows_in, coverage.customers_in) != (rows, people):
        raise CardwatchError(
            "The data contract lost count: a row or customer is neither accepted nor set aside",
            observed=f"{rows:,} rows and {people:,} customers after the check",
            expected=f"{coverage.rows_in:,} rows and {coverage.customers_in:,} customers",
            next_step="This is a fault of Cardwatch or of data that changed while it was read; run"
            " again, and report it if it stays",
        )


def _findings(engine: Engine) -> tuple[QuarantineCount, ...]:
    found = {
        reason: (int(rows), customers)
        for reason, rows, customers in engine.execute(
            "SELECT reason, sum(row_copies), count(DISTINCT customer_id)"
            " FROM set_aside GROUP BY reason"
        ).fetchall()
    }
    disagree = engine.execute(
        "SELECT count(*), count(DISTINCT customer_key) FROM rolled_up WHERE ticket_disagrees"
    ).fetchone()
    if disagree and disagree[0]:
        found[ReasonCode.AVERAGE_TICKET_DISAGREES.name] = disagree
    return tuple(finding(code, *found[code.name]) for code in ReasonCode if code.name in found)


def _added(
    ours: Sequence[QuarantineCount], theirs: Sequence[QuarantineCount]
) -> tuple[QuarantineCount, ...]:
    rows, customers = Counter[str](), Counter[str]()
    for found in (*ours, *theirs):
        rows[found.reason] += found.rows
        customers[found.reason] += found.customers
    return tuple(
        finding(code, rows[code.name], customers[code.name])
        for code in ReasonCode
        if code.name in rows
    )


def _sums(ours: Sequence[int], theirs: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(ours, theirs, strict=True))
