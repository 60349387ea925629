"""The weekly run, told once. Nothing here reads a clock, the environment or a global."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from cardwatch.cache import RollupCache
from cardwatch.config import Config, ContractConfig, public_dict
from cardwatch.contract import check_contract
from cardwatch.detection.base import Detector
from cardwatch.drift import measure_drift
from cardwatch.engine import Engine
from cardwatch.explanation import reasons_for
from cardwatch.features.build import build_features
from cardwatch.features.catalog import ABSENCE, CATALOG
from cardwatch.features.facts import customer_facts
from cardwatch.features.portfolio import Portfolio
from cardwatch.fingerprints import score_basis, scores_fingerprint
from cardwatch.histograms import category_counts, feature_histograms
from cardwatch.history import History, record_of
from cardwatch.manifest import HistoryRecord, RunManifest
from cardwatch.notify.message import Notice
from cardwatch.notify.telling import Told
from cardwatch.outdated import (
    OutdatedList,
    ScoreRecord,
    WindowRows,
    outdated_lists,
    reach,
    sentence,
)
from cardwatch.publish.base import Sink
from cardwatch.ranking import Order, rank, risk_category, signal_of
from cardwatch.report.build import (
    build_report,
    listed_customer,
    peer_groups,
    portfolio_weeks,
    standings,
)
from cardwatch.review.verdicts import telling
from cardwatch.review.weights import learned_weights
from cardwatch.schema import (
    Attribution,
    Checked,
    CustomerFacts,
    Delivery,
    Distributions,
    FeatureTable,
    Learning,
    Ranking,
    Receipt,
    Scored,
    WeekReport,
)
from cardwatch.sleepers import Sleepers
from cardwatch.sources.base import Source
from cardwatch.stability import rank_stability
from cardwatch.week import ReportingWeek

STEPS = (
    "read",
    "history",
    "contract",
    "features",
    "detect",
    "rank",
    "explain",
    "report",
    "publish",
    "notify",
)
"""The steps of a run, in order; names in the log, the manifest and the progress display."""

SCORE_VERSION = "5"
"""Changes when a newer Cardwatch gives the same rows other scores; see CHANGELOG."""

FEATURES = {feature.name: feature for feature in CATALOG}


class Step(Protocol):
    """Announces a step by name, and measures it: ``with step("read"): …``."""

    def __call__(self, name: str) -> AbstractContextManager[None]:
        """Return a context that lasts as long as the step."""
        ...


class Check(Protocol):
    """Holds a delivery against the contract, as `check_contract` does."""

    def __call__(
        self,
        delivery: Delivery,
        rules: ContractConfig,
        engine: Engine,
        *,
        currency: str = "",
        cache: RollupCache | None = None,
    ) -> Checked:
        """Make ``customer``, ``cell`` and ``quarantine`` of a delivery."""
        ...


@dataclass(frozen=True)
class Parts:
    """The objects a run is made of; `wiring` builds them from the configuration.

    `published` returns what runs of weeks around one have recorded, later weeks too. It serves the
    remark that such a list is out of date, and no result. `mind` is told what is to be read before
    it is, and stops a run that would only fail later.
    """

    engine: Engine
    source: Source
    history: Callable[[ReportingWeek], History]
    published: Callable[[ReportingWeek], Sequence[RunManifest]]
    detector: Detector
    cache: RollupCache | None
    step: Step
    mind: Callable[[Delivery], None] = lambda delivered: None
    check: Check = check_contract


@dataclass(frozen=True)
class RunResult:
    """Everything a scored week produced, before and besides what sinks write."""

    week: ReportingWeek
    checked: Checked
    history: History
    history_used: HistoryRecord
    table: FeatureTable
    portfolio: Portfolio
    scored: Scored
    attributions: Mapping[int, tuple[Attribution, ...]]
    facts: Mapping[int, CustomerFacts]
    report: WeekReport
    outdated: tuple[OutdatedList, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was amiss with records and caches: for the person who runs, not for the list."""
        remarks = (sentence(self.outdated),) if self.outdated else ()
        return (*self.history.warnings, *self.checked.cache_warnings, *remarks)


