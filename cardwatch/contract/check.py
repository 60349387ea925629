"""The data contract as one story: delivered rows become accepted ones and those set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cardwatch.cache import RollupCache
from cardwatch.config import ContractConfig
from cardwatch.contract.card_scan import refuse_card_ids, refuse_card_texts
from cardwatch.contract.delivered import (
    describe,
    labels,
    present_rows,
    reading,
    roll_up,
    settle_currency,
    take_census,
)
from cardwatch.contract.fingerprint import Fingerprints, week_fingerprints
from cardwatch.contract.recall import Recalled, recall, remember, source_keys
from cardwatch.contract.rules import Action, ReasonCode
from cardwatch.contract.setting_aside import (
    drop_unit_errors,
    fold_repeats,
    make_quarantine,
    mask,
    measure_tickets,
    renumber_customers,
)
from cardwatch.contract.tally import Tally, count, finding
from cardwatch.contract.usability import refusals, refuse_unusable
from cardwatch.contract.window import PACKAGE, Window
from cardwatch.engine import Engine
from cardwatch.schema import Checked, Delivery, QuarantineCount
from cardwatch.week import ReportingWeek

_LEFTOVERS = (
    "category_ticket",
    "contract_currency",
    "delivered_customer",
    "largest_ticket",
    "masked",
    "masked_customer",
    "precise_week",
    "repeated_delivery",
    "repeated_key",
    "repeated_row",
    "set_aside",
    "unit_error",
    "unit_purchase",
    "unit_suspect",
)


def check_contract(
    delivery: Delivery,
    rules: ContractConfig,
    engine: Engine,
    *,
    currency: str = "",
    cache: RollupCache | None = None,
) -> Checked:
    """Accept or set aside every delivered row, and stop if the delivery is unfit to be scored.

    Makes the engine's tables ``customer``, ``cell`` and ``quarantine`` (`cardwatch.schema`); they
    are complete, too, when a delivery is refused as a whole.

    Parameters
    ----------
    delivery : Delivery
        What the source reads, for the scored week and its reference weeks.
    currency : str
        The portfolio's currency; empty takes the commonest of the scored week.
    cache : RollupCache, optional
        Where roll-ups of reference weeks are kept. It changes no result.

    Returns
    -------
    Checked
        Counts, findings in the order of the rules, warnings, and a fingerprint per week.

    Raises
    ------
    ContractError
        If a column holds card numbers, or (unless ``contract.on_unusable`` is ``warn``) the scored
        week is empty, too much was set aside, or its volume is out of range.
    SourceError
        If the source's rows cannot be read to the end.
    """
    with reading(delivery):
        contents = source_keys(delivery)
        recalled = _read(delivery, contents, rules, engine, currency, cache)
        fold_repeats(engine, delivery)
    mask(engine, rules)
    fingerprints = week_fingerprints(engine, Window.of(delivery))
    with reading(delivery):
        measure_tickets(engine, delivery, rules)
        some_dropped = drop_unit_errors(engine, delivery, rules)
    if some_dropped:
        mask(engine, rules)
    renumber_customers(engine)
    make_quarantine(engine)
    tally = count(engine, delivery, int(engine.scalar("SELECT count(*) FROM customer")))
    cache_warnings = (*recalled.warnings, *remember(cache, recalled, delivery, engine))
    engine.run_file(PACKAGE, "finish")
    engine.drop(_LEFTOVERS)
    checked = concluded(delivery, rules, tally, fingerprints)
    keys = {week.label: content for week, content in contents.items()}
    return replace(checked, source_keys=keys, cache_warnings=cache_warnings)


def concluded(
    delivery: Delivery, rules: ContractConfig, tally: Tally, fingerprints: Fingerprints
) -> Checked:
    """Return what the counts of a check come to.

    Raises
    ------
    ContractError
        If the delivery is unfit to be scored; see `check_contract`.
    """
    unfit = refusals(tally, delivery, rules)
    refuse_unusable(unfit, delivery, rules)
    return Checked(
        week=delivery.week,
        reference_weeks=delivery.reference_weeks,
        weeks_present=_present(delivery, tally),
        coverage=tally.coverage,
        findings=(*tally.findings, *(_warned(refusal.code, tally) for refusal in unfit)),
        warnings=(
            *(refusal.sentence for refusal in unfit),
            *_missing_weeks(delivery, tally),
        ),
        week_fingerprints=fingerprints.weeks,
        stray_fingerprint=fingerprints.no_week,
    )


def _read(
    delivery: Delivery,
    contents: Mapping[ReportingWeek, str | None],
    rules: ContractConfig,
    engine: Engine,
    currency: str,
    cache: RollupCache | None,
) -> Recalled:
    """Roll up what the source reads, and stop where it holds card numbers."""
    try:
        columns = describe(engine, delivery)
        own = settle_currency(engine, delivery, columns, currency)
        recalled = recall(cache, delivery, contents, rules, own, engine)
        present_rows(engine, delivery, columns, rules, recalled.paths, own)
    finally:
        delivery.release()
    take_census(engine)
    refuse_card_ids(engine, delivery, rules)
    some_refused = roll_up(engine, delivery)
    weeks = [w for i, w in enumerate(Window.of(delivery).weeks) if i not in recalled.paths]
    refuse_card_texts(engine, delivery, columns, weeks, some_refused=some_refused)
    return recalled


def _present(delivery: Delivery, tally: Tally) -> tuple[ReportingWeek, ...]:
    weeks = Window.of(delivery).weeks
    return tuple(week for week, rows in zip(weeks, tally.rows_accepted, strict=True) if rows)


def _missing_weeks(delivery: Delivery, tally: Tally) -> tuple[str, ...]:
    missing = sorted(set(delivery.reference_weeks) - set(_present(delivery, tally)))
    if not missing:
        return ()
    return (
        f"{len(missing)} of {len(delivery.reference_weeks)} reference weeks have no usable row:"
        f" {labels(missing)}.",
    )


def _warned(code: ReasonCode, tally: Tally) -> QuarantineCount:
    """Return what would have stopped the run, and by configuration only warns."""
    rows = (
        tally.coverage.rows_quarantined
        if code is ReasonCode.TOO_MUCH_QUARANTINED
        else tally.rows_in_week
    )
    return replace(finding(code, rows, 0), action=str(Action.WARN))
