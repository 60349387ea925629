"""The analytic engine: one DuckDB session with a memory limit and a spill folder of its own.

Every step that reduces rows is SQL run here. Statements that belong to a step live beside it in
``.sql`` files and take their parameters by name (``$name``); nothing a user typed is ever pasted
into SQL text. Tables live in a database file inside the spill folder, so that a table larger than
the memory limit stays on disk; the folder goes when the session closes.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import reduce
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
from filelock import FileLock, Timeout

from cardwatch.errors import CardwatchError, ConfigurationError
from cardwatch.parallel import mapped

BATCH_ROWS = 131_072
"""Rows per record batch handed to row-wise steps; a multiple of DuckDB's 2,048-row vectors."""

KEY = "customer_key"
"""The customers' number, by which rows are parted where whole customers are wanted."""

Result = TypeVar("Result")

_log = logging.getLogger(__name__)

_PREFIX = "cardwatch-engine-"
_ALIVE = ".alive"
"""Locked for as long as a session lives: a folder whose lock is free was left by a killed run."""


class EngineError(CardwatchError):
    """The engine ran out of memory or disk, or could not start."""


class Engine:
    """A DuckDB session that respects a memory limit by spilling.

    Parameters
    ----------
    memory_limit : str
        For example ``"1GB"``; DuckDB's buffers stay under it.
    threads : int or None
        Worker threads; None uses every core. The results do not depend on it.
    temp_directory : pathlib.Path or None
        Where the spill folder is made; None uses the system's folder for temporary files.
    max_temp_directory_size : str
        How much may be spilled before the run stops with a clear error; the tables themselves,
        kept beside, are not counted.

    Examples
    --------
    >>> with Engine() as engine:
    ...     engine.scalar("SELECT 40 + $more", more=2)
    42
    """

    def __init__(
        self,
        memory_limit: str = "1GB",
        threads: int | None = None,
        temp_directory: Path | None = None,
        max_temp_directory_size: str = "50GB",
    ) -> None:
        self.threads = threads or os.cpu_count() or 1
        try:
            parent = temp_directory or Path(tempfile.gettempdir())
            _delete_abandoned(parent)
            self.folder, self._alive = _claimed_folder(parent)
        except OSError as error:
            raise ConfigurationError(
                "The spill folder could not be made",
                where=str(temp_directory or tempfile.gettempdir()),
                observed=error.strerror or type(error).__name__,
                next_step="Set engine.temp_directory to a folder that can be written",
            ) from error
        try:
            self.connection = duckdb.connect(
                str(self.folder / "work.duckdb"),
                config={
                    "memory_limit": memory_limit,
                    "threads": self.threads,
                    "temp_directory": str(self.folder / "spill"),
                    "preserve_insertion_order": True,
                    "autoload_known_extensions": False,
                    "autoinstall_known_extensions": False,
                },
            )
            # DuckDB 1.5 accepts this one at connection without ever enforcing it.
            self.connection.execute("SET max_temp_directory_size = $1", [max_temp_directory_size])
            self.connection.execute("SET TimeZone = 'UTC'")
            # The tables go with the session: packing what was appended, on the way or as it ends,
            # would help nobody.
            self.connection.execute("SET wal_autocheckpoint = '1TB'")
            self.connection.execute("PRAGMA disable_checkpoint_on_shutdown")
            _log.debug("engine: memory limit %s, spilling to %s", memory_limit, self.folder)
        except duckdb.Error as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise ConfigurationError(
                "The engine's settings were refused",
                where="engine.memory_limit, engine.threads, engine.max_temp_directory_size",
                observed=_first_line(error),
                next_step="Sizes read like 1GB or 800MB",
            ) from error

    def execute(self, sql: str, **parameters: object) -> duckdb.DuckDBPyConnection:
        """Run one statement and return the connection holding its result.

        Raises
        ------
        EngineError
            If memory, spill space or the disk ran out; other errors of the engine pass unchanged,
            so that the step that wrote the statement can say what they mean.
        """
        with self._statement():
            return self.connection.execute(sql, parameters or None)

    def run_file(self, package: str, name: str, **parameters: object) -> None:
        """Run the statements of ``<package>/<name>.sql`` in order.

        A parameter is given to those statements that name it.
        """
        _log.debug("running %s.sql of %s", name, package)
        text = (files(package) / f"{name}.sql").read_text(encoding="utf-8")
        for statement in duckdb.extract_statements(text):
            named = statement.named_parameters
            chosen = {key: value for key, value in parameters.items() if key in named}
            self.execute(statement.query, **chosen)

    def scalar(self, sql: str, **parameters: object) -> Any:
        """Return the single value of a one-row, one-column result."""
        with self._statement():
            row = self.execute(sql, **parameters).fetchone()
        return None if row is None else row[0]

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Return a small result as a list of dictionaries."""
        with self._statement():
            result = self.execute(sql, **parameters)
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def arrow(self, sql: str, **parameters: object) -> pa.Table:
        """Return a result that fits in memory as an Arrow table."""
        with self._statement():
            return self.execute(sql, **parameters).to_arrow_table()

    def batches(
        self, sql: str, rows: int = BATCH_ROWS, **parameters: object
    ) -> Iterator[pa.RecordBatch]:
        """Stream a result as Arrow record batches of about `rows` rows, on a cursor of its own."""
        cursor = self.connection.cursor()
        try:
            with naming_lack_of_space():
                yield from cursor.execute(sql, parameters or None).to_arrow_reader(rows)
        finally:
            cursor.close()

    def by_customers(
        self, query: str, function: Callable[[pa.Table], Result], customers: int
    ) -> Iterator[Result]:
        """Yield ``function(rows)`` for one range of customers after the other, on every thread.

        Parameters
        ----------
        query : str
            A SELECT with the column ``customer_key``, from our own code only.
        function : callable
            Given the rows of some customers, all that the query has of them; never none.
        customers : int
            How many keys a range spans. It bounds memory and may change no result.
        """
        return mapped(function, self._ranges(query, customers), self.threads)

    def fold(
        self,
        query: str,
        function: Callable[[pa.Table], Result],
        combine: Callable[[Result, Result], Result],
        customers: int,
    ) -> Result:
        """Combine what a function gives for ranges of customers, in whatever order."""
        return reduce(combine, self.by_customers(query, function, customers))

    def derive(
        self,
        table: str,
        columns: Mapping[str, str],
        query: str,
        function: Callable[[pa.Table], pa.Table],
        customers: int,
    ) -> None:
        """Make a table of what a function gives for ranges of customers; see `by_customers`."""
        self.create(table, columns)
        for rows in self.by_customers(query, function, customers):
            self.append(table, rows)

    def number(self, table: str, place: str, query: str, order: str, hidden: str) -> None:
        """Make a table of a query's rows and their places from 1 on, in that order.

        Parameters
        ----------
        order : str
            What stands after ORDER BY; it leaves no two rows equal.
        hidden : str
            A column of the query that only the order needs.
        """
        self.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT * EXCLUDE ({hidden}),"
            f" row_number() OVER (ORDER BY {order}) AS {place} FROM ({query}) ORDER BY {place}"
        )

    def _ranges(self, query: str, customers: int) -> Iterator[pa.Table]:
        last = self.scalar(f"SELECT max({KEY}) FROM ({query})")
        for low in range(0, 0 if last is None else int(last) + 1, customers):
            rows = self.arrow(
                f"SELECT * FROM ({query}) WHERE {KEY} >= $low AND {KEY} < $high",
                low=low,
                high=low + customers,
            )
            if rows.num_rows:
                yield rows

    def create(self, table: str, columns: Mapping[str, str]) -> None:
        """Create an empty table, replacing one of that name; `columns` maps names to SQL types."""
        body = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        self.execute(f'CREATE OR REPLACE TABLE "{table}" ({body})')

    def append(self, table: str, data: pa.Table | pa.RecordBatch) -> None:
        """Append Arrow rows to a table, matching columns by name."""
        arrow = data if isinstance(data, pa.Table) else pa.Table.from_batches([data])
        self.connection.register("appended_rows", arrow)
        try:
            self.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM appended_rows')
        finally:
            self.connection.unregister("appended_rows")

    def drop(self, tables: Sequence[str]) -> None:
        """Drop tables that exist, giving their space back."""
        for table in tables:
            self.execute(f'DROP TABLE IF EXISTS "{table}"')

    @contextmanager
    def _statement(self) -> Iterator[None]:
        try:
            with naming_lack_of_space():
                yield
        except KeyboardInterrupt:  # its threads would go on, and the next statement wait for them
            self.connection.interrupt()
            raise

    def close(self) -> None:
        """End the session and delete its folder; a statement that still runs is stopped."""
        self.connection.interrupt()
        self.connection.close()
        self._alive.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def naming_lack_of_space() -> Iterator[None]:
    """Turn the engine's errors about space into `EngineError`, in a statement or mid-stream.

    Results stream, so an error can come while they are fetched; after the first batch of a stream
    it is an OSError with the engine's text. A stop without a cause is an `EngineError`, too. The
    keyboard stops a statement as it stops anything else: with a KeyboardInterrupt.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise
    except (duckdb.Error, OSError) as error:
        if "Out of Memory Error" in str(error):
            raise EngineError(
                "The engine ran out of memory or spill space",
                observed=_first_line(error),
                next_step="Raise engine.memory_limit or engine.max_temp_directory_size",
            ) from error
        if "No space left on device" in str(error):
            raise EngineError(
                "The disk that holds the spill folder is full",
                next_step="Free some space, or set engine.temp_directory to a larger disk",
            ) from error
        if "INTERRUPT Error" in str(error):
            # Nothing here interrupts the engine. When one of its threads fails while a result
            # streams, another one's report of having been stopped can overtake the cause.
            raise EngineError(
                "The engine stopped on the way, and the cause was lost",
                next_step="Run it again; memory and disk space are the usual cause: see"
                " engine.memory_limit and engine.temp_directory",
            ) from error
        raise


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")


def _claimed_folder(parent: Path) -> tuple[Path, FileLock]:
    """Make a spill folder and lock it; another session may take it for abandoned before that."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = FileLock(folder / _ALIVE)
        with suppress(Timeout):
            lock.acquire(timeout=0)
            if (folder / _ALIVE).exists():
                return folder, lock
            lock.release()


def _delete_abandoned(parent: Path) -> None:
    """Delete the spill folders of runs that were killed; what cannot be deleted is left."""
    for folder in parent.glob(f"{_PREFIX}*"):
        if not (folder / _ALIVE).exists():
            continue
        with suppress(OSError, Timeout), FileLock(folder / _ALIVE, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
