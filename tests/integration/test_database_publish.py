"""A week published to a real database: what is there afterwards, and what never is."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from command_line import cardwatch
from postgres import Database
from published_database import NOWHERE, command, dump, rows, run_ids, sink_of, upgrade, write_files
from published_weeks import WEEK
from small_portfolio import WEEK as LAST_WEEK
from small_portfolio import ScoredWeek

from cardwatch.engine import Engine
from cardwatch.features.catalog import CATALOG
from cardwatch.merchant_categories import mcc_name
from cardwatch.outputs import OutputFile

# A real run, through the command line


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("configured")
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(
        "output: {format: csv, database: {enabled: true, scores: true, attempts: 1}}\n"
    )
    return folder


@pytest.fixture
def scored_week(configured: Path, portfolio: Path, ready: Database) -> ScoredWeek:
    return ScoredWeek.run(configured, portfolio, LAST_WEEK, OUTPUT_DB_CONNECTION_STRING=ready.url)


def test_every_value_of_a_run_is_in_its_column(scored_week: ScoredWeek, ready: Database) -> None:
    check_reports(scored_week, ready)
    check_details(scored_week, ready)
    check_reasons(scored_week, ready)
    check_categories(scored_week, ready)
    check_customer_weeks(scored_week, ready)
    check_scores(scored_week, ready)
    check_run(scored_week, ready)
    assert rows(ready, "anomaly_reviews") == []


def check_reports(scored_week: ScoredWeek, database: Database) -> None:
    finished = datetime.fromisoformat(scored_week.manifest["finished_at"])
    expected = [
        {
            "customer_id": row["customer_id"],
            "reporting_week": "2025-46",
            "anomaly_score": row["anomaly_score"],
            "anomaly_rank": row["anomaly_rank"],
            "risk_category": row["risk_category"],
            "total_spend": Decimal(f"{row['total_spend']:.2f}"),
            "transaction_count": row["transaction_count"],
            "mcc_diversity": row["mcc_diversity"],
            "top_mcc": row["top_mcc"],
            "top_mcc_spend": Decimal(f"{row['top_mcc_spend']:.2f}"),
            "created_at": finished.astimezone(UTC).replace(tzinfo=None),
        }
        for row in scored_week.document["customers"]
    ]
    found = rows(database, "anomaly_reports")
    assert sorted(found, key=lambda row: row["anomaly_rank"]) == expected
    assert list(found[0]) == list(expected[0])


def check_details(scored_week: ScoredWeek, database: Database) -> None:
    run_id = scored_week.manifest["run_id"]
    names = ("customer_id", "reporting_week", "signal", "signal_rule", "history_weeks",
             "surprise_total", "rank_stability", "guard")  # fmt: skip
    expected = [
        {**{name: row[name] for name in names}, "week_start": LAST_WEEK.monday, "run_id": run_id}
        for row in scored_week.document["customers"]
    ]  # fmt: skip
    assert same(rows(database, "anomaly_details"), expected)


def check_reasons(scored_week: ScoredWeek, database: Database) -> None:
    expected = [
        {
            **reason,
            "customer_id": row["customer_id"],
            "position": position,
            "reporting_week": "2025-46",
            "week_start": LAST_WEEK.monday,
            "run_id": scored_week.manifest["run_id"],
        }
        for row in scored_week.document["customers"]
        for position, reason in enumerate(row["reasons"], start=1)
    ]
    assert same(rows(database, "anomaly_reasons"), expected)


def check_categories(scored_week: ScoredWeek, database: Database) -> None:
    money = ("spend", "usual_spend", "usual_ticket")
    expected = [
        {
            **category,
            **{name: Decimal(f"{category[name]:.2f}") for name in money},
            "customer_id": row["customer_id"],
            "reporting_week": "2025-46",
            "week_start": LAST_WEEK.monday,
            "run_id": scored_week.manifest["run_id"],
        }
        for row in scored_week.document["customers"]
        for category in row["categories"]
    ]
    assert expected
    assert same(rows(database, "anomaly_mcc_week"), expected)


def check_customer_weeks(scored_week: ScoredWeek, database: Database) -> None:
    def money(amount: float | None) -> Decimal | None:
        return None if amount is None else Decimal(f"{amount:.2f}")

    expected = [
        {
            "customer_id": row["customer_id"],
            "reporting_week": "2025-46",
            "week_start": LAST_WEEK.monday,
            "window_week": date.fromisoformat(week["week_start"]),
            "spend": money(week["spend"]),
            "transaction_count": week["transaction_count"],
            "usual_spend": money(row["usual"]["spend"]),
            "run_id": scored_week.manifest["run_id"],
        }
        for row in scored_week.document["customers"]
        for week in row["weeks"]
    ]
    assert any(row["spend"] is None for row in expected)
    assert same(rows(database, "anomaly_customer_week"), expected)


def check_scores(scored_week: ScoredWeek, database: Database) -> None:
    added = {"reporting_week": "2025-46", "run_id": scored_week.manifest["run_id"]}
    expected = [{**row, **added} for row in scored_week.scores.to_pylist()]
    assert same(rows(database, "anomaly_scores"), expected)


def check_run(scored_week: ScoredWeek, database: Database) -> None:
    recorded = scored_week.manifest
    [found] = [row for row in rows(database, "anomaly_runs") if row["is_current"]]
    assert found.pop("manifest") == recorded
    for name, value in found.items():
        kind, _, rest = name.partition("_")
        if name in recorded["counts"]:
            assert value == recorded["counts"][name]
        elif kind == "customers":
            assert value == recorded["categories"][rest]
        elif kind == "threshold":
            assert value == recorded["thresholds"][rest]
        elif isinstance(value, datetime):
            assert value == datetime.fromisoformat(recorded[name])
        elif name == "version":
            assert value == recorded["versions"]["cardwatch"]
        elif name != "is_current":
            shown = value.isoformat() if isinstance(value, date) else value
            assert shown == recorded[name], name


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Whether two lists hold the same rows, in any order and with columns in any order."""

    def key(row: dict[str, Any]) -> str:
        return repr(sorted(row.items()))

    return sorted(map(key, found)) == sorted(map(key, expected))


