"""Bad input of every kind, given to the whole program: one clear line, and nothing half written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import cardwatch, contents, failure
from good_rows import (
    AMOUNT,
    CUSTOMERS,
    SECRET,
    WEEKS,
    Files,
    assert_whole,
    deliver,
    good,
    line,
    with_lines,
)
from small_portfolio import WEEK, ScoredWeek, as_csv, of_weeks, portfolio_rows, write_parquet

from cardwatch.outputs import restore

HEADER = '"customer_id","reporting_week","mcc","spend_amount","transaction_count"\n'


def changed(change: Callable[[str], str | bytes]) -> Callable[[], Files]:
    return lambda: {"a.csv": change(good())}


def wide() -> Files:
    first, *others = good().splitlines()
    names = ",".join(f"c{number}" for number in range(995))
    row = "," + ",".join("x" * 995)
    return {"a.csv": "\n".join([f"{first},{names}", *(other + row for other in others)]) + "\n"}


def damaged_parquet() -> Files:
    """Damage the mcc column, which nothing reads before the contract does."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_parquet(portfolio_rows(CUSTOMERS, WEEKS), Path(folder) / "made")
        content = bytearray((path / "spend.parquet").read_bytes())
        groups = pq.ParquetFile(path / "spend.parquet").metadata
        column = groups.row_group(0).column(groups.schema.names.index("mcc"))
        start = column.data_page_offset
        content[start : start + column.total_compressed_size // 2] = b"\xff" * (
            column.total_compressed_size // 2
        )
    return {"a.parquet": bytes(content)}


