"""Which columns of a database's table are read and how, and which of its rows a delivery needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from cardwatch.engine import Engine
from cardwatch.schema import Shape
from cardwatch.sources.columns import ColumnSettings, Layout, find_layout
from cardwatch.sources.parts import AMOUNT_COLUMN, ITEM, WEEK_COLUMN, Column, Part, make_part
from cardwatch.sources.quoting import path_list, text_literal
from cardwatch.sources.snapshots import Field, Times, Wanted, WeekTexts, Where
from cardwatch.sources.week_lookup import WeekLookup
from cardwatch.sources.week_values import WeekReader, is_temporal

_REPEATING = ("VARCHAR", "SMALLINT", "INTEGER", "BIGINT", "DATE")
_NUMBERS = ("SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE")


@dataclass(frozen=True)
class DatabaseTable:
    """A table with our columns found in it.

    Attributes
    ----------
    wanted : mapping
        What is read of the table, by position: our columns, and free text beside them.
    item : str
        What the engine's rows say they come from.
    """

    layout: Layout
    fields: tuple[Field, ...]
    wanted: Mapping[int, Wanted]
    item: str
    reader: WeekReader
    engine: Engine

    @property
    def shape(self) -> Shape:
        """The shape of the data."""
        return self.layout.shape

    @property
    def week(self) -> Wanted:
        """The column that says when."""
        return self.wanted[self.layout.positions[WEEK_COLUMN[self.shape]]]

    @property
    def summarised(self) -> list[Wanted]:
        """The columns of which weeks are summarised: who, when and how much."""
        names = ("customer_id", WEEK_COLUMN[self.shape], AMOUNT_COLUMN[self.shape])
        return [self.wanted[self.layout.positions[name]] for name in names]

    @property
    def repeating(self) -> list[str]:
        """The columns of which many rows have the same value, by the names they arrive under."""
        return [
            wanted.name
            for at, wanted in self.wanted.items()
            if self.fields[at].kind in _REPEATING and not self.fields[at].is_exact
        ]

    @property
    def is_timed(self) -> bool:
        """Whether the database itself knows the days or times in that column."""
        return not self.week.as_text and is_temporal(self.fields[self.week.at].kind)

    @property
    def is_named(self) -> bool:
        """Whether weeks are told by few different texts."""
        return self.shape == "weekly" and not self.is_timed

    @property
    def can_choose(self) -> bool:
        """Whether the database can tell the weeks of its rows."""
        return self.is_timed or self.is_named

    def part(self, path: Path, names: Sequence[str]) -> Part:
        """Return a part whose rows are in a file of the engine's with columns of these names."""
        columns = [self._column(at) for at in range(len(self.fields))]
        far = "" if self.week.far in names else f', CAST(NULL AS VARCHAR) AS "{self.week.far}"'
        scan = (
            f"(SELECT *{far}, {text_literal(self.item)} AS {ITEM}"
            f" FROM read_parquet({path_list([str(path)])}, hive_partitioning=false))"
        )
        return make_part(
            self.layout, columns, [self.item], lambda items: scan, self.reader, self.engine
        )

    def where(self, mondays: Iterable[date], lookup: WeekLookup, *, unreadable: bool) -> Where:
        """Return which rows may belong to weeks, or have a week that cannot be read."""
        days = set(mondays)
        if self.is_timed:
            first, after = min(days), max(days) + timedelta(days=7)
            return Times(self.week.at, first, after, or_no_day=unreadable)
        if not self.is_named:
            return None
        wanted = {*days, None} if unreadable else days
        texts = [text for text, day in lookup.mondays.items() if text and day in wanted]
        endless = unreadable and lookup.has_endless
        return WeekTexts(self.week.at, sorted(texts), or_null=unreadable, or_endless=endless)

    def _column(self, at: int) -> Column:
        field, wanted = self.fields[at], self.wanted.get(at)
        if wanted is None:
            return Column("NULL", "", field.name)
        sql, kind = f'"{wanted.name}"', "VARCHAR" if wanted.as_text else field.kind
        if is_temporal(kind):
            sql = f'coalesce({sql}, TRY_CAST("{wanted.far}" AS {kind}))'
        elif field.is_exact and at == self.layout.positions.get("mcc"):
            # A code that is a number has lost its zeros in front, which the contract knows of.
            sql, kind = f"TRY_CAST({sql} AS DOUBLE)", "DOUBLE"
        return Column(sql, kind, field.name)


def find_table(
    fields: Sequence[Field],
    settings: ColumnSettings,
    where: str,
    item: str,
    reader: WeekReader,
    engine: Engine,
) -> DatabaseTable:
    """Find our columns among a table's.

    Raises
    ------
    SourceError, ConfigurationError
        As `find_layout` does.
    """
    layout = find_layout([field.name for field in fields], settings, where)
    ours = {at: name for name, at in layout.positions.items()}
    wanted = {
        at: Wanted(at, as_text=_as_text(ours.get(at), field))
        for at, field in enumerate(fields)
        if at in ours or field.is_free_text
    }
    return DatabaseTable(layout, tuple(fields), wanted, item, reader, engine)


def _as_text(name: str | None, field: Field) -> bool:
    """Whether a column is read as text: what names a week, and what is no number or time."""
    if name in WEEK_COLUMN.values():
        return not is_temporal(field.kind)
    return field.kind not in _NUMBERS