def test_the_views_show_a_star_with_the_run_in_each(
    scored_week: ScoredWeek, ready: Database
) -> None:
    listed = scored_week.document["customers"]
    facts = {row["anomaly_key"]: row for row in rows(ready, "bi_fact_anomaly")}
    reasons, categories = rows(ready, "bi_fact_reason"), rows(ready, "bi_fact_mcc_week")
    weeks, runs = rows(ready, "bi_dim_week"), rows(ready, "bi_dim_run")
    mccs = {row["mcc"]: row for row in rows(ready, "bi_dim_mcc")}
    current = scored_week.manifest["run_id"]

    assert facts.keys() == {f"2025-46|{row['customer_id']}" for row in listed}
    assert {row["anomaly_key"] for row in [*reasons, *categories]} <= facts.keys()
    assert len(reasons) == sum(len(row["reasons"]) for row in listed)
    assert len(categories) == sum(len(row["categories"]) for row in listed)
    used = {row["mcc"] for row in [*reasons, *categories]}
    used |= {row["top_mcc"] for row in facts.values()}
    assert used - {None} == mccs.keys()
    assert all(row["name"] == mcc_name(mcc) for mcc, row in mccs.items())
    for row in listed:
        fact = facts[f"2025-46|{row['customer_id']}"]
        assert fact["first_reason"] == row["reasons"][0]["sentence"]
        assert fact["week_start"] == LAST_WEEK.monday

    [week] = weeks
    assert (week["week_start"], week["week_end"]) == (LAST_WEEK.monday, LAST_WEEK.sunday)
    assert (week["reporting_week"], week["iso_week"]) == ("2025-46", "2025-W47")
    assert week["week_label"] == "17 Nov - 23 Nov 2025"
    carried = [*facts.values(), *reasons, *categories, *mccs.values(), week]
    assert {row["run_id"] for row in carried} == {current}
    assert [row["run_id"] for row in runs if row["is_current"]] == [current]


def test_the_json_list_is_written_for_the_database_whatever_the_format(
    scored_week: ScoredWeek,
) -> None:
    assert scored_week.path(OutputFile.LIST_CSV).exists()
    assert scored_week.path(OutputFile.LIST_JSON).exists()


@pytest.mark.system
def test_a_run_with_the_database_turned_on_is_reproduced_without_it(
    scored_week: ScoredWeek, ready: Database, configured: Path
) -> None:
    before = dump(ready)
    done = cardwatch(configured, "reproduce", scored_week.path(OutputFile.MANIFEST))
    assert done.out.startswith("identical: ")
    assert dump(ready) == before


def test_a_dry_run_reaches_no_database(configured: Path, portfolio: Path) -> None:
    week = ("--reporting-week", LAST_WEEK.label, "--dry-run")
    command(NOWHERE, configured, "run", "--source", portfolio, *week)


def test_every_family_of_features_has_its_column_of_scores(ready: Database) -> None:
    with ready.connect() as connection:
        cursor = connection.execute("SELECT * FROM anomaly_scores")
        columns = {column.name for column in cursor.description or ()}
    assert {f"{feature.family}_surprise" for feature in CATALOG} <= columns


# Again, and later


