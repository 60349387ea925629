"""What Debian's packages bring, and the reason to skip where it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

NOT_HERE = "is not installed: sudo tests/system/install.sh"


_CHROMIUM = Path("/usr/bin/chromium")


def _newest_postgres() -> Path | None:
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    folders = [path.parent for path in found]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


POSTGRES = _newest_postgres()
"""The folder of the newest PostgreSQL server's programs."""

POSTGRES_VERSION = POSTGRES.parent.name if POSTGRES else "none"


def chromium() -> str:
    """Return the browser's program, or skip the test."""
    if not _CHROMIUM.is_file():
        pytest.skip(f"Debian's chromium {NOT_HERE}")
    return str(_CHROMIUM)


def postgres_binaries() -> Path:
    """Return the folder of the server's programs, or skip the test."""
    if POSTGRES is None:
        pytest.skip(f"Debian's postgresql {NOT_HERE}")
    return POSTGRES
