"""The files that are made from the settings: the example, the reference page, the JSON Schema."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from cardwatch.config.catalog import Setting, config_schema, section_class, settings
from cardwatch.config.models import Config
from cardwatch.config.section import Section
from cardwatch.config.view import as_text

EXAMPLE = "config/config.example.yaml"
REFERENCE = "docs/reference/config.md"
SCHEMA = "docs/reference/config.schema.json"

_WIDTH = 96

_EXAMPLE_HEAD = """\
# yaml-language-server: $schema=../docs/reference/config.schema.json
# Cardwatch configuration, with the defaults. Copy it to config/config.yaml; keep what you change.
# ${NAME} and ${NAME:-default} are replaced by environment variables, also from .env.
# Options of the command, environment variables and .env have precedence over this file.
# Relative paths start at the working directory. Reference: docs/reference/config.md
"""

_REFERENCE_HEAD = """\
# Configuration

<!-- Made by `make docs` from the settings in cardwatch/config; a test keeps it current. -->

Cardwatch reads `config/config.yaml`, or the file that `--config` or the variable
`CARDWATCH_CONFIG` names. Without one, the defaults below apply; `config/config.example.yaml` holds
them all. `cardwatch config show` prints every value in force and where it comes from,
`cardwatch config check` says what is wrong, and `cardwatch config schema` prints the
[JSON Schema](config.schema.json), which editors can check the file with.

**Precedence**, highest first: command line, process environment, `.env` in the working directory,
the YAML file, the default. A variable set to nothing counts as not set.

**Variables in the file.** `${NAME}` and `${NAME:-default}` are replaced after the file was parsed,
so a value may hold any characters; `$${NAME}` stands for the text itself. A variable that is not
set is an error only where the data source or channel in use needs it.

**Database.** `DB_CONNECTION_STRING` is used as it is. Where it is not set, `DB_HOST`, `DB_PORT`
(5432), `DB_NAME`, `DB_USER` and `DB_PASSWORD` make it, whatever characters the password holds.
[Connect a database](../how-to/connect-a-database.md) has examples, TLS and every message.

**YAML.** Numbers, `true`, `false` and `null` are those of YAML 1.2, so the code `0742` stays as it
is. Anchors, tags and repeated keys are refused. Relative paths start at the working directory.

**Mistakes.** An unknown key, a value of the wrong type or range, or a file that cannot be read ends
the command with one line and exit code 2. Passwords and connection strings are never shown.
"""


def render_config_reference() -> str:
    """Return the reference page, ``docs/reference/config.md``."""
    parts = [_REFERENCE_HEAD, setting_tables(Config)]
    parts.append("\n## Environment variables\n\n| variable | setting |\n|---|---|\n")
    parts += [
        f"| `{setting.variable}` | `{setting.key}` |\n"
        for setting in sorted(settings(), key=lambda each: each.variable)
        if setting.variable
    ]
    return "".join(parts)


def render_config_example() -> str:
    """Return ``config/config.example.yaml``: every key with its meaning, unit and default."""
    return _EXAMPLE_HEAD + example_entries(Config)


def setting_tables(root: type[Section]) -> str:
    """Return every setting below `root` in tables, one for each section."""
    parts = []
    for name, group in _grouped(root).items():
        title = ".".join(name)
        parts.append(f"\n## {title}\n\n{_section_text(name, root)}\n" if name else "\n")
        parts.append("\n| key | meaning | values | unit | default |\n|---|---|---|---|---|\n")
        parts += [_row(setting) for setting in group]
    return "".join(parts)


def example_entries(root: type[Section]) -> str:
    """Return every setting below `root` as YAML with its meaning, unit and default."""
    parts = []
    for name, group in _grouped(root).items():
        parts.append("\n")
        if name:
            above = "  " * (len(name) - 1)
            parts.append(f"{_comment(_section_text(name, root), above)}{above}{name[-1]}:\n")
        parts += [_entry(setting, "  " * len(name)) for setting in group]
    return "".join(parts)


def generated_files() -> Mapping[str, Callable[[], str]]:
    """Return what makes each generated file, by its path in the repository."""
    return {
        EXAMPLE: render_config_example,
        REFERENCE: render_config_reference,
        SCHEMA: lambda: json.dumps(config_schema(), indent=2) + "\n",
    }


def _grouped(root: type[Section]) -> dict[tuple[str, ...], list[Setting]]:
    groups: dict[tuple[str, ...], list[Setting]] = {}
    for setting in settings(root):
        groups.setdefault(setting.path[:-1], []).append(setting)
    return groups


def _section_text(name: tuple[str, ...], root: type[Section]) -> str:
    section = section_class(*name, root=root)
    return (section.__doc__ or "") if section else ""


def _row(setting: Setting) -> str:
    cells = (
        f"`{setting.key}`",
        setting.description,
        setting.allowed,
        setting.unit or "–",
        _default_text(setting),
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _default_text(setting: Setting) -> str:
    value = _default(setting)
    if setting.key == "ranking.signals":
        return "the rules in `config/config.example.yaml`"
    return f"`{as_text(value)}`" if value != "" else "empty"


def _entry(setting: Setting, indent: str) -> str:
    head = _comment(setting.description, indent) + _comment(_limits(setting), indent)
    name, value = setting.path[-1], _default(setting)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        rules = "".join(_rule(rule, indent) for rule in value)
        return f"{head}{indent}{name}:\n{rules}"
    return f"{head}{indent}{name}: {_flow(value)}\n"


def _rule(rule: dict[str, Any], indent: str) -> str:
    """Write what a rule says, a line each; what it leaves empty is left out."""
    lines = [
        f"{name}: {_flow(value)}\n" for name, value in rule.items() if value not in ([], False)
    ]
    return f"{indent}  - " + f"{indent}    ".join(lines)


def _limits(setting: Setting) -> str:
    text = f"Values: {setting.allowed}"
    text += f" ({setting.unit})" if setting.unit else ""
    text += f". Default: {_in_comment(setting)}."
    return text + (f" Variable: {setting.variable}." if setting.variable else "")


def _in_comment(setting: Setting) -> str:
    value = _default(setting)
    if setting.key == "ranking.signals":
        return "the rules below"
    return "empty" if value == "" else as_text(value)


def _default(setting: Setting) -> Any:
    value = setting.default
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _comment(text: str, indent: str) -> str:
    width = _WIDTH - len(indent)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{indent}# {line}\n" for line in lines)


def _flow(value: Any) -> str:
    """Write a value as YAML on one line."""
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z][\w./-]*", value):
        return json.dumps(value, ensure_ascii=False)
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("\n...\n").rstrip("\n")
