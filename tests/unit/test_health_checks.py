"""Each health check: when it is well, when it warns and when it fails."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trustme
from published_weeks import WEEK
from recorded_runs import MONDAY_NOON, RAN, run

from cardwatch.config import Config, LoadedConfig
from cardwatch.manifest import RunManifest
from cardwatch.monitoring import place_checks
from cardwatch.monitoring.findings import Finding, HealthReport, Status, report_schema
from cardwatch.monitoring.health_checks import CHECKS, check_health
from cardwatch.monitoring.last_run import LastRun, write_last_run
from cardwatch.monitoring.settings import MonitoringSettings
from cardwatch.monitoring.surroundings import Surroundings
from cardwatch.outputs import OutputFile
from cardwatch.schema import Drift, Shift

GIGABYTE = 10**9


def around(folder: Path, *runs: RunManifest, **settings: Any) -> Surroundings:
    """An installation in a folder, with the records of some runs, at noon of the Monday after."""
    outputs = folder / "outputs"
    outputs.mkdir(exist_ok=True)
    for each in runs:
        path = outputs / OutputFile.MANIFEST.of(each.week)
        path.write_text(each.model_dump_json(), encoding="utf-8")
    config = Config.model_validate(
        {
            "data_source": {"path": str(folder / "data")},
            "output": {"directory": outputs},
            "logging": {"file": folder / "app.log"},
            "feature_engineering": {"cache_dir": folder / "cache"},
        }
    )
    return Surroundings(
        LoadedConfig(config), MonitoringSettings.model_validate(settings), MONDAY_NOON
    )


def status(name: str, where: Surroundings) -> Status:
    found = CHECKS[name](where)
    assert (found.name, bool(found.measured), bool(found.expected)) == (name, True, True)
    assert bool(found.next_step) == (found.status in ("warn", "fail"))
    return found.status


# The newest week and the runs


def deliver(folder: Path, weeks: range) -> None:
    labels = [(WEEK - number).label for number in weeks]
    count = len(labels)
    rows = {
        "customer_id": [f"C{number}" for number in range(count)],
        "reporting_week": labels,
        "mcc": ["5411"] * count,
        "spend_amount": [10.0] * count,
        "transaction_count": [1] * count,
    }
    (folder / "data").mkdir()
    pq.write_table(pa.table(rows), folder / "data" / "spend.parquet")


def test_the_last_week_is_present_and_complete_or_not(tmp_path: Path) -> None:
    deliver(tmp_path, range(4))
    before = [run(number, rows_scored_week=100) for number in (3, 2, 1)]
    cases: list[tuple[int, Status]] = [(100, "ok"), (71, "ok"), (69, "warn"), (150, "warn")]
    for rows, expected in cases:
        assert status("latest-week", around(tmp_path, *before, run(rows_scored_week=rows))) == (
            expected
        )


def test_a_week_that_is_not_there_is_a_warning_and_one_not_yet_run_is_none(tmp_path: Path) -> None:
    deliver(tmp_path, range(1, 4))
    where = around(tmp_path, run(1, rows_scored_week=10), run(2, rows_scored_week=100))
    assert status("latest-week", where) == "warn"
    assert status("latest-week", replace(where, now=MONDAY_NOON - timedelta(weeks=1))) == "warn"
    not_run = around(tmp_path, run(2, rows_scored_week=100))
    assert "rows" not in CHECKS["latest-week"](not_run).measured
    (tmp_path / "outputs" / OutputFile.MANIFEST.of(WEEK - 1)).unlink()
    earlier = replace(not_run, now=MONDAY_NOON - timedelta(weeks=1))
    assert status("latest-week", earlier) == "ok"


@pytest.mark.parametrize(
    ("hours_later", "expected"),
    [(0, "ok"), (24 * 6, "ok"), (24 * 6 + 19, "ok"), (24 * 6 + 21, "fail")],
)
def test_a_run_is_missed_once_its_grace_is_over(
    tmp_path: Path, hours_later: float, expected: Status
) -> None:
    where = around(tmp_path, run())
    later = replace(where, now=MONDAY_NOON + timedelta(hours=hours_later))
    assert status("last-run", later) == expected


def test_a_run_that_failed_or_never_was_is_a_failure(tmp_path: Path) -> None:
    assert status("last-run", around(tmp_path)) == "fail"
    where = around(tmp_path, run())
    last = LastRun(command="cardwatch run", finished_at=RAN, exit_code=4, message="unusable")
    write_last_run(tmp_path / "outputs", last)
    assert status("last-run", where) == "fail"
    assert "exit code 4: unusable" in CHECKS["last-run"](where).measured


def test_errors_logged_since_the_last_run_are_a_warning(tmp_path: Path) -> None:
    log, where = tmp_path / "app.log", around(tmp_path, run())
    assert status("log-errors", where) == "unknown"
    line = "{:%Y-%m-%dT%H:%M:%S+00:00} ERROR run-1 2025-46 SourceError: gone\n"
    log.write_text(line.format(RAN - timedelta(hours=1)))
    assert status("log-errors", where) == "ok"
    with log.open("a") as file:
        file.write(line.format(RAN + timedelta(hours=1)))
    assert status("log-errors", where) == "warn"
    last = LastRun(command="cardwatch run", finished_at=RAN + timedelta(hours=2), exit_code=3)
    write_last_run(tmp_path / "outputs", last)
    assert status("log-errors", where) == "ok"
    as_json = f'{{"time": "{MONDAY_NOON.isoformat()}", "level": "ERROR", "message": "no"}}\n'
    log.write_text(as_json)
    assert status("log-errors", where) == "warn"


@pytest.mark.parametrize(("highest", "expected"), [(1.0, "ok"), (1.3, "warn"), (9.0, "fail")])
def test_scores_that_shift_are_told(tmp_path: Path, highest: float, expected: Status) -> None:
    usual = {"0.5": 0.1, "0.75": 0.2, "0.9": 0.4, "0.99": 0.8, "1": 1.0}
    moved = {key: value * highest for key, value in usual.items()}
    runs = [
        run(2, customers_scored=3_000).model_copy(update={"score_quantiles": usual}),
        run(1, customers_scored=3_000).model_copy(update={"score_quantiles": usual}),
        run(0, customers_scored=3_000).model_copy(update={"score_quantiles": moved}),
    ]
    assert status("drift", around(tmp_path, *runs)) == expected
    few = [each.model_copy(update={"counts": run().counts}) for each in runs]
    assert status("drift", around(tmp_path, *few)) == "ok", "of six customers it is chance"


def test_the_drift_that_a_run_recorded_is_the_one_that_is_checked(tmp_path: Path) -> None:
    def measured(*shifts: Shift, scores: float = 0.05) -> Finding:
        drift = Drift(((WEEK - 1).label,), Shift("", "scores", scores, 0.01), shifts)
        where = around(tmp_path, run(1), run().model_copy(update={"drift": drift}))
        return CHECKS["drift"](where)

    own, few = Shift("own_spend", "own spend", 0.4, 0.02), Shift("refunds", "refunds", 0.4, 0.5)
    assert (measured(own).status, measured(few).status) == ("warn", "ok")
    assert "0.400 of the farthest feature (own spend)" in measured(own).measured
    assert measured(scores=0.3).status == "fail"


def test_drift_needs_a_week_before(tmp_path: Path) -> None:
    assert status("drift", around(tmp_path)) == "unknown"
    assert status("drift", around(tmp_path, run())) == "unknown"


@pytest.mark.parametrize(
    ("aside", "scored", "expected"),
    [(10, 1000, "ok"), (11, 1000, "warn"), (51, 1000, "fail"), (0, 949, "warn")],
)
def test_rows_set_aside_and_customers_not_scored_are_told(
    tmp_path: Path, aside: int, scored: int, expected: Status
) -> None:
    counts = {"rows_in": 1000, "rows_quarantined": aside}
    recorded = run(**counts, customers_in=1000, customers_scored=scored)
    assert status("coverage", around(tmp_path, recorded)) == expected


def test_results_that_are_missing_are_a_failure(tmp_path: Path) -> None:
    assert status("outputs", around(tmp_path)) == "unknown"
    (tmp_path / "outputs" / OutputFile.LIST_CSV.of(WEEK)).write_text("customer_id\n")
    assert status("outputs", around(tmp_path)) == "fail"


# Places


def test_a_source_that_is_not_there_is_a_failure_of_the_check(tmp_path: Path) -> None:
    report = check_health(around(tmp_path), {"source": CHECKS["source"]})
    [found] = report.checks
    assert (found.status, report.exit_code) == ("fail", 2)
    assert found.next_step


@pytest.mark.parametrize(("free", "expected"), [(11, "ok"), (9, "warn"), (0.5, "fail")])
def test_a_disk_that_fills_is_told_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, expected: Status
) -> None:
    space = {"outputs": 50 * GIGABYTE, "logs": int(free * GIGABYTE)}
    monkeypatch.setattr(place_checks, "free_space", lambda around: space)
    assert status("disk", around(tmp_path)) == expected


@pytest.mark.parametrize(("gigabytes", "expected"), [(2, "ok"), (0.9, "warn")])
def test_little_memory_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gigabytes: float, expected: Status
) -> None:
    found = psutil.virtual_memory()._replace(available=int(gigabytes * GIGABYTE))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: found)
    assert status("memory", around(tmp_path)) == expected


def test_a_cache_that_cannot_be_used_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status("cache", around(tmp_path)) == "unknown"
    config = around(tmp_path).config
    features = config.feature_engineering.model_copy(update={"use_cache": True})
    used = config.model_copy(update={"feature_engineering": features})
    where = replace(around(tmp_path), loaded=LoadedConfig(used))
    assert status("cache", where) == "ok"
    (tmp_path / "cache").mkdir()
    assert status("cache", where) == "ok"
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root, too
    assert status("cache", where) == "warn"


def with_database(folder: Path, port: int = 1, **settings: Any) -> Surroundings:
    """The same, reading a PostgreSQL database."""
    where = around(folder, **settings)
    source = {
        "type": "database",
        "connection_string": f"postgresql://reader@localhost:{port}/cards",
        "table": "spend",
    }
    config = Config.model_validate({**where.config.model_dump(), "data_source": source})
    return replace(where, loaded=LoadedConfig(config))


@pytest.mark.parametrize(("seconds", "expected"), [(5, "ok"), (-90, "warn"), (90, "warn")])
def test_a_clock_that_is_off_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, expected: Status
) -> None:
    theirs = datetime.now(UTC) + timedelta(seconds=seconds)
    monkeypatch.setattr(place_checks, "server_clock", lambda server: theirs)
    assert status("clock", with_database(tmp_path)) == expected


def test_a_run_in_the_future_means_that_the_clock_was_set_back(tmp_path: Path) -> None:
    assert status("clock", around(tmp_path)) == "unknown"
    where = replace(around(tmp_path, run()), now=RAN - timedelta(hours=1))
    assert status("clock", where) == "warn"


# Certificates and passwords


@contextmanager
def shows_certificate(valid_days: float) -> Iterator[int]:
    """A server that offers TLS as PostgreSQL does, and nothing else; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    until = datetime.now(UTC) + timedelta(days=valid_days)
    before = until - timedelta(days=400)
    certificate = trustme.CA().issue_cert("localhost", not_before=before, not_after=until)
    certificate.configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with suppress(OSError):  # until the listener is closed
            while True:
                client, _ = listener.accept()
                client.recv(8)
                client.sendall(b"S")
                with suppress(ssl.SSLError):
                    context.wrap_socket(client, server_side=True).close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@pytest.mark.parametrize(("days", "expected"), [(40, "ok"), (9, "warn"), (-1, "fail")])
