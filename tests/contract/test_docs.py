"""If prose can be wrong, a test reads it: commands, links, exit codes, steps, generated pages."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

import cardwatch
from cardwatch import errors
from cardwatch.cli import app
from cardwatch.config import ModelConfig
from cardwatch.detection.surprise import COMPANION
from cardwatch.detection.tails import RARE, TAPER
from cardwatch.features.catalog import CATALOG
from cardwatch.pipeline import STEPS
from docs.generate import generated_files

ROOT = Path(__file__).parents[2]
EXPLAINED = ("how-a-run-works.md", "method.md")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
WRITTEN = [page for page in PAGES if str(page.relative_to(ROOT)) not in generated_files()]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands_in(page: Path) -> Iterator[str]:
    """Commands in fenced and indented blocks, and whole ones in inline code."""
    text = text_of(page).replace("\\\n", " ")
    for block in re.findall(r"^```(?:console|bash|sh)?\n(.*?)^```", text, re.M | re.S):
        yield from (line.removeprefix("$ ") for line in block.splitlines())
    yield from re.findall(r"^ {4}(\S.*)$", text, re.M)
    yield from re.findall(r"`([^`\n]+)`", text)


def called(page: Path, program: str) -> list[str]:
    starts = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?{program}(?P<rest>\s.*|$)")
    matches = (starts.fullmatch(re.split(r"\s+#|\s*[|;]|\s+&", line)[0].strip()) for line in
               commands_in(page))  # fmt: skip
    return [match["rest"].strip() for match in matches if match]


@cache
def make_targets() -> set[str]:
    declared = re.search(r"^\.PHONY: (.*)$", text_of(ROOT / "Makefile"), re.M)
    assert declared is not None
    return set(declared[1].split())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    for rest in called(page, "make"):
        targets = [word for word in shlex.split(rest) if "=" not in word and word[0] != "-"]
        assert set(targets) <= make_targets() | {"TARGET"}, rest


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    for rest in called(page, "cardwatch"):
        check_command(shlex.split(rest))
    for rest in called(page, r"python3? main\.py"):
        check_command(["run", *shlex.split(rest)])


@cache
def command_line() -> Any:
    """Every command, put together once: the pages name hundreds."""
    return typer.main.get_command(app)


def check_command(words: list[str]) -> None:
    command = command_line()
    context = command.make_context("cardwatch", [], resilient_parsing=True)
    known = {option for param in command.params for option in param.opts}
    for word in words:
        subcommand = getattr(command, "commands", {}).get(word)
        if subcommand is not None:
            command = subcommand
            known |= {option for param in command.params for option in param.opts}
        elif word.startswith("-"):
            assert word.partition("=")[0] in known | set(context.help_option_names), words
        else:
            assert not getattr(command, "commands", {}), f"no command {word!r}: {words}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_internal_link_of_a_page_resolves(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors_of(file), target


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index_of_the_documentation() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / target.partition("#")[0]).resolve()
        for target in re.findall(r"\]\(([^)\s]+)\)", text_of(index))
    }
    assert {page for page in PAGES if page != index} <= linked


def test_make_help_lists_every_target_and_nothing_else() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert set(re.findall(r"^  ([a-z-]+) +\S", shown, re.M)) == make_targets()


def test_the_exit_codes_in_the_reference_are_those_of_the_errors() -> None:
    table = re.findall(
        r"^\| (\d) \| `?(\w+|–)`? \|", text_of(ROOT / "docs" / "reference" / "cli.md"), re.M
    )
    codes = {
        kind.__name__: kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.CardwatchError)
    }
    assert {name: int(code) for code, name in table} == {"–": 0, **codes}


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_exit_codes_named_in_prose_exist(page: Path) -> None:
    codes = {0, *(kind.exit_code for kind in vars(errors).values() if hasattr(kind, "exit_code"))}
    assert {
        int(code) for code in re.findall(r"exits?(?: code| with)? (\d)", text_of(page))
    } <= codes


def test_the_headings_of_how_a_run_works_are_the_steps_of_a_run() -> None:
    text = text_of(ROOT / "docs" / "explanation" / "how-a-run-works.md")
    assert tuple(re.findall(r"^## \d+\. (\w+):", text, re.M)) == STEPS


def short(number: float) -> str:
    return f"{number:g}".removeprefix("0")


def test_the_figures_of_the_score_in_prose_are_those_of_the_code() -> None:
    run, method = (text_of(ROOT / "docs" / "explanation" / name) for name in EXPLAINED)
    decay = ModelConfig().decay
    for text in (run, method):
        assert f"second adds {short(COMPANION)} of its own" in " ".join(text.split())
    assert f"weights 1, {short(decay)}, {short(decay**2)}, …" in run
    assert f"(`model.decay`, {short(decay)})" in method
    assert f"one customer in {RARE:g}√n on" in method
    assert f"they grow by {short(TAPER)} of what" in method
    _, told = method.split("## Features do not tell alike")
    spans = re.findall(r"^- ([\d.]+)(?: to ([\d.]+))? ", told.split("\n## ")[0], re.M)
    allowed = [(float(low), float(high or low)) for low, high in spans]
    for feature in CATALOG:
        assert any(low <= feature.weight <= high for low, high in allowed), feature.name
    assert {feature.weight for feature in CATALOG if feature.tapers} == {allowed[-1][0]}


def test_the_changelog_has_an_entry_for_this_version() -> None:
    assert f"## {cardwatch.__version__}" in text_of(ROOT / "CHANGELOG.md")


@pytest.mark.parametrize("name", generated_files())
def test_a_generated_file_is_current(name: str) -> None:
    assert text_of(ROOT / name) == generated_files()[name](), "make docs"


def test_the_tests_that_requirements_name_exist() -> None:
    page = text_of(ROOT / "docs" / "REQUIREMENTS.md")
    for file, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page):
        assert (ROOT / file).is_file(), file
        assert not name or f"def {name}(" in text_of(ROOT / file), f"{file}::{name}"


def test_the_layout_in_the_design_names_every_module_of_the_package_and_no_other() -> None:
    layout = re.search(r"^cardwatch/\n(.*?)^```", text_of(ROOT / "docs" / "design.md"), re.M | re.S)
    assert layout is not None
    named = set(re.findall(r"^  ([a-z_]+(?:\.py|/)) ", layout[1], re.M))
    package = ROOT / "cardwatch"
    modules = {path.name for path in package.glob("*.py") if path.name != "__init__.py"}
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert named == modules | folders


def test_the_layers_in_the_design_are_those_that_are_checked() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))
    checked = project["tool"]["importlinter"]["contracts"][0]["layers"]
    shown = re.search(r"```text\ncli\n.*?```", text_of(ROOT / "docs" / "design.md"), re.S)
    assert shown is not None
    assert shown[0].splitlines()[1:-1] == checked
