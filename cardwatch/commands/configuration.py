"""Showing, describing and checking the configuration."""

from __future__ import annotations

import json
from dataclasses import asdict

from cardwatch import console
from cardwatch.commands.opening import command_session
from cardwatch.config import LoadedConfig, config_schema, describe, explain_setting


def config_show_command(loaded: LoadedConfig, key: str | None, as_json: bool) -> None:
    """Show settings, their origin and meaning: all, those of a section, or one."""
    rows = [row for row in describe(loaded) if key is None or f"{row.key}.".startswith(f"{key}.")]
    if not rows and key is not None:
        explain_setting(key)
    if as_json:
        console.write_json(json.dumps([asdict(row) for row in rows], indent=2, default=str))
        return
    console.use_width()
    console.show_settings(rows)


def config_schema_command() -> None:
    """Print the JSON Schema of the configuration."""
    console.write_json(json.dumps(config_schema(), indent=2))


def config_check_command(loaded: LoadedConfig) -> None:
    """Reach the configured source and say what was found."""
    console.use_width()
    console.out.print(f"The configuration is valid: {loaded.file or 'built-in defaults'}")
    with command_session(loaded.config, "cardwatch config check") as session:
        console.out.print(session.source.test_connection().summary, markup=False)