def test_a_certificate_that_expires_is_told_whoever_signed_it(
    tmp_path: Path, days: float, expected: Status
) -> None:
    with shows_certificate(days) as port:
        where = replace(with_database(tmp_path, port), now=datetime.now(UTC))
        assert status("certificate", where) == expected


def test_without_a_database_there_is_no_certificate_and_no_password(tmp_path: Path) -> None:
    for name in ("certificate", "credentials", "database", "published-table"):
        assert status(name, around(tmp_path)) == "unknown"


@pytest.mark.parametrize(
    ("day", "expected"), [("2026-01-30", "ok"), ("2025-12-01", "warn"), ("2025-11-24", "fail")]
)
def test_a_credential_that_expires_is_told(tmp_path: Path, day: str, expected: Status) -> None:
    where = around(tmp_path, health={"credentials_expire": {"Power BI": day}})
    assert status("credentials", where) == expected


# The report


def test_where_all_is_well_the_exit_code_is_0(tmp_path: Path) -> None:
    deliver(tmp_path, range(4))
    space = {"health": {"disk_warn_gb": 0, "disk_fail_gb": 0, "memory_warn_gb": 0}}
    names = ("configuration", "source", "latest-week", "last-run", "disk", "memory", "cache")
    report = check_health(around(tmp_path, run(), **space), {name: CHECKS[name] for name in names})
    assert (report.status, report.exit_code) == ("ok", 0), report.checks


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((), 0),
        (("ok", "unknown"), 0),
        (("unknown", "warn", "ok"), 1),
        (("warn", "fail", "unknown"), 2),
    ],
)
def test_the_worst_finding_says_how_it_ends(found: tuple[Status, ...], code: int) -> None:
    checks = [Finding(f"{number}", each, "", "") for number, each in enumerate(found)]
    assert HealthReport.of(MONDAY_NOON, "staging", checks).exit_code == code


def test_a_report_is_as_its_schema_says() -> None:
    schema = report_schema()
    found = Finding("disk", "warn", "3 GB free", "10 GB", "Make room", 0.25)
    written = json.loads(HealthReport.of(MONDAY_NOON, "staging", [found]).to_json())
    assert list(written) == list(schema["properties"]) == schema["required"]
    one = schema["$defs"]["Finding"]
    assert list(written["checks"][0]) == list(one["properties"]) == one["required"]
    assert written["checked_at"] == "2025-11-24T18:00:00Z"
    assert written["checks"][0]["runbook"] == "docs/RUNBOOK.md#disk"
