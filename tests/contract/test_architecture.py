"""The shape of the package, where import-linter does not look."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "cardwatch"
MODULES = sorted(PACKAGE.rglob("*.py"))
STATEMENTS = sorted(PACKAGE.rglob("*.sql"))


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_module_is_over_400_lines(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 400


def test_no_module_beside_the_package_is_over_400_lines_either() -> None:
    folders = ("tests", "benchmarks", "dags", "demo", "docs", "src")
    beside = [path for folder in folders for path in (PACKAGE.parent / folder).rglob("*.py")]
    assert [p for p in beside if len(p.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_no_module_is_a_grab_bag() -> None:
    assert not {module.stem for module in MODULES} & {"utils", "helpers", "common", "misc"}


def test_folders_are_at_most_two_deep() -> None:
    assert max(len(module.relative_to(PACKAGE).parent.parts) for module in MODULES) <= 2


@pytest.mark.parametrize("statement", STATEMENTS, ids=name_of)
def test_every_sql_file_begins_with_a_header_that_says_what_it_reads_and_makes(
    statement: Path,
) -> None:
    assert statement.read_text(encoding="utf-8").startswith("-- ")


@pytest.mark.parametrize(
    "module", [module for module in MODULES if module.name == "__init__.py"], ids=name_of
)
def test_an_init_holds_exports_only(module: Path) -> None:
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr, ast.If)
    functions = (ast.FunctionDef,)  # a module's __getattr__, for exports loaded when asked for
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        assert isinstance(node, allowed) or (
            isinstance(node, functions) and node.name in ("__getattr__", "__dir__")
        ), f"line {node.lineno}"


def test_importing_every_module_prints_and_writes_nothing(tmp_path: Path) -> None:
    names = [
        ".".join(module.relative_to(PACKAGE.parent).with_suffix("").parts)
        for module in MODULES
        if module.name != "__init__.py" and module.name != "__main__.py"
    ]
    program = f"import importlib\nfor name in {names!r}: importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
