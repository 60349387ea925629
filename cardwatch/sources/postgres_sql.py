"""The statements that read from PostgreSQL, as text.

Rows travel by ``COPY``, which takes no parameters: values are written as literals and names as
identifiers by psycopg's own quoting. A statement knows columns by their position (``c0``, ``c1``),
whatever the table calls them. Conditions name a column bare, so that an index on it can serve.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from cardwatch.sources.snapshots import ROW_COUNT, ROW_HASH, Field, Times, Wanted, WeekTexts, Where
from cardwatch.sources.week_values import (
    AFTER_LAST_DAY,
    FIRST_DAY,
    LONGEST_WEEK,
    MAX_WEEK_TEXTS,
    is_temporal,
)

_MARGIN = timedelta(days=2)
"""No two places on earth are further apart in local time."""
_QUARTER = 900
"""Seconds; every offset from UTC since 1972 is a multiple of so many."""
_PLAIN_TEXT = ("text", "varchar")
_COMPARABLE = (*_PLAIN_TEXT, "bpchar", "int2", "int4", "int8", "numeric")
"""Types whose values equal a text that was written from them."""
_WRITTEN = {
    "text": "{}",
    "varchar": "{}",
    "bytea": "encode({}, 'escape')",
    "money": "{}::numeric::text",
}
_TYPES = {"DATE": "date", "TIMESTAMP": "timestamp", "TIMESTAMP WITH TIME ZONE": "timestamptz"}


@dataclass(frozen=True)
class Typed:
    """A column as PostgreSQL knows it.

    Attributes
    ----------
    type_name : str
        The type's own name; of a domain, that of the type beneath.
    scale : int or None
        Decimals of a number where they are declared.
    is_indexed : bool
        Whether its different values can be found in an index.
    """

    field: Field
    type_name: str
    scale: int | None = None
    is_indexed: bool = False


@dataclass(frozen=True)
class Statements:
    """Writes the statements about one table or query.

    Parameters
    ----------
    source : Composable
        What stands after FROM.
    columns : sequence of Typed
        All its columns.
    hashes : {"record", "text", ""}
        How the server can hash rows.
    has_bins : bool
        Whether the server has ``date_bin`` (14 and later).
    """

    source: Composable
    columns: Sequence[Typed]
    hashes: str = "record"
    has_bins: bool = True

    def rows(
        self,
        wanted: Sequence[Wanted],
        where: Where,
        *,
        hashed: bool,
        besides: Composable | None = None,
    ) -> Composable:
        """Select the wanted columns of some rows; `besides` is a condition more."""
        listed = [part for each in wanted for part in self._selected(each)]
        if hashed and self.hashes:
            listed.append(SQL("{} AS {}").format(self._hash(wanted), Identifier(ROW_HASH)))
        selected = self._from(SQL(", ").join(listed), where)
        if besides is None:
            return selected
        joint = SQL("WHERE") if where is None else SQL("AND")
        return SQL("{} {} {}").format(selected, joint, besides)

    def tally(self, column: Wanted, where: Where, content: Sequence[Wanted]) -> Composable:
        """Count the values of a column that say when."""
        listed = SQL("{} AS {}, count(*) AS {}").format(
            self._value(column), Identifier(column.name), Identifier(ROW_COUNT)
        )
        if content and self.hashes:
            total = SQL(", sum({})::text AS {}").format(self._hash(content), Identifier(ROW_HASH))
            listed = listed + total
        return self._from(listed, where) + SQL(" GROUP BY 1") + self._limit(column)

    def week_values(self, column: Wanted) -> Composable:
        """Select values of a column that say when, each at least once, by its index if it can."""
        typed = self.columns[column.at]
        if typed.is_indexed and (typed.type_name in _PLAIN_TEXT or not column.as_text):
            return self._leaps(column, typed)
        value = SQL("DISTINCT {} AS {}").format(self._value(column), Identifier(column.name))
        return self._from(value, None) + self._limit(column)

    def _leaps(self, column: Wanted, typed: Typed) -> Composable:
        """Leap from each value to the next one that may be of another week.

        Days between Tuesday and Saturday (UTC) lie in one week everywhere.
        """
        bare = Identifier(column.name)
        if column.as_text:
            begin, value = SQL("{} IS NOT NULL").format(bare), SQL("{}::text").format(bare)
            after, shown = SQL("{} > leap.v").format(bare), f"left(v, {LONGEST_WEEK + 1})"
        else:
            begin, value, shown = self._is_day(column), SQL("{}").format(bare), "v"
            after = SQL("{} >= {} AND {}").format(bare, self._landing(typed.field.kind), begin)
        return SQL(
            "WITH RECURSIVE leap(v) AS ((SELECT {value} FROM {source} WHERE {begin}"
            " ORDER BY {bare} LIMIT 1) UNION ALL SELECT (SELECT {value} FROM {source}"
            " WHERE {after} ORDER BY {bare} LIMIT 1) FROM leap WHERE leap.v IS NOT NULL)"
            " SELECT {shown} AS {bare} FROM leap WHERE v IS NOT NULL{limit}"
        ).format(
            value=value,
            source=self.named_source(),
            begin=begin,
            after=after,
            bare=bare,
            shown=SQL(shown),
            limit=self._limit(column),
        )

    def _landing(self, kind: str) -> Composable:
        """Return where a leap lands: the first moment that may be of another week."""
        if kind != "TIMESTAMP WITH TIME ZONE":
            monday = f"(date_trunc('week', leap.v::timestamp) + interval '7 days')::{_TYPES[kind]}"
            return SQL(monday)
        return SQL(
            "CASE WHEN extract(isodow FROM leap.v) IN (7, 1) THEN {} + interval '{} seconds'"
            " ELSE date_trunc('week', leap.v) + interval '6 days' END"
        ).format(self._bin(SQL("leap.v")), SQL(str(_QUARTER)))

    def _selected(self, wanted: Wanted) -> list[Composable]:
        bare, name = Identifier(wanted.name), Identifier(wanted.name)
        kind = self.columns[wanted.at].field.kind
        if wanted.as_text or not is_temporal(kind):
            return [SQL("{} AS {}").format(self.read(wanted), name)]
        near = SQL("{bare} >= {first} AND {bare} < {after}").format(
            bare=bare,
            first=typed_literal("0001-01-01", kind),
            after=typed_literal("10000-01-01", kind),
        )
        return [
            SQL("CASE WHEN {} THEN {} END AS {}").format(near, bare, name),
            SQL("CASE WHEN NOT ({}) THEN {}::text END AS {}").format(
                near, bare, Identifier(wanted.far)
            ),
        ]

    def read(self, wanted: Wanted) -> Composable:
        """Return a column as it is read, whatever its values."""
        bare = Identifier(wanted.name)
        if not wanted.as_text:
            return bare
        return SQL(_WRITTEN.get(self.columns[wanted.at].type_name, "{}::text")).format(bare)

    def _value(self, column: Wanted) -> Composable:
        """Return what weeks are told from: the beginning of a text, or of a quarter of an hour."""
        bare, kind = Identifier(column.name), self.columns[column.at].field.kind
        if column.as_text:
            return SQL('left({}, {}) COLLATE "C"').format(
                self.read(column), SQL(str(LONGEST_WEEK + 1))
            )
        value: Composable = bare
        if kind == "TIMESTAMP":
            value = SQL("date_trunc('day', {})").format(bare)
        elif kind == "TIMESTAMP WITH TIME ZONE":
            value = self._bin(bare)
        return SQL("CASE WHEN {} THEN {} END").format(self._is_day(column), value)

    def _bin(self, value: Composable) -> Composable:
        if self.has_bins:
            text = "date_bin(interval '{} seconds', {}, timestamptz '2000-01-01 00:00:00+00')"
            return SQL(text).format(SQL(str(_QUARTER)), value)
        text = "to_timestamp(floor(extract(epoch FROM {value}) / {bin}) * {bin})"
        return SQL(text).format(value=value, bin=SQL(str(_QUARTER)))

    def _is_day(self, column: Wanted) -> Composed:
        return self._between(column, FIRST_DAY - _MARGIN, AFTER_LAST_DAY + _MARGIN)

    def _between(self, column: Wanted, first: date, after: date) -> Composed:
        kind = self.columns[column.at].field.kind
        return SQL("({bare} >= {first} AND {bare} < {after})").format(
            bare=Identifier(column.name),
            first=typed_literal(first.isoformat(), kind),
            after=typed_literal(after.isoformat(), kind),
        )

    def _hash(self, wanted: Sequence[Wanted]) -> Composable:
        values = SQL(", ").join(self._hashed(each) for each in wanted)
        if self.hashes == "record":
            return SQL("hash_record_extended(ROW({}), 0)").format(values)
        return SQL("hashtextextended(ROW({})::text, 0)").format(values)

    def _hashed(self, wanted: Wanted) -> Composable:
        """Return what of a column is hashed: bytes rather than what a collation takes for equal."""
        typed = self.columns[wanted.at]
        if typed.scale is not None:
            return Identifier(wanted.name)
        return self.read(wanted) + SQL(' COLLATE "C"' if wanted.as_text else "")

    def _where(self, where: WeekTexts | Times) -> Composable:
        if isinstance(where, Times):
            return self._where_times(where)
        column = Wanted(where.at, as_text=True)
        bare: Composable = Identifier(column.name)
        compared = bare
        if self.columns[where.at].type_name not in _COMPARABLE:
            compared = SQL('{} COLLATE "C"').format(self.read(column))
        chosen = [SQL("{} = ANY({})").format(compared, Literal(array_literal(where.texts)))]
        if where.or_null:
            chosen.append(SQL("{} IS NULL").format(bare))
        if where.or_endless:
            # No index serves this one: it is there only where such texts are.
            longest = SQL(str(LONGEST_WEEK))
            chosen.append(SQL("length({}) > {}").format(self.read(column), longest))
        return any_of(chosen)

    def _where_times(self, where: Times) -> Composable:
        column = Wanted(where.at)
        chosen = [self._between(column, where.first - _MARGIN, where.after + _MARGIN)]
        if where.or_no_day:
            bare, kind = Identifier(column.name), self.columns[where.at].field.kind
            first = typed_literal((FIRST_DAY + _MARGIN).isoformat(), kind)
            after = typed_literal((AFTER_LAST_DAY - _MARGIN).isoformat(), kind)
            chosen += [
                SQL("{} IS NULL").format(bare),
                SQL("{} < {}").format(bare, first),
                SQL("{} >= {}").format(bare, after),
            ]
        return any_of(chosen)

    def named_source(self) -> Composable:
        """Return the table or query with its columns named by position."""
        names = SQL(", ").join(Identifier(f"c{at}") for at in range(len(self.columns)))
        return SQL("{} AS delivered({})").format(self.source, names)

    def _from(self, listed: Composable, where: Where) -> Composable:
        selected = SQL("SELECT {} FROM {}").format(listed, self.named_source())
        if where is None:
            return selected
        return SQL("{} WHERE {}").format(selected, self._where(where))

    @staticmethod
    def _limit(column: Wanted) -> Composable:
        return SQL(f" LIMIT {MAX_WEEK_TEXTS}" if column.as_text else "")


def any_of(conditions: Sequence[Composable]) -> Composable:
    """Join conditions of which one is enough."""
    return SQL("({})").format(SQL(" OR ").join(conditions))


def all_of(conditions: Sequence[Composable]) -> Composable:
    """Join conditions of which all must hold."""
    return SQL("({})").format(SQL(" AND ").join(conditions))


def typed_literal(text: str, kind: str) -> Composable:
    """Write a day or moment as a literal of the engine's type `kind`."""
    return SQL("{}::" + _TYPES[kind]).format(Literal(text))


def array_literal(texts: Sequence[str]) -> str:
    """Write texts as PostgreSQL writes an array; the server takes it for the column's own type."""
    quoted = (re.sub(r'(["\\\\])', r"\\\1", text) for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"
