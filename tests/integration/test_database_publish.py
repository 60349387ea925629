"""A week published to a real database: what is there afterwards, and what never is."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from command_line import cardwatch, failure
from postgres import Database
from published_database import (
    GUIDE_SQL,
    NOWHERE,
    TABLES,
    command,
    dump,
    rows,
    sink_of,
    upgrade,
    upgraded,
    write_files,
    write_list,
)
from published_weeks import WEEK, listed_customer
from small_portfolio import WEEK as LAST_WEEK
from small_portfolio import ScoredWeek

from cardwatch.engine import Engine
from cardwatch.errors import PublishError
from cardwatch.features.catalog import CATALOG
from cardwatch.merchant_categories import mcc_name
from cardwatch.outputs import OutputFile
from cardwatch.publish.database_roles import reader_statements
from cardwatch.week import ReportingWeek


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


def run_ids(database: Database) -> set[str]:
    """The runs that the rows of the tables of one week come from."""
    tables = ("anomaly_details", "anomaly_reasons", "anomaly_mcc_week", "anomaly_customer_week",
              "anomaly_scores")  # fmt: skip
    return {row["run_id"] for name in tables for row in rows(database, name)}


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
    folder: Path, engine: Engine, ready: Database
) -> None:
    sink = sink_of(folder, ready)
    write_files(folder, engine, {"A": 1, "B": 2, "C": 3}, "run-1")
    sink.publish(WEEK)
    write_files(folder, engine, {"C": 1, "D": 2}, "run-2")
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
    folder: Path, engine: Engine, ready: Database
) -> None:
    write_files(folder, engine, {"A": 1, "B": 2})
    first, before = sink_of(folder, ready).publish(WEEK), dump(ready)
    assert sink_of(folder, ready).publish(WEEK) == first
    assert dump(ready) == before


def test_other_weeks_and_the_reviews_stay_as_they_are(
    folder: Path, engine: Engine, ready: Database
) -> None:
    sink = sink_of(folder, ready)
    ready.execute(
        "INSERT INTO anomaly_reviews (customer_id, reporting_week, verdict) "
        "VALUES ('A', '2025-46', 'expected')"
    )
    for week, run_id in ((WEEK - 1, "run-1"), (WEEK, "run-2")):
        write_files(folder, engine, {"A": 1}, run_id, week=week)
        sink.publish(week)
    kept = [row for row in rows(ready, "anomaly_details") if row["run_id"] == "run-1"]
    write_files(folder, engine, {"B": 1}, "run-3", week=WEEK)
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


# What the command says


def test_publish_says_what_it_would_do_and_does_not(
    tmp_path: Path, engine: Engine, ready: Database
) -> None:
    write_files(tmp_path / "outputs", engine, {"A": 1, "B": 2})
    new = command(ready.url, tmp_path, "publish", "--dry-run").out
    assert "run run-1 would be new there" in " ".join(new.split())
    assert rows(ready, "anomaly_reports") == []
    command(ready.url, tmp_path, "publish")
    write_files(tmp_path / "outputs", engine, {"C": 1}, "run-2")
    again = " ".join(command(ready.url, tmp_path, "publish", "--dry-run").out.split())
    assert "run run-2 would replace run run-1 and its 2 listed customers" in again
    assert run_ids(ready) == {"run-1"}


def test_all_missing_sends_every_week_that_the_database_lacks(
    tmp_path: Path, engine: Engine, ready: Database
) -> None:
    outputs = tmp_path / "outputs"
    for back in range(4):
        write_files(outputs, engine, {"A": 1}, f"run-{back}", week=WEEK - back)
    (outputs / OutputFile.LIST_JSON.of(WEEK - 3)).unlink()
    command(ready.url, tmp_path, "publish", "--reporting-week", (WEEK - 1).label)
    done = command(ready.url, tmp_path, "publish", "--all-missing")
    assert "Week 2025-43 is missing in the database and has no JSON list to send" in done.out
    assert run_ids(ready) == {"run-0", "run-1", "run-2"}
    write_files(outputs, engine, {"A": 1}, "run-4", week=WEEK - 1)
    (outputs / OutputFile.MANIFEST.of(WEEK - 3)).unlink()
    command(ready.url, tmp_path, "publish", "--all-missing")
    assert run_ids(ready) == {"run-0", "run-2", "run-4"}
    nothing = command(ready.url, tmp_path, "publish", "--all-missing").out
    assert nothing.startswith("Nothing is missing")


@pytest.mark.parametrize("words", [(), ("--reporting-week", "2025-40")])
def test_without_files_there_is_nothing_to_publish(
    tmp_path: Path, ready: Database, words: tuple[str, ...]
) -> None:
    line = failure(command(ready.url, tmp_path, "publish", *words, code=6))
    assert "cardwatch run" in line


def test_a_week_whose_files_were_changed_or_packed_is_not_sent(
    folder: Path, engine: Engine, ready: Database
) -> None:
    sink = sink_of(folder, ready)
    write_files(folder, engine, {"A": 1})
    path = folder / OutputFile.LIST_JSON.of(WEEK)
    text = path.read_text()
    path.write_text(text.replace('"A"', '"Z"'))
    with pytest.raises(PublishError, match="one of its files was changed"):
        sink.publish(WEEK)
    path.unlink()
    (folder / "archive").mkdir()
    (folder / "archive" / "week_2025-46.packed-2026-01-01.tar.gz").touch()
    with pytest.raises(PublishError, match=r"It was packed: tar -xzf .*2025-46.packed-2026-01-01"):
        sink.publish(WEEK)
    (folder / OutputFile.MANIFEST.of(WEEK)).write_text("{}")
    with pytest.raises(PublishError, match="one of its files was changed"):
        sink.publish(WEEK)
    assert rows(ready, "anomaly_reports") == []


def test_a_list_of_the_first_format_is_published_without_categories(
    folder: Path, engine: Engine, ready: Database
) -> None:
    write_files(folder, engine, {"A": 1})
    path, record = (folder / kind.of(WEEK) for kind in (OutputFile.LIST_JSON, OutputFile.MANIFEST))
    document = json.loads(path.read_bytes())
    for customer in document["customers"]:
        for name in ("categories", "weeks", "usual", "peers"):
            del customer[name]
    path.write_text(json.dumps({**document, "format_version": 1}))
    manifest = json.loads(record.read_bytes())
    del manifest["supersedes_run_id"], manifest["source_keys"]
    manifest["files"][path.name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    record.write_text(json.dumps(manifest))
    sink_of(folder, ready).publish(WEEK)
    assert [row["customer_id"] for row in rows(ready, "anomaly_reports")] == ["A"]
    assert rows(ready, "anomaly_mcc_week") == rows(ready, "anomaly_customer_week") == []


def test_an_empty_list_is_published_as_one(folder: Path, engine: Engine, ready: Database) -> None:
    sink = sink_of(folder, ready)
    write_files(folder, engine, {"A": 1}, "run-1")
    sink.publish(WEEK)
    write_files(folder, engine, {}, "run-2", rest={"A": 1})
    sink.publish(WEEK)
    assert rows(ready, "anomaly_reports") == []
    assert [row["run_id"] for row in rows(ready, "bi_dim_week")] == ["run-2"]


def test_scores_that_are_not_wanted_any_more_do_not_stay(
    configured: Path, scored_week: ScoredWeek, ready: Database
) -> None:
    assert rows(ready, "anomaly_scores")
    sink_of(configured / "outputs", ready).publish(LAST_WEEK)
    assert rows(ready, "anomaly_scores") == []


# Values that do not fit


@pytest.mark.parametrize(
    ("changed", "column", "expected"),
    [
        ({"customer_id": "S" * 51}, "anomaly_reports.customer_id", "50 characters at most"),
        ({"customer_id": "S\0ecret"}, "anomaly_reports.customer_id", "NUL"),
        ({"total_spend": Decimal("10000000000.00")}, "anomaly_reports.total_spend",
         "9,999,999,999.99 at most"),
        ({"total_spend": Decimal("-10000000000.00")}, "anomaly_reports.total_spend", "an amount"),
        ({"top_mcc_spend": Decimal("123456789012.00")}, "anomaly_reports.top_mcc_spend", "amount"),
        ({"transaction_count": 2**31}, "anomaly_reports.transaction_count", "2,147,483,647"),
        ({"top_mcc": "5" * 51}, "anomaly_reports.top_mcc", "50 characters"),
        ({"anomaly_score": float("nan")}, "anomaly_reports.anomaly_score", "no value in 1 row"),
        ({"signal_rule": "a\0b"}, "anomaly_details.signal_rule", "NUL"),
        ({"history_weeks": 2**31}, "anomaly_details.history_weeks", "a number in 1 row"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_named_by_column_and_nothing_is_written(
    folder: Path,
    engine: Engine,
    ready: Database,
    changed: dict[str, Any],
    column: str,
    expected: str,
) -> None:
    sink = sink_of(folder, ready)
    write_files(folder, engine, {"SECRET-1": 1}, "run-1")
    sink.publish(WEEK)
    before = dump(ready)
    name = changed.get("customer_id", "SECRET-2")
    first = listed_customer(name, 1)
    listed = [type(first)(**{**vars(first), **changed}), listed_customer("SECRET-3", 2)]
    write_list(folder, engine, listed, "run-2")
    with pytest.raises(PublishError) as raised:
        sink.publish(WEEK)
    message = raised.value.message
    assert column in message
    assert expected in message
    assert "nothing was written" in message
    assert "SECRET" not in message
    assert "SSS" not in message
    assert dump(ready) == before


def test_values_at_the_limit_of_their_column_fit(
    folder: Path, engine: Engine, ready: Database
) -> None:
    widest = {
        "customer_id": "é" * 50,
        "total_spend": Decimal("-9999999999.99"),
        "top_mcc_spend": Decimal("9999999999.99"),
        "transaction_count": 2**31 - 1,
    }
    write_files(folder, engine, {"é" * 50: 1}, changed=widest)
    sink_of(folder, ready).publish(WEEK)
    [row] = rows(ready, "anomaly_reports")
    assert {name: row[name] for name in widest} == widest


def test_a_longer_id_fits_where_the_column_was_made_wider(
    folder: Path, engine: Engine, database: Database
) -> None:
    database.execute(GUIDE_SQL.replace("customer_id VARCHAR(50)", "customer_id VARCHAR(80)"))
    upgrade(database)
    write_files(folder, engine, {"L" * 80: 1})
    sink_of(folder, database).publish(WEEK)
    write_files(folder, engine, {"L" * 81: 1})
    with pytest.raises(PublishError, match="80 characters at most"):
        sink_of(folder, database).publish(WEEK)


def test_an_id_too_long_for_any_index_is_found_before_it_is_sent(
    folder: Path, engine: Engine, database: Database
) -> None:
    database.execute(GUIDE_SQL.replace("customer_id VARCHAR(50)", "customer_id TEXT"))
    upgrade(database)
    write_files(folder, engine, {"L" * 2001: 1})
    with pytest.raises(PublishError, match="2,000 bytes at most"):
        sink_of(folder, database).publish(WEEK)


AWKWARD = [
    "",
    " ",
    '"',
    "a,b",
    "a\nb\r",
    "\\N",
    "NULL",
    "\\.",
    "'; DROP TABLE x; --",
    "日本",
    "a\tb",
]


def test_awkward_text_arrives_as_it_is(folder: Path, engine: Engine, ready: Database) -> None:
    listed = [
        listed_customer(f"{position}{text}", position, [text or "-"])
        for position, text in enumerate(AWKWARD, start=1)
    ]
    write_list(folder, engine, listed)
    sink_of(folder, ready).publish(WEEK)
    found = {row["customer_id"]: row["sentence"] for row in rows(ready, "anomaly_reasons")}
    assert found == {each.customer_id: each.reasons[0].sentence for each in listed}


# Who may do what


def test_before_the_upgrade_the_command_is_named(
    folder: Path, engine: Engine, database: Database
) -> None:
    write_files(folder, engine, {"A": 1})
    with pytest.raises(PublishError, match="`cardwatch db upgrade`"):
        sink_of(folder, database).publish(WEEK)
    with pytest.raises(PublishError, match="`cardwatch db upgrade`"):
        sink_of(folder, database).current_runs()


def test_a_publisher_needs_only_these_privileges(
    folder: Path, engine: Engine, ready: Database
) -> None:
    tables = ", ".join(name for name in TABLES if name != "anomaly_reviews")
    enough = (f"SELECT, INSERT, DELETE ON {tables}", "UPDATE ON anomaly_runs")
    write_files(folder, engine, {"A": 1})
    with ready.role(*enough) as user:
        sink_of(folder, ready, user=user).publish(WEEK)
    assert len(rows(ready, "anomaly_reports")) == 1


@pytest.mark.parametrize(
    ("lacking", "grants"),
    [
        ("INSERT", ("SELECT, DELETE, UPDATE ON ALL TABLES IN SCHEMA public",)),
        ("DELETE", ("SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public",)),
        ("UPDATE", ("SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA public",)),
        ("SELECT", ()),
    ],
)
def test_a_privilege_that_is_missing_is_named_with_the_grant(
    folder: Path, engine: Engine, ready: Database, lacking: str, grants: tuple[str, ...]
) -> None:
    write_files(folder, engine, {"A": 1})
    with ready.role(*grants) as user, pytest.raises(PublishError) as raised:
        sink_of(folder, ready, user=user).publish(WEEK)
    assert f"may not {lacking} on anomaly_" in raised.value.message
    assert f"{lacking}" in raised.value.message.partition("GRANT ")[2]
    assert rows(ready, "anomaly_reports") == []


def test_a_publisher_without_rights_on_the_schema_is_told_so(
    folder: Path, engine: Engine, database: Database
) -> None:
    upgrade(database, "closed")
    write_files(folder, engine, {"A": 1})
    with database.role() as user, pytest.raises(PublishError) as raised:
        sink_of(folder, database, user=user, schema="closed").publish(WEEK)
    assert "cardwatch publish --reporting-week" in raised.value.message


def test_a_reader_role_that_is_granted_reads_the_list(
    folder: Path, engine: Engine, ready: Database
) -> None:
    write_files(folder, engine, {"A": 1})
    sink_of(folder, ready).publish(WEEK)
    role = f"reader_of_{ready.name}"
    ready.execute(";".join(reader_statements("public", role)))
    try:
        with ready.role() as (name, password):
            ready.execute(f"GRANT {role} TO {name}")
            with psycopg.connect(ready.url_as(name, password)) as connection:
                found = connection.execute("SELECT customer_id FROM bi_fact_anomaly").fetchall()
        assert found == [("A",)]
    finally:
        ready.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_newer_schema_takes_what_this_version_sends(
    folder: Path, engine: Engine, ready: Database
) -> None:
    ready.execute(
        "UPDATE cardwatch_alembic_version SET version_num = '9999';"
        "ALTER TABLE anomaly_reasons ADD COLUMN of_the_future TEXT;"
        "ALTER TABLE anomaly_reports ADD COLUMN region TEXT DEFAULT 'north'"
    )
    write_files(folder, engine, {"A": 1})
    sink_of(folder, ready).publish(WEEK)
    assert rows(ready, "anomaly_reports")[0]["region"] == "north"


def test_any_schema_name_and_any_week_are_data_and_never_sql(
    folder: Path, engine: Engine, database: Database
) -> None:
    schema, week = 'we "call" it; DROP % $1', ReportingWeek.parse("2026-00")
    with upgraded(database, schema):
        pass
    write_files(folder, engine, {"A": 1}, week=week)
    sink_of(folder, database, schema=schema).publish(week)
    [row] = rows(database, "bi_dim_week", schema)
    assert (row["reporting_week"], row["week_start"]) == ("2025-52", date(2025, 12, 29))
