"""The settings as a list: what each is called, means and allows, read off the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import JsonValue, SecretStr
from pydantic.fields import FieldInfo

from cardwatch.config.data_sections import ColumnName
from cardwatch.config.models import Config
from cardwatch.config.section import Section

Path = tuple[str | int, ...]
"""Where a value stands: sections and name, then positions inside a list or mapping."""


@dataclass(frozen=True)
class Setting:
    """One setting as the reference and ``config show`` present it.

    Attributes
    ----------
    path : tuple of str
        Sections and name; one part for a setting outside every section.
    allowed : str
        The values it takes, in words.
    variable : str
        The environment variable that overrides the file; empty when there is none.
    """

    path: tuple[str, ...]
    description: str
    unit: str
    allowed: str
    default: JsonValue
    variable: str
    secret: bool

    @property
    def key(self) -> str:
        """The dotted key, for example ``output.directory``."""
        return ".".join(self.path)


@cache
def settings(root: type[Section] = Config) -> tuple[Setting, ...]:
    """Return every setting below `root`, in the order of the file."""
    schema = root.model_json_schema()
    return tuple(_settings_in((), root, schema["properties"], schema))


def section_class(*path: str, root: type[Section] = Config) -> type[Section] | None:
    """Return the model of a section, or of one inside another, or None for any other path."""
    model: type[Section] | None = root
    for name in path:
        model = _as_section(fields(model).get(name)) if model else None
    return model


def fields(model: type[Section]) -> Mapping[str, FieldInfo]:
    """Return the settings and sections of a section by their keys in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


@cache
def variables() -> Mapping[str, tuple[str, ...]]:
    """Return the environment variables that override a setting, with the setting's path."""
    return {setting.variable: setting.path for setting in settings() if setting.variable}


def is_secret(path: Path) -> bool:
    """Whether the value at a path must never be shown."""
    return any(
        setting.secret and path[: len(setting.path)] == setting.path for setting in settings()
    )


def column_names() -> tuple[str, ...]:
    """Return our names of the columns that data can have."""
    return get_args(ColumnName)


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration file (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Config.model_json_schema(),
    }


def _settings_in(
    path: tuple[str, ...],
    model: type[Section],
    properties: Mapping[str, Any],
    schema: Mapping[str, Any],
) -> Iterator[Setting]:
    for name, field in fields(model).items():
        inner = _as_section(field)
        if inner:
            below = schema["$defs"][inner.__name__]["properties"]
            yield from _settings_in((*path, name), inner, below, schema)
        else:
            yield _setting((*path, name), field, properties[name], schema)


def _as_section(field: FieldInfo | None) -> type[Section] | None:
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _setting(
    path: tuple[str, ...], field: FieldInfo, part: Mapping[str, Any], schema: Mapping[str, Any]
) -> Setting:
    return Setting(
        path=path,
        description=field.description or "",
        unit=part.get("x-unit", ""),
        allowed=_in_words(part, schema),
        default=part.get("default"),
        variable=part.get("x-variable", ""),
        secret=_is_secret_type(field.annotation),
    )


def _is_secret_type(kind: object) -> bool:
    if get_origin(kind) in (Union, UnionType):
        return any(_is_secret_type(part) for part in get_args(kind))
    return kind is SecretStr


def _in_words(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Say what a part of the JSON Schema allows."""
    if "$ref" in part:
        return _in_words(schema["$defs"][part["$ref"].rpartition("/")[2]], schema)
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_in_words(each, schema) for each in part["anyOf"]))
    if "enum" in part:
        return _one_of([str(value) for value in part["enum"]])
    match part.get("type"):
        case "integer":
            return "a whole number" + _range(part)
        case "number":
            return "a number" + _range(part)
        case "array" if "prefixItems" in part:
            return f"a list of {len(part['prefixItems'])} numbers"
        case "array":
            inner = part["items"]
            return f"a list of {'rules' if '$ref' in inner else 'texts'}"
        case kind:
            return _KINDS.get(str(kind), "text")


_KINDS = {"boolean": "true or false", "null": "null", "object": "a mapping", "string": "text"}


def _one_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _range(part: Mapping[str, Any]) -> str:
    low, above = part.get("minimum"), part.get("exclusiveMinimum")
    high = part.get("maximum")
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    limits = [
        text
        for text, limit in (("above {:,}", above), ("of at least {:,}", low), ("up to {:,}", high))
        if limit is not None
        for text in [text.format(limit)]
    ]
    return "".join(f" {text}" for text in [" and ".join(limits)] if text)
