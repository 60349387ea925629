from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from cardwatch.config import LoggingConfig
from cardwatch.errors import ConfigurationError
from cardwatch.logs import LOGGER, mask_card_numbers, setup_logging

CARD = "4111111111111111"
LOG = logging.getLogger("cardwatch.test")


@dataclass(frozen=True)
class Settings:
    level: str = "INFO"
    file: Path | None = None
    max_size_mb: int = 1
    backup_count: int = 2
    format: Literal["text", "json"] = "text"


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    before = (logger.level, logger.propagate, list(logger.handlers))
    yield
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def test_the_configurations_section_is_what_logging_needs(tmp_path: Path) -> None:
    with setup_logging(LoggingConfig(file=tmp_path / "app.log")):
        LOG.info("hello")
    assert "hello" in (tmp_path / "app.log").read_text()


def test_each_line_has_time_level_run_and_week(stream: io.StringIO) -> None:
    with setup_logging(Settings(), "a1b2", "2025-46", stream=stream):
        LOG.info("one\ntwo\r\nthree\x1b[31m")
        LOG.warning("")
    lines = stream.getvalue().splitlines()
    head = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO    |WARNING ) run=a1b2 week=2025-46 "
    assert len(lines) == 4
    assert all(re.match(head + "cardwatch.test:", line) for line in lines)
    assert lines[2].endswith(r"three\x1b[31m")


def test_times_are_utc(stream: io.StringIO) -> None:
    record = logging.LogRecord("cardwatch", logging.INFO, "f", 1, "x", None, None)
    record.created = 1_763_337_600.25
    with setup_logging(Settings(), stream=stream) as logger:
        logger.handle(record)
    assert stream.getvalue().startswith("2025-11-17T00:00:00.250Z ")


def test_json_lines_have_stable_keys(stream: io.StringIO) -> None:
    with setup_logging(Settings(format="json"), "a1b2", "2025-46", stream=stream):
        LOG.info("five %s\nmore", "rows")
        try:
            raise RuntimeError(CARD)
        except RuntimeError:
            LOG.exception("failed")
    plain, failed = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert list(plain) == ["time", "level", "run_id", "week", "logger", "message"]
    assert plain["message"] == "five rows\nmore"
    assert (plain["run_id"], plain["week"]) == ("a1b2", "2025-46")
    assert list(failed) == [*plain, "exception"]
    assert "RuntimeError: [card number]" in failed["exception"]


@pytest.mark.parametrize(("level", "seen"), [("DEBUG", 3), ("INFO", 2), ("ERROR", 1)])
def test_the_level_is_honoured(level: str, seen: int, stream: io.StringIO) -> None:
    with setup_logging(Settings(level=level), stream=stream):
        LOG.debug("d")
        LOG.info("i")
        LOG.error("e")
    assert len(stream.getvalue().splitlines()) == seen


def test_standard_error_is_the_default_stream(capsys: pytest.CaptureFixture[str]) -> None:
    with setup_logging(Settings()):
        LOG.info("hello")
    captured = capsys.readouterr()
    assert "hello" in captured.err
    assert captured.out == ""


def test_nothing_is_written_after_the_block(stream: io.StringIO, tmp_path: Path) -> None:
    with setup_logging(Settings(file=tmp_path / "app.log"), stream=stream):
        pass
    LOG.info("late")
    assert stream.getvalue() == ""
    assert (tmp_path / "app.log").read_text() == ""


def test_the_file_is_rotated_before_it_is_too_large(stream: io.StringIO, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "app.log"
    with setup_logging(Settings(file=path), stream=stream):
        for _ in range(45):
            LOG.info("x" * 99_000)
    names = sorted(each.name for each in path.parent.iterdir())
    assert names == ["app.log", "app.log.1", "app.log.2"]
    assert all(each.stat().st_size <= 1_000_000 for each in path.parent.iterdir())


def test_the_file_is_continued_and_holds_any_character(stream: io.StringIO, tmp_path: Path) -> None:
    for text in ("first ü", "second \ud800"):
        with setup_logging(Settings(file=tmp_path / "app.log"), stream=stream):
            LOG.info(text)
    lines = (tmp_path / "app.log").read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith("first ü")
    assert lines[1].endswith(r"second \ud800")


def test_a_file_that_something_else_rotates_is_followed(
    stream: io.StringIO, tmp_path: Path
) -> None:
    path = tmp_path / "app.log"
    with setup_logging(Settings(file=path), stream=stream):
        LOG.info("before")
        path.rename(tmp_path / "moved")
        LOG.info("after")
    assert "before" in (tmp_path / "moved").read_text()
    assert "after" in path.read_text()


def test_a_file_that_cannot_be_opened_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "app.log", tmp_path / "a\0b"):
        with (
            pytest.raises(ConfigurationError, match="log file cannot be opened") as caught,
            setup_logging(Settings(file=path)),
        ):
            pass
        assert "logging.file" in caught.value.message


