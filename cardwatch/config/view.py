"""Show a configuration without its secrets, and fingerprint what can change a result."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from cardwatch.config.catalog import Setting, settings
from cardwatch.config.loading import LoadedConfig
from cardwatch.config.models import Config
from cardwatch.config.origin import Origin
from cardwatch.errors import ConfigurationError

HIDDEN = "**********"

WITHOUT_EFFECT_ON_RESULTS = frozenset(
    {
        "environment",
        "data_source.type",
        "data_source.path",
        "data_source.connection_string",
        "data_source.table",
        "data_source.schema",
        "data_source.query",
        "data_source.sslmode",
        "data_source.connect_timeout_seconds",
        "data_source.statement_timeout_seconds",
        "data_source.attempts",
        "data_source.roll_up",
        "feature_engineering.use_cache",
        "feature_engineering.cache_dir",
        "review.goal_hit_rate",
        "review.goal_acted_rate",
    }
)
SECTIONS_WITHOUT_EFFECT_ON_RESULTS = frozenset(
    {"output", "report", "logging", "engine", "monitoring", "notify"}
)


@dataclass(frozen=True)
class SettingRow:
    """One setting as ``cardwatch config show`` prints it: its value, origin and meaning."""

    key: str
    value: str
    origin: Origin
    description: str
    unit: str


def describe(loaded: LoadedConfig) -> tuple[SettingRow, ...]:
    """Return every setting in force with its origin and meaning, secrets hidden."""
    public = public_dict(loaded.config)
    return tuple(
        SettingRow(
            key=setting.key,
            value=as_text(_value_at(public, setting)),
            origin=loaded.origin(setting.key),
            description=setting.description,
            unit=setting.unit,
        )
        for setting in settings()
    )


def explain_setting(key: str) -> Setting:
    """Return what a dotted key means, allows and defaults to.

    Raises
    ------
    ConfigurationError
        If there is no such setting.
    """
    for setting in settings():
        if setting.key == key:
            return setting
    near = difflib.get_close_matches(key, [setting.key for setting in settings()], n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    raise ConfigurationError(
        "There is no such setting",
        observed=f"{key!r}"[:80],
        next_step=f"{meant}`cardwatch config show` lists them all",
    )


def public_dict(config: Config) -> dict[str, Any]:
    """Return the configuration as plain JSON values, secrets hidden."""
    dumped = config.model_dump(mode="json")
    for setting in settings():
        if setting.secret:
            section = _section_at(dumped, setting)
            section[setting.path[-1]] = HIDDEN if _secret(config, setting) else None
    return dumped


def result_settings(config: Config) -> dict[str, Any]:
    """Return the settings, by dotted key, that can change a result on the same data.

    Where the data comes from is left out, because the manifest fingerprints the data itself; so is
    whatever changes only speed, place or form.
    """
    public = public_dict(config)
    return {
        setting.key: _value_at(public, setting)
        for setting in settings()
        if setting.key not in WITHOUT_EFFECT_ON_RESULTS
        and setting.path[0] not in SECTIONS_WITHOUT_EFFECT_ON_RESULTS
    }


def config_hash(config: Config) -> str:
    """Return the SHA-256 (64 hexadecimal digits) of the settings that can change a result."""
    text = json.dumps(result_settings(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def secret_values(config: Config) -> tuple[str, ...]:
    """Return the secrets themselves, for a log that must mask them wherever they turn up."""
    found: list[str] = []
    for setting in settings():
        if setting.secret:
            found += _with_password(_secret(config, setting))
    return tuple(dict.fromkeys(filter(None, found)))


def as_text(value: Any) -> str:
    """Show a plain value on one line: text bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value_at(public: dict[str, Any], setting: Setting) -> Any:
    return _section_at(public, setting)[setting.path[-1]]


def _section_at(public: dict[str, Any], setting: Setting) -> dict[str, Any]:
    section = public
    for name in setting.path[:-1]:
        section = section[name]
    return section


def _secret(config: Config, setting: Setting) -> str:
    secret: Any = config
    for name in setting.path:
        secret = getattr(secret, name)
    return secret.get_secret_value() if isinstance(secret, SecretStr) else ""


def _with_password(secret: str) -> list[str]:
    """Return a secret and, where it is a URL, its password as written and as meant."""
    try:
        password = urlsplit(secret).password or ""
    except ValueError:
        password = ""
    return [secret, password, unquote(password)]
