"""Two that publish into one folder: one waits for the other."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from published_weeks import WEEK, config, contents, listed_customer, manifest, week_report
from replaced_week import ROOT, ReplacedWeek

from cardwatch.errors import PublishError
from cardwatch.publish.files import FileSink
from cardwatch.publish.transaction import interrupted, recover

HOLD_THE_LOCK = """
    import sys, time
    from pathlib import Path
    from cardwatch.publish.lock import output_lock

    with output_lock(Path(sys.argv[1]), 0):
        print("held", flush=True)
        sys.stdin.read()
"""


def test_a_second_run_waits_and_says_so_or_is_told(replaced: ReplacedWeek, tmp_path: Path) -> None:
    folder = replaced.copy(tmp_path / "run")
    report = week_report([listed_customer("C-1", 1)])
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLD_THE_LOCK), str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdin and other.stdout
        assert other.stdout.readline() == b"held\n"
        impatient = FileSink(config(folder, lock_timeout_seconds=0))
        with pytest.raises(PublishError, match="Another run is using the output folder"):
            impatient.write(report, replaced.engine, manifest(report))
        assert contents(folder) == replaced.old

        said: list[str] = []

        def hear(sentence: str) -> None:
            said.append(sentence)
            assert other.stdin
            other.stdin.close()

        patient = FileSink(config(folder, "csv", lock_timeout_seconds=30), on_wait=hear)
        patient.write(report, replaced.engine, manifest(report))
    assert len(said) == 1
    assert "waiting up to 30 seconds" in said[0]
    assert not (folder / "anomalies_2025-46.json").exists()


def test_two_processes_that_publish_at_once_never_mix_their_files(
    replaced: ReplacedWeek, tmp_path: Path
) -> None:
    code = """
        import sys
        from pathlib import Path
        from cardwatch.publish.lock import output_lock
        from cardwatch.publish.operations import FileOperations
        from cardwatch.publish.transaction import FileSet, recover
        from cardwatch.week import ReportingWeek

        class Quick(FileOperations):
            def to_disk(self, descriptor):
                pass

        folder, text = Path(sys.argv[1]), sys.argv[2].encode()
        for _ in range(30):
            with output_lock(folder, 30):
                recover(folder)
                with FileSet(folder, ReportingWeek.parse("2025-46"), Quick()) as files:
                    for name in ("anomalies_2025-46.csv", "run_2025-46.json"):
                        with files.create(name) as file:
                            file.write(text)
                assert {path.read_bytes() for path in folder.glob("*_2025-46.*")} == {text}
    """
    folder = tmp_path / "run"
    folder.mkdir()
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(folder), text],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for text in ("one", "two")
    ]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert not interrupted(folder)


def test_only_the_names_of_one_week_are_taken_from_a_marker(tmp_path: Path) -> None:
    staging = tmp_path / f".run_{WEEK.label}.tmp"
    staging.mkdir()
    (tmp_path / "anomalies_2025-45.csv").write_text("mine", encoding="utf-8")
    for name in ("../../etc/passwd", "anomalies_2025-45.csv"):
        (staging / "commit.json").write_text(
            f'{{"put": [], "delete": ["{name}"], "before": []}}', encoding="utf-8"
        )
        with pytest.raises(PublishError, match="Something that Cardwatch did not make"):
            recover(tmp_path)
    assert (tmp_path / "anomalies_2025-45.csv").exists()
