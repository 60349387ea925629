"""What is asked of a backtest: the cases to plant, and a configuration to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from cardwatch.case_kinds import Kind, Strength
from cardwatch.config import Config
from cardwatch.errors import ConfigurationError
from cardwatch.injection import Wish

_SAME = ("data_source", "portfolio", "reporting_week")
"""Sections that say which rows there are and what they mean."""

Named = TypeVar("Named", bound=StrEnum)


def wish_of(
    kinds: Sequence[str] | None,
    strengths: Sequence[str] | None,
    per_kind: int | None,
    seed: int,
    *,
    is_asked: bool,
) -> Wish | None:
    """Return what is to be planted; None where nothing is.

    Raises
    ------
    ConfigurationError
        If there is no such kind or strength, or it is named and nothing is to be planted.
    """
    given = {"--kind": kinds, "--strength": strengths, "--per-kind": per_kind}
    if not is_asked:
        if named := [name for name, value in given.items() if value]:
            raise ConfigurationError(
                "Nothing is to be planted", where=named[0], next_step="Add --inject"
            )
        return None
    return Wish(
        kinds=_members(Kind, kinds, "--kind"),
        strengths=_members(Strength, strengths, "--strength"),
        per_kind=per_kind,
        seed=seed,
    )


def _members(options: type[Named], names: Sequence[str] | None, where: str) -> tuple[Named, ...]:
    """Return the named members in the order they are declared; all of them where none is named."""
    wanted = {name.strip().lower() for name in names or ()}
    if unknown := sorted(wanted - set(options)):
        raise ConfigurationError(
            "There is no such choice",
            where=where,
            observed=f"{unknown[0]!r}"[:80],
            expected=", ".join(options),
        )
    return tuple(each for each in options if not wanted or each in wanted)


def refuse_missing(file: Path) -> None:
    """Stop where the challenger's configuration is not there.

    Raises
    ------
    ConfigurationError
        If it is no file.
    """
    if not file.is_file():
        raise ConfigurationError(
            "There is no such configuration file",
            where=f"--against {file}",
            next_step="Copy the one in use, and change in the copy what is to be tried",
        )


def configuration_name(file: Path | None) -> str:
    """Return what a configuration is called in what is printed."""
    return "the built-in configuration" if file is None else str(file)


def refuse_other_rows(config: Config, other: Config) -> None:
    """Stop where two configurations do not score the same rows.

    Raises
    ------
    ConfigurationError
        If they have another source, or read it in another way.
    """
    changed = [name for name in _SAME if getattr(config, name) != getattr(other, name)]
    if changed:
        raise ConfigurationError(
            "The two configurations do not score the same rows",
            where="--against",
            observed=f"another {' and '.join(changed)}",
            expected=f"the same {', '.join(_SAME)}",
            next_step="--source and variables of the environment count for both",
        )
