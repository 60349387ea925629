"""The same rows give the same bytes, however they are stored and wherever the run takes place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from command_line import contents, start
from small_portfolio import (
    WEEK,
    ScoredWeek,
    as_csv,
    of_weeks,
    portfolio_rows,
    shuffled,
    write_parquet,
)

from cardwatch.week import ReportingWeek


def one_csv(rows: pa.Table, folder: Path) -> None:
    (folder / "rows.csv").write_text(as_csv(rows), encoding="utf-8")


def csv_files_by_week(rows: pa.Table, folder: Path) -> None:
    for label in sorted(set(rows["reporting_week"].to_pylist())):
        week = of_weeks(rows, [ReportingWeek.parse(label)])
        pa_csv.write_csv(week, folder / f"{label}.csv")


def gzipped_csv(rows: pa.Table, folder: Path) -> None:
    with pa.CompressedOutputStream(str(folder / "rows.csv.gz"), "gzip") as stream:
        pa_csv.write_csv(rows, stream)


def excel_csv(rows: pa.Table, folder: Path) -> None:
    text = as_csv(rows).replace(",", ";").replace("\n", "\r\n")
    (folder / "rows.csv").write_bytes(text.encode("utf-8-sig"))


def unequal_parquet_files(rows: pa.Table, folder: Path) -> None:
    for part, (begin, end) in enumerate([(0, 7), (7, 9000), (9000, rows.num_rows)]):
        pq.write_table(rows.slice(begin, end - begin), folder / f"part-{part}.parquet")


def hive_folders(rows: pa.Table, folder: Path) -> None:
    ds.write_dataset(
        rows,
        folder,
        format="parquet",
        partitioning=ds.partitioning(pa.schema([("reporting_week", pa.string())]), flavor="hive"),
    )


def other_names_and_types(rows: pa.Table, folder: Path) -> None:
    """Dates for weeks, numbers for codes, decimals for amounts."""
    mondays = [ReportingWeek.parse(label).monday for label in rows["reporting_week"].to_pylist()]
    table = pa.table(
        {
            "mcc": rows["mcc"].cast(pa.int32()),
            "transaction_count": rows["transaction_count"].cast(pa.int64()),
            "CUSTOMER_ID": rows["customer_id"].cast(pa.large_string()),
            "spend_amount": rows["spend_amount"].cast(pa.decimal128(18, 2)),
            "reporting_week": pa.array(mondays, pa.date32()),
        }
    )
    pq.write_table(table, folder / "rows.parquet")


LAYOUTS: list[Callable[[pa.Table, Path], None]] = [
    one_csv,
    csv_files_by_week,
    gzipped_csv,
    excel_csv,
    unequal_parquet_files,
    hive_folders,
    other_names_and_types,
]
OFTEN = (excel_csv, unequal_parquet_files, other_names_and_types)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(each, marks=() if each in OFTEN else pytest.mark.system, id=each.__name__)
        for each in LAYOUTS
    ],
)
@pytest.mark.system
def test_the_files_the_rows_come_in_change_nothing(
    tmp_path: Path, scored: ScoredWeek, write: Callable[[pa.Table, Path], None]
) -> None:
    (tmp_path / "data").mkdir()
    write(shuffled(portfolio_rows()), tmp_path / "data")
    assert ScoredWeek.run(tmp_path, tmp_path / "data", WEEK).results == scored.results


def configured(folder: Path, text: str) -> Path:
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder / "config.yaml"


@pytest.mark.system
def test_the_number_of_threads_changes_nothing(
    tmp_path: Path, scored: ScoredWeek, portfolio: Path
) -> None:
    one = configured(tmp_path, "engine: {threads: 1}")
    run = ScoredWeek.run(tmp_path, portfolio, WEEK, "--config", str(one))
    assert run.results == scored.results


@pytest.mark.system
def test_the_forest_gives_the_same_bytes_in_any_order_and_on_any_thread_count(
    tmp_path: Path, portfolio: Path
) -> None:
    forest = "model: {detector: isolation_forest, n_estimators: 60}\n"
    mixed = write_parquet(shuffled(portfolio_rows()), tmp_path / "mixed")
    results = []
    for name, threads, source in (("one", 1, portfolio), ("two", 2, mixed)):
        (tmp_path / name).mkdir()
        settings = configured(tmp_path / name, f"{forest}engine: {{threads: {threads}}}\n")
        run = ScoredWeek.run(tmp_path / name, source, WEEK, "--config", str(settings))
        assert run.document["detector"] == "isolation_forest"
        results.append(run.results)
    assert results[0] == results[1]


def test_a_second_run_writes_the_same_bytes_over_the_first(
    tmp_path: Path, scored: ScoredWeek, portfolio: Path
) -> None:
    first = ScoredWeek.run(tmp_path, portfolio, WEEK)
    names = sorted(contents(first.outputs))
    again = ScoredWeek.run(tmp_path, portfolio, WEEK)
    assert again.results == scored.results
    assert sorted(contents(again.outputs)) == names
    volatile = ("run_id", "supersedes_run_id", "started_at", "finished_at", "seconds")
    stable = [
        {key: value for key, value in run.manifest.items() if key not in volatile}
        for run in (scored, again)
    ]
    assert [each.pop("configuration")["data_source"]["path"] for each in stable]
    assert stable[0] == stable[1]


@pytest.mark.system
def test_the_cache_changes_nothing_cold_warm_damaged_or_foreign(
    tmp_path: Path, scored: ScoredWeek, portfolio: Path
) -> None:
    settings = configured(tmp_path, "feature_engineering: {use_cache: true, cache_dir: kept}\n")

    def run() -> ScoredWeek:
        return ScoredWeek.run(tmp_path, portfolio, WEEK, "--config", str(settings))

    results = {"cold": run().results}
    files = sorted((tmp_path / "kept").glob("*.parquet"))
    assert len(files) == 12
    results["warm"] = run().results
    files[0].write_bytes(files[0].read_bytes()[:-100])
    files[1].write_bytes(files[2].read_bytes())
    files[3].with_suffix(".json").write_text("{}", encoding="utf-8")
    damaged = run()
    warnings = damaged.manifest["warnings"]
    results |= {"damaged": damaged.results, "mended": run().results}
    assert [how for how, result in results.items() if result != scored.results] == []
    said = " ".join(damaged.done.out.split())
    assert said.count("it is made anew") == 3
    assert sum("it is made anew" in warning for warning in warnings) == 3


@pytest.mark.system
@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        pytest.param(
            {
                "PYTHONHASHSEED": "8",
                "TZ": "America/Los_Angeles",
                "LC_ALL": "POSIX",
                "PYTHONUTF8": "0",
            },
            marks=pytest.mark.system,
        ),
    ],
    ids=["east", "west"],
)
def test_the_machines_clock_zone_locale_and_hash_seed_change_nothing(
    tmp_path: Path, scored: ScoredWeek, portfolio: Path, variables: dict[str, str]
) -> None:
    arguments = ["run", "--source", str(portfolio), "--reporting-week", WEEK.label]
    with start(tmp_path, *arguments, "--output-dir", "outputs", **variables) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "2025-46" in out
    assert ScoredWeek(WEEK, tmp_path, scored.done).results == scored.results
