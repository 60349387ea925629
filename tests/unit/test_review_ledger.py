"""The file of all reviews: what is read, what is refused, what is added."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from review_examples import review

from cardwatch.errors import ConfigurationError
from cardwatch.history import read_history
from cardwatch.review.ledger import LEDGER_FILE, added, ledger_bytes, read_reviews, standing
from cardwatch.review.verdicts import Verdict, telling
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")


def test_what_is_written_is_read_again_line_by_line(tmp_path: Path) -> None:
    reviews = (review("C-1"), review("C\u20282\n", note="two\nlines"))
    (tmp_path / LEDGER_FILE).write_bytes(ledger_bytes(reviews))
    assert read_reviews(tmp_path) == reviews
    assert read_reviews(tmp_path / "nowhere") == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [("{", "line 2"), ('{"customer_id": "SECRET-1"}', "line 2"), ('{"verdict": "x"}', "line 2")],
)
def test_a_damaged_line_is_named_and_not_quoted(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / LEDGER_FILE).write_bytes(ledger_bytes([review()]) + line.encode() + b"\n")
    with pytest.raises(ConfigurationError, match=said) as caught:
        read_reviews(tmp_path)
    assert "SECRET" not in caught.value.message


def test_a_run_does_without_a_damaged_ledger_and_says_so(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).write_bytes(b"\xff")
    history = read_history(tmp_path, WEEK)
    assert history.reviews == ()
    assert history.warnings[0].startswith("Nothing is learnt from the verdicts: ")


def test_a_run_sees_the_verdicts_that_stand_on_lists_of_weeks_before(tmp_path: Path) -> None:
    later = review("C-1", "2025-45", "expected")
    first = later.model_copy(update={"reviewed_at": later.reviewed_at - timedelta(hours=1)})
    reviews = [later, first, review("C-1", "2025-46"), review("C-1", "2024-10")]
    (tmp_path / LEDGER_FILE).write_bytes(ledger_bytes(reviews))
    seen = read_history(tmp_path, WEEK).reviews
    assert [each.reporting_week for each in seen] == ["2024-10", "2025-45"]
    assert seen[1] == later


def test_giving_a_review_twice_adds_nothing_and_another_one_is_added() -> None:
    one, other = review("C-1"), review("C-1", verdict="expected")
    found_later = one.model_copy(update={"features": ("refunds",), "run_id": "r"})
    assert added((one,), [found_later, other, other]) == (one, other)


def test_of_two_at_the_same_moment_the_last_stands() -> None:
    one, other = review("C-1"), review("C-1", verdict="expected")
    assert standing([one, other]) == (other,)
    assert standing([other, one]) == (one,)


def test_every_verdict_has_a_sentence_and_says_whether_it_is_a_hit() -> None:
    hits = {verdict.value: verdict.is_hit for verdict in Verdict}
    assert hits == {
        "confirmed_risk": True,
        "opportunity": True,
        "expected": False,
        "data_error": False,
        "unclear": None,
    }
    assert len({verdict.sentence for verdict in Verdict}) == len(Verdict)
    assert telling([review(verdict="unclear")]) == ()
