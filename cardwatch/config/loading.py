"""Load the configuration: defaults, then the file, then ``.env``, the environment, the options."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cardwatch.config import catalog, problems
from cardwatch.config.environment import CONNECTION, Replaced, Variables, read_dotenv, replace
from cardwatch.config.models import Config
from cardwatch.config.origin import Given, Key, Origin
from cardwatch.config.yaml_file import ConfigFile, read_yaml
from cardwatch.errors import ConfigurationError

DEFAULT_FILE = Path("config/config.yaml")
DEFAULT_ENV_FILE = Path(".env")
FILE_VARIABLE = "CARDWATCH_CONFIG"
OUTPUT_CONNECTION = "OUTPUT_DB_CONNECTION_STRING"

_DATABASE_KEY = ("data_source", "connection_string")
_OUTPUT_KEY = ("output", "database", "connection_string")
_MADE_OF_OTHERS = ((_DATABASE_KEY, (CONNECTION,)), (_OUTPUT_KEY, (OUTPUT_CONNECTION,)))
_TRUE = ("true", "yes", "on", "1", "t", "y")
_FILE_KEYS = (("data_source", "path"), ("data_source", "delimiter"), ("data_source", "encoding"))


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration and where it comes from.

    Attributes
    ----------
    file : pathlib.Path or None
        The file that was read; None when the built-in defaults apply.
    origins : mapping of str to Origin
        By dotted key, for every setting that is not a default.
    """

    config: Config
    file: Path | None = None
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def origin(self, key: str) -> Origin:
        """Return where the value of a dotted key comes from."""
        return self.origins.get(key, Origin("default"))


