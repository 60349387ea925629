"""Health checks of what a run stands on: configuration, source, disk, memory, cache, clock."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil

from cardwatch.monitoring.findings import Finding, Status, worst_of
from cardwatch.monitoring.servers import server_clock, servers_of
from cardwatch.monitoring.surroundings import Surroundings
from cardwatch.wiring import open_engine, open_inquiry

GIGABYTE = 1_000_000_000


def check_configuration(around: Surroundings) -> Finding:
    """Whether the configuration could be read; an error of it is told before any check."""
    config = around.config
    measured = f"{around.loaded.file or 'built-in defaults'}, environment {config.environment}"
    expected = "settings that can be read"
    if config.monitoring.enabled:
        return Finding("configuration", "ok", measured, expected)
    measured += "; runs are not watched"
    step = "Set ENABLE_MONITORING=true, so that runs write metrics and alerts"
    return Finding("configuration", "ok", measured, expected, step)


def check_source(around: Surroundings) -> Finding:
    """Whether the source can be reached and has the columns that are needed."""
    with open_engine(around.config) as engine:
        summary = open_inquiry(around.config, engine).test_connection().summary
    return Finding("source", "ok", summary, "a source that can be read")


def check_disk(around: Surroundings) -> Finding:
    """Whether there is room where results, temporary tables, logs and the cache go."""
    limits = around.settings.health
    expected = f"at least {limits.disk_warn_gb:g} GB free"
    found: list[tuple[Status, str, str]] = []
    for place, free in free_space(around).items():
        text = f"{free / GIGABYTE:,.1f} GB free at {place}"
        if free < limits.disk_fail_gb * GIGABYTE:
            found.append(("fail", text, "Make room there before the next run"))
        elif free < limits.disk_warn_gb * GIGABYTE:
            found.append(("warn", text, "Make room there, or set output.retention_days lower"))
        else:
            found.append(("ok", text, ""))
    return worst_of("disk", expected, found)


def free_space(around: Surroundings) -> dict[str, int]:
    """Return free bytes by place, each file system once."""
    free, seen = dict[str, int](), set[int]()
    for path in _places(around):
        there = next(each for each in (path, *path.parents) if each.exists())
        if (device := there.stat().st_dev) not in seen:
            seen.add(device)
            free[str(path)] = shutil.disk_usage(there).free
    return free


def _places(around: Surroundings) -> Iterator[Path]:
    config = around.config
    yield config.output.directory.absolute()
    yield (config.engine.temp_directory or Path(tempfile.gettempdir())).absolute()
    if config.logging.file is not None:
        yield config.logging.file.absolute().parent
    if config.feature_engineering.use_cache:
        yield config.feature_engineering.cache_dir.absolute()


def check_memory(around: Surroundings) -> Finding:
    """Whether a run would find enough memory."""
    low = around.settings.health.memory_warn_gb
    available = psutil.virtual_memory().available
    measured = f"{available / GIGABYTE:,.1f} GB available"
    expected = f"at least {low:g} GB"
    if available >= low * GIGABYTE:
        return Finding("memory", "ok", measured, expected)
    step = "Look what else runs here; engine.memory_limit is what a run takes"
    return Finding("memory", "warn", measured, expected, step)


def check_cache(around: Surroundings) -> Finding:
    """Whether the cache of weekly roll-ups can be read and written."""
    features = around.config.feature_engineering
    expected = "a folder that can be read and written"
    if not features.use_cache:
        return Finding("cache", "unknown", "not used (feature_engineering.use_cache)", expected)
    folder = features.cache_dir
    if not folder.exists():
        return Finding("cache", "ok", f"{folder} is not there yet", expected)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        step = "Give this user access to it, or delete it: it is made anew"
        return Finding("cache", "warn", f"{folder} is closed to this user", expected, step)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    measured = f"{len(sizes):,} files, {sum(sizes) / GIGABYTE:,.2f} GB in {folder}"
    return Finding("cache", "ok", measured, expected)


def check_clock(around: Surroundings) -> Finding:
    """Whether this machine's clock agrees with the database's, or with the last run's."""
    limit = around.settings.health.clock_warn_seconds
    expected = f"within {limit:g} seconds of the database's clock"
    step = "Set the clock by a time server (timedatectl)"
    found: list[tuple[Status, str, str]] = []
    for server in servers_of(around.config):
        before = datetime.now(UTC)
        theirs = server_clock(server)
        now = datetime.now(UTC)
        apart = max((theirs - now).total_seconds(), (before - theirs).total_seconds(), 0.0)
        text = f"{apart:.1f} seconds from the clock of {server.address.origin}"
        found.append(("ok", text, "") if apart <= limit else ("warn", text, step))
    ahead = [run for run in around.records if run.finished_at > around.now]
    if ahead:
        found.append(("warn", f"the run of {ahead[-1].week} finished in the future", step))
    if not found:
        return Finding("clock", "unknown", "no database to compare it with", expected)
    return worst_of("clock", expected, found)
