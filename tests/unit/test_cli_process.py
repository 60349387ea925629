"""A command that is asked to stop ends as one that was stopped, whatever a library makes of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, field_serializer
from pydantic_core import PydanticSerializationError

from cardwatch.cli.process import INTERRUPTED, guarded


class Interrupted(BaseModel):
    """Its document is never finished: the signal comes while it is written."""

    number: int = 0

    @field_serializer("number")
    def _stopped(self, number: int) -> int:
        signal.raise_signal(signal.SIGINT)
        return number


@pytest.fixture(autouse=True)
def keyboard() -> Iterator[None]:
    """Hear the keyboard, also where tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interruption_inside_a_serializer_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PydanticSerializationError):
        Interrupted().model_dump_json()
    with pytest.raises(SystemExit) as ended:
        guarded(lambda standalone_mode: Interrupted().model_dump_json())
    assert ended.value.code == INTERRUPTED
    assert "Stopped by the keyboard" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_failure_stays_something_unexpected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guarded(lambda standalone_mode: 1 / 0)
    assert ended.value.code == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_failure_of_the_system_says_what_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    def refused(standalone_mode: bool) -> None:
        with Path("/dev/full").open("w", buffering=1) as full:
            full.write("a line\n")

    with pytest.raises(SystemExit) as ended:
        guarded(refused)
    assert ended.value.code == 1
    assert "(OSError: No space left on device)" in capsys.readouterr().err
