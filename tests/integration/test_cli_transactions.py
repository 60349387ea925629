"""Single transactions give the list of the weekly rows they add up to, in the right time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import tzset
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from command_line import cardwatch
from small_portfolio import WEEK, ScoredWeek, portfolio_rows, write_parquet

from cardwatch.week import ReportingWeek

NEW_YORK = ZoneInfo("America/New_York")
LAST_HOUR = timedelta(days=6, hours=23, minutes=10)
"""Sunday late in the evening, which in UTC is Monday of the week after."""


def transactions() -> Iterator[dict[str, object]]:
    """Split every weekly row into its transactions, at the two ends of the local week."""
    for row in portfolio_rows().to_pylist():
        monday = ReportingWeek.parse(row["reporting_week"]).monday
        begin = datetime.combine(monday, time(), tzinfo=NEW_YORK)
        cents, count = round(row["spend_amount"] * 100), row["transaction_count"]
        for place in range(count):
            part = cents // count + (place < cents % count)
            moment = (
                begin + timedelta(seconds=place + 1) + (LAST_HOUR if place % 2 else timedelta())
            )
            yield {
                "customer_id": row["customer_id"],
                "transaction_time": moment.astimezone(UTC),
                "mcc": row["mcc"],
                "amount": part / 100,
                "currency": "USD",
            }


@pytest.fixture(scope="module")
def delivered() -> pa.Table:
    return pa.Table.from_pylist(list(transactions()))


def local_times(delivered: pa.Table) -> pa.Table:
    """Return the transactions with the local time and no zone, as text."""
    moments = delivered["transaction_time"].to_pylist()
    texts = [moment.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S") for moment in moments]
    return delivered.set_column(1, "transaction_time", [texts])


def configured(folder: Path, timezone: str) -> None:
    (folder / "config").mkdir()
    settings = f"portfolio: {{timezone: {timezone}, currency: USD}}\n"
    (folder / "config" / "config.yaml").write_text(settings, encoding="utf-8")


def test_transactions_give_the_list_of_their_weekly_rows(
    tmp_path: Path, scored: ScoredWeek, delivered: pa.Table
) -> None:
    configured(tmp_path, "America/New_York")
    source = write_parquet(delivered, tmp_path / "data")
    run = ScoredWeek.run(tmp_path, source, WEEK)
    assert run.list_rows == scored.list_rows
    assert run.scores == scored.scores
    assert run.manifest["counts"]["cells"] == scored.manifest["counts"]["cells"]
    assert run.manifest["counts"]["rows_in"] > scored.manifest["counts"]["rows_in"]


@pytest.fixture
def clock_in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tzset()
    yield
    monkeypatch.undo()
    tzset()


@pytest.mark.usefixtures("clock_in_tokyo")
def test_times_without_a_zone_are_the_portfolios_not_the_machines(
    tmp_path: Path, scored: ScoredWeek, delivered: pa.Table
) -> None:
    configured(tmp_path, "America/New_York")
    (tmp_path / "data").mkdir()
    pa_csv.write_csv(local_times(delivered), tmp_path / "data" / "card.csv")
    run = ScoredWeek.run(tmp_path, tmp_path / "data", WEEK)
    assert run.list_rows == scored.list_rows
    assert run.scores == scored.scores


def test_in_another_time_zone_the_ends_of_the_week_fall_elsewhere(
    tmp_path: Path, scored: ScoredWeek, delivered: pa.Table
) -> None:
    configured(tmp_path, "UTC")
    source = write_parquet(delivered, tmp_path / "data")
    weeks = cardwatch(tmp_path, "weeks", "--source", source).out
    assert (WEEK + 1).label in weeks
    run = ScoredWeek.run(tmp_path, source, WEEK)
    assert run.scores != scored.scores
