"""What versions of PostgreSQL may differ in, on those that the fast tests do not use."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from debian import POSTGRES_VERSION, postgres_binaries
from oldest_postgres import VERSION as OLDEST
from oldest_postgres import oldest_postgres_binaries

from demo.postgres_server import PostgresServer, wheel_binaries

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
USES_A_SERVER = re.compile(r"^from (postgres|demo\.postgres_server) import", re.MULTILINE)
SAME_EVERYWHERE = {
    "test_database_backfill.py",
    "test_database_retries.py",
    "test_other_databases.py",
}
"""What comes of lines that are cut, processes that are killed and other sessions is our own doing:
the statements, types and words in which versions differ are all met in the other files."""
BETWEEN = (
    "tests/contract/test_source_contract.py",
    "tests/integration/test_cli_db_upgrade.py",
    "tests/integration/test_cli_postgres.py",
    "tests/integration/test_cli_publish.py",
    "tests/integration/test_database_guide_roles.py",
    "tests/integration/test_database_publish.py",
    "tests/integration/test_database_publish_rights.py",
    "tests/integration/test_database_publish_values.py",
    "tests/integration/test_database_reviews.py",
    "tests/integration/test_database_upgrade.py",
    "tests/integration/test_postgres_source.py",
    "tests/integration/test_power_bi_views.py",
)
"""What a version has to say that lies between two on which everything is run."""
LEAST = (
    "tests/integration/test_database_publish.py",
    "tests/integration/test_database_upgrade.py",
    "tests/integration/test_postgres_source.py",
)
"""What a version has to say that lies between two of which the same is known."""
SELECTED = "not system and not airflow and not spark"
PARTS = 2
"""Of the files that are run on the oldest version, so that two cores share them."""
MINUTES = 40


def files_on_a_server() -> list[str]:
    files = sorted(ROOT.glob("tests/*/test_*.py"))
    return [
        str(path.relative_to(ROOT))
        for path in files
        if path.parent != Path(__file__).parent
        and path.name not in SAME_EVERYWHERE
        and USES_A_SERVER.search(path.read_text(encoding="utf-8"))
    ]


def run_on(binaries: Path, files: Iterable[str], **settings: str) -> None:
    """Run tests that use a server on one version, in a process of their own."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-m", SELECTED, "--quiet"]
    done = subprocess.run(
        [*command, *files],
        env={**inherited, "POSTGRES_BINARIES": str(binaries), **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
    )
    assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr[-2_000:]}"


def version_of(server: PostgresServer) -> str:
    return server.psql("-Atc", "SHOW server_version_num").strip()[:2]


def test_files_that_use_a_server_are_found() -> None:
    assert "tests/integration/test_database_faults.py" in files_on_a_server()
    assert all(list(ROOT.glob(f"tests/*/{name}")) for name in SAME_EVERYWHERE)
    assert set(LEAST) < set(BETWEEN) < set(files_on_a_server())


@pytest.mark.takes(60)
@pytest.mark.parametrize("version", [POSTGRES_VERSION], ids="debian-{}".format)
def test_what_is_read_and_published_on_the_newest_version_is_on_debians(version: str) -> None:
    with PostgresServer(binaries=postgres_binaries()) as server:
        assert version_of(server) == version
    run_on(postgres_binaries(), BETWEEN)


@pytest.mark.takes(60)
@pytest.mark.parametrize("part", range(PARTS))
def test_all_that_holds_on_the_newest_version_holds_on_the_oldest(part: int) -> None:
    with tempfile.TemporaryDirectory(prefix="cardwatch-postgres-") as name:
        # The servers' own user may look into it, so that no server needs a copy.
        Path(name).chmod(0o755)
        binaries = oldest_postgres_binaries(Path(name))
        with PostgresServer(binaries=binaries) as server:
            assert version_of(server) == OLDEST
        run_on(binaries, files_on_a_server()[part::PARTS])


def test_what_is_read_and_published_on_the_newest_version_is_on_16_given_by_its_address() -> None:
    with PostgresServer(version=16) as server:
        assert version_of(server) == "16"
        run_on(wheel_binaries(16), LEAST, DATABASE_URL=server.url())