def half_a_parquet() -> Files:
    with tempfile.TemporaryDirectory() as folder:
        path = write_parquet(portfolio_rows(CUSTOMERS, WEEKS), Path(folder) / "made")
        content = (path / "spend.parquet").read_bytes()
    return {"a.parquet": content[: len(content) // 2]}


def without_most_of_the_week() -> Files:
    rows = portfolio_rows(CUSTOMERS, WEEKS).drop_columns("avg_ticket_amount")
    before = of_weeks(rows, WEEK.window(WEEKS))
    return {"a.csv": as_csv(before), "b.csv": as_csv(of_weeks(rows, [WEEK]).slice(0, 20))}


@dataclass(frozen=True)
class Bad:
    """What is delivered or asked for, how the command ends, and what it says.

    Where the run goes on, `quarantined` are the rows set aside by reason, and `says` is on the
    screen rather than in the one line of an error.
    """

    exit_code: int
    says: tuple[str, ...] = ()
    files: Callable[[], Files] = with_lines()
    options: tuple[str, ...] = ()
    settings: str = ""
    quarantined: Mapping[str, int] = field(default_factory=dict)


ODD_IDS = ("a,b", 'say "hi"', "line\nbreak", "cr\rhere", "🦆 é", "=cmd()", "'; DROP TABLE x; --")

TABLE = {
    "an empty file": Bad(3, ("The file is empty", "a.csv"), lambda: {"a.csv": ""}),
    "a header only": Bad(3, ("column names and no rows",), lambda: {"a.csv": HEADER}),
    "a delimiter nobody expects": Bad(
        3, ("a.csv", "data_source.delimiter"), changed(lambda text: text.replace(",", "^"))
    ),
    "another delimiter": Bad(0, (), changed(lambda text: text.replace(",", ";"))),
    "a byte order mark": Bad(0, (), changed(lambda text: text.encode("utf-8-sig"))),
    "lines that end as on Windows": Bad(0, (), changed(lambda text: text.replace("\n", "\r\n"))),
    "Latin-1": Bad(
        3,
        ("not written in utf-8", "a.csv, line 16", "data_source.encoding: latin-1"),
        lambda: {"a.csv": (good() + line(customer_id="José")).encode("latin-1")},
    ),
    "Latin-1, said so": Bad(
        0,
        (),
        lambda: {"a.csv": (good() + line(customer_id="José")).encode("latin-1")},
        settings="data_source: {encoding: latin-1}",
    ),
    "a Parquet cut in half": Bad(3, ("cut short", "a.parquet"), half_a_parquet),
    "a Parquet damaged inside": Bad(
        3, ("could not be read to the end", "found a failed read."), damaged_parquet
    ),
    "a thousand columns": Bad(0, (), wide),
    "a line of 30 megabytes": Bad(
        3,
        ("too long", "a.csv, line 16"),
        lambda: {"a.csv": good() + '"' + "x" * 30_000_000 + '"' + line()},
    ),
    "a line that is cut": Bad(
        3, ("found 2, expected 5", "a.csv, line 16"), with_lines(f"{SECRET},{WEEK}\n")
    ),
    "numbers that are none": Bad(
        0,
        ("The amount is not a number.", "The amount is infinite"),
        with_lines(
            *(line(spend_amount=each) for each in ("NaN", "inf", "-inf", "1e308", "1e400")),
            *(line(spend_amount=each) for each in ("ninety", "91.17 EUR", "1'000", "0x10", "")),
            *(line(transaction_count=each) for each in ("nan", "1.5", "-1", "two", "9" * 12)),
            line(transaction_count="0"),
            line(transaction_count=""),
        ),
        settings="contract: {max_quarantined_share: 0.1}",
        quarantined={
            "MISSING_AMOUNT": 1,
            "AMOUNT_NOT_A_NUMBER": 4,
            "AMOUNT_NOT_FINITE": 4,
            "AMOUNT_ABSURD": 1,
            "COUNT_NOT_WHOLE": 3,
            "COUNT_NEGATIVE": 1,
            "COUNT_TOO_LARGE": 1,
            "SPEND_WITHOUT_COUNT": 2,
        },
    ),
    "a refund, and a category no list knows": Bad(
        0, (), with_lines(line(spend_amount=f"-{AMOUNT}"), line(mcc="6543"))
    ),
    "text in every number": Bad(
        4,
        ("TOO_MUCH_QUARANTINED", "AMOUNT_NOT_A_NUMBER", "expected at most 5.0%"),
        changed(lambda text: text.replace(".", "·")),
    ),
    "merchant categories that are none": Bad(
        0,
        ("The merchant category is not four digits.",),
        with_lines(*(line(mcc=each) for each in ("541", "54110", "food", " ", "5411.5"))),
        quarantined={"MISSING_KEY": 1, "MALFORMED_MCC": 4},
    ),
    "dates in three formats": Bad(
        0,
        ("The week or the time of the transaction cannot be read.",),
        with_lines(
            *(line(reporting_week=each) for each in ("2025-11-20", "20.11.2025", "11/20/2025"))
        ),
        quarantined={"WEEK_UNREADABLE": 2},
    ),
    "every date in a format that could be read two ways": Bad(
        3,
        ("data_source.date_format",),
        lambda: {"a.csv": HEADER + line(reporting_week="03/04/2025") * 9},
    ),
    "a week that is not there": Bad(
        3,
        ("no rows for week 2024-10", "8 weeks", "python main.py --reporting-week 2025-46"),
        options=("--reporting-week", "2024-10"),
    ),
    "a week that no year has": Bad(2, ("'2025-99'",), options=("--reporting-week", "2025-99")),
    "SQL for a week": Bad(
        2, ("text of another form",), options=("--reporting-week", "'; DROP TABLE customer; --")
    ),
    "a path for a week": Bad(
        2, ("text of another form",), options=("--reporting-week", "../../etc/passwd")
    ),
    "a week with a line break": Bad(
        2, ("text of another form",), options=("--reporting-week", "2025-46\nx")
    ),
    "a week before the calendar": Bad(
        2, ("The calendar has no such week",), options=("--reporting-week", "0001-02")
    ),
    "odd ids": Bad(0, (), with_lines(*(line(customer_id=each) for each in ODD_IDS))),
    "an id of 10,000 characters": Bad(
        0,
        ("The customer id is longer than an id can be.",),
        with_lines(line(customer_id=SECRET * 1_200)),
        quarantined={"ID_TOO_LONG": 1},
    ),
    "no id": Bad(0, (), with_lines(line(customer_id="")), quarantined={"MISSING_KEY": 1}),
    "the same file twice": Bad(
        0, ("b.csv has the same content as",), lambda: {"a.csv": good(), "b.csv": good()}
    ),
    "the same rows twice": Bad(
        0,
        ("an exact copy of another one, which was kept",),
        changed(lambda text: text + "".join(text.splitlines(True)[-30:])),
        quarantined={"DUPLICATE_COPY": 30},
    ),
    "rows that contradict each other": Bad(
        0,
        ("say different things",),
        with_lines(line(), line(spend_amount="19.71")),
        quarantined={"DUPLICATE_CONFLICT": 2},
    ),
    "half a feed": Bad(4, ("VOLUME_OUTSIDE_RANGE", "20 rows"), without_most_of_the_week),
    "a card number for an id": Bad(
        4, ("CARD_NUMBER", "column customer_id"), with_lines(line(customer_id="4111111111111111"))
    ),
    "a card number in groups": Bad(
        4, ("CARD_NUMBER",), with_lines(line(customer_id="5555 5555 5555 4444"))
    ),
    "other column names": Bad(
        3,
        ("missing: customer_id", "found client"),
        changed(lambda text: text.replace('"customer_id"', '"client"')),
    ),
    "nothing at all": Bad(3, ("no data files",), lambda: {"readme.txt": "hello"}),
    "a setting that does not exist": Bad(
        2, ("top_m", "Did you mean ranking.top_n?", "config.yaml"), settings="ranking: {top_m: 5}"
    ),
    "a tab in the configuration": Bad(
        2, ("a tab where spaces are needed",), settings="ranking:\n\ttop_n: 5"
    ),
    "a memory limit of words": Bad(
        2, ("engine.memory_limit",), settings="engine: {memory_limit: x}"
    ),
    "a log file that is a folder": Bad(
        2, ("The log file cannot be opened",), settings="logging: {file: config}"
    ),
    "results where a file is": Bad(
        6, ("A file stands where a folder",), options=("--output-dir", "config/config.yaml")
    ),
}

DEAR = ("a thousand columns", "a line of 30 megabytes")
SHOWN_BY_PARTS = (
    "another delimiter",
    "a byte order mark",
    "lines that end as on Windows",
    "a refund, and a category no list knows",
    "merchant categories that are none",
    "dates in three formats",
    "odd ids",
    "no id",
    "the same rows twice",
)
"""Runs that go on, as others here do; what becomes of rows, tests of source and contract show."""


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(bad, id=name, marks=[pytest.mark.system] * (name in DEAR + SHOWN_BY_PARTS))
        for name, bad in TABLE.items()
    ],
)
def test_bad_input_is_one_clear_line_and_nothing_is_half_written(
    bad: Bad, tmp_path: Path, good_run: ScoredWeek
) -> None:
    shutil.copytree(good_run.outputs, tmp_path / "outputs")
    deliver(tmp_path, bad.files(), bad.settings)
    options = ("--source", "data", "--reporting-week", WEEK.label, *bad.options)
    if bad.exit_code:
        assert_stopped(tmp_path, bad, options, good_run)
    else:
        assert_went_on(tmp_path, bad, options)


