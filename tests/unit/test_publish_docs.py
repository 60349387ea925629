"""The reference page of the outputs says what the code writes: every file, column, type, unit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from published_weeks import WEEK, listed_customer, manifest, publish, week_report

from cardwatch.engine import Engine
from cardwatch.manifest import FileRecord, HistoryRecord, RunManifest
from cardwatch.outputs import (
    LATER_SCORE_COLUMNS,
    LIST_COLUMNS,
    QUARANTINE_COLUMNS,
    REVIEW_COLUMNS,
    SCORE_COLUMNS,
    Column,
    OutputFile,
    neutralise,
    restore,
)

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "outputs.md").read_text("utf-8")
OPEN_KEYS = {
    "contributions",
    "categories",
    "left_out_by_policy",
    "customers_unscored",
    "seconds",
    "configuration",
    "input_weeks",
    "source_keys",
    "versions",
    "detector_state",
    "rows_by_reason",
    "score_quantiles",
    "files",
    "feature_histograms",
    "category_counts",
}
"""Objects whose keys are not fixed."""


def rows(heading: str) -> list[tuple[str, ...]]:
    """The cells of the table under a heading, without the backquotes around the first."""
    section = PAGE.split(f"\n## `{heading}`\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = (tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines)
    return [(first.strip("`"), *rest) for first, *rest in cells]


def columns(heading: str) -> list[Column]:
    return [Column(name, kind, unit) for name, kind, unit, _ in rows(heading)]


def test_every_file_is_on_the_page_and_has_a_section() -> None:
    names = [file.value.format(label="YYYY-WW") for file in OutputFile]
    table = re.findall(r"^\| `([^`]+)` \| ", PAGE.split("\n## ")[0], flags=re.MULTILINE)
    assert table == names
    assert [name for name in re.findall(r"^## `(.+)`$", PAGE, flags=re.MULTILINE)] == names


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("anomalies_YYYY-WW.csv", [*LIST_COLUMNS]),
        ("quarantine_YYYY-WW.csv", [*QUARANTINE_COLUMNS]),
        ("reviews_YYYY-WW.csv", [*REVIEW_COLUMNS]),
        (
            "scores_YYYY-WW.parquet",
            [
                *SCORE_COLUMNS,
                Column("<family>_surprise", "double", "surprise"),
                *LATER_SCORE_COLUMNS,
            ],
        ),
    ],
)
def test_the_columns_of_a_table_are_those_of_the_code(heading: str, expected: list[Column]) -> None:
    assert columns(heading) == expected


def paths(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a JSON document with its value, as the page writes them."""
    if isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{at}[]")
    elif isinstance(value, dict):
        name = re.split(r"[.\[]", at)[-1].strip("]")
        is_open = name in OPEN_KEYS or at in ("history.weeks", "history.reviews", "history.drift")
        for key, inner in value.items():
            place = "{}" if is_open else key
            yield from paths(inner, f"{at}.{place}" if at else place)
    else:
        yield at, value


def types_of(document: Any) -> dict[str, set[str]]:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    found: dict[str, set[str]] = {}
    for path, value in paths(document):
        found.setdefault(path, set()).add(names[type(value)])
    return found


def check_fields(heading: str, document: Any) -> None:
    found = types_of(document)
    documented = {name: set(kind.split(" or ")) for name, kind, _, _ in rows(heading)}
    assert list(documented) == list(found)
    for name, kinds in found.items():
        allowed = documented[name]
        wider = {"integer"} if "number" in allowed else set()
        assert "any" in allowed or kinds <= allowed | wider, name


def test_the_fields_of_the_json_list_are_those_written(tmp_path: Path, engine: Engine) -> None:
    publish(tmp_path / "outputs", engine, {"C-1": 1})
    document = json.loads((tmp_path / "outputs" / "anomalies_2025-46.json").read_bytes())
    document["thresholds"]["weeks"] = ["2025-45"]
    document["coverage"]["customers_unscored"] = {"reason": 1}
    document["notes"] = ["a note"]
    check_fields("anomalies_YYYY-WW.json", document)


def test_the_fields_of_the_manifest_are_those_written() -> None:
    digest = "ab" * 32
    recorded = manifest(
        week_report([listed_customer("C-1", 1)]),
        files={"scores_2025-46.parquet": FileRecord(sha256=digest, bytes=1)},
        history=HistoryRecord(
            weeks={"2025-45": digest},
            fingerprint=digest,
            reviews={"2025-45": digest},
            snoozes=digest,
            drift={"2025-45": digest},
        ),
        configuration={"environment": "development"},
        warnings=("a warning",),
    )
    document = json.loads(recorded.to_json())
    document["thresholds"]["weeks"] = ["2025-45"]
    document["counts"]["customers_unscored"] = {"reason": 1}
    check_fields("run_YYYY-WW.json", document)
    assert RunManifest.from_json(json.dumps(document)).week == WEEK


def test_the_example_of_a_neutralised_cell_is_right() -> None:
    before, after = re.findall(r"\(`(.+)` becomes `(.+)`\)", PAGE)[0]
    assert neutralise(before) == after
    assert restore(after) == before
