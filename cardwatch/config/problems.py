"""Say in one line what is wrong with a configuration, where, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cardwatch.config import catalog
from cardwatch.config.method_sections import SignalRule
from cardwatch.config.models import Config
from cardwatch.config.origin import Given
from cardwatch.config.values import without_credentials
from cardwatch.config.yaml_file import ConfigFile
from cardwatch.errors import ConfigurationError


def translate(
    error: ValidationError, given: Mapping[tuple[str, ...], Given], file: ConfigFile | None
) -> ConfigurationError:
    """Turn pydantic's findings into one line about the first, naming the others."""
    found = error.errors(include_url=False)
    problems = [_Problem(details, given, file) for details in found]
    first, *others = sorted(problems, key=lambda problem: not problem.is_unknown)
    names = list(dict.fromkeys(problem.key for problem in others if problem.key != first.key))
    more = f"Also wrong: {', '.join(names)}" if names else ""
    next_step = " ".join(part for part in (first.suggestion, more) if part)
    return ConfigurationError(
        first.what,
        where=first.where,
        observed=first.observed,
        expected=first.expected,
        next_step=next_step,
    )


def shown(value: object) -> str:
    """Show an observed value that is no secret, shortened to one short line."""
    if isinstance(value, str):
        text = without_credentials(value)
        return repr(text if len(text) <= 60 else text[:57] + "...")
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value}"[:60] if isinstance(value, int | float) else kind_of(value)


def kind_of(value: object) -> str:
    """Name the kind of a value without showing it."""
    kinds = {dict: "a mapping", list: "a list", tuple: "a list", str: "text", int: "a number"}
    return kinds.get(type(value), "another kind of value")


def first_setting(section: str) -> str:
    """Return one setting of a section, as an example."""
    model = catalog.section_class(*section.split("."))
    return next(iter(catalog.fields(model))) if model else ""


class _Problem:
    """One of pydantic's findings, in the words of the file."""

    def __init__(
        self,
        details: ErrorDetails,
        given: Mapping[tuple[str, ...], Given],
        file: ConfigFile | None,
    ) -> None:
        self.details = details
        self.path = tuple(part for part in details["loc"] if part != "[key]")
        self.key = _dotted(self.path)
        self.is_unknown = details["type"] == "extra_forbidden" or "[key]" in details["loc"]
        names = tuple(str(part) for part in self.path)
        ends = range(len(names), 0, -1)
        value = next((given[names[:end]] for end in ends if names[:end] in given), None)
        self.is_confidential = catalog.is_secret(self.path) or bool(value and value.is_confidential)
        self.where = _where(self.path, value, file)

    @property
    def what(self) -> str:
        if self.is_unknown:
            return f"{self.key} is not a setting"
        missing = self.details["type"] == "missing"
        return f"{self.key} is missing" if missing else f"{self.key} is not valid"

    @property
    def observed(self) -> str:
        if self.is_unknown or self.details["type"] == "missing":
            return ""
        return "a hidden value" if self.is_confidential else shown(self.details["input"])

    @property
    def expected(self) -> str:
        if self.is_unknown or self.details["type"] == "missing":
            return ""
        if self.details["type"] == "expected":
            return self.details["msg"]
        if self.details["type"] in ("model_type", "model_attributes_type"):
            return f"a mapping with {', '.join(_names_at(self.path))}"
        known = next((each for each in catalog.settings() if each.path == self.path), None)
        return known.allowed if known else _in_our_words(self.details["msg"])

    @property
    def suggestion(self) -> str:
        return _suggestion(self.path) if self.is_unknown else ""


def _dotted(path: tuple[Any, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _where(path: tuple[Any, ...], value: Given | None, file: ConfigFile | None) -> str:
    if value is None:
        return ""
    if value.origin.kind == "file" and file:
        return file.place(path)
    return "command line" if value.origin.kind == "command line" else str(value.origin)


def _in_our_words(message: str) -> str:
    text = message.removeprefix("Input should be ").removeprefix("Input should ")
    return text[:1].lower() + text[1:]


def _suggestion(path: tuple[Any, ...]) -> str:
    """Return what an unknown key probably meant, near by first."""
    name, parent = str(path[-1]), path[:-1]
    siblings = _names_at(parent)
    near = difflib.get_close_matches(name.lower(), siblings, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {_dotted((*parent, near[0]))}?"
    keys = [setting.key for setting in catalog.settings()]
    elsewhere = [key for key in keys if key.rpartition(".")[2] == name]
    elsewhere = elsewhere or difflib.get_close_matches(_dotted(path), keys, n=1, cutoff=0.6)
    elsewhere = elsewhere or [
        key for key in keys if difflib.get_close_matches(name, [key.rpartition(".")[2]], 1, 0.8)
    ]
    if elsewhere:
        section, _, setting = elsewhere[0].rpartition(".")
        return f"Did you mean {setting} in the section {section}?" if section else ""
    return f"Known here: {', '.join(siblings)}." if siblings else ""


def _names_at(parent: tuple[Any, ...]) -> list[str]:
    if not parent:
        return list(Config.model_fields)
    if parent[:2] == ("ranking", "signals"):
        return list(SignalRule.model_fields)
    if parent == ("data_source", "columns"):
        return list(catalog.column_names())
    model = catalog.section_class(*map(str, parent))
    return list(catalog.fields(model)) if model else []
