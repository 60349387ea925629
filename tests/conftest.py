from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_reads import impatient, read_table
from good_rows import good_run
from hypothesis import settings
from longest_first import longest_first
from message_servers import HttpServer, http_server
from monitored_folder import installation, two_weeks_run
from postgres import database, own_server, postgres
from published_database import prepared, ready
from replaced_week import replaced
from small_portfolio import WEEK, ScoredWeek, portfolio_rows, write_parquet
from two_runs import runs

from cardwatch.engine import Engine

settings.register_profile("same every time", derandomize=True, deadline=None)
settings.load_profile("same every time")

__all__ = [
    "database",
    "good_run",
    "impatient",
    "installation",
    "own_server",
    "postgres",
    "prepared",
    "read_table",
    "ready",
    "replaced",
    "runs",
    "two_weeks_run",
]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if workers := getattr(config, "workerinput", {}).get("workercount"):
        items[:] = longest_first(items, workers)


@pytest.fixture
def threads() -> int:
    """How many an engine of a few rows has: a second one finds no rows, and costs a fifth.

    Whole runs have two, and so have the tests of what is done in ranges of customers.
    """
    return 1


@pytest.fixture
def engine(tmp_path: Path, threads: int) -> Iterator[Engine]:
    with Engine(memory_limit="500MB", threads=threads, temp_directory=tmp_path) as session:
        yield session


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Where one test has its results; not made yet."""
    return tmp_path / "outputs"


@pytest.fixture
def hook() -> Iterator[HttpServer]:
    """A receiver of what is posted to it."""
    with http_server() as server:
        yield server


@pytest.fixture(scope="session")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rows of a small generated portfolio; not to be changed."""
    return write_parquet(portfolio_rows(), tmp_path_factory.mktemp("portfolio") / "data")


@pytest.fixture(scope="session")
def scored(portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> ScoredWeek:
    """The last week of the small portfolio, run once in a folder of its own; not to be changed."""
    folder = tmp_path_factory.mktemp("scored")
    return ScoredWeek.run(folder, portfolio, WEEK, REPORT_ENABLED="true")