def assert_stopped(folder: Path, bad: Bad, options: tuple[str, ...], good_run: ScoredWeek) -> None:
    said = failure(cardwatch(folder, "run", *options, code=bad.exit_code))
    assert [words for words in bad.says if words not in said] == []
    assert contents(folder / "outputs") == contents(good_run.outputs)
    assert [secret for secret in (SECRET, AMOUNT) if secret in said + log(folder)] == []


def log(folder: Path) -> str:
    path = folder / "logs" / "app.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def assert_went_on(folder: Path, bad: Bad, options: tuple[str, ...]) -> None:
    done = cardwatch(folder, "run", *options)
    run = ScoredWeek(WEEK, folder, done)
    said = " ".join(done.out.split())
    assert [words for words in bad.says if words not in said] == []
    counts = run.manifest["counts"]
    assert counts["rows_by_reason"] == bad.quarantined
    assert counts["rows_in"] == counts["rows_accepted"] + sum(bad.quarantined.values())
    assert counts["customers_in"] == counts["customers_scored"] + sum(
        counts["customers_unscored"].values()
    )
    assert_whole(run)
    assert [secret for secret in (SECRET, AMOUNT) if secret in done.err + log(folder)] == []


def test_odd_ids_arrive_whole_in_every_file(tmp_path: Path) -> None:
    rich = [line(customer_id=each, spend_amount="99999", mcc="7995") for each in ODD_IDS]
    deliver(tmp_path, with_lines(*rich)(), "ranking: {top_n: 40}")
    run = ScoredWeek.run(tmp_path, Path("data"), WEEK)
    in_json = [customer["customer_id"] for customer in run.document["customers"]]
    in_csv = [row["customer_id"] for row in run.list_rows]
    assert set(ODD_IDS) <= set(in_json)
    assert [restore(each) for each in in_csv] == in_json
    assert not any(each.startswith(("=", "+", "-", "@", "\t", "\r")) for each in in_csv)
    assert set(ODD_IDS) <= set(run.scores["customer_id"].to_pylist())
    for name in ("line\nbreak", "=cmd()"):
        story = cardwatch(tmp_path, "explain", name, "--source", "data").out
        assert story.splitlines()[0].endswith("week 2025-46 (17–23 November 2025)")
