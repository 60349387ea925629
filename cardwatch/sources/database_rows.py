"""Rows of a database, copied beside the engine as they arrive, a batch at a time."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pyarrow.parquet as pq

from cardwatch.engine import Engine, naming_lack_of_space
from cardwatch.sources.snapshots import Rows


def copy_rows(rows: Rows, engine: Engine) -> Path:
    """Write rows to a new Parquet file in the engine's folder, and return its path.

    Raises
    ------
    SourceError
        If the rows break off; nothing is left of them.
    EngineError
        If the disk is full.
    """
    folder = engine.folder
    path = next(p for n in count() if not (p := folder / f"database_rows_{n}.parquet").exists())
    try:
        with naming_lack_of_space(), pq.ParquetWriter(path, rows.schema) as writer:
            for batch in rows.batches:
                writer.write_batch(batch)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path
