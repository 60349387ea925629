from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from cardwatch.errors import CardwatchError, ConfigurationError, PublishError
from cardwatch.sources.sample import SamplePortfolio, write_sample
from cardwatch.week import ReportingWeek

LAST = ReportingWeek.parse("2025-46")
COLUMNS = [
    "customer_id",
    "reporting_week",
    "mcc",
    "spend_amount",
    "transaction_count",
    "avg_ticket_amount",
]


def small(seed: int = 100, customers: int = 300, weeks: int = 4) -> SamplePortfolio:
    return SamplePortfolio(customers, weeks, seed, last_week=LAST)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def portfolio() -> SamplePortfolio:
    return SamplePortfolio(4_000, 26, 101, last_week=LAST)


@pytest.fixture(scope="module")
def rows(portfolio: SamplePortfolio) -> pa.Table:
    return pa.concat_tables(list(portfolio.tables()))


def test_weeks_end_with_the_last_week_and_carry_its_guide_label(rows: pa.Table) -> None:
    labels = pc.unique(rows["reporting_week"]).to_pylist()
    assert rows.column_names == COLUMNS
    assert labels == [(LAST - back).label for back in range(25, -1, -1)]


def test_a_customer_has_about_3_4_rows_a_week(rows: pa.Table) -> None:
    assert 3.2 <= rows.num_rows / (4_000 * 26) <= 3.6


def test_about_300_categories_are_used(rows: pa.Table) -> None:
    codes = pc.unique(rows["mcc"])
    assert 250 <= len(codes) <= 320
    assert all(len(code) == 4 and code.isdigit() for code in codes.to_pylist())


def test_the_average_ticket_is_spend_over_count_to_the_cent(rows: pa.Table) -> None:
    spend = rows["spend_amount"].to_numpy()
    count = rows["transaction_count"].to_numpy()
    average = rows["avg_ticket_amount"].to_numpy()
    assert count.min() >= 1
    assert np.abs(spend * 100 - np.rint(spend * 100)).max() < 1e-6
    assert np.abs(average - spend / count).max() <= 0.005 + 1e-9


def test_a_customer_has_one_row_per_week_and_category_in_order(portfolio: SamplePortfolio) -> None:
    table = portfolio.rows(LAST)
    keys = list(zip(table["customer_id"].to_pylist(), table["mcc"].to_pylist(), strict=True))
    assert keys == sorted(set(keys))


def test_some_customers_join_pause_and_leave(rows: pa.Table) -> None:
    seen = rows.group_by(["customer_id", "reporting_week"]).aggregate([]).to_pandas()
    weeks = seen.groupby("customer_id")["reporting_week"].agg(["min", "max", "count"])
    assert (weeks["min"] > (LAST - 20).label).mean() > 0.01
    assert (weeks["max"] < (LAST - 4).label).mean() > 0.01
    assert (weeks["count"] < 24).mean() > 0.1


def test_refunds_are_rare_and_negative(rows: pa.Table) -> None:
    negative = (rows["spend_amount"].to_numpy() < 0).mean()
    assert 0 < negative < 0.005


def test_the_same_seed_gives_the_same_rows_and_another_seed_does_not() -> None:
    assert small().rows(LAST).equals(small().rows(LAST))
    assert not small().rows(LAST).equals(small(seed=101).rows(LAST))


def test_a_week_made_alone_is_the_week_made_in_turn() -> None:
    assert list(small().tables())[2].equals(small().rows(LAST - 1))


def test_a_block_made_alone_is_the_block_made_in_turn() -> None:
    whole = SamplePortfolio(30_050, 2, 102, last_week=LAST)
    table = whole.rows(LAST)
    alone = SamplePortfolio(30_050, 2, 102, last_week=LAST).block_rows(1, 1)
    assert len(whole.blocks) == 2
    assert table.slice(table.num_rows - alone.num_rows).equals(alone)
    assert alone["customer_id"][0].as_py() > "C0030000"


@pytest.mark.parametrize(("customers", "weeks"), [(1, 1), (50, 14), (7, 30)])
def test_a_tiny_portfolio_is_made(customers: int, weeks: int) -> None:
    portfolio = small(customers=customers, weeks=weeks)
    assert sum(table.num_rows for table in portfolio.tables()) > 0
    assert portfolio.labels().column_names == ["customer_id", "week_start", "kind", "strength"]


@pytest.mark.parametrize(
    "wrong", [{"customers": 0}, {"weeks": 0}, {"seed": -1}, {"strength": float("nan")}]
)
def test_an_argument_out_of_range_is_refused_by_name(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        SamplePortfolio(last_week=LAST, **wrong)


def test_a_week_outside_the_portfolio_is_refused_with_the_weeks_it_holds() -> None:
    with pytest.raises(ConfigurationError, match="expected 2025-43 to 2025-46"):
        small().rows(LAST + 1)


def test_the_files_of_a_sample(tmp_path: Path) -> None:
    portfolio = small()
    written = write_sample(portfolio, tmp_path / "new" / "sample")
    weeks = [f"spend_2025-{number}.parquet" for number in (43, 44, 45, 46)]
    assert [path.name for path in written] == ["_labels.csv", "_mccs.csv", *weeks]
    assert pq.read_table(written[-1]).equals(portfolio.rows(LAST))
    labels = pa_csv.read_csv(written[0])
    assert labels["week_start"][0].as_py() == date(2025, 10, 27)
    assert labels.cast(portfolio.labels().schema).equals(portfolio.labels())
    text = written[1].read_text(encoding="utf-8")
    assert "5411,Grocery stores and supermarkets\n" in text.replace('"', "")


def test_a_rerun_gives_the_same_bytes_on_one_thread_and_on_two(tmp_path: Path) -> None:
    before = pa.cpu_count()
    try:
        for threads in (1, 2):
            pa.set_cpu_count(threads)
            write_sample(small(), tmp_path / str(threads))
    finally:
        pa.set_cpu_count(before)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_an_earlier_sample_is_replaced_whole(tmp_path: Path) -> None:
    write_sample(small(weeks=6, seed=103), tmp_path / "sample")
    write_sample(small(), tmp_path / "sample")
    write_sample(small(), tmp_path / "fresh")
    assert contents(tmp_path / "sample") == contents(tmp_path / "fresh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "sample"]


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="1 other file, expected a new folder") as refusal:
        write_sample(small(), tmp_path)
    assert "--output-dir" in refusal.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_failure_halfway_leaves_the_earlier_sample(tmp_path: Path) -> None:
    write_sample(small(), tmp_path / "sample")
    earlier = contents(tmp_path / "sample")

    def fail(done: int, total: int) -> None:
        if done == total // 2:
            raise OSError(28, "No space left on device")

    with pytest.raises(PublishError, match="No space left on device"):
        write_sample(small(seed=104), tmp_path / "sample", fail)
    assert contents(tmp_path / "sample") == earlier
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    write_sample(small(), tmp_path / "sample", lambda done, total: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_path_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "sample").write_text("", encoding="utf-8")
    with pytest.raises(CardwatchError, match="cannot be written there"):
        write_sample(small(), tmp_path / "sample")
