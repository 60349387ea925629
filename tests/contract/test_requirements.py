"""The requirement files: pins with hashes, from pyproject, the same on every machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FILES = ("requirements.txt", "requirements-dev.txt", "requirements-airflow.txt")
HASHED = (*FILES, "tests/dag/requirements-airflow-2.txt")
PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[\w.+!]+)", re.MULTILINE)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins(name: str) -> dict[str, str]:
    return {canonicalize_name(pin["name"]): pin["version"] for pin in PIN.finditer(text_of(name))}


def wanted(*extras: str) -> list[Requirement]:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][e] for e in extras)]
    return [Requirement(text) for texts in lists for text in texts]


@pytest.mark.parametrize("name", HASHED)
def test_every_pin_carries_hashes(name: str) -> None:
    for block in re.split(r"\n(?=\S)", text_of(name)):
        if not block.startswith("#"):
            assert PIN.match(block), block.splitlines()[0]
            assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize("name", HASHED)
def test_no_address_and_no_path_of_a_machine_is_in_a_requirement_file(name: str) -> None:
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links|(^|\s)/\w", text_of(name))


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("requirements.txt", ("build",)),
        ("requirements-dev.txt", ("dev",)),
        ("requirements-airflow.txt", ("airflow",)),
    ],
)
def test_every_requirement_of_pyproject_is_pinned_to_a_version_it_allows(
    name: str, extras: tuple[str, ...]
) -> None:
    pinned = pins(name)
    for requirement in wanted(*extras):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {name}: make lock"
        assert version in requirement.specifier, f"{requirement.name}: make lock"


def test_all_files_pin_the_same_versions() -> None:
    """They are installed one after another, into one environment."""
    versions: dict[str, set[str]] = {}
    for name in FILES:
        for package, version in pins(name).items():
            versions.setdefault(package, set()).add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}
