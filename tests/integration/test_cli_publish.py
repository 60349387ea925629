"""`cardwatch publish`: what it sends, says and refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from command_line import failure
from postgres import Database
from published_database import command, rows, run_ids, sink_of, write_files
from published_weeks import WEEK

from cardwatch.engine import Engine
from cardwatch.errors import PublishError
from cardwatch.outputs import OutputFile


def test_publish_says_what_it_would_do_and_does_not(
    tmp_path: Path, engine: Engine, ready: Database
) -> None:
    write_files(tmp_path / "outputs", engine, {"A": 1, "B": 2})
    new = command(ready.url, tmp_path, "publish", "--dry-run").out
    assert "run run-1 would be new there" in " ".join(new.split())
    assert rows(ready, "anomaly_reports") == []
    command(ready.url, tmp_path, "publish")
    write_files(tmp_path / "outputs", engine, {"C": 1}, "run-2")
    again = " ".join(command(ready.url, tmp_path, "publish", "--dry-run").out.split())
    assert "run run-2 would replace run run-1 and its 2 listed customers" in again
    assert run_ids(ready) == {"run-1"}


def test_all_missing_sends_every_week_that_the_database_lacks(
    tmp_path: Path, engine: Engine, ready: Database
) -> None:
    outputs = tmp_path / "outputs"
    for back in range(4):
        write_files(outputs, engine, {"A": 1}, f"run-{back}", week=WEEK - back)
    (outputs / OutputFile.LIST_JSON.of(WEEK - 3)).unlink()
    command(ready.url, tmp_path, "publish", "--reporting-week", (WEEK - 1).label)
    done = command(ready.url, tmp_path, "publish", "--all-missing")
    assert "Week 2025-43 is missing in the database and has no JSON list to send" in done.out
    assert run_ids(ready) == {"run-0", "run-1", "run-2"}
    write_files(outputs, engine, {"A": 1}, "run-4", week=WEEK - 1)
    (outputs / OutputFile.MANIFEST.of(WEEK - 3)).unlink()
    command(ready.url, tmp_path, "publish", "--all-missing")
    assert run_ids(ready) == {"run-0", "run-2", "run-4"}
    nothing = command(ready.url, tmp_path, "publish", "--all-missing").out
    assert nothing.startswith("Nothing is missing")


@pytest.mark.parametrize("words", [(), ("--reporting-week", "2025-40")])
def test_without_files_there_is_nothing_to_publish(
    tmp_path: Path, ready: Database, words: tuple[str, ...]
) -> None:
    line = failure(command(ready.url, tmp_path, "publish", *words, code=6))
    assert "cardwatch run" in line


def test_a_week_whose_files_were_changed_or_packed_is_not_sent(
    outputs: Path, engine: Engine, ready: Database
) -> None:
    sink = sink_of(outputs, ready)
    write_files(outputs, engine, {"A": 1})
    path = outputs / OutputFile.LIST_JSON.of(WEEK)
    text = path.read_text()
    path.write_text(text.replace('"A"', '"Z"'))
    with pytest.raises(PublishError, match="one of its files was changed"):
        sink.publish(WEEK)
    path.unlink()
    (outputs / "archive").mkdir()
    (outputs / "archive" / "week_2025-46.packed-2026-01-01.tar.gz").touch()
    with pytest.raises(PublishError, match=r"It was packed: tar -xzf .*2025-46.packed-2026-01-01"):
        sink.publish(WEEK)
    (outputs / OutputFile.MANIFEST.of(WEEK)).write_text("{}")
    with pytest.raises(PublishError, match="one of its files was changed"):
        sink.publish(WEEK)
    assert rows(ready, "anomaly_reports") == []


def test_a_list_of_the_first_format_is_published_without_categories(
    outputs: Path, engine: Engine, ready: Database
) -> None:
    write_files(outputs, engine, {"A": 1})
    path, record = (outputs / kind.of(WEEK) for kind in (OutputFile.LIST_JSON, OutputFile.MANIFEST))
    document = json.loads(path.read_bytes())
    for customer in document["customers"]:
        for name in ("categories", "weeks", "usual", "peers"):
            del customer[name]
    path.write_text(json.dumps({**document, "format_version": 1}))
    manifest = json.loads(record.read_bytes())
    del manifest["supersedes_run_id"], manifest["source_keys"]
    manifest["files"][path.name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    record.write_text(json.dumps(manifest))
    sink_of(outputs, ready).publish(WEEK)
    assert [row["customer_id"] for row in rows(ready, "anomaly_reports")] == ["A"]
    assert rows(ready, "anomaly_mcc_week") == rows(ready, "anomaly_customer_week") == []


def test_an_empty_list_is_published_as_one(outputs: Path, engine: Engine, ready: Database) -> None:
    sink = sink_of(outputs, ready)
    write_files(outputs, engine, {"A": 1}, "run-1")
    sink.publish(WEEK)
    write_files(outputs, engine, {}, "run-2", rest={"A": 1})
    sink.publish(WEEK)
    assert rows(ready, "anomaly_reports") == []
    assert [row["run_id"] for row in rows(ready, "bi_dim_week")] == ["run-2"]
