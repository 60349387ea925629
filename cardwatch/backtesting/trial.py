"""One past week under one configuration: scored as a run would, and once more with planted cases.

The steps are the run's own (`pipeline`), in an engine that goes when the week is done. What is
planted comes after the contract, whose step is the one that keeps roll-ups, and what is scored then
is reduced to places at once: no report, record or list of it leaves this module.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cardwatch.backtesting.places import OPEN, Place, places
from cardwatch.case_kinds import Kind, Strength
from cardwatch.config import Config, public_dict
from cardwatch.engine import Engine
from cardwatch.fingerprints import score_basis
from cardwatch.history import EarlierWeek, History
from cardwatch.injection import Plan, Wish, plan_cases, plant
from cardwatch.pipeline import SCORE_VERSION, Parts, RunResult, check_week, score_week
from cardwatch.ranking import group_places
from cardwatch.schema import Checked
from cardwatch.week import ReportingWeek

FIRST = 100
"""How many customers an analyst might reach in a week without more ado; recall is given there."""


@dataclass(frozen=True)
class Sought:
    """One planted customer, and whether it was found; without its case the same customer.

    A place is the one it would have if it were the only one planted: other cases take none.
    """

    kind: Kind
    strength: Strength
    on_list: bool
    in_first: bool
    on_list_without: bool
    in_first_without: bool


@dataclass(frozen=True)
class Trial:
    """What a configuration makes of a past week.

    Attributes
    ----------
    listed : tuple of str
        Customers on the list, in rank order.
    guards : int
        How many of them are there by their score without verdicts.
    first : tuple of str
        The first `FIRST` by score of those who may be listed, however many of one peer group.
    scored, flagged : int
        Customers with a score, and those from the cut on that ``model.contamination`` makes.
    earlier_cut : bool
        Whether the cut is that of the six weeks before; else it is the week's own.
    record : EarlierWeek
        What a run would have recorded for the weeks to come.
    sought : tuple of Sought
        Where the planted customers came; empty where nothing was planted.
    places_taken : int
        Places of the list that planted customers take, all planted at once.
    """

    week: ReportingWeek
    listed: tuple[str, ...]
    guards: int
    first: tuple[str, ...]
    scored: int
    flagged: int
    earlier_cut: bool
    record: EarlierWeek = field(repr=False)
    sought: tuple[Sought, ...] = ()
    places_taken: int = 0


@dataclass(frozen=True)
class Refused:
    """A past week that cannot be scored, as a run would say it."""

    week: ReportingWeek
    why: str
    exit_code: int


def try_week(
    week: ReportingWeek,
    config: Config,
    parts: Parts,
    previous: History,
    wish: Wish | None = None,
    plan: Plan | None = None,
) -> tuple[Trial, Plan | None]:
    """Score a week with what a run could know, and write nothing but roll-ups of accepted rows.

    Parameters
    ----------
    previous : History
        What was recorded, or tried, of the weeks before.
    wish : Wish, optional
        What to plant. The week is then scored a second time.
    plan : Plan, optional
        Cases that were drawn already, under another configuration; drawn here without it.

    Returns
    -------
    Trial, Plan or None
        What came of it, and the cases that were planted.
    """
    quiet = replace(parts, history=lambda _: previous, published=lambda _: ())
    checked = check_week(week, config, quiet)
    if wish is not None and plan is None:
        plan = plan_cases(quiet.engine, checked, wish)
    result = score_week(checked, previous, config, quiet)
    trial = _trial(result, config, quiet.engine)
    if plan is None:
        return trial, None
    return _with_cases(trial, plan, checked, config, quiet, previous), plan


def _trial(result: RunResult, config: Config, engine: Engine) -> Trial:
    ranking, detector = result.report.ranking, result.scored.detector
    basis = score_basis(detector, SCORE_VERSION, public_dict(config))
    quantiles = dict(ranking.score_quantiles)
    return Trial(
        week=result.week,
        listed=tuple(each.customer_id for each in ranking.listed),
        guards=sum(each.guard for each in ranking.listed),
        first=_first(engine),
        scored=result.report.coverage.customers_scored,
        flagged=ranking.flagged,
        earlier_cut=bool(ranking.thresholds.weeks),
        record=EarlierWeek(result.week, detector, SCORE_VERSION, basis, quantiles, None),
    )


def _first(engine: Engine) -> tuple[str, ...]:
    rows = engine.execute(
        f"SELECT c.customer_id FROM ({OPEN}) AS o INNER JOIN customer AS c "
        "ON c.customer_key = o.customer_key ORDER BY o.anomaly_rank LIMIT $first",
        first=FIRST,
    ).fetchall()
    return tuple(customer for (customer,) in rows)


def _with_cases(
    trial: Trial,
    plan: Plan,
    checked: Checked,
    config: Config,
    parts: Parts,
    previous: History,
) -> Trial:
    engine, of_a_group = parts.engine, group_places(config.ranking)
    ids = [each.customer_id for each in plan.planted]
    without = places(engine, ids, of_a_group, alone=False)
    plant(engine, checked, plan)
    ranking = score_week(checked, previous, config, parts).report.ranking
    alone = places(engine, ids, of_a_group, alone=True)
    by_score = len(ranking.listed) - sum(each.guard for each in ranking.listed)
    usual = len(trial.listed) - trial.guards
    sought = tuple(
        Sought(
            each.kind,
            each.strength,
            on_list=_is_listed(alone.get(each.customer_id), by_score),
            in_first=_is_in_first(alone.get(each.customer_id)),
            on_list_without=_is_listed(without.get(each.customer_id), usual),
            in_first_without=_is_in_first(without.get(each.customer_id)),
        )
        for each in plan.planted
    )
    taken = len(set(ids) & {each.customer_id for each in ranking.listed})
    return replace(trial, sought=sought, places_taken=taken)


def _is_listed(place: Place | None, last: int) -> bool:
    return place is not None and place.capped is not None and place.capped <= last


def _is_in_first(place: Place | None) -> bool:
    return place is not None and place.overall <= FIRST
