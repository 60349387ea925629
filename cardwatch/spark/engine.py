"""The engine whose large tables live in Spark; the driver's DuckDB holds what is bounded.

A statement runs where its tables are. One that reads a table of all customers runs in Spark, and
its result, if it is a query, comes to the driver: such queries are counts, the fitted sample and
the rows of listed customers. A table made of one stays in Spark unless it is temporary: what the
steps make temporarily is small. Everything else is the embedded engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial, reduce
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar, cast

import duckdb
import pyarrow as pa

from cardwatch.engine import BATCH_ROWS, Engine, EngineError
from cardwatch.spark.failures import naming_failures
from cardwatch.spark.pieces import derived, folded, from_bytes, packed, unpack
from cardwatch.spark.statements import Statement, order_terms

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Result = TypeVar("Result")

_PIECE = "cardwatch_piece"
PLACE = "cardwatch_place"
_IN_PART = 2**33
"""monotonically_increasing_id numbers the rows of a partition from a multiple of this."""


class SparkEngine(Engine):
    """An engine over a Spark session; the other parameters are the driver's own engine's.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
        Classic or Connect; it is left open.
    partitions : int or None
        How many parts the customers are in; None makes one for every million delivered rows.
    memory_limit : str
        Of the driver's engine, and of the one that judges a part on an executor.
    """

    def __init__(
        self,
        session: SparkSession,
        partitions: int | None = None,
        memory_limit: str = "1GB",
        **local: Any,
    ) -> None:
        super().__init__(memory_limit, **local)
        self.session = session
        self.task_memory = memory_limit
        self._wanted = partitions
        self.parts_for(0)
        self._prefix = f"cardwatch_{token_hex(4)}_"
        self._frames: dict[str, DataFrame] = {}
        self._kept: dict[str, DataFrame] = {}

    def execute(self, sql: str, **parameters: object) -> duckdb.DuckDBPyConnection:
        """Run one statement where its tables are; a query's result is the driver's."""
        statement = self._distributed(sql)
        if statement is None:
            return super().execute(sql, **parameters)
        if statement.kind == "other":
            raise EngineError(
                "Spark's tables cannot be changed",
                observed=sql.split(maxsplit=1)[0],
                expected="a query, or a table or view made of one",
                next_step="Use engine.type: embedded for what changes rows, such as planted cases",
            )
        frame = self._query(statement, parameters)
        if statement.kind == "view":
            self.show(statement.name, frame)
        elif statement.kind == "table":
            self.keep(statement.name, frame)
        else:
            return self._bring(statement.name, frame)
        return self.connection

    def batches(
        self, sql: str, rows: int = BATCH_ROWS, **parameters: object
    ) -> Iterator[pa.RecordBatch]:
        """Stream a result, of all customers one partition after the other."""
        statement = self._distributed(sql)
        if statement is None:
            yield from super().batches(sql, rows, **parameters)
            return
        frame = self._query(statement, parameters).mapInArrow(packed, "packed binary")
        kept = frame.persist()
        try:
            with naming_failures():
                kept.count()  # the executors do their parts at the same time, not when asked
                for (content,) in kept.toLocalIterator():
                    yield from pa.Table.from_batches(from_bytes(content)).to_batches(rows)
        finally:
            kept.unpersist()

    def create(self, table: str, columns: Mapping[str, str]) -> None:
        """Create an empty table of the driver's."""
        self._forget(table)
        super().create(table, columns)

    def drop(self, tables: Sequence[str]) -> None:
        """Drop tables, wherever they are."""
        for table in tables:
            self._forget(table)
        super().drop(tables)

    def fold(
        self,
        query: str,
        function: Callable[[pa.Table], Result],
        combine: Callable[[Result, Result], Result],
        customers: int,
    ) -> Result:
        """Combine what a function gives for ranges of customers, on the executors first."""
        statement = self._distributed(query)
        if statement is None:
            return super().fold(query, function, combine, customers)
        work = partial(folded, function=function, combine=combine, customers=customers)
        found = self._query(statement, {}).mapInArrow(work, "packed binary")
        with naming_failures():
            totals = found.toArrow()["packed"].to_pylist()
        return reduce(combine, (cast("Result", unpack(each)) for each in totals))

    def derive(
        self,
        table: str,
        columns: Mapping[str, str],
        query: str,
        function: Callable[[pa.Table], pa.Table],
        customers: int,
    ) -> None:
        """Make a table in Spark of what a function gives for pieces of customers."""
        statement = self._distributed(query)
        if statement is None:
            super().derive(table, columns, query, function, customers)
            return
        work = partial(
            derived, function=function, customers=customers, schema=arrow_schema(columns)
        )
        made = self._query(statement, {}).mapInArrow(work, ddl(columns))
        self.keep(table, made)

    def number(self, table: str, place: str, query: str, order: str, hidden: str) -> None:
        """Make a table of a query's rows and their places, by ranges that are sorted apart."""
        statement = self._distributed(query)
        if statement is None:
            super().number(table, place, query, order, hidden)
            return
        from pyspark.sql import functions as f

        terms = [
            f.expr(sql).desc() if descends else f.expr(sql).asc()
            for sql, descends in order_terms(order)
        ]
        frame = self._query(statement, {})
        parted = frame.repartitionByRange(self._parts, *terms).sortWithinPartitions(*terms)
        at = f.monotonically_increasing_id()
        numbered = parted.drop(hidden).withColumns({_PIECE: f.spark_partition_id(), PLACE: at})
        kept = self.keep(table, numbered)
        with naming_failures():
            counts = {row[0]: row[1] for row in kept.groupBy(_PIECE).count().collect()}
        first = offsets(counts)
        in_part = f.col(PLACE) % f.lit(_IN_PART)
        rank = (element(first, f.col(_PIECE)) + in_part + 1).cast("bigint")
        self.show(table, kept.withColumn(place, rank).drop(_PIECE, PLACE))

    def keep(self, name: str, frame: DataFrame) -> DataFrame:
        """Make a table in Spark of a frame: computed once, and again where an executor is lost."""
        self._forget(name)
        kept = frame.persist()
        self._kept[name] = kept
        self.show(name, kept)
        return kept

    def show(self, name: str, frame: DataFrame) -> None:
        """Let statements read a frame under a name, without keeping its rows."""
        frame.createOrReplaceTempView(self._prefix + name)
        self._frames[name] = frame

    def frame(self, query: str, **parameters: object) -> DataFrame:
        """Return the rows of a query over tables in Spark, where they are.

        Raises
        ------
        EngineError
            If it reads none.
        """
        statement = self._distributed(query)
        if statement is None:
            raise EngineError("The rows of this query are not in Spark")
        return self._query(statement, parameters)

    def given(self, rows: pa.Table) -> DataFrame:
        """Return rows of the driver's as a frame."""
        from pyspark.sql.pandas.types import from_arrow_schema

        # Connect takes no columns from a table without rows.
        return self.session.createDataFrame(rows, from_arrow_schema(rows.schema))

    def parts_for(self, rows: int) -> int:
        """Settle in how many parts the customers are, given how many rows they have."""
        self._parts = self._wanted or max(_LEAST_PARTS, rows // _PART_ROWS)
        self.session.conf.set("spark.sql.shuffle.partitions", str(self._parts))
        return self._parts

    def close(self) -> None:
        """Give back what Spark keeps, and end the driver's own session."""
        try:
            with suppress(EngineError), naming_failures():  # Spark may be gone, and its tables too
                # Connect finds what is kept by its names: these go last.
                for kept in self._kept.values():
                    kept.unpersist(blocking=True)  # nothing is under way when Spark ends
                self._kept.clear()
                for name in list(self._frames):
                    self._forget(name)
        finally:
            super().close()

    def _distributed(self, sql: str) -> Statement | None:
        """Return a statement that reads a table in Spark; None for any other."""
        if not any(name in sql for name in self._frames):
            return None
        statement = Statement.of(sql)
        return statement if statement.tables & self._frames.keys() else None

    def _query(self, statement: Statement, parameters: Mapping[str, object]) -> DataFrame:
        for name in statement.tables - self._frames.keys():
            small = super().execute(f'SELECT * FROM "{name}"').to_arrow_table()
            self.given(small).createOrReplaceTempView(self._prefix + name)
        text, named = statement.spark(lambda name: self._prefix + name, parameters)
        with naming_failures():
            return self.session.sql(text, args=named or None)

    def _bring(self, name: str, frame: DataFrame) -> duckdb.DuckDBPyConnection:
        """Bring rows to the driver: into a table, or as the result of a query."""
        with naming_failures():
            rows = frame.toArrow()
        self.connection.register("spark_rows", rows)
        if not name:
            return super().execute("SELECT * FROM spark_rows")
        made = super().execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS SELECT * FROM spark_rows')
        self.connection.unregister("spark_rows")
        return made

    def _forget(self, name: str) -> None:
        if kept := self._kept.pop(name, None):
            kept.unpersist()
        if self._frames.pop(name, None) is not None:
            self.session.catalog.dropTempView(self._prefix + name)


_LEAST_PARTS = 4
_PART_ROWS = 1_000_000


def offsets(counts: Mapping[int, int]) -> list[int]:
    """Return, by part, how many rows the parts before it have.

    Examples
    --------
    >>> offsets({0: 3, 2: 4})
    [0, 3, 3]
    """
    first, total = [], 0
    for part in range(max(counts, default=-1) + 1):
        first.append(total)
        total += counts.get(part, 0)
    return first


def element(values: Sequence[int], at: Any) -> Any:
    """Return the column of ``values[at]``, for a column of positions."""
    from pyspark.sql import functions as f

    return f.element_at(f.lit(list(values)) if values else f.array(f.lit(0)), at + 1)


def ddl(columns: Mapping[str, str]) -> str:
    """Return columns and their types as Spark writes a schema."""
    return ", ".join(f"`{name}` {_SPARK_TYPES.get(kind, kind)}" for name, kind in columns.items())


_SPARK_TYPES = {"VARCHAR": "STRING", "BLOB": "BINARY"}
_ARROW_TYPES = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
    "BLOB": pa.binary(),
}


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Return columns and their types as Arrow writes a schema."""
    return pa.schema([(name, _ARROW_TYPES[kind]) for name, kind in columns.items()])
