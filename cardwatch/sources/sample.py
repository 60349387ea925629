"""A generated portfolio with planted cases, to try Cardwatch on and to measure it by.

`SamplePortfolio` makes the rows (its parts live in the other ``sample_`` modules); `write_sample`
writes them as the files a weekly source reads.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from cardwatch.errors import ConfigurationError, PublishError
from cardwatch.merchant_categories import mcc_name
from cardwatch.sources.sample_categories import categories
from cardwatch.sources.sample_portfolio import ROW_SCHEMA, SamplePortfolio, in_order

__all__ = ["LABELS_FILE", "NAMES_FILE", "SamplePortfolio", "write_sample"]

LABELS_FILE = "_labels.csv"
NAMES_FILE = "_mccs.csv"
_OWN_FILE = re.compile(r"spend_\d{4}-\d{2}\.parquet|_labels\.csv|_mccs\.csv")


def write_sample(
    portfolio: SamplePortfolio,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write a portfolio: ``spend_YYYY-WW.parquet`` per week, ``_labels.csv`` and ``_mccs.csv``.

    The files are made in a folder beside `folder` and take its place when they are complete.

    Parameters
    ----------
    folder : pathlib.Path
        Missing, empty, or holding an earlier sample, which is replaced.
    progress : callable
        Called with the number of weekly pieces written and their total.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of their names.

    Raises
    ------
    ConfigurationError
        If `folder` holds anything else.
    PublishError
        If the files cannot be written; what was there before still stands.
    """
    folder = folder.resolve()
    _refuse_foreign_files(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as made:
            fresh = Path(made) / "new"
            fresh.mkdir()
            labels = _write_weeks(portfolio, fresh, progress)
            _write_csv(in_order(labels), fresh / LABELS_FILE)
            _write_csv(_category_names(), fresh / NAMES_FILE)
            _take_the_place(fresh, folder, Path(made) / "old")
    except OSError as error:
        raise PublishError(
            "The sample could not be written",
            where=str(folder),
            observed=error.strerror or type(error).__name__,
            next_step="Choose a folder that can be written, with enough space",
        ) from error
    return sorted(folder.iterdir())


def _write_weeks(
    portfolio: SamplePortfolio, folder: Path, progress: Callable[[int, int], None]
) -> list[pa.Table]:
    """Write every week's file, one block of customers after the other; return their labels."""
    labels = []
    total = len(portfolio.weeks) * len(portfolio.blocks)
    with ExitStack() as open_files:
        writers = [
            open_files.enter_context(
                pq.ParquetWriter(
                    folder / f"spend_{week.label}.parquet", ROW_SCHEMA, compression="zstd"
                )
            )
            for week in portfolio.weeks
        ]
        for block in portfolio.blocks:
            for index, writer in enumerate(writers):
                writer.write_table(portfolio.block_rows(block, index))
                progress(block * len(writers) + index + 1, total)
            labels.append(portfolio.block_labels(block))
    return labels


def _write_csv(table: pa.Table, path: Path) -> None:
    pa_csv.write_csv(table, path, pa_csv.WriteOptions(quoting_style="needed"))


def _category_names() -> pa.Table:
    codes = categories().codes
    return pa.table({"mcc": codes, "name": [mcc_name(code) for code in codes]})


def _refuse_foreign_files(folder: Path) -> None:
    """Make sure that replacing `folder` loses nothing but an earlier sample."""
    try:
        foreign = [item for item in folder.iterdir() if not _OWN_FILE.fullmatch(item.name)]
    except FileNotFoundError:
        return
    except OSError as error:
        raise PublishError(
            "The sample cannot be written there",
            where=str(folder),
            observed=error.strerror or type(error).__name__,
            expected="a new folder, an empty one, or an earlier sample",
        ) from error
    if foreign:
        raise ConfigurationError(
            "The folder holds files that are not a generated sample",
            where=str(folder),
            observed=f"{len(foreign)} other file{'s' * (len(foreign) != 1)}",
            expected="a new folder, an empty one, or an earlier sample",
            next_step="Choose another folder with --output-dir",
        )


def _take_the_place(fresh: Path, folder: Path, old: Path) -> None:
    """Put `fresh` where `folder` is; put the earlier one back if that fails."""
    if not folder.exists():
        fresh.rename(folder)
        return
    folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        old.rename(folder)
        raise