def load_config(
    path: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    env_file: Path | str | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Load the configuration of a run.

    Precedence: `overrides` (the command line), the process environment, ``.env``, the YAML file,
    the built-in defaults.

    Parameters
    ----------
    path : pathlib.Path or str, optional
        The YAML file. Without one: the file that ``CARDWATCH_CONFIG`` names, else
        ``config/config.yaml`` if there is one, else the built-in defaults, which are those of
        ``config/config.example.yaml``.
    environ : mapping of str to str, optional
        The process environment; ``os.environ`` if left out. It is never changed.
    env_file : pathlib.Path or str, optional
        The ``.env`` file; without one, ``.env`` in the working directory if there is one.
    overrides : mapping of str to object, optional
        Values by dotted key, such as ``{"output.directory": "lists"}``; None means not given.

    Raises
    ------
    ConfigurationError
        If a file cannot be read, a key is unknown or given twice, a value has the wrong type or
        range, or a variable is missing that the configuration in force needs.

    Examples
    --------
    >>> load_config(environ={"LOG_LEVEL": "debug"}).logging.level
    'DEBUG'
    """
    return read_config(path, environ=environ, env_file=env_file, overrides=overrides).config


def read_config(
    path: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    env_file: Path | str | None = None,
    overrides: Mapping[str, object] | None = None,
) -> LoadedConfig:
    """Load the configuration like `load_config`, and keep where each value comes from."""
    variables = _variables(environ, env_file)
    file = _configuration_file(path, variables)
    given = {
        **_from_file(file, variables),
        **_from_variables(variables),
        **_from_command_line(overrides or {}),
    }
    given = _without_missing(given, variables)
    origins = {".".join(key): value.origin for key, value in given.items()}
    return LoadedConfig(_validated(given, file), file.path if file else None, origins)


def restore_config(
    recorded: Mapping[str, Any],
    *,
    environ: Mapping[str, str] | None = None,
    env_file: Path | str | None = None,
) -> Config:
    """Rebuild the configuration that `public_dict` showed, as a run recorded it.

    No configuration file is read, and what was recorded is taken as it is, also where it is null
    or looks like ``${NAME}``. Only the secrets, which are not recorded, come from the variables.

    Parameters
    ----------
    recorded : mapping
        Sections of settings, plain values.
    environ, env_file
        As for `load_config`.

    Raises
    ------
    ConfigurationError
        If a recorded setting is unknown or invalid today, or a secret that is needed is not set.
    """
    variables = _variables(environ, env_file)
    origin = Origin("file", "the recorded configuration")
    settings = _leaves(ConfigFile(Path("recorded"), recorded))
    plain = {key: Given(value, origin) for key, value in settings if not catalog.is_secret(key)}
    secret = {
        key: value for key, value in _from_variables(variables).items() if catalog.is_secret(key)
    }
    return _validated(_without_missing({**plain, **secret}, variables), None)


def _variables(environ: Mapping[str, str] | None, env_file: Path | str | None) -> Variables:
    return Variables(
        process=os.environ if environ is None else environ,
        dotenv=read_dotenv(Path(env_file or DEFAULT_ENV_FILE), required=env_file is not None),
    )


def _validated(given: Mapping[Key, Given], file: ConfigFile | None) -> Config:
    try:
        return Config.model_validate(_nested(given))
    except ValidationError as error:
        raise problems.translate(error, given, file) from error


def _configuration_file(path: Path | str | None, variables: Variables) -> ConfigFile | None:
    if path is not None:
        return read_yaml(Path(path))
    if named := variables.get(FILE_VARIABLE):
        return read_yaml(Path(named))
    try:
        DEFAULT_FILE.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        pass  # it may be there: reading it says what is in the way
    return read_yaml(DEFAULT_FILE)


def _from_file(file: ConfigFile | None, variables: Variables) -> dict[Key, Given]:
    given: dict[Key, Given] = {}
    for key, raw in _leaves(file) if file else ():
        origin = Origin("file", file.place(key) if file else "")
        try:
            replaced = replace(raw, variables)
        except ValueError as error:
            raise ConfigurationError(
                f"{'.'.join(key)} cannot be read", where=origin.place, observed=str(error)
            ) from error
        given[key] = Given(
            replaced.value,
            Origin("file", origin.place + _with_variables(replaced, variables)),
            replaced.is_confidential,
            replaced.missing,
        )
    return given


def _with_variables(replaced: Replaced, variables: Variables) -> str:
    names = dict.fromkeys(f"{name} from {variables.origin(name)}" for name in replaced.names)
    return f", with {', '.join(names)}" if names else ""


def _leaves(file: ConfigFile) -> list[tuple[Key, Any]]:
    return list(_leaves_below((), file.values, file))


def _leaves_below(
    path: Key, values: Mapping[str, Any], file: ConfigFile
) -> Iterator[tuple[Key, Any]]:
    for name, value in values.items():
        here = (*path, name)
        if not catalog.section_class(*here):
            yield here, value
        elif isinstance(value, dict):
            yield from _leaves_below(here, value, file)
        elif value is not None:
            dotted = ".".join(here)
            raise ConfigurationError(
                f"{dotted} is a section",
                where=file.place(here),
                observed=problems.kind_of(value),
                expected=f"settings below it, such as {problems.first_setting(dotted)}",
            )


def _from_variables(variables: Variables) -> dict[Key, Given]:
    given: dict[Key, Given] = {}
    for name, key in catalog.variables().items():
        value = variables.get(name)
        if value is not None:
            given[key] = Given(value, Origin(variables.origin(name), name), catalog.is_secret(key))
    return given


def _from_command_line(overrides: Mapping[str, object]) -> dict[Key, Given]:
    given: dict[Key, Given] = {}
    for key, value in overrides.items():
        path = _path(key)
        if catalog.section_class(*path):
            raise ConfigurationError(
                f"{key} is a section",
                where="command line",
                expected=f"one of its settings, such as {key}.{problems.first_setting(key)}",
            )
        if value is not None:
            given[path] = Given(value, Origin("command line", key))
    return given


def _path(dotted: str) -> Key:
    """Split a dotted key at its sections; what follows the last of them is one name."""
    name, _, rest = dotted.partition(".")
    path: Key = (name,)
    while rest and catalog.section_class(*path):
        name, _, rest = rest.partition(".")
        path = (*path, name)
    return (*path[:-1], f"{path[-1]}.{rest}") if rest else path


def _without_missing(given: Mapping[Key, Given], variables: Variables) -> dict[Key, Given]:
    """Drop values whose variables are missing where nothing in use needs them."""
    chosen = given.get(("data_source", "type"))
    reads = "database" if chosen and chosen.value == "database" else "files"
    writes = _is_on(given.get(("output", "database", "enabled")))
    kept: dict[Key, Given] = {}
    for key, value in given.items():
        if not value.missing:
            kept[key] = value
        elif _is_needed(key, reads, writes) and (key, value.missing) not in _MADE_OF_OTHERS:
            raise _missing(key, value)
    if reads == "database":
        _check_connection(kept, variables, _DATABASE_KEY, "data_source.type is database")
    if writes and not _is_given(kept, _OUTPUT_KEY):
        _check_connection(kept, variables, _OUTPUT_KEY, "output.database.enabled is true")
    return kept


def _is_on(value: Given | None) -> bool:
    """Whether a setting is true, as a mapping or a variable would say it."""
    return value is not None and str(value.value).strip().lower() in _TRUE


def _is_given(kept: Mapping[Key, Given], key: Key) -> bool:
    return key in kept and bool(kept[key].value)


def _is_needed(key: Key, source: str, writes_database: bool) -> bool:
    if key == _DATABASE_KEY:
        return source == "database"
    if key in _FILE_KEYS:
        return source == "files"
    if key[:2] == _OUTPUT_KEY[:2]:
        return writes_database or key[-1] == "enabled"
    return key[0] != "notify"


def _missing(key: Key, value: Given) -> ConfigurationError:
    name = value.missing[0]
    return ConfigurationError(
        f"{'.'.join(key)} needs the variable {name}, which is not set",
        where=value.origin.place,
        next_step=f"Set {name} in the environment or in .env, or write ${{{name}:-default}}",
    )


def _check_connection(
    kept: Mapping[Key, Given], variables: Variables, needed: Key, because: str
) -> None:
    """Check that there is the source's connection string, which the output falls back on."""
    given = kept.get(_DATABASE_KEY)
    if given is None or not given.value:
        first = OUTPUT_CONNECTION if needed == _OUTPUT_KEY else CONNECTION
        raise ConfigurationError(
            f"{'.'.join(needed)} is needed because {because}",
            observed=f"{', '.join(variables.missing_for_connection())} not set",
            expected=f"{first}, or DB_HOST, DB_NAME, DB_USER and DB_PASSWORD",
            next_step="Set them in the environment or in .env",
        )
    port = variables.get("DB_PORT") or "5432"
    built = given.origin.place == CONNECTION and not (
        variables.process.get(CONNECTION) or variables.dotenv.get(CONNECTION)
    )
    if built and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ConfigurationError(
            "data_source.connection_string cannot be made from the DB_ variables",
            where=f"DB_PORT from {variables.origin('DB_PORT')}",
            observed=problems.shown(port),
            expected="a port from 1 to 65535",
        )


def _nested(given: Mapping[Key, Given]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in given.items():
        section = nested
        for name in key[:-1]:
            section = section.setdefault(name, {})
        section[key[-1]] = value.value
    return nested
