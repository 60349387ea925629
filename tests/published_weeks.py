"""Small reports, engine tables and manifests for the tests of what is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from facts_examples import present

from cardwatch.config import OutputConfig
from cardwatch.engine import Engine
from cardwatch.manifest import HistoryRecord, RunManifest, record_run
from cardwatch.publish.base import Pages
from cardwatch.publish.files import FileSink
from cardwatch.publish.operations import FileOperations
from cardwatch.schema import (
    CategoryFacts,
    Checked,
    Coverage,
    Distributions,
    Drift,
    FeatureWeight,
    Learning,
    ListedCustomer,
    PeerGroup,
    PortfolioWeek,
    QuarantineCount,
    Ranking,
    Reason,
    Receipt,
    Scored,
    Shift,
    Thresholds,
    WeekReport,
)
from cardwatch.week import ReportingWeek


class QuickOperations(FileOperations):
    """Does not wait for the disk."""

    def to_disk(self, descriptor: int) -> None:
        pass


WEEK = ReportingWeek.parse("2025-46")
FAMILIES = ("own_history", "novelty", "ticket")
QUARANTINE = {
    "reason": "VARCHAR",
    "week_value": "VARCHAR",
    "customer_id": "VARCHAR",
    "mcc": "VARCHAR",
    "amount": "VARCHAR",
    "transaction_count": "VARCHAR",
    "detail": "VARCHAR",
    "source": "VARCHAR",
    "row_copies": "BIGINT",
}
SENTENCE = "The merchant category is not four digits"


def reason(sentence: str = "Spent 1,200.00 this week", contribution: float = 2.0) -> Reason:
    return Reason(
        code="OWN_SPEND",
        family="own_history",
        feature="own_spend",
        value=1200.0,
        usual=300.0,
        usual_basis="own median",
        unit="account currency",
        contribution=contribution,
        sentence=sentence,
        mcc=None,
    )


def listed_customer(
    customer_id: str, rank: int, sentences: Sequence[str] = ("Spent 1,200.00 this week",)
) -> ListedCustomer:
    contributions = {"own_history": 2.1, "novelty": 0.3 / rank, "ticket": 0.1}
    total = sum(contributions.values())
    return ListedCustomer(
        customer_id=customer_id,
        anomaly_score=round(total / (total + 10), 9),
        anomaly_rank=rank,
        risk_category="high",
        total_spend=Decimal("1200.5"),
        transaction_count=4,
        mcc_diversity=2,
        top_mcc="5732",
        top_mcc_spend=Decimal("-3"),
        signal="concern",
        signal_rule="default",
        history_weeks=12,
        surprise_total=total,
        reasons=tuple(reason(sentence) for sentence in sentences),
        contributions=contributions,
        facts=replace(
            present(
                "",
                CategoryFacts("5732", -3.0, 1, 40.125, 0.2, 0.3, False, 61.239, 0.12),
                CategoryFacts("5944", 1203.5, 3, 0.0, 0.0, 0.0, True, 300.0, 1 / 3),
            ),
            weekly_spend=(300.0, None, 1200.5),
            weekly_count=(6, None, 4),
            usual_count=5.5,
            usual_ticket=None,
        ),
    )


def week_report(
    listed: Sequence[ListedCustomer] = (), week: ReportingWeek = WEEK, notes: Sequence[str] = ()
) -> WeekReport:
    ranking = Ranking(
        week=week,
        listed=tuple(listed),
        thresholds=Thresholds(0.9, 0.7, 0.5, "this week's scores"),
        categories={"critical": 0, "high": len(listed), "medium": 0, "low": 1},
        flagged=len(listed),
        left_out_by_policy={"min_spend": 0},
        score_quantiles={"0.5": 0.1, "0.99": 0.7},
    )
    finding = QuarantineCount("MALFORMED_MCC", SENTENCE, "quarantine_row", 1, 1)
    return WeekReport(
        week=week,
        ranking=ranking,
        coverage=Coverage(11, 10, 1, 5, 10, 6, 6),
        findings=(finding,),
        notes=tuple(notes),
        detector="surprise",
        families=FAMILIES,
        portfolio=(
            PortfolioWeek(week - 1, Decimal("900.00"), 40, 9),
            PortfolioWeek(week, Decimal("1200.50"), 44, 10),
        ),
        learning=Learning(40, (FeatureWeight("refunds", "REFUNDS", 14, 2, 0.4),), 3, 2),
        drift=Drift(
            ((week - 1).label,),
            Shift("", "scores", 0.02, 0.01),
            (Shift("own_spend", "own spend", 0.3, 0.04), Shift("refunds", "refunds", 0.0, 0.04)),
        ),
        distributions=Distributions(
            ranking.score_quantiles, 6, 3, {"own_spend": (0, 5, 1)}, {"5411": 5, "other": 4}
        ),
        peer_groups=(
            PeerGroup(0, 120.5, 4.0, 5, len(listed), (0, len(listed))),
            PeerGroup(1, 900.0, 12.5, 1, 0, (0, 1)),
        ),
    )


def fill_engine(
    engine: Engine,
    ranks: Mapping[str, int],
    *,
    counts: Mapping[str, int] | None = None,
    quarantined: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Make the tables a sink reads: customers by rank, and the rows that were set aside."""
    engine.create("customer", {"customer_key": "INTEGER", "customer_id": "VARCHAR"})
    engine.create(
        "ranked",
        {
            "customer_key": "INTEGER",
            "anomaly_rank": "BIGINT",
            "anomaly_score": "DOUBLE",
            "surprise_total": "DOUBLE",
            "transaction_count": "INTEGER",
            "history_weeks": "TINYINT",
            **{f"{family}_surprise": "DOUBLE" for family in FAMILIES},
            "unweighted_total": "DOUBLE",
        },
    )
    engine.create("quarantine", QUARANTINE)
    for key, customer in enumerate(sorted(ranks)):
        rank = ranks[customer]
        count = (counts or {}).get(customer, 4)
        engine.execute("INSERT INTO customer VALUES ($k, $c)", k=key, c=customer)
        engine.execute(
            "INSERT INTO ranked VALUES ($k, $r, 1 / $r, 10 / $r, $n, 12, 3 / $r, 0.5, 0, 10 / $r)",
            k=key,
            r=rank,
            n=count,
        )
    for row in quarantined:
        values = {name: row.get(name) for name in QUARANTINE}
        places = ", ".join(f"${name}" for name in QUARANTINE)
        engine.execute(f"INSERT INTO quarantine VALUES ({places})", **values)


