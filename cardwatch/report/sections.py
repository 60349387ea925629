"""The parts of a page around the cards: headline, trends, data quality, drift, how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from statistics import median
from typing import Final

from cardwatch.manifest import RunManifest
from cardwatch.report.charts import CategoryCounts, Point, anomalies_chart, trend_chart
from cardwatch.report.document import Document
from cardwatch.report.page import Chart, Figure, Row, Table
from cardwatch.report.wording import amount, number, percent
from cardwatch.schema import Drift, policy_words
from cardwatch.week import ReportingWeek
from cardwatch.wording import counted

LIMITS: Final = (
    "The list says what is unusual, not what is wrong. A person looks at each customer before "
    "anything is done; no limit, block or offer may follow from the list alone.",
    "The score orders customers. It is not a probability, and scores of different detectors, "
    "settings or score versions do not compare.",
    "What is seen are weekly sums per customer and merchant category: no merchants, places, times "
    "of day, declined payments or cards.",
    "Customers with fewer than three active weeks are not judged by their own past, and absent "
    "customers only by how unusual their silence is.",
    "Unusual habits that last become usual within weeks. A slow change is found late, or never.",
    "Ids, amounts and reasons here are personal data. Pass this file on as you would the card data "
    "itself.",
)
"""What the list must not be used for, and what it cannot see."""

_SCORES_SAID: Final = {
    "usual": "the scores are distributed as in the weeks before",
    "moved": "the scores have moved; look whether the data or the portfolio changed",
    "shifted": "the scores have shifted; find out why before you rely on this list",
}
_WEEKS = 13
_FEATURES = 8
_QUANTILES = (("0.5", "Half"), ("0.9", "90%"), ("0.99", "99%"), ("1", "All"))


def headline(
    document: Document, manifest: RunManifest, before: RunManifest | None, currency: str
) -> tuple[Figure, ...]:
    """Return the figures of the first screen; `before` is the record of the week before."""
    spend, customers = _portfolio_figures(document, currency)
    counts = manifest.counts
    last = before.counts if before else None
    return (
        spend,
        customers,
        _counted("Flagged customers", counts.flagged, last.flagged if last else None),
        _counted("Critical", _critical(manifest), _critical(before) if before else None),
        _counted("On the list", counts.listed, last.listed if last else None),
        Figure(
            "Rows set aside",
            percent(counts.rows_quarantined, counts.rows_in),
            percent(last.rows_quarantined, last.rows_in) if last else "",
            "",
        ),
    )


def not_listed(document: Document) -> tuple[str, ...]:
    """Say how many customers are kept off the list, and by what; the groups tell their cap."""
    return tuple(
        f"Not listed by {policy_words(name)}: {counted(number, 'customer')}, scored, ranked and "
        "counted all the same."
        for name, number in document.left_out_by_policy.items()
        if number and name != "peer_group_cap"
    )


def _portfolio_figures(document: Document, currency: str) -> tuple[Figure, Figure]:
    weeks = document.portfolio
    now, then = weeks[-1] if weeks else None, weeks[-2] if len(weeks) > 1 else None
    if then is not None and not then.customers:
        then = None
    label = f"Portfolio spend, {currency}" if currency else "Portfolio spend"
    if now is None:
        return Figure(label, "–", "", ""), Figure("Active customers", "–", "", "")
    spend = Figure(
        label,
        amount(now.spend),
        amount(then.spend) if then else "",
        _relative(now.spend, then.spend) if then else "",
    )
    customers = Figure(
        "Active customers",
        number(now.customers),
        number(then.customers) if then else "",
        _relative(now.customers, then.customers) if then else "",
    )
    return spend, customers


def _critical(manifest: RunManifest) -> int:
    return manifest.categories.get("critical", 0)


def _counted(label: str, now: int, before: int | None) -> Figure:
    if before is None:
        return Figure(label, number(now), "", "")
    change = "the same" if now == before else f"{'+' if now > before else '−'}{abs(now - before):,}"
    return Figure(label, number(now), number(before), change)


def _relative(now: float, before: float) -> str:
    if before <= 0:
        return ""
    change = round(100 * (now - before) / before, 1)
    return "the same" if not change else f"{'+' if change > 0 else '−'}{abs(change):,.1f}%"


def span(document: Document) -> str:
    """Return what the weeks are called that the portfolio is shown for."""
    return "thirteen weeks" if len(document.portfolio) in (0, _WEEKS) else "the window"


def trends(
    document: Document,
    manifest: RunManifest,
    earlier: Mapping[ReportingWeek, RunManifest],
    currency: str,
) -> tuple[Chart, ...]:
    """Return the portfolio's spend and customers, and the flagged by category, over the weeks."""
    charts: list[Chart] = []
    if document.portfolio:
        charts = [
            trend_chart(
                [
                    Point(week.week_start, week.spend if week.customers else None)
                    for week in document.portfolio
                ],
                f"Spend of all customers, {currency}" if currency else "Spend of all customers",
            ),
            trend_chart(
                [Point(week.week_start, week.customers or None) for week in document.portfolio],
                "Customers with a transaction",
            ),
        ]
    runs = {**earlier, manifest.week: manifest}
    weeks = (*manifest.week.window(_WEEKS - 1), manifest.week)
    counts = [CategoryCounts(w.monday, runs[w].categories if w in runs else None) for w in weeks]
    return (*charts, anomalies_chart(counts))


