"""The files of the Power BI kit: its two projects, their models and their reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tmdl import Node, read_model

ROOT = Path(__file__).parents[1]
KIT = ROOT / "deploy" / "powerbi"


@dataclass(frozen=True)
class Visual:
    """One visual of a page, with the JSON of its file."""

    page: str
    name: str
    content: dict[str, Any]

    @property
    def type(self) -> str:
        return str(self.content["visual"]["visualType"])

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge."""
        at = self.content["position"]
        return at["x"], at["y"], at["x"] + at["width"], at["y"] + at["height"]

    def formatting(self, thing: str, name: str) -> str:
        """Return one literal of the container's formatting; empty without it."""
        [entry] = self.content["visual"]["visualContainerObjects"].get(thing, [{"properties": {}}])
        value = entry["properties"].get(name, {"expr": {"Literal": {"Value": "''"}}})
        return str(value["expr"]["Literal"]["Value"])[1:-1].replace("''", "'")


@dataclass(frozen=True)
class Project:
    """One project: ``NAME.pbip`` with ``NAME.SemanticModel`` and ``NAME.Report`` beside it."""

    folder: Path
    name: str

    @property
    def model_folder(self) -> Path:
        return self.folder / f"{self.name}.SemanticModel"

    @property
    def report_folder(self) -> Path:
        return self.folder / f"{self.name}.Report"

    @cached_property
    def model(self) -> Node:
        return read_model(self.model_folder)

    @cached_property
    def tables(self) -> dict[str, Node]:
        return self.model.of_kind("table")

    @cached_property
    def measures(self) -> dict[str, tuple[str, Node]]:
        """The measures of all tables by name, each with its table."""
        found = [
            (table, measure)
            for table, node in self.tables.items()
            for measure in node.of_kind("measure").values()
        ]
        names = [measure.name for _, measure in found]
        assert len(set(names)) == len(names), "two measures of one name"
        return {measure.name: (table, measure) for table, measure in found}

    @cached_property
    def pages(self) -> dict[str, dict[str, Any]]:
        paths = sorted(self.report_folder.glob("definition/pages/*/page.json"))
        return {path.parent.name: read_json(path) for path in paths}

    @cached_property
    def visuals(self) -> list[Visual]:
        paths = sorted(self.report_folder.glob("definition/pages/*/visuals/*/visual.json"))
        return [Visual(path.parts[-4], path.parts[-2], read_json(path)) for path in paths]

    def source(self, table: str) -> str:
        """Return the M query of a table."""
        [partition] = self.tables[table].of_kind("partition").values()
        return partition.properties["source"]

    def view(self, table: str) -> str:
        """Return the view that a table is read from."""
        return self.source(table).partition('Item = "')[2].partition('"')[0]


DATABASE = Project(KIT / "database", "Cardwatch")
FILES = Project(KIT / "files", "CardwatchFiles")
PROJECTS = (DATABASE, FILES)


def read_json(path: Path) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs), f"a key twice in {path}"
        return dict(pairs)

    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    return content


def fields_in(value: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the fields that some JSON names as ``(kind, table, name)``.

    Inside a filter a table is named by the alias that the filter's ``From`` gives it.
    """
    yield from _fields(value, {})


def _fields(value: Any, aliases: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _fields(each, aliases)
    elif isinstance(value, dict):
        if "From" in value:
            aliases = {each["Name"]: each["Entity"] for each in value["From"]}
        for kind in ("Column", "Measure"):
            if kind in value:
                source = value[kind]["Expression"]["SourceRef"]
                table = source["Entity"] if "Entity" in source else aliases[source["Source"]]
                yield kind, table, value[kind]["Property"]
        for each in value.values():
            yield from _fields(each, aliases)
