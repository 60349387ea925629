"""A run that a signal stops: nothing half written, one line, and the same command resumes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import cardwatch, start

from cardwatch import room
from cardwatch.outputs import OutputFile
from cardwatch.pipeline import STEPS
from cardwatch.sources.sample import SamplePortfolio, write_sample
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")
LOCK = [".cardwatch.lock"]
HOW = {signal.SIGINT: (130, "the keyboard"), signal.SIGTERM: (-signal.SIGTERM, "SIGTERM")}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_sample(SamplePortfolio(4_000, 13, 7, last_week=WEEK), folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path, data: Path) -> Iterator[list[str]]:
    """The command; the spill folder of nobody is left once a test is over."""
    spill = tmp_path / "spill"
    spill.mkdir()
    text = (
        f"engine: {{temp_directory: {spill}}}\n"
        "feature_engineering: {use_cache: true, cache_dir: cache}\nlogging: {file: null}\n"
    )
    (tmp_path / "settings.yaml").write_text(text, encoding="utf-8")
    where = ("--config", "settings.yaml", "--source", str(data))
    yield ["run", "--reporting-week", WEEK.label, *where]
    assert list(spill.iterdir()) == []


def stop(folder: Path, command: list[str], step: str, how: signal.Signals) -> tuple[int, str]:
    """Send a signal to a run as soon as a step begins; return its code and last line."""
    before = STEPS[STEPS.index(step) - 1]
    with start(folder, *command, LOG_LEVEL="INFO", REPORT_ENABLED="true") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if f"step {before} took" in line:
                break
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
    if process.returncode:
        assert out == ""
    return process.returncode, (err.strip().splitlines() or [""])[-1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def kept(folder: Path) -> dict[str, int]:
    """The roll-ups in the cache; one that is made anew has another inode."""
    return {path.name: path.stat().st_ino for path in (folder / "cache").glob("*")}


def test_a_stop_among_the_features_leaves_the_roll_ups_and_the_next_run_takes_them(
    tmp_path: Path, settings: list[str]
) -> None:
    code, line = stop(tmp_path, settings, "features", signal.SIGTERM)
    assert code == -signal.SIGTERM, "systemd calls this a clean end"
    assert "nothing was left half written. The same command resumes" in line
    assert names(tmp_path / "outputs") == LOCK
    roll_ups = kept(tmp_path)
    assert len(roll_ups) == 24, "twelve weeks, each with its seal"
    done = cardwatch(tmp_path, *settings)
    assert kept(tmp_path) == roll_ups
    assert "cached roll-up" not in done.out + done.err


def test_a_limit_too_small_for_the_rows_is_said_before_they_are_read(
    tmp_path: Path, settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_HOPELESS", ((100_000, 10**12),))
    done = cardwatch(tmp_path, *settings, code=2, LOG_LEVEL="INFO")
    [error] = done.errors
    assert "The engine's memory is too small" in error
    assert "step history took" in done.err
    assert "step contract took" not in done.err


@pytest.mark.system
@pytest.mark.parametrize("how", HOW, ids=lambda how: how.name)
@pytest.mark.parametrize("step", STEPS[1:9])
def test_a_stop_in_any_step_leaves_nothing_half_written(
    tmp_path: Path, settings: list[str], step: str, how: signal.Signals
) -> None:
    code, line = stop(tmp_path, settings, step, how)
    if code == 0:  # the last steps take milliseconds: the run was over before the signal came
        assert step in STEPS[4:]
    else:
        assert code == HOW[how][0], line
        assert HOW[how][1] in line
    left = names(tmp_path / "outputs")
    assert left == LOCK or OutputFile.MANIFEST.of(WEEK) in left
    assert not [name for name in left if name.startswith(".") and name not in LOCK]
    assert not [name for name in names(tmp_path / "cache") if name.endswith(".part")]
    done = cardwatch(tmp_path, *settings)
    assert "cached roll-up" not in done.out + done.err
    cardwatch(tmp_path, "verify", "--reporting-week", WEEK.label)
