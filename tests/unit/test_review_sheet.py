"""Sheets as spreadsheets save them: what is taken over, and which lines are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from published_weeks import WEEK, publish

from cardwatch.config import Config
from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError
from cardwatch.review.ledger import LEDGER_FILE, read_reviews
from cardwatch.review.sheet import (
    NO_SUCH_VERDICT,
    NO_TIME,
    NO_VERDICT,
    NO_WEEK,
    NOT_LISTED,
    TWICE,
    SheetLine,
    read_sheet,
    refuse,
)
from cardwatch.reviewing import record_sheet

NOW = datetime(2025, 12, 1, 8, tzinfo=UTC)
HEADER = "customer_id,reporting_week,reason_1,verdict,cause,action_taken,note,reviewer"
SHEET = f"""{HEADER}
C-1,2025-W47,"Spent, more",expected,moved house,,Ünal called,
C-2,2025-46,x,Confirmed Risk,,blocked,,grace

C-3,2025-W47,x,,,,,
"""


def read(content: bytes | str) -> tuple[SheetLine, ...]:
    raw = content.encode() if isinstance(content, str) else content
    sheet = read_sheet(raw, "sheet.csv", reviewer="ada", now=NOW)
    refuse(sheet.problems, "sheet.csv")
    return sheet.lines


def refusal(content: bytes | str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(content)
    assert caught.value.exit_code == 2
    return caught.value.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_every_way_that_spreadsheets_save_csv_reads_the_same(
    encoding: str, delimiter: str, line_end: str
) -> None:
    text = SHEET.replace("Spent, more", "Spent more").replace(",", delimiter)
    first, second = read(text.replace("\n", line_end).encode(encoding))
    assert (first.line, second.line) == (2, 3)
    assert first.review.model_dump(include={"customer_id", "reporting_week", "cause", "note"}) == {
        "customer_id": "C-1",
        "reporting_week": WEEK.label,
        "cause": "moved house",
        "note": "Ünal called",
    }
    assert (first.review.verdict, first.review.reviewer) == ("expected", "ada")
    assert (second.review.verdict, second.review.reviewer) == ("confirmed_risk", "grace")
    assert first.review.reviewed_at == NOW


def test_lines_may_end_as_they_did_on_old_macs() -> None:
    text = "customer_id;reporting_week;verdict;note\rC-1;2025-46;expected;a, b, c, d, e, f, g, h\r"
    [line] = read(text)
    assert (line.review.customer_id, line.review.note) == ("C-1", "a, b, c, d, e, f, g, h")


def test_every_bad_line_is_named_with_its_problem_and_no_value_is_quoted() -> None:
    lines = [
        "SECRET-1,2025-W47,,good,,,,",
        "SECRET-2,Oct 25,,expected,,,,",
        'SECRET-3,2025-W47,"two\nlines",bad,,,,',
        "SECRET-4,2025-W47,,,moved,,,",
        "SECRET-5,2025-W47,,expected,,,,",
        "SECRET-5,2025-46,,unclear,,,,",
    ]
    message = refusal("\n".join([HEADER, *lines]))
    for where, problem in (
        ("lines 2, 4", NO_SUCH_VERDICT),
        ("line 3", NO_WEEK),
        ("line 6", NO_VERDICT),
        ("line 8", TWICE),
    ):
        assert f"{where}: {problem}" in message
    assert "SECRET" not in message and "Oct" not in message


def test_a_text_that_is_missing_or_too_long_is_named_by_its_column() -> None:
    long = "x" * 2_001
    lines = [",2025-W47,,expected,,,,", f"C-1,2025-W47,,expected,,,{long},"]
    message = refusal("\n".join([HEADER, *lines]))
    assert "line 2: customer_id is missing; line 3: note is too long" in message


def test_times_of_a_sheet_are_read_and_strange_ones_refused() -> None:
    head = "customer_id,reporting_week,verdict,reviewed_at\n"
    [line] = read(f"{head}C-1,2025-46,expected,2025-11-25T09:30+01:00\n")
    assert line.is_timed and line.review.reviewed_at.astimezone(UTC).hour == 8
    assert NO_TIME in refusal(f"{head}C-1,2025-46,expected,yesterday\n")


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x00\xff", b"PK\x03\x04"])
def test_what_is_no_sheet_is_refused_in_one_line(content: bytes) -> None:
    assert "The file is no sheet of reviews (sheet.csv): found no column" in refusal(content)


def test_cells_that_were_neutralised_are_restored() -> None:
    [line] = read(f"{HEADER}\n'=C 1,2025-46,,unclear,,,'-,\n")
    assert (line.review.customer_id, line.review.note) == ("=C 1", "-")


@pytest.fixture
def config(tmp_path: Path, engine: Engine) -> Config:
    publish(tmp_path, engine, {"C-1": 1, "C-2": 2})
    return Config.model_validate({"output": {"directory": str(tmp_path)}})


def test_a_sheet_is_recorded_with_what_analysts_had_seen_and_only_once(config: Config) -> None:
    def again(text: str) -> tuple[int, int, int]:
        done = record_sheet(config, text.encode(), "s", reviewer="ada", now=datetime.now(UTC))
        return len(done.new), done.known, len(done.replaced)

    assert again(SHEET) == (2, 0, 0)
    folder = config.output.directory
    before = (folder / LEDGER_FILE).read_bytes()
    assert again(SHEET) == (0, 2, 0)
    assert (folder / LEDGER_FILE).read_bytes() == before
    assert again(SHEET.replace("expected", "unclear")) == (1, 1, 1)
    assert (folder / LEDGER_FILE).read_bytes().startswith(before)
    for review in read_reviews(folder):
        assert review.run_id == "run-1"
        assert review.features == ("own_spend",)


def test_a_sheet_may_be_imported_again_after_its_list_was_made_again(
    config: Config, engine: Engine
) -> None:
    def take(text: str) -> tuple[int, int]:
        done = record_sheet(config, text.encode(), "s", reviewer="ada", now=datetime.now(UTC))
        return len(done.new), done.known

    assert take(SHEET) == (2, 0)
    publish(config.output.directory, engine, {"C-1": 1, "C-3": 2})
    assert take(SHEET.replace("C-3,2025-W47,x,", "C-3,2025-W47,x,unclear")) == (1, 2)
    with pytest.raises(ConfigurationError, match=f"line 3: {NOT_LISTED}"):
        take(SHEET.replace("Confirmed Risk", "unclear"))


def test_strangers_to_the_list_are_named_and_nothing_is_recorded(config: Config) -> None:
    text = SHEET.replace("C-2", "SECRET-9")
    with pytest.raises(ConfigurationError) as caught:
        record_sheet(config, text.encode(), "s", reviewer="ada", now=NOW)
    assert f"line 3: {NOT_LISTED}" in caught.value.message
    assert "SECRET" not in caught.value.message
    assert read_reviews(config.output.directory) == ()


def test_strangers_and_other_bad_lines_are_named_at_once(config: Config) -> None:
    text = SHEET.replace("C-2", "SECRET-9") + "C-1,2025-W47,x,maybe,,,,\n"
    with pytest.raises(ConfigurationError) as caught:
        record_sheet(config, text.encode(), "s", reviewer="ada", now=NOW)
    assert f"line 3: {NOT_LISTED}; line 6: {NO_SUCH_VERDICT}" in caught.value.message


def test_no_verdict_is_taken_on_a_week_that_was_not_run_yet(config: Config) -> None:
    with pytest.raises(ConfigurationError) as caught:
        record_sheet(
            config, SHEET.replace("2025-W47", "2026-W47").encode(), "s", reviewer="ada", now=NOW
        )
    assert f"line 2: {NOT_LISTED}" in caught.value.message
    assert read_reviews(config.output.directory) == ()


def test_no_verdict_is_taken_where_no_week_was_run(tmp_path: Path) -> None:
    config = Config.model_validate({"output": {"directory": str(tmp_path / "mistyped")}})
    with pytest.raises(ConfigurationError):
        record_sheet(config, SHEET.encode(), "s", reviewer="ada", now=NOW)
    assert read_reviews(config.output.directory) == ()


def test_a_list_that_was_packed_takes_verdicts_that_teach_nothing(config: Config) -> None:
    done = record_sheet(
        config, SHEET.replace("2025-W47", "2025-W20").encode(), "s", reviewer="ada", now=NOW
    )
    assert (len(done.new), done.without_reasons) == (2, 1)
