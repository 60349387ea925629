"""The rows of one delivery, copied from one view of a database's table.

Without a cache all rows are copied at once, and the view is closed. With one, the database first
tells the content of each week; rows of reference weeks are copied when they are asked for, and the
view stays open until the delivery is released.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from time import perf_counter
from typing import Literal

from cardwatch.database.retry import retrying
from cardwatch.errors import SourceError
from cardwatch.schema import Delivery
from cardwatch.sources.base import week_not_available
from cardwatch.sources.database_sums import add_up, has_long_digits, may_add_up, sums_of
from cardwatch.sources.database_view import Copy, Held, View, Weeks
from cardwatch.sources.parts import Chosen, chosen_rows, delivered_columns, no_rows, shared_kinds
from cardwatch.sources.snapshots import SoundRows
from cardwatch.week import ReportingWeek


@dataclass(frozen=True)
class _Copied:
    """A copy, and which rows are to be taken from it."""

    copy: Copy
    mondays: frozenset[date]
    unreadable: bool


RollUp = Literal["auto", "database", "engine"]

_FAST_ROWS = 200_000
"""Rows per second from which on no database adds up faster than rows are read."""
_FEW_ROWS = 20_000
"""Rows of a week that are read at once whatever the network."""
_GAIN = 0.8
"""Part of the time of reading that adding up may take at most."""


class DeliveredRows:
    """Rows of a week and of its reference weeks, from a view that is opened for them.

    Parameters
    ----------
    open_view : callable
        Opens a view of the table as it is now.
    attempts : int
        How often rows that are asked for later are tried to be copied.
    settings : mapping
        Everything that changes how the data is understood; part of every content key.
    piecemeal : bool
        Whether to copy reference weeks only when they are asked for.
    roll_up : {"auto", "database", "engine"}
        Who adds transactions up.
    """

    def __init__(
        self,
        open_view: Callable[[], View],
        week: ReportingWeek,
        references: Sequence[ReportingWeek],
        *,
        attempts: int,
        settings: Mapping[str, object],
        piecemeal: bool,
        roll_up: RollUp,
    ) -> None:
        self._open_view = open_view
        self._week = week
        self._references = tuple(references)
        self._window = [each.monday for each in (*references, week)]
        self._attempts = attempts
        self._settings = settings
        self._roll_up = roll_up
        self._copies: list[_Copied] = []
        self._seconds = 0.0
        self._first = open_view()
        self._view: View | None = self._first
        try:
            weeks = self._begin(self._first, piecemeal)
        except BaseException:
            self.release()
            raise
        self._weeks = {day: held for day, held in weeks.items() if day in self._window}
        if self._copied_weeks() >= self._weeks.keys():
            self.release()

    def delivery(self) -> Delivery:
        """Return what the contract reads."""
        return Delivery(
            week=self._week,
            reference_weeks=self._references,
            shape=self._first.table.shape,
            select=self.select,
            content_key=self.content_key,
            origin=self._first.origin,
            extra_columns=tuple(self._copies[0].copy.part.extras),
            summed=self.summed,
            release=self.release,
            rows=self._certain_rows(),
        )

    def release(self) -> None:
        """Close the view; rows that are asked for later are copied from a new one."""
        if self._view is not None:
            self._view.snapshot.close()
            self._view = None

    def content_key(self, week: ReportingWeek) -> str | None:
        """Return a text that changes when the content of a week does; None if it cannot be told."""
        if any(held.content is None for held in self._weeks.values()):
            return None
        held = self._weeks.get(week.monday, Held(0, 0))
        part = self._copies[0].copy.part
        columns = [(name, column.kind) for name, column in part.columns.items()]
        described = [held.rows, held.content, columns, [*part.extras], part.items, self._settings]
        text = json.dumps(described, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def select(self, weeks: Sequence[ReportingWeek]) -> str:
        """Copy what is missing of some weeks, and return the SELECT of their rows."""
        days = {each.monday for each in weeks}
        missing = sorted(day for day in days - self._copied_weeks() if day in self._weeks)
        if missing:
            retrying(self._attempts)(lambda: self._copy_more(missing))
        return self._select(days, unreadable=self._week in weeks)

    def summed(
        self,
        weeks: Sequence[ReportingWeek],
        currency: str,
        largest_amount: float,
        longest_id: int,
    ) -> str:
        """Let the database add up what is sound of some weeks, where that costs less."""
        sound = SoundRows(currency, largest_amount, longest_id)
        days = {each.monday for each in weeks}
        missing = sorted(day for day in days - self._copied_weeks() if day in self._weeks)
        if not missing or self._view is None or self._roll_up == "engine":
            return ""
        try:
            if self._roll_up == "auto" and not self._is_cheaper(self._view, missing[-1], sound):
                return ""
            return self._add_up(self._view, missing, sound)
        except SourceError:
            # The rows themselves are read again from a new view, and that says what is wrong.
            self.release()
            return ""

    def _add_up(self, view: View, days: Sequence[date], sound: SoundRows) -> str:
        if any(has_long_digits(each.copy.part, view.engine, view.origin) for each in self._copies):
            return ""
        sums = sums_of(view.table, self._window, days, sound)
        found = add_up(view, sums, days) if sums else None
        if found is None or has_long_digits(found[1].part, view.engine, view.origin):
            return ""
        select, remainder = found
        self._copies.append(_Copied(remainder, frozenset(days), unreadable=False))
        return select

    def _is_cheaper(self, view: View, day: date, sound: SoundRows) -> bool:
        """Try on one week whether adding up takes less time than reading the scored one did."""
        if not self._is_slow(self._copies[0].copy):
            return False
        begun = perf_counter()
        sums = sums_of(view.table, self._window, [day], sound)
        rows = view.snapshot.sums(sums) if sums else None
        if rows is None:
            return False
        for _ in rows.batches:
            pass
        own, other = self._weeks[self._week.monday].rows, self._weeks[day].rows
        return (perf_counter() - begun) * own < _GAIN * self._seconds * other

    def _begin(self, view: View, piecemeal: bool) -> Weeks:
        """Copy what is certainly needed, and return what is held of every week."""
        view.learn()
        may_sum = self._roll_up != "engine" and may_add_up(view.table)
        if not view.table.can_choose or not (piecemeal or may_sum):
            return self._checked(view, self._copy(view, self._window, unreadable=True).weeks)
        begun = perf_counter()
        scored = self._copy(view, [self._week.monday], unreadable=True)
        self._seconds = perf_counter() - begun
        self._checked(view, scored.weeks)
        weeks: Weeks = {}
        if piecemeal or self._roll_up == "database" or self._is_slow(scored):
            weeks = view.tallied(self._window)
        if weeks and all(held.content is not None for held in weeks.values()):
            return weeks
        rest = [day for day in self._window if day != self._week.monday]
        others = self._copy(view, rest, unreadable=False).weeks if rest else {}
        return {**others, self._week.monday: scored.weeks[self._week.monday]}

    def _checked(self, view: View, weeks: Weeks) -> Weeks:
        if self._week.monday in weeks:
            return weeks
        present = [ReportingWeek(day) for day in view.present()]
        raise week_not_available(self._week, present, view.origin, view.table.reader.numbering)

    def _is_slow(self, scored: Copy) -> bool:
        """Whether the scored week's rows came so slowly that the network may be what was slow."""
        rows = sum(held.rows for held in scored.weeks.values())
        return rows > _FEW_ROWS and rows < _FAST_ROWS * self._seconds

    def _certain_rows(self) -> int:
        """Count the rows that come one by one, whatever the database may yet add up."""
        sums = self._roll_up != "engine" and may_add_up(self._first.table)
        days = self._copied_weeks() if sums else self._weeks.keys()
        return sum(held.rows for day, held in self._weeks.items() if day in days)

    def _copied_weeks(self) -> frozenset[date]:
        return frozenset[date]().union(*(each.mondays for each in self._copies))

    def _copy(self, view: View, mondays: Sequence[date], *, unreadable: bool) -> Copy:
        copy = view.copy(mondays, unreadable=unreadable)
        self._copies.append(_Copied(copy, frozenset(mondays), unreadable))
        return copy

    def _copy_more(self, mondays: Sequence[date]) -> None:
        try:
            self._view = self._view or self._reopened()
            self._copy(self._view, mondays, unreadable=False)
        except BaseException:
            self.release()
            raise

    def _reopened(self) -> View:
        """Return a new view, in which the weeks hold what they held in the first one."""
        view = self._open_view()
        try:
            view.learn()
            weeks = view.tallied(self._window)
            if {day: held for day, held in weeks.items() if day in self._window} == self._weeks:
                return view
        except BaseException:
            view.snapshot.close()
            raise
        view.snapshot.close()
        raise SourceError(
            "The rows changed while they were read",
            where=view.origin,
            next_step="Run again once the delivery is complete",
        )

    def _select(self, days: set[date], *, unreadable: bool) -> str:
        parts = [each.copy.part for each in self._copies]
        kinds, extras = shared_kinds(parts), tuple(parts[0].extras)
        lookup = self._first.lookup.table
        branches = []
        for each in self._copies:
            part, chosen = each.copy.part, tuple(sorted(days & each.mondays))
            if chosen or (unreadable and each.unreadable):
                rows = Chosen(part.items, chosen, unreadable and each.unreadable)
                columns = delivered_columns(part, kinds, extras)
                branches.append(f"SELECT {columns} FROM {chosen_rows(part, rows, lookup)}")
        return " UNION ALL ".join(branches) or no_rows(parts[0].shape, kinds, extras)