def test_a_folder_that_goes_away_is_said_once_and_ends_nothing(
    stream: io.StringIO, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    with setup_logging(Settings(file=folder / "app.log"), stream=stream):
        (folder / "app.log").unlink()
        folder.rmdir()
        LOG.info("secret row")
        LOG.info("secret row")
    error = capsys.readouterr().err
    assert error == "A log can no longer be written: No such file or directory\n"
    assert stream.getvalue().count("secret row") == 2


def test_a_full_disk_is_said_once_and_ends_nothing(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    with setup_logging(Settings(file=Path("/dev/full")), stream=stream):
        LOG.info("one")
        LOG.info("two")
    assert capsys.readouterr().err == "A log can no longer be written: No space left on device\n"


def test_a_stream_that_is_gone_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr(sys, "stderr", gone)
    with setup_logging(Settings(file=tmp_path / "app.log")):
        LOG.info("still in the file")
    assert "still in the file" in (tmp_path / "app.log").read_text()


def test_a_malformed_message_is_reported_without_its_arguments(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    with setup_logging(Settings(), stream=stream):
        LOG.info("%d rows", "secret row")
    error = capsys.readouterr().err
    assert error.startswith("A log message is malformed: test_logs.py:")
    assert "secret row" not in error


def test_secrets_are_masked_wherever_they_turn_up(stream: io.StringIO, tmp_path: Path) -> None:
    secrets = ("postgresql://u:hunter2@db", "hunter2", "abc", "")
    with setup_logging(Settings(file=tmp_path / "a"), secrets=secrets, stream=stream):
        LOG.info("refused: %s, abc", "postgresql://u:hunter2@db/cards")
        try:
            raise RuntimeError("password hunter2 is wrong")
        except RuntimeError:
            LOG.exception("failed")
    for text in (stream.getvalue(), (tmp_path / "a").read_text()):
        assert "hunter2" not in text
        assert "refused: [secret]/cards, abc" in text


@pytest.mark.parametrize(
    "text",
    [
        CARD,
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111-1111 1111-1111",
        "4111\u00a01111\u20111111\u20131111",
        "3782 822463 10005",
        "id4111111111111111x",
        "(4111111111111111)",
        "4111111111111111.0",
        "2025 4111 1111 1111 1111 12",
        "4222222222222",
        "6304000000000000000",
        "4111111111111111 5500-0000-0000-0004",
    ],
)
def test_what_looks_like_a_card_number_is_masked(text: str) -> None:
    masked = mask_card_numbers(f"value {text} refused")
    assert "[card number]" in masked
    assert "11111" not in masked and "1111 1111" not in masked and "0000" not in masked
    assert masked.startswith("value ") and masked.endswith(" refused")


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "411111111111",
        "41111111111111110000",
        "2025-11-17",
        "13,000,000 rows in 12.5 s",
        "0.4111111111111111",
        "2025-11-17T10:15:00.123Z",
        "4111.1111.1111.1111",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask_card_numbers(text) == text


@given(st.integers(10**11, 10**18 - 1), st.sampled_from(["", " ", "-"]), st.integers(1, 6))
def test_any_number_with_a_check_digit_is_masked_in_any_grouping(
    stem: int, separator: str, size: int
) -> None:
    digits = f"{stem}{luhn.calc_check_digit(str(stem))}"
    groups = [digits[at : at + size] for at in range(0, len(digits), size)]
    masked = mask_card_numbers(f"<{separator.join(groups)}>")
    assert (masked == "<[card number]>") == (13 <= len(digits) <= 19)


@given(st.text())
def test_masking_never_fails_and_is_stable(text: str) -> None:
    masked = mask_card_numbers(text)
    assert mask_card_numbers(masked) == masked
