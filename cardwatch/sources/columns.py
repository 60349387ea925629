"""Finding our columns among the delivered ones, and from them the shape of the data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from cardwatch.errors import ConfigurationError, SourceError
from cardwatch.schema import (
    TRANSACTION_COLUMNS,
    TRANSACTION_OPTIONAL,
    WEEKLY_COLUMNS,
    WEEKLY_OPTIONAL,
    Shape,
)

REQUIRED: Mapping[Shape, tuple[str, ...]] = {
    "weekly": WEEKLY_COLUMNS,
    "transactions": TRANSACTION_COLUMNS,
}
OPTIONAL: Mapping[Shape, tuple[str, ...]] = {
    "weekly": WEEKLY_OPTIONAL,
    "transactions": TRANSACTION_OPTIONAL,
}
KNOWN = tuple(dict.fromkeys(name for shape in REQUIRED for name in REQUIRED[shape])) + (
    *WEEKLY_OPTIONAL,
    *TRANSACTION_OPTIONAL,
)
_NAMES_SHOWN = 12


@dataclass(frozen=True)
class Layout:
    """Where our columns are: positions among the delivered names."""

    shape: Shape
    positions: Mapping[str, int]


@dataclass(frozen=True)
class ColumnSettings:
    """What the configuration says about columns.

    Attributes
    ----------
    shape : {"auto", "weekly", "transactions"}
    renamed : mapping
        Our name of a column to the name it has in the data.
    """

    shape: Literal["auto", "weekly", "transactions"]
    renamed: Mapping[str, str]

    def theirs(self, name: str) -> str:
        """Return the name that one of our columns has in the data."""
        return self.renamed.get(name, name)

    @property
    def wanted(self) -> frozenset[str]:
        """Every name that one of our columns may have in the data, in lower case."""
        return frozenset(self.theirs(name).strip().casefold() for name in KNOWN)


def find_layout(names: Sequence[str], settings: ColumnSettings, where: str) -> Layout:
    """Match delivered column names, in any case, to ours.

    Parameters
    ----------
    names : sequence of str
        The delivered names in order.
    where : str
        The file, for messages.

    Raises
    ------
    SourceError
        If columns are missing, or a name is there twice.
    ConfigurationError
        If both shapes fit and none is set, or a column is mapped that Cardwatch does not know.

    Examples
    --------
    >>> names = ["MCC", "customer_id", "transaction_time", "betrag"]
    >>> layout = find_layout(names, ColumnSettings("auto", {"amount": "Betrag"}), "a.csv")
    >>> layout.shape, layout.positions["mcc"], layout.positions["amount"]
    ('transactions', 0, 3)
    """
    if unknown := sorted(set(settings.renamed) - set(KNOWN)):
        raise ConfigurationError(
            "There is no such column",
            where="data_source.columns",
            observed=", ".join(unknown),
            expected=f"some of {', '.join(KNOWN)}",
        )
    found = {name: _position(name, names, settings, where) for name in KNOWN}
    shape = _shape(found, names, settings, where)
    missing = [name for name in REQUIRED[shape] if found[name] is None]
    if missing:
        raise _missing_columns(missing, shape, names, settings, where)
    wanted = (*REQUIRED[shape], *OPTIONAL[shape])
    positions = {name: at for name in wanted if (at := found[name]) is not None}
    _check_mapped(found, wanted, names, settings, where)
    return Layout(shape, positions)


def _position(name: str, names: Sequence[str], settings: ColumnSettings, where: str) -> int | None:
    theirs = settings.theirs(name)
    exact = [at for at, each in enumerate(names) if each == theirs]
    loose = [
        at for at, each in enumerate(names) if each.strip().casefold() == theirs.strip().casefold()
    ]
    matches = exact or loose
    if len(matches) > 1:
        raise SourceError(
            f"The column '{theirs}' is there {len(matches)} times",
            where=where,
            expected="each column once",
            next_step=f"Rename one, or name the right one in data_source.columns.{name}",
        )
    return matches[0] if matches else None


def _shape(
    found: Mapping[str, int | None],
    names: Sequence[str],
    settings: ColumnSettings,
    where: str,
) -> Shape:
    if settings.shape != "auto":
        return settings.shape
    complete = [s for s in REQUIRED if all(found[name] is not None for name in REQUIRED[s])]
    if len(complete) == 2:
        raise ConfigurationError(
            "The columns fit both shapes of data",
            where=where,
            next_step="Set data_source.shape to weekly or to transactions",
        )
    if complete:
        return complete[0]
    if all(at is None for at in found.values()) and any(_is_value(name) for name in names):
        raise SourceError(
            "The first line looks like data",
            where=where,
            expected=f"column names such as {', '.join(WEEKLY_COLUMNS)}",
            next_step="Put a line of column names first",
        )
    return max(REQUIRED, key=lambda s: sum(found[name] is not None for name in REQUIRED[s]))


def _missing_columns(
    missing: Sequence[str],
    shape: Shape,
    names: Sequence[str],
    settings: ColumnSettings,
    where: str,
) -> SourceError:
    advice = [
        f"Did you mean '{guess}'? Set data_source.columns.{name}: {guess}"
        for name in missing
        if (guess := _guess(settings.theirs(name), names))
    ]
    advice = advice or ["Say which they are in data_source.columns"]
    other = ", ".join(REQUIRED["transactions" if shape == "weekly" else "weekly"])
    if settings.shape == "auto":
        advice.append(f"The other shape has {other}")
    return SourceError(
        f"Columns of {shape} data are missing: "
        + ", ".join(settings.theirs(name) for name in missing),
        where=where,
        observed=shown_names(names),
        next_step=". ".join(advice),
    )


def _check_mapped(
    found: Mapping[str, int | None],
    wanted: Sequence[str],
    names: Sequence[str],
    settings: ColumnSettings,
    where: str,
) -> None:
    for name in settings.renamed:
        if name in wanted and found[name] is None:
            guess = _guess(settings.renamed[name], names)
            raise SourceError(
                f"The column '{settings.renamed[name]}' is missing",
                where=f"{where}, data_source.columns.{name}",
                observed=shown_names(names),
                next_step=f"Did you mean '{guess}'?" if guess else "",
            )


def _guess(name: str, names: Sequence[str]) -> str | None:
    plain = {
        re.sub(r"[\W_]+", "_", each.strip().casefold()): each for each in names if _is_name(each)
    }
    close = get_close_matches(re.sub(r"[\W_]+", "_", name.casefold()), plain, n=1)
    return plain[close[0]] if close else None


def shown_names(names: Sequence[str]) -> str:
    """List column names for a message; what may be a value instead is only counted.

    Examples
    --------
    >>> shown_names(["customer", "mcc", "CUST00001", "4.10"])
    'customer, mcc and 2 more'
    """
    shown = [name.strip() for name in names if _is_name(name)][:_NAMES_SHOWN]
    more = len(names) - len(shown)
    if not shown:
        return f"{more:,} columns without usable names"
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def safe_names(names: Mapping[int, str], taken: Sequence[str]) -> dict[int, str]:
    """Return a distinct plain name for each position, the delivered one where it is one.

    Examples
    --------
    >>> safe_names({4: "Note", 5: "note", 6: 'x"; DROP'}, taken=["mcc"])
    {4: 'Note', 5: 'column_6', 6: 'column_7'}
    """
    used = {name.casefold() for name in taken}
    chosen: dict[int, str] = {}
    for at, name in names.items():
        plain = name.strip()
        if not re.fullmatch(r"\w+", plain) or not _is_name(plain) or plain.casefold() in used:
            plain = f"column_{at + 1}"
        while plain.casefold() in used:
            plain += "_"
        used.add(plain.casefold())
        chosen[at] = plain
    return chosen


def _is_name(text: str) -> bool:
    """Whether a text in the first line is surely a name: four digits may be an id or an amount."""
    name = re.fullmatch(r"[^\W\d][\w \-./()%#]{0,40}", text.strip())
    return name is not None and len(re.findall(r"\d", text)) < 4


def _is_value(text: str) -> bool:
    """Whether a text in the first line is surely a value: a number or a date."""
    return re.fullmatch(r"[-+]?\d[\d.,:/T -]*", text.strip()) is not None