def run_week(
    week: ReportingWeek, config: Config, parts: Parts, remarks: Sequence[str] = ()
) -> RunResult:
    """Score one reporting week and say what was found. Safe to repeat; writes nothing.

    `remarks` are sentences for the readers of the list, told before the run's own.
    """
    step = parts.step
    with step("read"):
        delivered = parts.source.read(week, config.feature_engineering.reference_weeks)
    with step("history"):
        previous = parts.history(week)
    checked = check_delivery(delivered, config, parts)
    return score_week(checked, previous, config, parts, (*remarks, *delivered.notes))


def score_week(
    checked: Checked, previous: History, config: Config, parts: Parts, remarks: Sequence[str] = ()
) -> RunResult:
    """Do the steps of a run from the features on, over the engine's ``customer`` and ``cell``."""
    step, engine, week = parts.step, parts.engine, checked.week
    with step("features"):
        table, portfolio = build_features(
            checked, config.feature_engineering, engine, config.model.random_state
        )
    with step("detect"):
        learning = learn(previous, config, parts.detector)
        weights = {each.feature: each.weight for each in learning.weights}
        scored = parts.detector.fit_score(engine, table, weights)
    with step("rank"):
        basis = score_basis(scored.detector, SCORE_VERSION, public_dict(config))
        comparable = previous.comparable(basis)
        earlier = {each.week.label: each.score_quantiles for each in comparable}
        guards = config.review.guards if weights else 0
        sleepers = Sleepers.find(engine, previous.snoozes, parts.detector, scored, portfolio)
        order = rank(
            engine,
            scored,
            config.ranking,
            config.model.contamination,
            earlier,
            guards,
            sleepers.asleep,
        )
        stability = rank_stability(engine, parts.detector, scored.families, order.listed)
    with step("explain"):
        facts = customer_facts(engine, portfolio, order.listed)
        attributions = parts.detector.attribute(engine, scored, order.listed)
        ranking = list_customers(week, order, facts, attributions, stability, config, engine)
    with step("report"):
        now = distributions(engine, table, order, checked)
        before = {each.week.label: each.distributions for each in comparable}
        drift = measure_drift(now, before, {name: FEATURES[name].words for name in table.columns})
        told = drift.notes(config.drift.moved_psi, config.drift.shifted_psi)
        notes = (*remarks, *sleepers.notes(order.listed), *told)
        numbering = config.reporting_week.numbering
        totals = portfolio_weeks(engine, checked)
        learning = replace(learning, moved_off=order.moved_off, guards=len(order.guards))
        report = replace(
            build_report(ranking, checked, table, scored, notes, numbering, totals, learning),
            drift=drift,
            distributions=now,
            peer_groups=peer_groups(engine, order.listed, portfolio.peers.usual_weeks),
        )
        outdated = outdated_since(parts.published(week), checked, config, ranking, basis)
    used = record_of(
        comparable if ranking.thresholds.weeks else (),
        telling(previous.reviews) if weights else (),
        previous.snoozes,
        comparable,
    )
    return RunResult(
        week=week,
        checked=checked,
        history=previous,
        history_used=used,
        table=table,
        portfolio=portfolio,
        scored=scored,
        attributions=attributions,
        facts=facts,
        report=report,
        outdated=outdated,
    )


def distributions(
    engine: Engine, table: FeatureTable, order: Order, checked: Checked
) -> Distributions:
    """Return how the week is distributed: what later weeks are held against."""
    return Distributions(
        score_quantiles=order.score_quantiles,
        customers=table.rows_with_spend + table.rows_absent,
        weeks=len(checked.input_weeks),
        histograms=feature_histograms(engine, table.columns, of_everybody=(ABSENCE,)),
        categories=category_counts(engine),
    )