def manifest(
    report: WeekReport,
    *,
    run_id: str = "run-1",
    day: datetime = datetime(2025, 11, 24, 6, tzinfo=UTC),
    configuration: Mapping[str, Any] | None = None,
    **changes: Any,
) -> RunManifest:
    checked = Checked(
        week=report.week,
        reference_weeks=report.week.window(2),
        weeks_present=(*report.week.window(2), report.week),
        coverage=report.coverage,
        findings=report.findings,
        warnings=(),
        week_fingerprints={week.label: "ab" * 32 for week in (*report.week.window(2), report.week)},
        source_keys={report.week.label: "content", (report.week - 1).label: None},
    )
    recorded = record_run(
        report,
        checked,
        Scored(detector="surprise", families=FAMILIES, state={"version": 1}),
        run_id=run_id,
        environment="development",
        started_at=day,
        finished_at=day,
        seconds={"read": 0.5},
        configuration=configuration
        or {"model": {"detector": "surprise", "contamination": 0.01}, "ranking": {"top_n": 2}},
        configuration_hash="cd" * 32,
        seed=42,
        versions={"cardwatch": "1.0.0"},
        score_version="1",
        history=HistoryRecord(),
    )
    return recorded.model_copy(update=changes)


def config(
    folder: Path, list_format: Literal["csv", "json", "both"] = "both", **settings: Any
) -> OutputConfig:
    return OutputConfig(directory=folder, format=list_format, **settings)


def publish(
    folder: Path,
    engine: Engine,
    listed: Mapping[str, int],
    *,
    week: ReportingWeek = WEEK,
    others: Mapping[str, int] | None = None,
    operations: FileOperations | None = None,
    counts: Mapping[str, int] | None = None,
    quarantined: Sequence[Mapping[str, Any]] = (),
    settings: Mapping[str, Any] | None = None,
    configuration: Mapping[str, Any] | None = None,
    pages: Pages | None = None,
) -> Receipt:
    """Write one whole week: who is listed at which rank, and who else has one."""
    report = week_report([listed_customer(name, rank) for name, rank in listed.items()], week)
    fill_engine(engine, {**listed, **(others or {})}, counts=counts, quarantined=quarantined)
    files = operations or QuickOperations()
    sink = FileSink(config(folder, **(settings or {})), pages=pages, operations=files)
    return sink.write(report, engine, manifest(report, configuration=configuration))


def contents(folder: Path) -> dict[str, bytes]:
    """Everything people see in an output folder: names and bytes, hidden files aside."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }
