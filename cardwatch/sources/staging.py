"""Copying wanted rows next to the engine once, so that what follows neither re-reads nor fails.

Reading a CSV file costs more than everything that is done with its rows, and a broken line may come
at its end. The copy is made when rows are first asked for, item by item, with all the weeks of the
delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from itertools import count

from cardwatch.engine import Engine
from cardwatch.sources.quoting import date_list, path_list, text_literal

_WIDE = 100
"""Columns up to which Parquet is used: half the work of a table, but memory for each column."""


class Staging:
    """Rows of one delivery, copied as far as they were asked for.

    Parameters
    ----------
    columns : int
        How many columns the rows have.
    rows_of : callable
        Given items, the SELECT of their rows of the delivery, unreadable weeks included.
    needed : callable
        Given weeks, and whether unreadable ones are wanted, the items that hold such rows.
    """

    def __init__(
        self,
        engine: Engine,
        columns: int,
        rows_of: Callable[[Sequence[str]], str],
        needed: Callable[[Sequence[date], bool], Sequence[str]],
    ) -> None:
        self._engine = engine
        self._wide = columns > _WIDE
        self._rows_of = rows_of
        self._needed = needed
        self._copied: set[str] = set()
        self._copies: list[str] = []

    def select(self, weeks: Sequence[date], unreadable: bool) -> str:
        """Copy what is missing, and return the SELECT of the weeks' rows."""
        missing = [each for each in self._needed(weeks, unreadable) if each not in self._copied]
        if missing or not self._copies:
            copy = self._to_table if self._wide else self._to_parquet
            self._copies.append(copy(self._rows_of(missing)))
            self._copied.update(missing)
        wanted = f"week_start IN ({date_list(weeks)})"
        if unreadable:
            wanted += " OR week_start IS NULL"
        return " UNION ALL ".join(f"SELECT * FROM {copy} WHERE {wanted}" for copy in self._copies)

    def _to_table(self, rows: str) -> str:
        table = new_table(self._engine, "source_rows")
        self._engine.execute(f'CREATE TABLE "{table}" AS {rows}')
        return f'"{table}"'

    def _to_parquet(self, rows: str) -> str:
        folder = self._engine.folder
        path = next(p for n in count() if not (p := folder / f"source_rows_{n}.parquet").exists())
        to = f"{text_literal(str(path))} (FORMAT parquet, COMPRESSION snappy)"
        self._engine.execute(f"COPY ({rows}) TO {to}")
        return f"read_parquet({path_list([str(path)])}, hive_partitioning=false)"


def new_table(engine: Engine, stem: str) -> str:
    """Return a name that no table of the engine has yet."""
    taken = {row["table_name"] for row in engine.rows("SELECT table_name FROM duckdb_tables()")}
    return next(name for n in count() if (name := f"{stem}_{n}") not in taken)
