"""``cardwatch explain``: the whole story of a listed, an ordinary, an absent and a new customer."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest
from command_line import cardwatch
from small_portfolio import WEEK, ScoredWeek, of_weeks, portfolio_rows, write_parquet

NEWCOMER = {
    "customer_id": "=cmd() [bold]new[/bold]",
    "reporting_week": WEEK.label,
    "mcc": "7995",
    "spend_amount": 4400.0,
    "transaction_count": 20,
    "avg_ticket_amount": 220.0,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portfolio with one customer more, who is new this week."""
    rows = pa.concat_tables(
        [portfolio_rows(), pa.Table.from_pylist([NEWCOMER], portfolio_rows().schema)]
    )
    return write_parquet(rows, tmp_path_factory.mktemp("explain") / "data")


def story(folder: Path, source: Path, customer: str) -> str:
    return cardwatch(
        folder, "explain", customer, "--source", source, "--reporting-week", WEEK.label
    ).out


def weeks_shown(text: str) -> list[str]:
    return re.findall(r"^  (\d{4}-\d{2})  ", text, re.MULTILINE)


def test_a_listed_customer_with_all_reasons_weeks_peers_and_categories(
    tmp_path: Path, scored: ScoredWeek, portfolio: Path
) -> None:
    first = scored.document["customers"][0]
    text = story(tmp_path, portfolio, first["customer_id"])
    said = " ".join(text.split())
    assert text.startswith(f"{first['customer_id']}, week 2025-46 (17–23 November 2025)\n")
    assert f"rank 1 of {scored.scores.num_rows}, score {first['anomaly_score']:.3f}" in said
    assert [reason for reason in first["reasons"] if reason["sentence"] not in said] == []
    assert f"{first['surprise_total']:.2f} in all" in said
    assert weeks_shown(text) == [week.label for week in (*WEEK.window(12), WEEK)]
    assert "Peers (group" in text
    assert not re.search(r"\d\.0 (transaction|merchant)", text), "counts read as counts"
    assert "in brackets, each family alone" in said
    assert f"({first['top_mcc']})" in text


def test_contributions_shown_add_up_to_the_total_shown(
    tmp_path: Path, scored: ScoredWeek, portfolio: Path
) -> None:
    text = story(tmp_path, portfolio, scored.list_rows[1]["customer_id"])
    why = text[text.index("Why") : text.index("Week by week")]
    *parts, total = [float(each) for each in re.findall(r"^ +(-?\d+\.\d\d)  ", why, re.MULTILINE)]
    assert len(parts) >= 3
    assert sum(parts) == pytest.approx(total, abs=0.005 * (len(parts) + 1))


def test_an_ordinary_customer_is_told_all_the_same(
    tmp_path: Path, scored: ScoredWeek, portfolio: Path
) -> None:
    scores = scored.scores.to_pylist()
    active = [row for row in scores if row["transaction_count"]]
    last = active[-1]
    text = story(tmp_path, portfolio, last["customer_id"])
    assert f"rank {last['anomaly_rank']} of {len(scores)}" in text
    assert ", low (" in text
    assert "Merchant categories this week" in text


def test_an_absent_customer_has_weeks_and_no_categories(tmp_path: Path, portfolio: Path) -> None:
    rows = portfolio_rows()
    here = set(of_weeks(rows, [WEEK])["customer_id"].to_pylist())
    before = set(of_weeks(rows, [WEEK - 1])["customer_id"].to_pylist())
    text = story(tmp_path, portfolio, min(before - here))
    assert "  2025-46  no transaction" in text
    assert "Merchant categories this week" not in text
    assert "Too little history" not in text


def test_a_new_customer_is_compared_with_peers_and_shown_as_written(
    tmp_path: Path, source: Path
) -> None:
    text = story(tmp_path, source, NEWCOMER["customer_id"])  # type: ignore[arg-type]
    assert text.startswith("=cmd() [bold]new[/bold], week 2025-46")
    assert "0 weeks of history" in text
    assert "Too little history to be compared with" in text
    assert "Betting and casino gambling (7995)" in text
    assert text.count("no transaction") == 12


def test_a_week_that_the_source_lacks_is_told_from_one_without_transactions(
    tmp_path: Path, scored: ScoredWeek
) -> None:
    source = write_parquet(of_weeks(portfolio_rows(), [*WEEK.window(7), WEEK]), tmp_path / "data")
    text = story(tmp_path, source, scored.list_rows[0]["customer_id"])
    assert text.count("  no data\n") == 5
    assert "  2025-38  no data\n  2025-39  " in text


@pytest.mark.parametrize("name", ["c0000001", "\udcff"])
def test_an_unknown_customer_is_exit_code_3_without_the_id(
    tmp_path: Path, portfolio: Path, name: str
) -> None:
    words: tuple[str | Path, ...] = ("explain", name, "--source", portfolio)
    options = ("--reporting-week", WEEK.label)
    done = cardwatch(tmp_path, *words, *options, code=3, LOG_LEVEL="INFO")
    assert "no such customer" in done.err
    assert done.out == ""
    assert not name or name not in done.err
    log = (tmp_path / "logs" / "app.log").read_text(encoding="utf-8")
    assert not name or name not in log
    assert "step contract took" in log
    assert "step features" not in log, "nothing is scored for nobody"