def test_a_run_again_replaces_the_week_and_keeps_the_record_of_the_first(
    outputs: Path, engine: Engine, ready: Database
) -> None:
    sink = sink_of(outputs, ready)
    write_files(outputs, engine, {"A": 1, "B": 2, "C": 3}, "run-1")
    sink.publish(WEEK)
    write_files(outputs, engine, {"C": 1, "D": 2}, "run-2")
    sink.publish(WEEK)
    listed = {row["customer_id"]: row["anomaly_rank"] for row in rows(ready, "anomaly_reports")}
    assert listed == {"C": 1, "D": 2}
    assert run_ids(ready) == {"run-2"}
    runs = {row["run_id"]: row for row in rows(ready, "anomaly_runs")}
    assert {name: row["is_current"] for name, row in runs.items()} == {
        "run-1": False,
        "run-2": True,
    }
    assert runs["run-2"]["supersedes_run_id"] == "run-1"


def test_publishing_the_same_run_again_changes_nothing(
    outputs: Path, engine: Engine, ready: Database
) -> None:
    write_files(outputs, engine, {"A": 1, "B": 2})
    first, before = sink_of(outputs, ready).publish(WEEK), dump(ready)
    assert sink_of(outputs, ready).publish(WEEK) == first
    assert dump(ready) == before


def test_other_weeks_and_the_reviews_stay_as_they_are(
    outputs: Path, engine: Engine, ready: Database
) -> None:
    sink = sink_of(outputs, ready)
    ready.execute(
        "INSERT INTO anomaly_reviews (customer_id, reporting_week, verdict) "
        "VALUES ('A', '2025-46', 'expected')"
    )
    for week, run_id in ((WEEK - 1, "run-1"), (WEEK, "run-2")):
        write_files(outputs, engine, {"A": 1}, run_id, week=week)
        sink.publish(week)
    kept = [row for row in rows(ready, "anomaly_details") if row["run_id"] == "run-1"]
    write_files(outputs, engine, {"B": 1}, "run-3", week=WEEK)
    sink.publish(WEEK)
    assert [row for row in rows(ready, "anomaly_details") if row["run_id"] == "run-1"] == kept
    assert len(rows(ready, "anomaly_reviews")) == 1
    weeks = {row["reporting_week"]: row for row in rows(ready, "bi_dim_week")}
    assert {label: row["run_id"] for label, row in weeks.items()} == {
        "2025-45": "run-1",
        "2025-46": "run-3",
    }
    assert [row["reporting_week"] for row in weeks.values() if row["is_latest"]] == ["2025-46"]


@pytest.mark.system
def test_published_later_from_the_files_the_rows_are_those_of_a_direct_publication(
    tmp_path: Path, configured: Path, portfolio: Path, database: Database, ready: Database
) -> None:
    upgrade(ready, "later")
    week = ("--source", portfolio, "--reporting-week", LAST_WEEK.label)
    command(ready.url, configured, "run", *week)
    direct = dump(ready)

    failed = command(NOWHERE, configured, "publish", "--output-dir", "outputs", code=6)
    assert "`cardwatch publish --reporting-week 2025-46`" in failed.err
    in_schema = tmp_path / "later.yaml"
    in_schema.write_text("output: {database: {enabled: true, scores: true, schema: later}}\n")
    done = command(ready.url, configured, "publish", "--config", in_schema)
    assert "Published week 2025-46 (17–23 November 2025)" in done.out
    assert dump(ready, "later") == direct


def test_with_the_database_down_a_run_writes_its_files_and_names_the_command(
    tmp_path: Path, portfolio: Path, ready: Database
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(
        "output: {database: {enabled: true, attempts: 1}}\n"
    )
    words = ("run", "--source", portfolio, "--reporting-week", LAST_WEEK.label)
    down = command(NOWHERE, tmp_path, *words, code=6)
    [line] = [each for each in down.err.splitlines() if each.startswith("cardwatch: error: ")]
    assert "No database server answers" in line
    assert "`cardwatch publish --reporting-week 2025-46`" in line
    assert "customers to look at" in down.out
    assert "outputs/anomalies_2025-46.csv" in down.out
    manifest = json.loads((tmp_path / "outputs" / "run_2025-46.json").read_bytes())
    command(ready.url, tmp_path, "publish", "--reporting-week", "2025-46")
    assert run_ids(ready) == {manifest["run_id"]}


def test_scores_that_are_not_wanted_any_more_do_not_stay(
    configured: Path, scored_week: ScoredWeek, ready: Database
) -> None:
    assert rows(ready, "anomaly_scores")
    sink_of(configured / "outputs", ready).publish(LAST_WEEK)
    assert rows(ready, "anomaly_scores") == []
