"""Commands that use no database load no driver: each would add its time to every start."""

from __future__ import annotations

import subprocess
import sys

import pytest

DRIVERS = ("psycopg", "adbc_driver_postgresql", "sqlalchemy", "alembic", "tenacity")


@pytest.mark.system
def test_the_command_line_and_the_configuration_load_no_driver() -> None:
    program = (
        "import sys, cardwatch.cli, cardwatch.config, cardwatch.wiring, cardwatch.database.faults,"
        " cardwatch.database.retry, cardwatch.database.connection\n"
        f"print([name for name in {DRIVERS!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
