"""Spending in CSV and Parquet files."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cardwatch.config import DataSourceConfig
from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.sources.columns import ColumnSettings, Layout, find_layout
from cardwatch.sources.contents import Opened
from cardwatch.sources.discovery import DataFile, find_files, unreadable_file
from cardwatch.sources.parts import ITEM, WEEK_COLUMN, Column, Part, make_part
from cardwatch.sources.quoting import identifier, path_list, text_literal
from cardwatch.sources.reading import MAX_LINE_BYTES, reading
from cardwatch.sources.tabular import TabularSource
from cardwatch.sources.text_files import TextFile, open_text
from cardwatch.sources.week_values import WeekReader
from cardwatch.week import Numbering

_PARQUET_MARK = b"PAR1"


@dataclass(frozen=True)
class _Table:
    """A file with what was found about its columns.

    `opened` is the path that the engine opens; the last `outside` columns are folder names.
    """

    file: DataFile
    opened: str
    columns: tuple[Column, ...]
    outside: int
    options: str
    layout: Layout

    @property
    def group(self) -> tuple[object, ...]:
        """What files must share to be read in one statement."""
        return (self.columns, self.outside, self.options, tuple(self.file.partition))

    @property
    def folder_values(self) -> tuple[str | None, ...]:
        """The values that folder names supply to our columns."""
        names = [column.name for column in self.columns[len(self.columns) - self.outside :]]
        return tuple(self.file.partition[name] for name in names)

    @property
    def folder_week(self) -> str | None:
        """The week that a folder's name supplies."""
        at = self.layout.positions[WEEK_COLUMN[self.layout.shape]]
        inside = len(self.columns) - self.outside
        return self.folder_values[at - inside] if at >= inside else None


class FilesSource(TabularSource):
    """One file, a folder, a glob, or a hive-partitioned folder of CSV or Parquet files.

    Parameters
    ----------
    config : DataSourceConfig
        Path, shape, names of columns, and how text is written.
    engine : Engine
        Reads the files.
    timezone : str
        The portfolio's time zone, in which a transaction's time decides its week.
    numbering : {"guide", "iso"}
        How bare labels in the data are numbered.
    """

    def __init__(
        self, config: DataSourceConfig, engine: Engine, *, timezone: str, numbering: Numbering
    ) -> None:
        self._path = Path(config.path)
        self._config = config
        self._columns = ColumnSettings(
            config.shape, {str(ours): theirs for ours, theirs in config.columns.items()}
        )
        settings = {
            "shape": config.shape,
            "columns": self._columns.renamed,
            "timezone": timezone,
            "numbering": numbering,
            "date_format": config.date_format,
            "delimiter": config.delimiter,
            "encoding": config.encoding,
        }
        reader = WeekReader(timezone, numbering, config.date_format)
        super().__init__(engine, reader, str(self._path), settings)
        self._tables: dict[tuple[str, int, int], _Table] = {}
        self._digests: dict[tuple[str, int, int], str] = {}

    def _open(self) -> Opened:
        tables = [self._table(file) for file in find_files(self._path)]
        _check_one_shape(tables)
        tables, notes = self._without_copies(tables)
        by_item = {table.opened: table for table in tables}
        is_csv = tables[0].file.kind == "csv"
        return Opened(
            parts=tuple(self._part(group) for group in _grouped(tables)),
            kind=f"{'CSV' if is_csv else 'Parquet'} file{'s' if len(tables) > 1 else ''}",
            content=lambda items: [self._content(by_item[item]) for item in items],
            state=lambda item: by_item[item].file.state,
            shown=lambda item: by_item[item].file.shown if item in by_item else item,
            staged=is_csv,
            notes=notes,
        )

    def _worth_counting(self, opened: Opened, weeks: Sequence[date]) -> set[str]:
        """Leave out the files whose folder names another week."""
        weeks_named = {
            table.opened: self._reader.monday(table.folder_week) for table in self._tables.values()
        }
        return {
            item for item in opened.items if (named := weeks_named[item]) is None or named in weeks
        }

    def _table(self, file: DataFile) -> _Table:
        if file.state not in self._tables:
            make = self._csv_table if file.kind == "csv" else self._parquet_table
            self._tables[file.state] = make(file)
        return self._tables[file.state]

    def _csv_table(self, file: DataFile) -> _Table:
        config, copies = self._config, self._engine.folder / "text"
        text = open_text(file, config.encoding, config.delimiter, self._columns.wanted, copies)
        inside = [Column(f"cardwatch_{at}", "VARCHAR", name) for at, name in enumerate(text.names)]
        return self._described(file, str(text.path), inside, _csv_options(text, inside))

    def _parquet_table(self, file: DataFile) -> _Table:
        _check_whole(file)
        path = str(file.path)
        with reading(file.shown):
            described = self._engine.rows(
                f"DESCRIBE SELECT * FROM read_parquet({path_list([path])}, hive_partitioning=false)"
            )
        inside = [
            Column(identifier(row["column_name"]), row["column_type"], row["column_name"])
            for row in described
        ]
        return self._described(file, path, inside, "")

    def _described(
        self, file: DataFile, opened: str, inside: Sequence[Column], options: str
    ) -> _Table:
        """Match columns; a folder's name supplies one that the file lacks."""
        named = {column.name.strip().casefold() for column in inside}
        wanted = [key for key in file.partition if key.casefold() in self._columns.wanted]
        outside = [key for key in wanted if key.casefold() not in named]
        if outside and len(outside) < len(wanted):
            raise SourceError(
                "A column is both in the file and in the name of its folder",
                where=file.shown,
                observed=", ".join(key for key in wanted if key not in outside),
                next_step="Rename the folder, or leave the column out of the file",
            )
        columns = (*inside, *(Column(identifier(key), "VARCHAR", key) for key in outside))
        layout = find_layout([column.name for column in columns], self._columns, file.shown)
        return _Table(file, opened, columns, len(outside), options, layout)

    def _part(self, tables: Sequence[_Table]) -> Part:
        first = tables[0]
        return make_part(
            first.layout,
            first.columns,
            [table.opened for table in tables],
            _file_scan(first),
            self._reader,
            self._engine,
            prefix=len(first.opened) - len(first.file.name),
            outside=first.outside,
        )

    def _without_copies(self, tables: Sequence[_Table]) -> tuple[list[_Table], tuple[str, ...]]:
        """Leave out files that have the content of an earlier one, and say so."""
        alike = Counter((table.file.size, table.folder_values) for table in tables)
        first: dict[tuple[object, ...], _Table] = {}
        kept, notes = [], []
        for table in tables:
            key: tuple[object, ...] = (table.opened,)
            if alike[table.file.size, table.folder_values] > 1:
                key = (self._digest(table.file), table.folder_values)
            if earlier := first.get(key):
                notes.append(
                    f"{table.file.shown} has the same content as {earlier.file.shown};"
                    " it was read once."
                )
            else:
                first[key] = table
                kept.append(table)
        return kept, tuple(notes)

    def _content(self, table: _Table) -> str:
        return json.dumps([self._digest(table.file), table.folder_values])

    def _digest(self, file: DataFile) -> str:
        if file.state not in self._digests:
            try:
                with file.path.open("rb") as stream:
                    self._digests[file.state] = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError as error:
                raise unreadable_file(file.shown, error) from error
        return self._digests[file.state]


