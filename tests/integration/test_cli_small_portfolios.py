"""Tiny portfolios and cold starts: there is always a list, and it says what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_portfolio import WEEK, ScoredWeek, of_weeks, portfolio_rows, write_parquet


def run(folder: Path, customers: int, weeks: int) -> tuple[ScoredWeek, str]:
    kept = [WEEK - back for back in range(weeks)]
    source = write_parquet(of_weeks(portfolio_rows(customers, 20), kept), folder / "data")
    scored = ScoredWeek.run(folder, source, WEEK)
    counts = scored.manifest["counts"]
    assert counts["customers_in"] == counts["customers_scored"] + sum(
        counts["customers_unscored"].values()
    )
    return scored, " ".join(scored.done.out.split())


def test_a_portfolio_of_fifty_has_a_list_that_says_how_small_it_is(tmp_path: Path) -> None:
    scored, said = run(tmp_path, 50, 16)
    assert len(scored.list_rows) == 20
    assert all(row["reason_1"] for row in scored.list_rows)
    assert "customers have transactions this week; with so few, scores are rough" in said
    assert scored.document["flagged"] <= 2


@pytest.mark.system
def test_a_portfolio_of_five_has_a_list_of_five(tmp_path: Path) -> None:
    scored, _ = run(tmp_path, 5, 16)
    assert len(scored.list_rows) == scored.scores.num_rows <= 5


def test_a_portfolio_of_one_is_no_error(tmp_path: Path) -> None:
    settings = tmp_path / "config" / "config.yaml"
    settings.parent.mkdir()
    settings.write_text("contract: {volume_tolerance: 10}\n", encoding="utf-8")
    scored, _ = run(tmp_path, 1, 16)
    assert scored.scores.num_rows == 1


@pytest.mark.parametrize(
    ("weeks", "says"),
    [
        (1, ["12 of 12 reference weeks have no usable row", "compared with their peers"]),
        (3, ["10 of 12 reference weeks have no usable row", "compared with their peers"]),
        (5, ["8 of 12 reference weeks have no usable row", "4 of 12 reference weeks hold data"]),
    ],
)
@pytest.mark.system
def test_a_cold_start_has_a_list_that_says_what_it_lacks(
    tmp_path: Path, weeks: int, says: list[str]
) -> None:
    scored, said = run(tmp_path, 300, weeks)
    assert len(scored.list_rows) == 20
    assert [text for text in says if text not in said] == []
    assert {int(row["history_weeks"]) for row in scored.list_rows} <= set(range(weeks))
    assert [note for note in scored.document["notes"] if " ".join(note.split()) not in said] == []
    families = {
        reason["family"] for row in scored.document["customers"] for reason in row["reasons"]
    }
    assert ("own_history" in families) == (weeks > 4)