def quality(document: Document) -> tuple[Table, ...]:
    """Return who and what was counted, and what was set aside by which rule."""
    coverage = document.coverage
    rows = Table(
        "Rows of the thirteen weeks" if len(document.portfolio) == _WEEKS else "Rows of the window",
        ("Rows", "Share"),
        (
            _share_row("Delivered", coverage.rows_in, coverage.rows_in),
            _share_row("Used", coverage.rows_accepted, coverage.rows_in),
            _share_row("Set aside", coverage.rows_quarantined, coverage.rows_in),
        ),
    )
    customers = Table(
        "Customers of the window",
        ("Customers", "Share"),
        (
            _share_row("Delivered", coverage.customers_in, coverage.customers_in),
            _share_row("Scored", coverage.customers_scored, coverage.customers_in),
            _share_row(
                "… without a transaction this week",
                coverage.customers_absent,
                coverage.customers_in,
            ),
            *(
                _share_row(f"Not scored: {reason}", count, coverage.customers_in)
                for reason, count in coverage.customers_unscored.items()
            ),
        ),
    )
    return (rows, customers, *_findings(document))


def _share_row(head: str, part: int, whole: int) -> Row:
    return Row(head, (number(part), percent(part, whole)))


def _findings(document: Document) -> tuple[Table, ...]:
    if not document.quarantine:
        return ()
    rows = tuple(
        Row(
            finding.sentence,
            (finding.action.replace("_", " "), number(finding.rows), number(finding.customers)),
        )
        for finding in document.quarantine
    )
    return (Table("What the data contract found", ("What was done", "Rows", "Customers"), rows),)


def drift_sentences(drift: Drift, manifest: RunManifest) -> tuple[str, ...]:
    """Say how far this week's scores and features are from those of the weeks before."""
    moved, shifted = manifest.drift_limits.moved_psi, manifest.drift_limits.shifted_psi
    if drift.scores is None:
        return (
            "No earlier week with comparable scores is recorded, so there is nothing to compare "
            "this week with yet.",
        )
    judged = drift.scores_judged(moved, shifted) or "usual"
    meaning = _SCORES_SAID[judged]
    return (
        f"Population stability index {number(drift.scores.psi, 3)}: {meaning}. Below {moved:g} is "
        f"stable, above {shifted:g} a shift; with so many customers up to "
        f"{number(drift.scores.usual, 3)} is chance.",
        _features_sentence(drift, moved),
    )


def _features_sentence(drift: Drift, moved: float) -> str:
    if not drift.features:
        return "Features are compared once three weeks of an equally long past are recorded."
    over = [shift.words for shift in drift.features_over(moved)]
    if not over:
        return f"None of the {len(drift.features)} features is spread otherwise than before."
    return f"Spread otherwise than before: {', '.join(over)}."


def drift_tables(
    manifest: RunManifest, comparable: Sequence[RunManifest], drift: Drift
) -> tuple[Table, ...]:
    """Return scores and features beside those before, and where the risk categories begin."""
    scores = Table(
        "Scores",
        (
            "This week",
            f"Median of {counted(len(comparable), 'week')} before"
            if comparable
            else "Weeks before",
        ),
        tuple(
            Row(
                f"{words} of the customers score up to",
                (_score(manifest.score_quantiles[key]), _median(key, comparable)),
            )
            for key, words in _QUANTILES
            if key in manifest.score_quantiles
        ),
    )
    thresholds = manifest.thresholds
    cuts = Table(
        f"Risk categories, cut by {thresholds.source}",
        ("Score from", "Customers"),
        tuple(
            Row(name.capitalize(), (_score(value), number(manifest.categories.get(name, 0))))
            for name, value in (
                ("critical", thresholds.critical),
                ("high", thresholds.high),
                ("medium", thresholds.medium),
            )
        ),
    )
    return (scores, cuts, *_feature_tables(drift))


def _feature_tables(drift: Drift) -> tuple[Table, ...]:
    if not drift.features:
        return ()
    rows = tuple(
        Row(
            shift.words[:1].upper() + shift.words[1:],
            (number(shift.psi, 3), number(shift.usual, 3)),
        )
        for shift in drift.features[:_FEATURES]
    )
    caption = f"Features, the {len(rows)} farthest from before of {len(drift.features)}"
    return (Table(caption, ("Index", "Usual up to"), rows),)


def _score(value: float) -> str:
    return number(value, 3)


def _median(key: str, runs: Sequence[RunManifest]) -> str:
    found = [run.score_quantiles[key] for run in runs if key in run.score_quantiles]
    return _score(median(found)) if found else "–"


def how_it_was_made(manifest: RunManifest) -> tuple[tuple[str, str], ...]:
    """Return what the run recorded of itself, as terms and what they are."""
    finished = manifest.finished_at.astimezone(UTC)
    versions = ", ".join(f"{name} {value}" for name, value in manifest.versions.items())
    used = ", ".join(manifest.history.weeks) or "none"
    made = [
        ("Run", manifest.run_id),
        ("Replaces run", manifest.supersedes_run_id or ""),
        ("Finished", f"{finished:%Y-%m-%d %H:%M} UTC"),
        ("Environment", manifest.environment),
        ("Detector", f"{manifest.detector}, score version {manifest.score_version}"),
        ("Seed", str(manifest.seed)),
        ("Versions", versions),
        ("Configuration hash", manifest.configuration_hash),
        ("Fingerprint of the data", manifest.input_fingerprint),
        ("Earlier weeks whose scores were used", used),
        ("Derive it again", f"cardwatch reproduce run_{manifest.reporting_week}.json"),
    ]
    return tuple((term, said) for term, said in made if said)
