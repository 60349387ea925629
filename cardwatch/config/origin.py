"""Where a value comes from: a default, the file, ``.env``, the environment or the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

OriginKind = Literal["default", "file", ".env", "environment", "command line"]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """Which layer a value comes from, and where in it: a line, or the name of a variable."""

    kind: OriginKind
    place: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.place}" if self.place else self.kind


@dataclass(frozen=True)
class Given:
    """A value as some layer gave it, before it is checked.

    Attributes
    ----------
    is_confidential : bool
        Whether a variable named like a secret is in it.
    missing : tuple of str
        Variables that it needs and that are not set; without them it is no value.
    """

    value: Any
    origin: Origin
    is_confidential: bool = False
    missing: tuple[str, ...] = ()
