"""Files that cannot be read as they are: each gives one clear line and the right exit code."""

from __future__ import annotations

import gzip
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from cardwatch.config import DataSourceConfig
from cardwatch.engine import Engine
from cardwatch.errors import CardwatchError
from cardwatch.sources.files import FilesSource
from cardwatch.week import ReportingWeek

HEADER = "customer_id,reporting_week,mcc,spend_amount,transaction_count\n"
ROW = "CUST00007,2025-46,5411,91.17,1\n"
SECRET = "CUST00007"
WEEK = ReportingWeek.parse("2025-46")


def parquet_bytes() -> bytes:
    sink = pa.BufferOutputStream()
    names = HEADER.strip().split(",")
    values = ROW.strip().split(",")
    rows = pa.table({name: [value] * 1000 for name, value in zip(names, values, strict=True)})
    pa.parquet.write_table(rows, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


PARQUET = parquet_bytes()
GZIPPED = gzip.compress((HEADER + ROW * 1000).encode())


@dataclass(frozen=True)
class Bad:
    """A bad delivery: its files, the settings, and what its error must say."""

    files: dict[str, bytes | str]
    says: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 3
    name: str = ""


CASES = {
    "an empty file": Bad({"a.csv": ""}, ("empty", "a.csv")),
    "only blank lines": Bad({"a.csv": "\n\n"}, ("empty", "a.csv")),
    "an empty file beside a good one": Bad({"a.csv": HEADER + ROW, "b.csv": ""}, ("b.csv",)),
    "an empty Parquet": Bad({"a.parquet": b""}, ("an empty file", "a.parquet")),
    "a header only": Bad({"a.csv": HEADER}, ("column names and no rows",)),
    "a header without its line end": Bad({"a.csv": HEADER.strip()}, ("column names and no rows",)),
    "no header": Bad({"a.csv": ROW * 3}, ("looks like data", "column names")),
    "a delimiter nobody expects": Bad(
        {"a.csv": (HEADER + ROW).replace(",", "^")},
        ("cannot be told apart", "data_source.delimiter"),
    ),
    "another delimiter than configured": Bad(
        {"a.csv": (HEADER + ROW).replace(",", ";")},
        ("data_source.delimiter", "found semicolon, expected bar"),
        {"delimiter": "|"},
        exit_code=2,
    ),
    "a delimiter that changes after the header": Bad(
        {"a.csv": HEADER + ROW.replace(",", ";")},
        ("a.csv, line 2", "found 1, expected 5"),
    ),
    "a row that is too short": Bad(
        {"a.csv": HEADER + ROW + "CUST00007,2025-46\n" + ROW},
        ("a.csv, line 3", "found 2, expected 5"),
    ),
    "a row that is too long": Bad(
        {"a.csv": HEADER + ROW + ROW.strip() + ",5\n"}, ("a.csv, line 3", "found 6, expected 5")
    ),
    "a short row in the second file": Bad(
        {"a.csv": HEADER + ROW, "b.csv": HEADER + "CUST00007\n"}, ("b.csv, line 2",)
    ),
    "a thousands separator": Bad(
        {"a.csv": HEADER + ROW.replace("91.17", "1,091.17")}, ("found 6, expected 5",)
    ),
    "a quote that is not closed": Bad(
        {"a.csv": HEADER + '"' + ROW * 3}, ("a.csv", "a quote that is not closed")
    ),
    "a file cut in the middle of a value": Bad({"a.csv": HEADER + ROW + '"CUST0'}, ("a.csv",)),
    "a quote in the middle of a value": Bad(
        {"a.csv": HEADER + '"CUST"00007,2025-46,5411,1,1\n'}, ("a.csv",)
    ),
    "line ends of two kinds": Bad(
        {"a.csv": HEADER.replace("\n", "\r\n") + ROW * 3}, ("a.csv", "line ends of two kinds")
    ),
    "Latin-1": Bad(
        {"a.csv": (HEADER + ROW + ROW.replace("C", "é")).encode("latin-1")},
        ("not written in utf-8", "a.csv, line 3", "data_source.encoding: latin-1"),
    ),
    "Latin-1 in a column that is not used": Bad(
        {"a.csv": (HEADER.strip() + ",note\n" + ROW.strip() + ",caf\xe9\n").encode("latin-1")},
        ("not written in utf-8", "a.csv, line 2"),
    ),
    "UTF-16": Bad({"a.csv": (HEADER + ROW).encode("utf-16")}, ("data_source.encoding: utf-16",)),
    "UTF-8 that ends in the middle of a letter": Bad(
        {"a.csv": (HEADER + ROW).encode() + b"\xc3"}, ("not written in utf-8", "line 3")
    ),
    "another encoding than configured": Bad(
        {"a.csv": (HEADER + ROW + "caf\x81,").encode("latin-1")},
        ("not written in cp1252", "data_source.encoding"),
        {"encoding": "cp1252"},
    ),
    "no text at all": Bad({"a.csv": b"\x00\x01\x02" * 100}, ("first line cannot be read",)),
    "a gzip cut in half": Bad(
        {"a.csv.gz": GZIPPED[: len(GZIPPED) // 2]}, ("cut short or damaged", "a.csv.gz")
    ),
    "a gzip with another checksum": Bad(
        {"a.csv.gz": GZIPPED[:-8] + bytes(8)}, ("cut short or damaged", "a.csv.gz")
    ),
    "a Parquet cut in half": Bad(
        {"a.parquet": PARQUET[: len(PARQUET) // 2]}, ("a file that was cut short", "a.parquet")
    ),
    "a Parquet with a broken index": Bad(
        {"a.parquet": PARQUET[:-900] + b"\xff" * 892 + PARQUET[-8:]}, ("a.parquet",)
    ),
    "a Parquet with broken rows": Bad(
        {"a.parquet": PARQUET[:4] + b"\xff" * 400 + PARQUET[404:]}, ("cannot be read",)
    ),
    "text that is called Parquet": Bad(
        {"a.parquet": HEADER + ROW}, ("not a whole Parquet file", "another kind of file")
    ),
    "CSV and Parquet": Bad({"a.csv": HEADER + ROW, "b.parquet": PARQUET}, ("a.csv", "b.parquet")),
    "both shapes": Bad(
        {
            "a.csv": HEADER + ROW,
            "b.csv": "customer_id,transaction_time,mcc,amount\nCUST00007,2025-11-20,5411,1\n",
        },
        ("a.csv and", "b.csv", "files of one shape"),
    ),
    "other names": Bad(
        {"a.csv": "CustomerID;week;code;spend;n\n" + ROW.replace(",", ";")},
        ("missing: customer_id, reporting_week", "found CustomerID, week, code, spend, n"),
    ),
    "a thousand columns, none of ours": Bad(
        {"a.csv": ",".join(f"c{n}" for n in range(1000)) + "\n"}, ("and 988 more",)
    ),
    "a column twice": Bad(
        {"a.csv": HEADER.strip() + ",mcc\n" + ROW.strip() + ",1\n"}, ("'mcc' is there 2 times",)
    ),
    "dates that could be read two ways": Bad(
        {"a.csv": HEADER + ROW.replace("2025-46", "03/04/2025")},
        ("'99/99/9999'", "data_source.date_format"),
    ),
    "dates that do not follow the format": Bad(
        {"a.csv": HEADER + ROW.replace("2025-46", "20.11.2025")},
        ("'99.99.9999'", "expected the format %d/%m/%Y"),
        {"date_format": "%d/%m/%Y"},
    ),
    "a format without a day": Bad(
        {"a.csv": HEADER + ROW}, ("data_source.date_format",), {"date_format": "%Y"}, exit_code=2
    ),
    "weeks that are all empty": Bad(
        {"a.csv": HEADER + ROW.replace("2025-46", "")}, ("reporting_week is empty in every row",)
    ),
    "a path that is not there": Bad({}, ("`cardwatch sample`", "data_source.path"), name="gone"),
    "a glob that matches nothing": Bad({}, ("`cardwatch sample`",), name="*.csv"),
    "a folder without data": Bad({"readme.txt": "hello"}, ("no data files",)),
    "another week": Bad(
        {"a.csv": HEADER + ROW.replace("2025-46", "2025-45")},
        ("no rows for week 2025-46", "python main.py --reporting-week 2025-45"),
    ),
}


def read(folder: Path, engine: Engine, case: Bad) -> None:
    config = DataSourceConfig(path=str(folder / case.name), **case.settings)
    source = FilesSource(config, engine, timezone="UTC", numbering="guide")
    delivery = source.read(WEEK, 2)
    engine.rows(delivery.select([*delivery.reference_weeks, WEEK]))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bad_input_stops_with_one_clear_line(case: Bad, tmp_path: Path, engine: Engine) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, content in case.files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CardwatchError) as raised:
        read(folder, engine, case)
    error = raised.value
    assert error.exit_code == case.exit_code
    assert [text for text in case.says if text not in error.message] == []
    assert "\n" not in error.message
    assert len(error.message) < 1000
    assert_no_values(error)


def assert_no_values(error: BaseException) -> None:
    """Check the message and everything a traceback would print after it."""
    shown: BaseException | None = error
    while shown is not None:
        assert SECRET not in str(shown)
        assert "91.17" not in str(shown)
        shown = None if shown.__suppress_context__ and not shown.__cause__ else shown.__context__


@pytest.mark.parametrize("quoted", [False, True], ids=["plain", "quoted"])
def test_a_line_of_200_megabytes_stops_within_little_memory(
    tmp_path: Path, engine: Engine, quoted: bool
) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as stream:
        stream.write((HEADER + ROW).encode() + (b'"' if quoted else b""))
        for _ in range(200):
            stream.write(b"x" * 1_000_000)
        stream.write(b'",' if quoted else b",")
        stream.write(b"2025-46,5411,1,1\n")
    tracemalloc.start()
    try:
        with pytest.raises(CardwatchError, match=r"too long .*a\.csv, line 3") as raised:
            read(tmp_path, engine, Bad({}, (), name="a.csv"))
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert raised.value.exit_code == 3


def test_a_quoted_value_over_many_lines_is_bounded_too(tmp_path: Path, engine: Engine) -> None:
    body = '"' + "x,y\n" * 5_000_000 + '",2025-46,5411,1,1\n'
    (tmp_path / "a.csv").write_text(HEADER + ROW + body, encoding="utf-8")
    with pytest.raises(CardwatchError, match=r"a\.csv") as raised:
        read(tmp_path, engine, Bad({}, (), name="a.csv"))
    assert raised.value.exit_code == 3
    assert_no_values(raised.value)


def test_a_thousand_columns_are_read(tmp_path: Path, engine: Engine) -> None:
    names = HEADER.strip() + "," + ",".join(f"c{n}" for n in range(995))
    row = ROW.strip() + "," + ",".join(["x"] * 995)
    (tmp_path / "a.csv").write_text(f"{names}\n{row}\n", encoding="utf-8")
    config = DataSourceConfig(path=str(tmp_path))
    delivery = FilesSource(config, engine, timezone="UTC", numbering="guide").read(WEEK, 0)
    assert len(delivery.extra_columns) == 995
    assert engine.arrow(delivery.select([WEEK])).shape == (1, 1003)


def test_a_bad_file_leaves_the_engine_usable(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "a.csv").write_bytes((HEADER + ROW.replace("C", "é")).encode("latin-1"))
    with pytest.raises(CardwatchError):
        read(tmp_path, engine, Bad({}, ()))
    assert engine.scalar("SELECT 1") == 1


@pytest.fixture
def locked() -> Iterator[Callable[[str], Path]]:
    """Give a function that makes a file or folder which this process may not read."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)

        def lock(kind: str) -> Path:
            path = folder / "data" if kind == "folder" else folder / "data" / f"a.{kind}"
            (folder / "data").mkdir()
            if kind != "folder":
                path.write_text(HEADER + ROW, encoding="utf-8")
            path.chmod(0o000)
            if user == 0:
                os.seteuid(65534)
            return path

        try:
            yield lock
        finally:
            if user == 0:
                os.seteuid(0)
            (folder / "data").chmod(0o755)


@pytest.mark.parametrize("kind", ["folder", "csv", "parquet"])
def test_what_may_not_be_read_says_so(
    locked: Callable[[str], Path], engine: Engine, kind: str
) -> None:
    path = locked(kind)
    with pytest.raises(CardwatchError, match="permission denied") as raised:
        read(path, engine, Bad({}, ()))
    assert raised.value.exit_code == 3
    assert str(path) in raised.value.message
    assert "read access" in raised.value.message


def test_a_folder_that_may_not_be_entered_says_so(
    locked: Callable[[str], Path], engine: Engine
) -> None:
    path = locked("folder") / "week.csv"
    with pytest.raises(CardwatchError, match="permission denied"):
        read(path, engine, Bad({}, ()))
