"""The weeks that delivered texts name, as a table that rows are joined with."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pyarrow as pa

from cardwatch.engine import Engine
from cardwatch.sources.parts import WEEK
from cardwatch.sources.staging import new_table
from cardwatch.sources.week_values import LONGEST_WEEK, WeekReader


class WeekLookup:
    """Texts that name weeks, each read once.

    Attributes
    ----------
    mondays : dict
        The Monday of each text met so far; None where it names no week.
    has_endless : bool
        Whether a text was met that is too long to name a week; such texts are not kept.
    table : str
        The engine's table of those that can be read: ``week_text`` and `WEEK`; empty until the
        first were learnt.
    """

    def __init__(self, engine: Engine, reader: WeekReader) -> None:
        self._engine = engine
        self._reader = reader
        self.mondays: dict[str | None, date | None] = {}
        self.has_endless = False
        self.table = ""

    def learn(self, texts: Collection[str | None]) -> None:
        """Read the texts that were not met before."""
        if not self.table:
            self.table = new_table(self._engine, "source_weeks")
            self._engine.create(self.table, {"week_text": "VARCHAR", WEEK: "DATE"})
        short = [text for text in texts if text is None or len(text) <= LONGEST_WEEK]
        self.has_endless = self.has_endless or len(short) < len(texts)
        new = {text: self._reader.monday(text) for text in short if text not in self.mondays}
        self.mondays.update(new)
        readable = sorted((text, day) for text, day in new.items() if text and day)
        if readable:
            columns = {
                "week_text": pa.array([text for text, _ in readable], pa.string()),
                WEEK: pa.array([day for _, day in readable], pa.date32()),
            }
            self._engine.append(self.table, pa.table(columns))
