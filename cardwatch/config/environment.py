"""The environment's part in the configuration: ``.env``, the guide's variables, and ``${NAME}``.

Nothing here reads or changes ``os.environ``; the process environment arrives as an argument. A
variable set to nothing counts as not set.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from dotenv.parser import parse_stream

from cardwatch.errors import ConfigurationError

CONNECTION = "DB_CONNECTION_STRING"
PARTS = ("DB_HOST", "DB_NAME", "DB_USER", "DB_PASSWORD")

_REFERENCE = re.compile(r"(\$?)\$\{(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?", re.ASCII)
_SECRET_NAME = re.compile("PASS|SECRET|TOKEN|KEY|WEBHOOK|CONNECTION|DSN|CREDENTIAL", re.IGNORECASE)


@dataclass(frozen=True)
class Variables:
    """The variables in force: the process environment before ``.env``."""

    process: Mapping[str, str] = field(default_factory=dict)
    dotenv: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        """Return a variable's value; the connection string is made from its parts if need be."""
        value = self.process.get(name) or self.dotenv.get(name) or None
        return self._connection() if value is None and name == CONNECTION else value

    def origin(self, name: str) -> Literal["environment", ".env"]:
        """Return where a variable comes from."""
        names = [name] if name != CONNECTION or self._whole(name) else [*PARTS, "DB_PORT"]
        return "environment" if any(self.process.get(each) for each in names) else ".env"

    def missing_for_connection(self) -> list[str]:
        """Return which of the variables that make a connection string are not set."""
        return [name for name in PARTS if not self._whole(name)]

    def _whole(self, name: str) -> str | None:
        return self.process.get(name) or self.dotenv.get(name) or None

    def _connection(self) -> str | None:
        host, database, user, password = (self._whole(name) for name in PARTS)
        if not (host and database and user and password):
            return None
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        port = self._whole("DB_PORT") or "5432"
        place = f"{quote(host, safe='[]:')}:{quote(port, safe='')}"
        return f"postgresql://{login}@{place}/{quote(database, safe='')}"


@dataclass(frozen=True)
class Replaced:
    """A value of the file after its ``${NAME}`` were replaced.

    Attributes
    ----------
    names : tuple of str
        The variables it was made with.
    missing : tuple of str
        Those that are not set and have no default; the value is unusable if there is one.
    """

    value: Any
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def is_confidential(self) -> bool:
        """Whether a variable in it is named like a secret."""
        return any(_SECRET_NAME.search(name) for name in self.names)


def read_dotenv(path: Path, *, required: bool) -> dict[str, str]:
    """Read a ``.env`` file; variables of other programs in it are no error.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, a line is not ``NAME=value``, or it is required and missing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        if not required:
            return {}
        raise ConfigurationError(
            "There is no such environment file",
            where=str(path),
            next_step="Copy .env.example to .env, or leave the option out",
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "The environment file cannot be read",
            where=str(path),
            observed=getattr(error, "strerror", None) or "text that is not UTF-8",
        ) from error
    bindings = list(parse_stream(io.StringIO(text)))
    if broken := next((each for each in bindings if each.error), None):
        raise ConfigurationError(
            "A line of the environment file cannot be understood",
            where=f"{path} line {broken.original.line}",
            expected="NAME=value, with quotes that are closed",
        )
    return {each.key: each.value for each in bindings if each.key and each.value}


def replace(value: Any, variables: Variables) -> Replaced:
    """Replace ``${NAME}`` and ``${NAME:-default}`` in the texts of a parsed value.

    The replacement is not parsed again, so a variable can hold any characters; ``$${NAME}`` stands
    for the text ``${NAME}``.

    Raises
    ------
    ValueError
        If ``${`` begins something else.

    Examples
    --------
    >>> replace("${FOLDER:-outputs}/weekly", Variables()).value
    'outputs/weekly'
    """
    names: list[str] = []
    missing: list[str] = []

    def one(match: re.Match[str]) -> str:
        escaped, name, default = match.groups()
        if escaped:
            return match[0][1:]
        if name is None or "${" in (default or ""):
            raise ValueError("a ${ that is neither ${NAME} nor ${NAME:-default}")
        found = variables.get(name)
        if found is None and default is None:
            missing.append(name)
        if found is not None:
            names.append(name)
        return found if found is not None else default or ""

    def walk(part: Any) -> Any:
        if isinstance(part, str):
            return _REFERENCE.sub(one, part)
        if isinstance(part, list):
            return [walk(each) for each in part]
        if isinstance(part, dict):
            return {key: walk(each) for key, each in part.items()}
        return part

    return Replaced(walk(value), tuple(names), tuple(missing))
