"""Opening CSV files: their encoding, their first line, and what separates their columns.

The engine reads UTF-8 only, and one broken byte makes its column-wise reading fail in ways that are
hard to explain. So every file is read through once as text here; a file in another encoding is
copied to UTF-8 in the engine's folder.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from cardwatch.errors import ConfigurationError, SourceError
from cardwatch.sources.discovery import DataFile, unreadable_file
from cardwatch.sources.reading import MAX_LINE_BYTES

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_CHUNK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_UTF8 = ("utf-8", "utf-8-sig")


@dataclass(frozen=True)
class TextFile:
    """A CSV file that is ready for the engine.

    Attributes
    ----------
    path : pathlib.Path
        What the engine opens: the file itself, or its copy in UTF-8.
    names : tuple of str
        The first line, without a byte order mark.
    """

    path: Path
    names: tuple[str, ...]
    delimiter: str
    compressed: bool


def open_text(
    file: DataFile, encoding: str, delimiter: str | None, wanted: frozenset[str], copies: Path
) -> TextFile:
    """Check a CSV file's text and read its first line.

    Parameters
    ----------
    encoding : str
        A name that Python knows.
    delimiter : str or None
        What separates columns; None finds it out.
    wanted : frozenset of str
        Names of columns, in lower case, by which a separator is recognised.
    copies : pathlib.Path
        Folder for copies in UTF-8.

    Raises
    ------
    SourceError
        If the file is empty, damaged or in another encoding, or its columns cannot be told apart.
    ConfigurationError
        If the delimiter that is set is not the file's.
    """
    codec = codecs.lookup(encoding).name
    with _explaining(file, encoding):
        compressed = _is_compressed(file.path)
        copy = None if codec in _UTF8 else copies / file.path.relative_to(file.path.anchor)
        _check_text(file, compressed, "utf-8" if copy is None else codec, copy)
        sample = _beginning(file, compressed, "utf-8-sig" if copy is None else codec)
    names, found = _first_line(file, sample, delimiter, wanted)
    return TextFile(copy or file.path, names, found, compressed and copy is None)


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == _GZIP_MAGIC


def _open(file: DataFile, compressed: bool) -> BinaryIO:
    if compressed:
        return cast(BinaryIO, gzip.open(file.path, "rb"))
    return file.path.open("rb")


def _beginning(file: DataFile, compressed: bool, codec: str) -> str:
    stream = _open(file, compressed)
    with stream, io.TextIOWrapper(stream, codec, newline="") as text:
        return text.read(_CHUNK_BYTES)


def _check_text(file: DataFile, compressed: bool, codec: str, copy: Path | None) -> None:
    """Decode the whole file, writing it to `copy` if there is one; refuse endless lines."""
    line, length = 1, 0
    for text in _decoded(file, compressed, codec, copy):
        end = "\n" if "\n" in text else "\r"
        first, breaks = text.find(end), text.count(end)
        length += len(text) if first < 0 else first
        if length > MAX_LINE_BYTES:
            raise SourceError(
                "A line is too long",
                where=f"{file.shown}, line {line}",
                observed=f"more than {MAX_LINE_BYTES:,} bytes",
                next_step="Check the file's line ends and quotes",
            )
        if breaks:
            line, length = line + breaks, len(text) - 1 - text.rfind(end)


def _decoded(file: DataFile, compressed: bool, codec: str, copy: Path | None) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(codec)()
    target: BinaryIO = io.BytesIO()
    if copy is not None:
        copy.parent.mkdir(parents=True, exist_ok=True)
        target = copy.open("wb")
    with _open(file, compressed) as stream, target:
        line = 1
        while chunk := stream.read(_CHUNK_BYTES):
            try:
                text = decoder.decode(chunk)
            except UnicodeDecodeError as error:
                line += bytes(error.object[: error.start]).count(b"\n")
                raise _undecodable(file, codec, line) from None
            line += text.count("\n")
            if copy is not None:
                target.write(text.encode())
            yield text
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise _undecodable(file, codec, line) from None


def _undecodable(file: DataFile, codec: str, line: int) -> SourceError:
    with file.path.open("rb") as stream:
        begins_as_utf16 = stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    other = "utf-16" if begins_as_utf16 else "latin-1" if codec == "utf-8" else "utf-8"
    return SourceError(
        f"The file is not written in {codec}",
        where=f"{file.shown}, line {line}",
        next_step=f"Set data_source.encoding: {other}, or the encoding it was written in",
    )


def _first_line(
    file: DataFile, sample: str, delimiter: str | None, wanted: frozenset[str]
) -> tuple[tuple[str, ...], str]:
    if not sample.strip():
        raise SourceError("The file is empty", where=file.shown, expected="a line of column names")
    candidates = list(dict.fromkeys([*([delimiter] if delimiter else []), *DELIMITERS]))
    splits = {each: _split(file, sample, each) for each in candidates}
    scores = {each: len(wanted & _lowered(splits[each])) for each in candidates}
    best = max(candidates, key=lambda each: (scores[each], len(splits[each])))
    if delimiter is not None and scores[delimiter] == 0 < scores[best]:
        raise ConfigurationError(
            "The columns are not separated as configured",
            where=f"data_source.delimiter, {file.shown}",
            observed=DELIMITERS.get(best, best),
            expected=DELIMITERS.get(delimiter, delimiter),
            next_step="Leave data_source.delimiter out to have it found",
        )
    chosen = delimiter or best
    if len(splits[chosen]) < 2:
        raise SourceError(
            "The columns cannot be told apart",
            where=file.shown,
            observed="one column in the first line",
            expected=f"columns separated by a {', a '.join(DELIMITERS.values())}",
            next_step="Set data_source.delimiter to the character that separates them",
        )
    return splits[chosen], chosen


def _lowered(names: Sequence[str]) -> set[str]:
    return {name.strip().casefold() for name in names}


def _split(file: DataFile, sample: str, delimiter: str) -> tuple[str, ...]:
    try:
        names = next(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter))
    except csv.Error:
        names = []
    if not names or any("\0" in name for name in names):
        raise SourceError(
            "The first line cannot be read",
            where=file.shown,
            expected="column names, as text",
            next_step="Check that the file is a CSV file and begins with its column names",
        )
    return tuple(names)


@contextmanager
def _explaining(file: DataFile, encoding: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(
            "The compressed file is cut short or damaged",
            where=file.shown,
            next_step="Deliver the file again",
        ) from error
    except (UnicodeError, LookupError) as error:
        raise SourceError(
            f"The file is not written in {encoding}",
            where=file.shown,
            next_step="Set data_source.encoding to the encoding it was written in",
        ) from error
    except OSError as error:
        raise unreadable_file(file.shown, error) from error
