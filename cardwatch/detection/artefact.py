"""A detector's fitted state as JSON text: versioned, checked on reading, no pickle.

The same fit gives the same bytes: keys are sorted, floats are written so that they read back
exactly, and long arrays are base64 of little-endian numbers. A digest over the content makes damage
visible that would still be valid JSON.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from cardwatch.errors import ModelError

_KEYS = ("columns", "kind", "seed", "sha256", "state", "version")
_ARRAY_TYPES = ("<f8", "<i4", "|u1")
_FIT_AGAIN = "Fit the detector again, or name the artefact that belongs to this data"


@dataclass(frozen=True)
class Artefact:
    """What a detector learned, and what it needs to score with it.

    Parameters
    ----------
    kind : str
        The detector's name.
    version : int
        Version of the state's layout, counted per detector.
    columns : tuple of str
        The features it was fitted on, in order.
    seed : int
        The random state of the fit.
    state : mapping
        JSON values only: str, bool, int, finite float, None, sequences and mappings of these.

    Raises
    ------
    ModelError
        If the state holds a number that is not finite.

    Examples
    --------
    >>> artefact = Artefact("surprise", 1, ("spend",), 42, {"slope": 0.25})
    >>> Artefact.loads(artefact.dumps()) == artefact
    True
    """

    kind: str
    version: int
    columns: tuple[str, ...]
    seed: int
    state: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) for number in _floats(self.state)):
            raise ModelError(
                f"The {self.kind} detector's state cannot be stored",
                observed="a number that is not finite",
                expected="finite numbers only",
                next_step="Look at the features for columns that overflow",
            )

    def document(self) -> dict[str, Any]:
        """Return everything that is stored, as one JSON mapping."""
        content = {
            "kind": self.kind,
            "version": self.version,
            "columns": list(self.columns),
            "seed": self.seed,
            "state": dict(self.state),
        }
        return content | {"sha256": _digest(content)}

    def dumps(self) -> str:
        """Return the JSON text; the same fit gives the same text."""
        return _canonical(self.document()) + "\n"

    def dump(self, path: Path) -> None:
        """Write the JSON text to `path` by rename, so that no reader sees half of it.

        Raises
        ------
        ModelError
            If the file cannot be written; what was there before still stands.
        """
        waiting = path.with_name(f".{path.name}.tmp")
        try:
            waiting.write_text(self.dumps(), encoding="utf-8")
            waiting.replace(path)
        except OSError as error:
            waiting.unlink(missing_ok=True)
            raise ModelError(
                "The detector's state could not be written",
                where=str(path),
                observed=error.strerror or type(error).__name__,
                next_step="Choose a folder that can be written and has space",
            ) from error

    @classmethod
    def load(cls, path: Path) -> Artefact:
        """Read a stored artefact from a file.

        Raises
        ------
        ModelError
            If it cannot be read, is damaged, or holds a number that is not finite.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "bytes that are not UTF-8 text"
            _refuse(str(path), reason, "a readable JSON file", error)
        return cls.loads(text, where=str(path))

    @classmethod
    def loads(cls, text: str, *, where: str = "") -> Artefact:
        """Read a stored artefact from its JSON text; `where` names its place in messages.

        Raises
        ------
        ModelError
            If the text is no JSON, lacks a key, was altered, or holds a number that is not finite.
        """
        try:
            document = json.loads(text, parse_constant=_reject_constant)
        except (ValueError, RecursionError) as error:
            _refuse(where, "text that is no JSON of finite numbers", "a whole artefact", error)
        return cls.of(document, where=where)

    @classmethod
    def of(cls, document: object, *, where: str = "") -> Artefact:
        """Check what `document` returned, or JSON gave back, and make the artefact of it.

        Raises
        ------
        ModelError
            If it lacks a key, was altered, or holds a number that is not finite.
        """
        if not isinstance(document, Mapping) or sorted(document) != sorted(_KEYS):
            keys = (
                ", ".join(sorted(document)[:8]) if isinstance(document, Mapping) else "no mapping"
            )
            _refuse(where, f"keys: {keys or 'none'}", f"exactly {', '.join(_KEYS)}")
        content = dict(document)
        digest = content.pop("sha256")
        if not _has_types(content):
            _refuse(where, "values of other types", "text, whole numbers and a mapping as state")
        if not all(math.isfinite(number) for number in _floats(content["state"])):
            _refuse(where, "a number that is not finite, such as 1e999", "finite numbers only")
        if digest != _digest(content):
            _refuse(where, "content that does not match its sha256", "an unaltered artefact")
        return cls(**content | {"columns": tuple(content["columns"])})

    def require(self, kind: str, version: int, columns: Sequence[str]) -> None:
        """Check that this state belongs to a detector and to the columns at hand.

        Parameters
        ----------
        kind, version : str, int
            What the detector can use.
        columns : sequence of str
            The features at hand, in any order.

        Raises
        ------
        ModelError
            Naming what was found, what was expected and what to do.
        """
        if (self.kind, self.version) != (kind, version):
            raise ModelError(
                "The stored state belongs to another detector or version",
                observed=f"{self.kind} version {self.version}",
                expected=f"{kind} version {version}",
                next_step=_FIT_AGAIN,
            )
        missing = [name for name in self.columns if name not in columns]
        unknown = [name for name in columns if name not in self.columns]
        if missing or unknown:
            raise ModelError(
                "The stored state was fitted on other features",
                observed=f"{_listed('missing', missing)}, {_listed('unknown', unknown)}",
                expected=f"exactly the {len(self.columns)} features it was fitted on",
                next_step=_FIT_AGAIN,
            )


def pack(values: npt.ArrayLike, kind: str) -> dict[str, str]:
    """Return a one-dimensional array as JSON: its type and base64 of its bytes.

    Parameters
    ----------
    values : array_like, shape (n,)
    kind : {"<f8", "<i4", "|u1"}
        float64, int32 or uint8, little-endian.

    Examples
    --------
    >>> pack([1, 2], "|u1")
    {'dtype': '|u1', 'base64': 'AQI='}
    """
    data = np.ascontiguousarray(values, dtype=np.dtype(kind)).tobytes()
    return {"dtype": kind, "base64": base64.b64encode(data).decode("ascii")}


def unpack(packed: object) -> npt.NDArray[Any]:
    """Return the array that `pack` stored, shape (n,).

    Raises
    ------
    ModelError
        If it is no packed array, or holds a number that is not finite.
    """
    if not isinstance(packed, Mapping) or packed.get("dtype") not in _ARRAY_TYPES:
        _refuse("an array", "another form", f"base64 of one of {', '.join(_ARRAY_TYPES)}")
    try:
        data = base64.b64decode(packed["base64"], validate=True)
        values = np.frombuffer(data, dtype=np.dtype(packed["dtype"]))
    except (KeyError, binascii.Error, TypeError, ValueError) as error:
        _refuse("an array", "text that is no base64 of whole numbers", "a packed array", error)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        _refuse("an array", "a number that is not finite", "finite numbers only")
    return values


def _floats(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _floats(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _floats(item)


def _has_types(document: Mapping[str, Any]) -> bool:
    columns = document["columns"]
    return (
        isinstance(document["kind"], str)
        and type(document["version"]) is int
        and type(document["seed"]) is int
        and isinstance(document["state"], dict)
        and isinstance(columns, list)
        and all(isinstance(name, str) for name in columns)
    )


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(content).encode("ascii")).hexdigest()


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _listed(word: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"{len(names)} {word} ({shown})" if names else f"none {word}"


def _refuse(
    where: str, observed: str, expected: str, error: BaseException | None = None
) -> NoReturn:
    raise ModelError(
        "The stored detector state cannot be used",
        where=where,
        observed=observed,
        expected=expected,
        next_step=_FIT_AGAIN,
    ) from error
