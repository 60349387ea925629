"""A source's data as it is now, and which weeks its items hold."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from cardwatch.sources.parts import Chosen, Part

ItemWeeks = Mapping[date | None, int]
"""Rows of an item by Monday; None counts those that cannot be read."""


@dataclass(frozen=True)
class Opened:
    """A source's data as it is now.

    Attributes
    ----------
    kind : str
        See `SourceReport.kind`.
    content : callable
        Given items, texts that change when what they hold changes.
    state : callable
        Given an item, something that is equal as long as the item was not replaced.
    shown : callable
        Given an item, its name in messages.
    staged : bool
        Whether rows are copied into the engine before they are handed on: where reading is slow,
        or can fail in the middle.
    """

    parts: tuple[Part, ...]
    kind: str
    content: Callable[[Sequence[str]], list[str]]
    state: Callable[[str], Hashable]
    shown: Callable[[str], str] = str
    staged: bool = False
    notes: tuple[str, ...] = ()

    @property
    def items(self) -> list[str]:
        """Every item of every part."""
        return [item for part in self.parts for item in part.items]

    @property
    def extras(self) -> tuple[str, ...]:
        """The further text columns of all parts."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.extras))


@dataclass(frozen=True)
class Contents:
    """Which weeks the items of a source hold."""

    by_item: Mapping[str, ItemWeeks] = field(default_factory=dict)

    @property
    def mondays(self) -> list[date]:
        """The weeks with rows, oldest first."""
        return sorted({day for weeks in self.by_item.values() for day in weeks if day is not None})

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(sum(weeks.values()) for weeks in self.by_item.values())

    @property
    def unreadable(self) -> int:
        """The rows whose week cannot be read."""
        return sum(weeks.get(None, 0) for weeks in self.by_item.values())

    def rows_of(self, weeks: Sequence[date]) -> int:
        """Return the rows of some weeks."""
        return sum(held.get(day, 0) for held in self.by_item.values() for day in weeks)

    def holding(self, weeks: Sequence[date | None]) -> list[str]:
        """Return the items with rows of any of the weeks."""
        return [item for item, held in self.by_item.items() if any(day in held for day in weeks)]


def choices(
    part: Part, contents: Contents, weeks: Sequence[date], unreadable: bool
) -> Iterator[Chosen]:
    """Split a part's items into those read by week alone and those with unreadable weeks too."""
    held = {item: contents.by_item.get(item, {}) for item in part.items}
    mixed = tuple(item for item in part.items if unreadable and None in held[item])
    plain = tuple(
        item for item in part.items if item not in mixed and any(day in held[item] for day in weeks)
    )
    if plain:
        yield Chosen(plain, tuple(weeks), unreadable=False)
    if mixed:
        yield Chosen(mixed, tuple(weeks), unreadable=True)
