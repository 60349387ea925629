"""``cardwatch run``: what it prints, what it writes, and that both say the same."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import cardwatch, contents, failure
from small_portfolio import WEEK, ScoredWeek, portfolio_rows, write_parquet

from cardwatch.cli import run_main
from cardwatch.outputs import INDEX, LIST_COLUMNS, OutputFile
from cardwatch.sources.sample import SamplePortfolio, write_sample
from cardwatch.week import ReportingWeek

GUIDE_FILE = """\
# Production configuration
environment: production
data_source:
  type: database
  connection_string: "${{DB_CONNECTION_STRING}}"
feature_engineering:
  use_cache: true
  cache_dir: {folder}/cache
model:
  contamination: 0.05
  random_state: 42
output:
  directory: {folder}/outputs
  format: csv
  retention_days: 90
logging:
  level: INFO
  file: {folder}/logs/app.log
  max_size_mb: 100
  backup_count: 10
"""


def configure(folder: Path, text: str) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(text, encoding="utf-8")


def numbers(line: str, text: str) -> list[int]:
    """Return the numbers of the printed line that begins with `line`."""
    [found] = [each for each in text.splitlines() if each.startswith(line)]
    return [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", found)]


def test_a_run_writes_its_files_and_names_them(scored: ScoredWeek) -> None:
    names = [*(kind.of(WEEK) for kind in OutputFile), INDEX]
    assert sorted(contents(scored.outputs)) == sorted([".cardwatch.lock", *names])
    assert [name for name in names if f"  outputs/{name}\n" not in scored.done.out] == []


def test_the_list_has_the_guides_columns_and_then_ours(scored: ScoredWeek) -> None:
    assert list(scored.list_rows[0]) == [column.name for column in LIST_COLUMNS]
    assert len(scored.list_rows) == 20


def test_csv_json_and_screen_show_the_same_list(scored: ScoredWeek) -> None:
    listed = scored.document["customers"]
    for row, customer in zip(scored.list_rows, listed, strict=True):
        assert row["customer_id"] == customer["customer_id"]
        assert row["customer_id"] in scored.done.out
        assert float(row["anomaly_score"]) == customer["anomaly_score"]
        assert row["reason_1"] == customer["reasons"][0]["sentence"]


def test_the_json_tells_the_weeks_and_categories_that_a_listed_week_is_made_of(
    scored: ScoredWeek,
) -> None:
    window = [week.label for week in (*WEEK.window(12), WEEK)]
    for row in scored.document["customers"]:
        parts, last = row["categories"], row["weeks"][-1]
        assert len(parts) == row["mcc_diversity"]
        assert round(sum(each["spend"] for each in parts), 2) == row["total_spend"]
        assert sum(each["transaction_count"] for each in parts) == row["transaction_count"]
        assert [each["reporting_week"] for each in row["weeks"]] == window
        assert (last["spend"] or 0, last["transaction_count"] or 0) == (
            row["total_spend"],
            row["transaction_count"],
        )
        if parts:
            assert (parts[0]["mcc"], parts[0]["spend"]) == (row["top_mcc"], row["top_mcc_spend"])
    [usual] = {tuple(row["usual"]) for row in scored.document["customers"]}
    assert usual == ("spend", "transaction_count", "ticket")


def test_the_manifest_holds_what_each_week_of_the_window_was_read_from(scored: ScoredWeek) -> None:
    keys = scored.manifest["source_keys"]
    assert list(keys) == [week.label for week in (*WEEK.window(12), WEEK)]
    assert all(keys.values())
    assert scored.manifest["supersedes_run_id"] is None


def test_the_week_is_recorded_for_those_after_it_and_the_list_beside_the_portfolio(
    scored: ScoredWeek,
) -> None:
    groups, manifest = scored.document["peer_groups"], scored.manifest
    counts = manifest["counts"]
    assert sum(each["customers"] for each in groups) == counts["customers_scored"]
    assert sum(each["listed"] for each in groups) == counts["listed"]
    on_cards = {row["peers"]["group"] for row in scored.document["customers"]}
    assert {each["group"] for each in groups if each["listed"]} == on_cards
    assert scored.document["drift"] == {"weeks": [], "scores": None, "features": []}
    histograms = manifest["feature_histograms"]
    present = counts["customers_scored"] - counts["customers_absent"]
    assert {sum(bins) for name, bins in histograms.items() if name != "absence"} == {present}
    assert sum(histograms["absence"]) == counts["customers_scored"]
    assert len(json.dumps([histograms, manifest["category_counts"]])) < 20_000
    page = scored.path(OutputFile.REPORT).read_text()
    assert "nothing to compare this week with yet" in page


def test_the_list_is_the_top_of_all_scores(scored: ScoredWeek) -> None:
    scores = scored.scores.to_pylist()
    assert [row["anomaly_rank"] for row in scores] == list(range(1, len(scores) + 1))
    assert [row["customer_id"] for row in scores[:20]] == [
        row["customer_id"] for row in scored.list_rows
    ]
    order = [(-row["anomaly_score"], row["customer_id"]) for row in scores]
    assert order == sorted(order)
    assert all(0 <= row["anomaly_score"] <= 1 for row in scores)


def test_both_identities_hold_on_the_screen_and_in_the_manifest(scored: ScoredWeek) -> None:
    counts = scored.manifest["counts"]
    rows_in, accepted, quarantined = numbers("rows in", scored.done.out)
    assert rows_in == accepted + quarantined == counts["rows_in"] > 0
    assert [accepted, quarantined] == [counts["rows_accepted"], counts["rows_quarantined"]]
    customers_in, customers, absent, unscored = numbers("customers in", scored.done.out)
    assert customers_in == customers + unscored == counts["customers_in"] > 0
    assert [customers, absent] == [counts["customers_scored"], counts["customers_absent"]]
    assert unscored == sum(counts["customers_unscored"].values())
    assert customers == scored.scores.num_rows
    assert absent == scored.scores["transaction_count"].to_pylist().count(0)


def test_contributions_add_up_and_reasons_come_from_different_families(scored: ScoredWeek) -> None:
    totals = {row["customer_id"]: row["surprise_total"] for row in scored.scores.to_pylist()}
    for customer in scored.document["customers"]:
        parts = customer["contributions"]
        assert sum(parts.values()) == pytest.approx(customer["surprise_total"], abs=1e-9)
        assert customer["surprise_total"] == totals[customer["customer_id"]]
        reasons = customer["reasons"]
        assert 1 <= len(reasons) <= 3
        families = [reason["family"] for reason in reasons]
        assert len(set(families)) == len(families)
        given = [reason["contribution"] for reason in reasons]
        assert given == sorted(given, reverse=True)
        assert given == [parts[family] for family in families]


def test_the_flagged_are_those_above_the_cut_and_their_number_is_said(scored: ScoredWeek) -> None:
    cut = scored.document["thresholds"]["medium"]
    flagged = sum(score >= cut for score in scored.scores["anomaly_score"].to_pylist())
    assert flagged == scored.document["flagged"] == scored.manifest["counts"]["flagged"]
    assert numbers("flagged", scored.done.out)[:2] == [flagged, scored.scores.num_rows]
    by_category = [row["risk_category"] for row in scored.list_rows]
    assert sum(category != "low" for category in by_category) == min(flagged, 20)


def test_each_step_is_logged_with_the_run_and_the_week(scored: ScoredWeek) -> None:
    lines = (scored.folder / "logs" / "app.log").read_text(encoding="utf-8").splitlines()
    assert lines == []  # at WARNING nothing is amiss
    assert set(scored.manifest["seconds"]) >= {"read", "contract", "features", "detect", "rank"}


@pytest.mark.system
def test_the_next_commands_can_be_copied(scored: ScoredWeek) -> None:
    after = scored.done.out[scored.done.out.index("\nNext\n") :]
    commands = [shlex.split(line) for line in after.splitlines() if "cardwatch " in line]
    assert [command[1] for command in commands] == ["explain", "run", "reproduce"]
    for command in commands[::2]:
        cardwatch(scored.folder, *command[1:])
    assert commands[1][2:] == [
        "--reporting-week", "2025-45",
        "--source", commands[0][commands[0].index("--source") + 1],
        "--output-dir", "outputs",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["2025-46", "2025-W47", "2025-11-20", "last", "LAST", None])
def test_a_week_has_many_names(tmp_path: Path, portfolio: Path, name: str | None) -> None:
    chosen = [] if name is None else ["--reporting-week", name]
    done = cardwatch(tmp_path, "validate", "--source", portfolio, "--format", "json", *chosen)
    assert json.loads(done.out)["reporting_week"] == "2025-46"
    late = "The last complete week in the source is 2025-46 (17–23 November 2025); 2"
    assert (late in done.err) == (name in ("last", "LAST", None))
    assert ("is over and not there" in done.err) == (late in done.err)


def test_json_on_the_screen_is_the_file(
    tmp_path: Path, scored: ScoredWeek, portfolio: Path
) -> None:
    again = ScoredWeek.run(tmp_path, portfolio, WEEK, "--format", "json")
    assert again.done.out == scored.path(OutputFile.LIST_JSON).read_text(encoding="utf-8")
    assert again.done.err == ""
    assert again.results == scored.results


def test_a_shorter_list_is_the_beginning_of_the_longer(
    tmp_path: Path, scored: ScoredWeek, portfolio: Path
) -> None:
    short = ScoredWeek.run(tmp_path, portfolio, WEEK, "--top", "5")
    of_the_length = {"rank_stability": ""}
    assert [row | of_the_length for row in short.list_rows] == [
        row | of_the_length for row in scored.list_rows[:5]
    ]
    assert short.path(OutputFile.SCORES).read_bytes() == scored.path(OutputFile.SCORES).read_bytes()


def test_contamination_and_policies_change_flags_and_the_list_but_no_score(
    tmp_path: Path, scored: ScoredWeek, portfolio: Path
) -> None:
    configure(
        tmp_path, "model: {contamination: 0.05}\nranking: {min_spend: 200, peer_group_cap: 0.2}\n"
    )
    other = ScoredWeek.run(tmp_path, portfolio, WEEK)
    assert other.path(OutputFile.SCORES).read_bytes() == scored.path(OutputFile.SCORES).read_bytes()
    assert other.document["flagged"] > scored.document["flagged"]
    assert min(float(row["total_spend"]) for row in other.list_rows) >= 200
    left_out = other.document["left_out_by_policy"]["min_spend"]
    assert f"not listed by ranking.min_spend: {left_out:,} customers" in other.done.out
    assert max(each["listed"] for each in other.document["peer_groups"]) <= 4
    ranks = [int(row["anomaly_rank"]) for row in other.list_rows]
    assert ranks == sorted(ranks)
    assert ranks[-1] > 20


@pytest.mark.system
def test_a_dry_run_writes_nothing_and_says_who_would_enter_and_leave(
    tmp_path: Path, portfolio: Path
) -> None:
    earlier = ScoredWeek.run(tmp_path, portfolio, WEEK - 1)
    before = contents(tmp_path)
    done = cardwatch(tmp_path, "run", "--source", portfolio, "--dry-run")
    assert contents(tmp_path) == before
    assert "nothing was written" in done.out
    assert "read: weeks 2025-34 to 2025-46, 13 with rows" in done.out
    assert "would write outputs/anomalies_2025-46.csv" in done.out
    cardwatch(tmp_path, "run", "--source", portfolio)
    now = {row["customer_id"] for row in ScoredWeek(WEEK, tmp_path, done).list_rows}
    was = {row["customer_id"] for row in earlier.list_rows}
    said = " ".join(done.out.split())
    assert f"enter the list since 2025-45: {', '.join(sorted(now - was))}" in said
    assert f"leave the list since 2025-45: {', '.join(sorted(was - now))}" in said


@pytest.mark.system
def test_a_dry_run_in_an_empty_folder_leaves_it_empty(tmp_path: Path, portfolio: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("logging: {file: null}\n", encoding="utf-8")
    done = cardwatch(tmp_path, "run", "--source", portfolio, "--dry-run")
    assert "no earlier list to compare with" in done.out
    assert list(contents(tmp_path)) == ["config/config.yaml"]


def test_the_guides_configuration_runs_on_files(tmp_path: Path, portfolio: Path) -> None:
    configure(tmp_path, GUIDE_FILE.format(folder=tmp_path))
    done = cardwatch(
        tmp_path, "--reporting-week", WEEK.label, "--source", portfolio, entry=run_main
    )
    run = ScoredWeek(WEEK, tmp_path, done)
    assert not run.path(OutputFile.LIST_JSON).exists()
    assert run.manifest["environment"] == "production"
    assert run.manifest["counts"]["flagged"] >= round(0.05 * run.scores.num_rows)
    assert run.manifest["configuration"]["model"]["contamination"] == 0.05
    assert len(list((tmp_path / "cache").glob("*.parquet"))) == 12


def test_the_guides_configuration_without_its_variables_names_them(tmp_path: Path) -> None:
    configure(tmp_path, GUIDE_FILE.format(folder=tmp_path))
    done = cardwatch(tmp_path, code=2, entry=run_main)
    assert "DB_HOST" in failure(done)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReportingWeek]:
    """A source that holds rows of the week that has only begun."""
    week = ReportingWeek.containing(datetime.now(UTC).date() + timedelta(hours=1))
    folder = tmp_path_factory.mktemp("begun")
    write_sample(SamplePortfolio(60, 6, seed=1, last_week=week), folder / "data")
    return folder, week


def test_a_week_that_has_only_begun_names_the_last_complete_one(
    begun: tuple[Path, ReportingWeek],
) -> None:
    folder, week = begun
    arguments = ["--reporting-week", week.label, "--source", "data", "--output-dir", "outputs"]
    line = failure(cardwatch(folder, *arguments, code=3, entry=run_main))
    assert f"Week {week.label} ({week.dates}) is not over" in line
    assert f"python main.py --reporting-week {(week - 1).label}" in line
    assert "--allow-partial" in line
    assert not (folder / "outputs").exists()
    arguments[1] = (week + 1).label
    line = failure(cardwatch(folder, *arguments, code=3, entry=run_main))
    assert "has not begun" in line
    assert "--allow-partial" not in line


def test_the_last_week_is_the_last_complete_one(begun: tuple[Path, ReportingWeek]) -> None:
    folder, week = begun
    rows = json.loads(cardwatch(folder, "weeks", "--source", "data", "--format", "json").out)
    assert [row["complete"] for row in rows[-2:]] == [True, False]
    assert rows[-1]["reporting_week"] == week.label
    *_, before, last = cardwatch(folder, "weeks", "--source", "data").out.splitlines()
    assert before.rstrip().endswith("last complete")
    assert last.rstrip().endswith("not over")
    for chosen in ((), ("--reporting-week", "due")):
        done = cardwatch(folder, "validate", "--source", "data", "--format", "json", *chosen)
        assert json.loads(done.out)["reporting_week"] == (week - 1).label
        assert (f"The last complete week is {(week - 1).label}" in done.err) == (not chosen)


def test_a_partial_week_is_scored_when_asked_for(begun: tuple[Path, ReportingWeek]) -> None:
    folder, week = begun
    run = ScoredWeek.run(folder, folder / "data", week, "--allow-partial")
    assert len(run.list_rows) == 20
    assert "was not over" in run.document["notes"][0]
    assert run.document["notes"][0] in " ".join(run.done.out.split())
    cardwatch(folder, "reproduce", run.path(OutputFile.MANIFEST))


def test_a_bare_label_is_the_guides_as_in_file_names_whatever_the_source_uses(
    tmp_path: Path,
) -> None:
    rows = portfolio_rows(60, 8)
    labels = [ReportingWeek.parse(label).iso_label for label in rows["reporting_week"].to_pylist()]
    bare = [label.replace("W", "") for label in labels]
    write_parquet(rows.set_column(1, "reporting_week", [bare]), tmp_path / "data")
    configure(tmp_path, "reporting_week: {numbering: iso}\n")
    run = ScoredWeek.run(tmp_path, tmp_path / "data", WEEK)
    assert "Week 2025-W47 (17–23 November 2025)" in run.done.out
    assert run.manifest["reporting_week"] == "2025-46"
    assert {row["week_start"] for row in run.list_rows} == {"2025-11-17"}
    listed = cardwatch(tmp_path, "weeks", "--source", tmp_path / "data").out
    assert listed.splitlines()[-1].startswith("2025-W47  17–23 November 2025")


def test_validate_checks_and_writes_nothing(tmp_path: Path, portfolio: Path) -> None:
    configure(tmp_path, "logging: {file: null}\n")
    shown = cardwatch(tmp_path, "validate", "--source", portfolio).out
    assert "every row keeps the contract" in shown
    rows_in, accepted, quarantined = numbers("rows in", shown)
    assert rows_in == accepted + quarantined
    asked = cardwatch(tmp_path, "validate", "--source", portfolio, "--format", "json")
    told = json.loads(asked.out)
    assert told["coverage"]["rows_in"] == rows_in
    assert told["weeks_present"][-1] == WEEK.label
    assert list(contents(tmp_path)) == ["config/config.yaml"]


def test_weeks_lists_what_the_source_holds(tmp_path: Path, portfolio: Path) -> None:
    rows = portfolio_rows()
    told = json.loads(cardwatch(tmp_path, "weeks", "--source", portfolio, "--format", "json").out)
    assert len(told) == 20
    assert sum(week["rows"] for week in told) == rows.num_rows
    assert sum(week["spend"] for week in told) == pytest.approx(
        sum(rows["spend_amount"].to_pylist())
    )
    assert told[-1]["week_start"] == "2025-11-17"


def test_sample_says_what_it_made_and_the_next_command_runs(tmp_path: Path) -> None:
    options = ["--customers", "60", "--weeks", "5", "--seed", "3"]
    done = cardwatch(tmp_path, "sample", *options)
    assert "60 customers, 5 weeks" in done.out
    names = [name for name in contents(tmp_path) if name.startswith("datasamples/")]
    assert {"datasamples/_labels.csv", "datasamples/_mccs.csv"} <= set(names)
    before = contents(tmp_path / "datasamples")
    cardwatch(tmp_path, "sample", *options)
    assert contents(tmp_path / "datasamples") == before
    command = shlex.split(done.out.splitlines()[-1])
    assert command[1:] == ["run", "--source", "datasamples"]
    cardwatch(tmp_path, *command[1:])


def test_sample_leaves_a_folder_with_other_files_alone(tmp_path: Path) -> None:
    kept = write_parquet(portfolio_rows(), tmp_path / "data")
    before = contents(kept)
    done = cardwatch(tmp_path, "sample", "--customers", "5", "--output-dir", "data", code=2)
    assert "data" in failure(done)
    assert contents(kept) == before
