"""Read a YAML configuration file safely, keeping the line of every key.

The scalars are those of YAML 1.2's core schema, so that a merchant category code ``0742`` stays
text, ``no`` is not a truth value and a date is not a date. A key given twice, an anchor and a tag
are errors: each hides what a setting is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cardwatch.errors import ConfigurationError

MAX_BYTES = 1_000_000
QUOTES = "Values with : # { or [ in them need quotes"


@dataclass(frozen=True)
class ConfigFile:
    """What a configuration file says: its values, and the line of each key (counted from 1)."""

    path: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict)

    def place(self, path: tuple[str | int, ...]) -> str:
        """Return where a key stands, as ``config/config.yaml line 12``."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.path} line {self.lines[path]}" if path else str(self.path)


class _KeyTwiceError(yaml.constructor.ConstructorError):
    """A mapping has a key twice."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            problem = "a value that begins with !, & or * needs quotes"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)"
        r"|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}",
        re.compile(f"^(?:{_pattern})$"),
        [*_first, *([""] if _kind == "null" else [])],
    )


def read_yaml(path: Path) -> ConfigFile:
    """Read a configuration file; an empty one sets nothing.

    Raises
    ------
    ConfigurationError
        If the file is missing, cannot be read, is not UTF-8 or not YAML, is not a mapping, or gives
        a key twice.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    try:
        loader = _Loader(_read_text(path))
        try:
            root = loader.get_single_node()
            values = None if root is None else _construct(root, loader, (), lines)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}" if mark else ""
        # The parser's error quotes the line, which may hold a password: it is not chained.
        raise _broken(f"{path}{line}", *_problem(error)) from None
    except yaml.YAMLError as error:
        raise _broken(str(path), "it holds a character that no text has") from error
    except ValueError as error:
        raise _broken(str(path), "it holds a number of thousands of digits") from error
    except RecursionError as error:
        raise _broken(str(path), "it has thousands of values inside each other") from error
    if values is not None and not isinstance(values, dict):
        raise ConfigurationError(
            "The configuration is not a mapping",
            where=str(path),
            observed="a list" if isinstance(values, list) else "a single value",
            expected="sections with settings, such as output: and below it directory: outputs",
        )
    return ConfigFile(path, values or {}, lines)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigurationError(
            "There is no such configuration file",
            where=str(path),
            next_step="Copy config/config.example.yaml to config/config.yaml, or leave --config and"
            " CARDWATCH_CONFIG out to run with the defaults",
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "The configuration file cannot be read",
            where=str(path),
            observed=getattr(error, "strerror", None) or "a path that is not one",
            next_step="Check the path and its permissions",
        ) from error
    if len(content) > MAX_BYTES:
        raise _broken(str(path), f"it is larger than {MAX_BYTES:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _broken(f"{path} line {line}", "it is not UTF-8", "Save it as UTF-8") from error


def _construct(
    node: yaml.Node,
    loader: _Loader,
    path: tuple[str | int, ...],
    lines: dict[tuple[str | int, ...], int],
) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        return {
            key: _construct(value, loader, (*path, key), lines)
            for key, value in _items(node, path, lines)
        }
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [
            _construct(value, loader, (*path, position), lines)
            for position, value in enumerate(node.value)
        ]
    return loader.construct_object(node)


def _items(
    node: yaml.MappingNode, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]
) -> Iterator[tuple[str, yaml.Node]]:
    for key_node, value in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                None, None, "a key is not a name", key_node.start_mark
            )
        here = (*path, key_node.value)
        if here in lines:
            dotted = ".".join(map(str, here))
            raise _KeyTwiceError(
                None,
                None,
                f"{dotted} is given twice, first in line {lines[here]}",
                key_node.start_mark,
            )
        lines[here] = key_node.start_mark.line + 1
        yield key_node.value, value


def _problem(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """Say what is wrong, and what to do, without quoting the file, which may hold a password."""
    problem = error.problem or "it is not YAML"
    if isinstance(error, _KeyTwiceError):
        return problem, "Keep one of the two"
    if "'\\t'" in problem:
        return "a tab where spaces are needed", "Indent with spaces"
    if problem.startswith("but ") and error.context:
        problem = f"{error.context}, {problem}"
    return re.sub(r"(?<= )'[^'<]{2,}'(?=$|[ ,])", "that text", problem), QUOTES


def _broken(where: str, problem: str, advice: str = "Is it the right file?") -> ConfigurationError:
    return ConfigurationError(
        f"The configuration file is not valid YAML: {problem}",
        where=where,
        next_step=advice,
    )