def _grouped(tables: Sequence[_Table]) -> list[list[_Table]]:
    groups: dict[tuple[object, ...], list[_Table]] = {}
    for table in tables:
        groups.setdefault(table.group, []).append(table)
    return list(groups.values())


def _check_one_shape(tables: Sequence[_Table]) -> None:
    by_shape = {table.layout.shape: table.file.shown for table in tables}
    if len(by_shape) > 1:
        raise SourceError(
            "Weekly rows and transactions are mixed",
            observed=f"{by_shape['weekly']} and {by_shape['transactions']}",
            expected="files of one shape",
            next_step="Move one kind away, or set data_source.path to a glob",
        )


def _check_whole(file: DataFile) -> None:
    """Check the marks at both ends of a Parquet file; its index is at the end."""
    try:
        with file.path.open("rb") as stream:
            begin = stream.read(4)
            stream.seek(max(file.size - 4, 0))
            end = stream.read(4)
    except OSError as error:
        raise unreadable_file(file.shown, error) from error
    if begin == end == _PARQUET_MARK and file.size > 8:
        return
    observed = "another kind of file"
    if not file.size:
        observed = "an empty file"
    elif begin == _PARQUET_MARK:
        observed = "a file that was cut short"
    raise SourceError(
        "This is not a whole Parquet file",
        where=file.shown,
        observed=observed,
        next_step="Deliver the file again",
    )


def _csv_options(text: TextFile, columns: Sequence[Column]) -> str:
    kinds = ", ".join(f"'{column.sql}': 'VARCHAR'" for column in columns)
    compression = "gzip" if text.compressed else "none"
    return (
        f", auto_detect=false, header=true, delim={text_literal(text.delimiter)}"
        f", quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false"
        f", strict_mode=true, null_padding=false, max_line_size={MAX_LINE_BYTES}"
        f", compression='{compression}', columns={{{kinds}}}"
    )


def _file_scan(table: _Table) -> Callable[[Sequence[str]], str]:
    function = "read_csv" if table.file.kind == "csv" else "read_parquet"
    folders = "true" if table.outside else "false"
    options = (
        f"{table.options}, filename='{ITEM}', hive_partitioning={folders}"
        ", hive_types_autocast=false"
    )
    return lambda items: f"{function}({path_list(items)}{options})"
