"""Telling about lists: one customer's story, and what changed between two weeks."""

from __future__ import annotations

import json

from cardwatch import console
from cardwatch.changes_story import show_comparison, show_revision
from cardwatch.commands.opening import command_session, wanted_week
from cardwatch.comparison import compare_weeks
from cardwatch.config import Config
from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.explanation import explain
from cardwatch.features.facts import customer_facts
from cardwatch.pipeline import FEATURES, Parts, RunResult, check_week, score_week
from cardwatch.ranking import risk_category
from cardwatch.revision import compare_with_superseded
from cardwatch.story import Story, show_story
from cardwatch.week import ReportingWeek


def explain_command(config: Config, customer: str, wanted: str | None, allow_partial: bool) -> None:
    """Tell everything about one customer of a week."""
    choose = wanted_week(config, wanted, allow_partial=allow_partial)
    with command_session(config, "cardwatch explain", choose) as session:
        parts = session.parts()
        checked = check_week(session.chosen, config, parts)
        key = _key(customer, checked.week, parts.engine)
        with parts.step("history"):
            previous = parts.history(checked.week)
        result = score_week(checked, previous, config, parts)
        story = _story(customer, key, result, config, parts)
    show_story(story)


def _key(customer: str, week: ReportingWeek, engine: Engine) -> int:
    """Return the number of a customer, before anything is scored for nobody."""
    id_as_text = customer.encode("utf-8", "replace").decode()  # a shell may pass any bytes
    found = engine.rows("SELECT customer_key FROM customer WHERE customer_id = $id", id=id_as_text)
    if not found:
        raise SourceError(
            "The source holds no such customer in the window",
            where=f"week {week.label} and the weeks before it",
            next_step="Ids are compared as they are written, capital letters and zeros included; "
            "a customer whose rows were all quarantined is in the quarantine file",
        )
    return int(found[0]["customer_key"])


def _story(customer: str, key: int, result: RunResult, config: Config, parts: Parts) -> Story:
    (standing,) = parts.engine.rows(
        "SELECT *, (SELECT count(*) FROM ranked) AS customers FROM ranked "
        "WHERE customer_key = $key",
        key=key,
    )
    facts = customer_facts(parts.engine, result.portfolio, [key])[key]
    found = parts.detector.attribute(parts.engine, result.scored, [key])[key]
    attributions = tuple(part for part in found if part.feature)
    risky = config.feature_engineering.risky_mccs
    thresholds = result.report.ranking.thresholds
    return Story(
        customer_id=customer,
        weeks=(*result.checked.reference_weeks, result.week),
        weeks_present=result.checked.weeks_present,
        facts=facts,
        attributions=attributions,
        reasons=tuple(explain(part, facts, FEATURES[part.feature], risky) for part in attributions),
        standing=standing,
        risk_category=risk_category(standing["anomaly_score"], thresholds),
        thresholds=thresholds,
        numbering=config.reporting_week.numbering,
    )


def compare_command(config: Config, earlier: str, later: str, as_json: bool) -> None:
    """Say who is new, back and gone between two lists."""
    comparison = compare_weeks(
        config.output.directory,
        *map(ReportingWeek.parse, (earlier, later)),
        timeout_seconds=config.output.lock_timeout_seconds,
        on_wait=_say,
    )
    if as_json:
        console.write_json(json.dumps(comparison.document(), indent=2))
        return
    console.use_width()
    show_comparison(comparison)


def compare_superseded_command(config: Config, week: str, as_json: bool) -> None:
    """Say who came, went and moved when a week's list was replaced by another one."""
    revision = compare_with_superseded(
        config.output.directory,
        ReportingWeek.parse(week),
        timeout_seconds=config.output.lock_timeout_seconds,
        on_wait=_say,
    )
    if as_json:
        console.write_json(json.dumps(revision.document(), indent=2))
        return
    console.use_width()
    show_revision(revision)


def _say(sentence: str) -> None:
    console.err.print(sentence, markup=False)
