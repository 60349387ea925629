"""A backtest for machines. Who was planted is not in it: nobody could take them for real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from cardwatch.backtesting.comparison import Contest, WeekContest
from cardwatch.backtesting.figures import Backtest, Found, Recall, Share, WeekFigures, WeeklyMean
from cardwatch.backtesting.trial import FIRST
from cardwatch.injection import Plan, Wish
from cardwatch.review.figures import Rate

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Tried:
    """A configuration by the name it goes under, its digest, and what came of it."""

    name: str
    configuration_hash: str
    backtest: Backtest


def backtest_document(
    tried: Tried,
    other: Tried | None,
    contest: Contest | None,
    wish: Wish | None,
    notes: Sequence[str] = (),
) -> dict[str, JsonValue]:
    """Return everything that was found; rates with their 95% intervals."""
    document: dict[str, JsonValue] = {
        "format_version": FORMAT_VERSION,
        "first": FIRST,
        "notes": list(notes),
        "planting": None if wish is None else _wish(wish, tried.backtest),
        "champion": _tried(tried),
    }
    if other is not None and contest is not None:
        document |= {"challenger": _tried(other), "comparison": _contest(contest)}
    return document


def _wish(wish: Wish, backtest: Backtest) -> dict[str, JsonValue]:
    return {
        "seed": wish.seed,
        "kinds": {kind.value: kind.sentence for kind in wish.kinds},
        "strengths": {strength.value: strength.factor for strength in wish.strengths},
        "weeks": {week.label: _plan(plan) for week, plan in backtest.plans.items()},
    }


def _plan(plan: Plan) -> JsonValue:
    return {
        "customers": len(plan.planted),
        "candidates": plan.candidates,
        "lacking": {kind.value: number for kind, number in plan.lacking.items()},
    }


def _tried(tried: Tried) -> dict[str, JsonValue]:
    found = tried.backtest.summary
    return {
        "configuration": tried.name,
        "configuration_hash": tried.configuration_hash,
        "overall": {
            "weeks": len(tried.backtest.weeks),
            "listed": found.listed,
            "flagged_share": found.flagged_share,
            "churn": found.churn,
            "published": _rate(found.published),
            "hits": _rate(found.hits),
            "places_taken": _rate(found.places_taken),
            "recall": {
                "on_list": _mean(found.recall_on_list),
                "in_first": _mean(found.recall_in_first),
            },
            "planted": _found(found.found),
            "planted_by_kind": {
                kind.value: _found(each) for kind, each in found.found_by_kind.items()
            },
            "planted_by_strength": {
                kind.value: {strength.value: _found(each) for strength, each in those.items()}
                for kind, those in found.found_by.items()
            },
        },
        "weeks": [_week(each) for each in tried.backtest.weeks],
        "refused": [
            {"reporting_week": each.week.label, "why": each.why, "exit_code": each.exit_code}
            for each in tried.backtest.refused
        ],
    }


def _week(figures: WeekFigures) -> dict[str, JsonValue]:
    trial = figures.trial
    return {
        "reporting_week": figures.week.label,
        "week_start": figures.week.monday.isoformat(),
        "listed": list(trial.listed),
        "guards": trial.guards,
        "scored": trial.scored,
        "flagged": trial.flagged,
        "cut_from_earlier_weeks": trial.earlier_cut,
        "kept": _rate(figures.kept),
        "published": _rate(figures.published),
        "hits": _rate(figures.hits),
        "places_taken": _rate(figures.places_taken),
        "recall": _recall(figures.recall),
    }


def _contest(contest: Contest) -> dict[str, JsonValue]:
    return {
        "conclusion": contest.conclusion,
        "identical": contest.is_identical,
        "differences": {
            "planted_on_list": _mean(contest.on_list),
            "planted_in_first": _mean(contest.in_first),
            "hits": _mean(contest.hits),
            "churn": _mean(contest.churn),
        },
        "weeks": [_pair(each) for each in contest.weeks],
    }


def _pair(week: WeekContest) -> JsonValue:
    return {
        "reporting_week": week.week.label,
        "shared": week.shared,
        "only_champion": list(week.only_champion),
        "only_challenger": list(week.only_challenger),
        "rank_correlation": week.rank_correlation,
    }


def _mean(found: WeeklyMean | None) -> JsonValue:
    if found is None:
        return None
    low, high = found.interval or (None, None)
    return {"mean": found.mean, "low": low, "high": high, "weeks": found.weeks}


def _recall(recall: Recall | None) -> JsonValue:
    if recall is None:
        return None
    return {"on_list": recall.on_list, "in_first": recall.in_first}


def _found(found: Found | None) -> JsonValue:
    if found is None:
        return None
    return {
        "customers": found.on_list.customers,
        "cases": found.on_list.cases,
        "on_list": _share(found.on_list),
        "in_first": _share(found.in_first),
        "on_list_without_case": _share(found.on_list_without),
        "in_first_without_case": _share(found.in_first_without),
    }


def _share(share: Share) -> JsonValue:
    low, high = share.interval
    return {"count": share.count, "share": share.share, "low": low, "high": high}


def _rate(rate: Rate | None) -> JsonValue:
    if rate is None or not rate.of:
        return None
    low, high = rate.interval
    return {"count": rate.count, "of": rate.of, "share": rate.share, "low": low, "high": high}