def learn(history: History, config: Config, detector: Detector) -> Learning:
    """Return what the verdicts on earlier lists say of each feature."""
    settings, reviews = config.review, telling(history.reviews)
    if not settings.learn or not reviews:
        return Learning()
    if not detector.takes_weights:
        return Learning(remark=f"Verdicts do not weigh the scores of the detector {detector.name}")
    codes = {name: feature.code for name, feature in FEATURES.items()}
    weights = learned_weights(
        reviews,
        history.week,
        codes,
        prior=settings.prior,
        half_life=settings.half_life_weeks,
    )
    return Learning(len(reviews), weights)


def outdated_since(
    published: Sequence[RunManifest], checked: Checked, config: Config, ranking: Ranking, basis: str
) -> tuple[OutdatedList, ...]:
    """Return the other weeks' lists that rest on something this run has found changed."""
    week, far = checked.week, reach(config.feature_engineering.reference_weeks)
    rows = WindowRows((*checked.reference_weeks, week), checked.input_weeks, public_dict(config))
    fresh = ScoreRecord(basis, scores_fingerprint(week, basis, ranking.score_quantiles))
    scores = {run.week: ScoreRecord.of(run) for run in published} | {week: fresh}
    others = [run for run in published if 0 < abs(run.week - week) <= far]
    return outdated_lists(others, rows, scores)


def check_week(week: ReportingWeek, config: Config, parts: Parts) -> Checked:
    """Read one week and hold it against the contract; the first steps of a run, and no more."""
    with parts.step("read"):
        delivered = parts.source.read(week, config.feature_engineering.reference_weeks)
    return check_delivery(delivered, config, parts)


def check_delivery(delivered: Delivery, config: Config, parts: Parts) -> Checked:
    """Hold what was read against the contract."""
    parts.mind(delivered)
    with parts.step("contract"):
        return parts.check(
            delivered,
            config.contract,
            parts.engine,
            currency=config.portfolio.currency,
            cache=parts.cache,
        )


def publish(
    result: RunResult, manifest: RunManifest, parts: Parts, sinks: Sequence[Sink]
) -> Iterator[Receipt]:
    """Hand the report to every sink in turn; a sink writes everything or nothing.

    Each receipt is yielded as soon as its sink is done: what is written stays, whatever becomes of
    the sinks after it.
    """
    with parts.step("publish"):
        for sink in sinks:
            yield sink.write(result.report, parts.engine, manifest)


def notify(
    news: Callable[[], Notice],
    parts: Parts,
    tell: Callable[[Callable[[], Notice]], tuple[Told, ...]],
) -> tuple[Told, ...]:
    """Tell the readers of the list, last; what was not sent is recorded, and undoes nothing.

    `news` is read from what was published, so that it can be told again as it is.
    """
    with parts.step("notify"):
        return tell(news)


def list_customers(
    week: ReportingWeek,
    order: Order,
    facts: Mapping[int, CustomerFacts],
    attributions: Mapping[int, tuple[Attribution, ...]],
    stability: Mapping[int, float],
    config: Config,
    engine: Engine,
) -> Ranking:
    """Give each customer on the list its reasons, category and signal."""
    listed = []
    found = standings(engine, order.listed)
    for key in order.listed:
        reasons = reasons_for(
            attributions[key], facts[key], FEATURES, config.feature_engineering.risky_mccs
        )
        listed.append(
            listed_customer(
                found[key],
                facts[key],
                attributions[key],
                reasons,
                risk_category(found[key]["anomaly_score"], order.thresholds),
                signal_of(reasons, config.ranking),
                rank_stability=stability[key],
                guard=key in order.guards,
            )
        )
    return Ranking(
        week=week,
        listed=tuple(listed),
        thresholds=order.thresholds,
        categories=order.categories,
        flagged=order.flagged,
        left_out_by_policy=order.left_out_by_policy,
        score_quantiles=order.score_quantiles,
    )
