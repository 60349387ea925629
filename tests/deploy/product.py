"""The product itself as a repository with two versions, and an installer that downloads nothing."""

from __future__ import annotations

import re
import shutil
import sysconfig
from pathlib import Path

from sandbox import ROOT, git, release

PRODUCT = (
    "LICENSE", "README.md", "cardwatch", "config", "dags", "deploy", "deploy.sh", "docs", "main.py",
    "pyproject.toml", "requirements.txt", "src", ".gitignore", ".env.example",
)  # fmt: skip
DECLARED = "cardwatch/publish/database_declared.py"
LAST = re.compile(r"(REVISIONS = \([^)]*?),\s*v\d{4}_\w+,?\s*\)")
INSTALL = f"""\
#!/usr/bin/env bash
# In place of downloading: the libraries of the environment that runs the tests.
set -eu
cd "$1"
grep --quiet -- --hash=sha256: "$2"
"$PYTHON" -m venv --without-pip venv
cd venv
printf '%s\\n' "$1" '{sysconfig.get_path("purelib")}' >"$(echo lib/python*/site-packages)/0.pth"
printf '#!%s\\nfrom cardwatch.cli import main\\nmain()\\n' "$PWD/bin/python" >bin/cardwatch
chmod +x bin/cardwatch
"""


def make_product(origin: Path) -> None:
    """Commit the product as v1.0.0, from before its last migration, and as v1.1.0."""
    origin.mkdir()
    git(origin, "init", "--quiet", "--initial-branch=main", "--template=")
    for name in PRODUCT:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "config.yaml", "monitoring_config.yaml")
            shutil.copytree(source, origin / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, origin / name)
    now = (origin / DECLARED).read_text(encoding="utf-8")
    before, found = LAST.subn(r"\1)", now)
    assert found == 1, "the drill leaves out the last migration"
    (origin / DECLARED).write_text(before, encoding="utf-8")
    release(origin, "v1.0.0")
    (origin / DECLARED).write_text(now)
    release(origin, "v1.1.0-crashes", crashes="")
    (origin / "crashes").unlink()
    release(origin, "v1.1.0")
