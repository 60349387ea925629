"""Reads a semantic model as text (TMDL), as far as the Power BI kit uses it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

OBJECT = re.compile(
    r"(?:ref )?(?P<kind>database|model|table|measure|column|hierarchy|level|partition|expression|"
    r"relationship|role|tablePermission|annotation|refreshPolicy|dataAccessOptions)"
    r"(?: (?P<name>'(?:[^']|'')+'|[^\s=]+))?(?: = ?(?P<rest>.*)| =)?"
)
PROPERTY = re.compile(r"(?P<name>[a-z]\w*)(?:: (?P<value>.*)| = ?(?P<rest>.*)| =)?")
META = re.compile(r"(?P<value>.*?) meta \[(?P<meta>.*)\]", re.S)


@dataclass
class Node:
    """One object of the model: ``kind name = expression``, its properties and what is below it.

    Attributes
    ----------
    properties : dict
        As text; a flag such as ``isHidden`` is ``"true"``.
    """

    kind: str
    name: str
    expression: str = ""
    description: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    def of_kind(self, kind: str) -> dict[str, Node]:
        """Return the objects of a kind directly below, by name."""
        found = [child for child in self.children if child.kind == kind]
        assert len({child.name for child in found}) == len(found), f"a {kind} twice in {self.name}"
        return {child.name: child for child in found}

    def is_(self, flag: str) -> bool:
        return self.properties.get(flag) == "true"


@dataclass(frozen=True)
class Line:
    number: int
    depth: int
    text: str


def read_model(folder: Path) -> Node:
    """Read every file below ``definition``; all objects are the model's children."""
    model = Node("files", folder.name)
    for path in sorted((folder / "definition").rglob("*.tmdl")):
        text = path.read_text(encoding="utf-8")
        try:
            _read(model, _lines(text))
        except AssertionError as error:
            raise AssertionError(f"{path.name}: {error}") from None
    return model


def _lines(text: str) -> list[Line]:
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        depth = len(line) - len(line.lstrip("\t"))
        if line.strip():
            assert line == line.rstrip(), f"line {number}: blanks at its end"
            found.append(Line(number, depth, line[depth:]))
    return found


def _read(root: Node, lines: list[Line]) -> None:
    stack: list[tuple[int, Node]] = [(-1, root)]
    description: list[str] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        assert not line.text.startswith(" "), f"line {line.number}: indented with blanks"
        if line.text.startswith("/// "):
            description.append(line.text.removeprefix("/// "))
            continue
        while stack[-1][0] >= line.depth:
            stack.pop()
        depth, parent = stack[-1]
        assert line.depth == depth + 1, f"line {line.number}: too deep"
        block, position = _block(lines, position, line.depth)
        match = OBJECT.fullmatch(line.text)
        if match is not None:
            name = (match["name"] or "").strip("'").replace("''", "'")
            node = Node(match["kind"], name, (match["rest"] or block), " ".join(description))
            if not line.text.startswith("ref "):
                parent.children.append(node)
            stack.append((line.depth, node))
        else:
            _property(parent, line, block)
        description = []
    assert not description, "a description of nothing"


def _block(lines: list[Line], position: int, depth: int) -> tuple[str, int]:
    """Return the expression that follows ``=``: lines two levels deeper, and where it ends."""
    end = position
    while end < len(lines) and lines[end].depth >= depth + 2:
        end += 1
    if not lines[position - 1].text.endswith("="):
        return "", position
    assert end > position, f"line {lines[position - 1].number}: no expression"
    body = [f"{chr(9) * (each.depth - depth - 2)}{each.text}" for each in lines[position:end]]
    return "\n".join(body), end


def _property(parent: Node, line: Line, block: str) -> None:
    match = PROPERTY.fullmatch(line.text)
    assert match is not None, f"line {line.number}: {line.text}"
    value = match["value"] or match["rest"] or block
    assert match["name"] not in parent.properties, f"line {line.number}: twice"
    parent.properties[match["name"]] = value or "true"


def parameter(node: Node) -> tuple[str, str]:
    """Return the type and the value of a parameter query."""
    match = META.fullmatch(node.expression)
    assert match is not None, node.name
    meta = dict(re.findall(r'(\w+)=(?:"(\w+)"|true)', match["meta"]))
    assert "IsParameterQuery" in meta
    return meta["Type"], match["value"]


def column_of(reference: str) -> tuple[str, str]:
    """Return the table and the column of ``'Some Table'.Column``."""
    match = re.fullmatch(r"('[^']+'|\w+)\.('[^']+'|\w+)", reference)
    assert match is not None, reference
    return match[1].strip("'"), match[2].strip("'")


def selected(source: str) -> list[str]:
    """Return the columns that an M query chooses of a view."""
    match = re.search(r"Table\.SelectColumns\(\s*View,\s*\{(.*?)\}", source, re.S)
    assert match is not None
    return re.findall(r'"(\w+)"', match[1])


def dax_references(expression: str) -> Iterator[tuple[str, str, str]]:
    """Yield what a DAX expression names: ``(kind, table, name)``, strings left out.

    Kinds are ``column``, ``measure``, ``table`` and ``function``. A bare word that is no variable
    and no keyword is a table.
    """
    text = re.sub(r'"[^"]*"', '""', expression)
    variables = set(re.findall(r"\bVAR (\w+)", text))
    for quoted, bare, name in re.findall(r"(?:'([^']+)'|\b(\w+))\[([^\]]+)\]", text):
        yield "column", quoted or bare, name
    text = re.sub(r"(?:'[^']+'|\b\w+)\[[^\]]+\]", "0", text)
    for name in re.findall(r"\[([^\]]+)\]", text):
        yield "measure", "", name
    text = re.sub(r"\[[^\]]+\]", "0", text)
    for name in re.findall(r"'([^']+)'", text):
        yield "table", name, ""
    text = re.sub(r"'[^']+'", "0", text)
    for word, call in re.findall(r"\b([A-Za-z_]\w*)\b(\s*\()?", text):
        if word in variables | KEYWORDS:
            continue
        yield ("function", "", word) if call else ("table", word, "")


KEYWORDS = {"VAR", "RETURN", "IN", "NOT", "MINUTE", "DAY"}
"""Words of DAX that name nothing, the units of ``DATEDIFF`` among them."""
