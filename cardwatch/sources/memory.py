"""A source of rows that are in memory already: the fake of this seam, for tests and notebooks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import pyarrow as pa

from cardwatch.engine import Engine
from cardwatch.sources.columns import ColumnSettings, find_layout
from cardwatch.sources.contents import Opened
from cardwatch.sources.parts import Column, make_part, table_scan
from cardwatch.sources.quoting import identifier
from cardwatch.sources.staging import new_table
from cardwatch.sources.tabular import TabularSource
from cardwatch.sources.week_values import WeekReader
from cardwatch.week import Numbering


class MemorySource(TabularSource):
    """Rows given as an Arrow table, in either shape.

    Parameters
    ----------
    rows : pyarrow.Table
        Columns named as in `cardwatch.schema`, or as `columns` says; of any type.
    engine : Engine
        Gets a copy of the rows.
    origin : str
        What the rows are called in messages.
    columns : mapping, optional
        Our name of a column to the name it has in `rows`.

    Examples
    --------
    >>> rows = pa.table(
    ...     {
    ...         "customer_id": ["a", "b"],
    ...         "reporting_week": ["2025-46", "2025-46"],
    ...         "mcc": ["5411", "5812"],
    ...         "spend_amount": ["12.30", "-4.00"],
    ...         "transaction_count": ["2", "1"],
    ...     }
    ... )
    >>> with Engine() as engine:
    ...     [summary] = MemorySource(rows, engine).weeks()
    >>> summary.week.label, summary.rows, summary.spend
    ('2025-46', 2, Decimal('8.30'))
    """

    def __init__(
        self,
        rows: pa.Table,
        engine: Engine,
        *,
        timezone: str = "UTC",
        numbering: Numbering = "guide",
        date_format: str | None = None,
        shape: Literal["auto", "weekly", "transactions"] = "auto",
        columns: Mapping[str, str] | None = None,
        origin: str = "rows in memory",
    ) -> None:
        settings = ColumnSettings(shape, dict(columns or {}))
        reader = WeekReader(timezone, numbering, date_format)
        described = {"shape": shape, "columns": settings.renamed, "reader": repr(reader)}
        super().__init__(engine, reader, origin, described)
        self._columns = settings
        self._digest = _digest(rows)
        self._table = new_table(engine, "source_memory")
        engine.connection.register("given_rows", rows)
        try:
            engine.execute(f'CREATE TABLE "{self._table}" AS SELECT * FROM given_rows')
        finally:
            engine.connection.unregister("given_rows")

    def _open(self) -> Opened:
        described = self._engine.rows(f'DESCRIBE "{self._table}"')
        columns = [
            Column(identifier(row["column_name"]), row["column_type"], row["column_name"])
            for row in described
        ]
        layout = find_layout([column.name for column in columns], self._columns, self._origin)
        scan = table_scan(self._table, self._origin)
        return Opened(
            parts=(make_part(layout, columns, [self._origin], scan, self._reader, self._engine),),
            kind="table of rows",
            content=lambda items: [self._digest],
            state=lambda item: self._digest,
        )


def _digest(rows: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return hashlib.sha256(sink.getvalue()).hexdigest()
