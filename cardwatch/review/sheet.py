"""The sheet that analysts fill in: read whole, or every bad line is named and nothing taken.

Spreadsheets save CSV in many ways: UTF-8 with or without a byte order mark, UTF-16, Windows-1252;
with commas, semicolons or tabs. All of them are read. Columns may stand in any order, and columns
of other names are passed over.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from cardwatch.errors import ConfigurationError
from cardwatch.outputs import restore
from cardwatch.review.verdicts import Review, Verdict
from cardwatch.week import ReportingWeek

NEEDED = ("customer_id", "reporting_week", "verdict")
SAID = ("cause", "action_taken", "note")
NO_VERDICT = "something is said and the verdict is missing"
NO_SUCH_VERDICT = f"the verdict is none of {', '.join(Verdict)}"
NO_WEEK = "the week is none such as 2025-46, 2025-W47 or 2025-11-20"
TWICE = "the customer has a line for this week already"
NO_TIME = "reviewed_at is no date and time such as 2025-11-25T09:30"
NOT_LISTED = "the customer is not on the list of that week"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
         (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


@dataclass(frozen=True)
class SheetLine:
    """A line with a verdict; `is_timed` where it says itself when the decision was made."""

    line: int
    review: Review
    is_timed: bool


@dataclass(frozen=True)
class Sheet:
    """The lines with a verdict, and what is wrong with others, by their number."""

    lines: tuple[SheetLine, ...]
    problems: Mapping[int, str]


def read_sheet(content: bytes, where: str, *, reviewer: str, now: datetime) -> Sheet:
    """Read the lines with a verdict; lines nobody has filled in are passed over.

    Parameters
    ----------
    where : str
        What the file is called in messages.
    reviewer : str
        Who decided, where a line does not say.
    now : datetime.datetime
        When, where a line does not say.

    Raises
    ------
    ConfigurationError
        If the file is no sheet.
    """
    found: list[SheetLine] = []
    problems: dict[int, str] = {}
    seen: set[tuple[str, str]] = set()
    for line, cells in _rows(content, where):
        if not cells["verdict"]:
            if any(cells.get(name) for name in SAID):
                problems[line] = NO_VERDICT
            continue
        try:
            review, is_timed = _review(cells, reviewer, now)
        except _BadLine as bad:
            problems[line] = bad.problem
            continue
        key = (review.customer_id, review.reporting_week)
        if key in seen:
            problems[line] = TWICE
        seen.add(key)
        found.append(SheetLine(line, review, is_timed))
    return Sheet(tuple(found), problems)


def refuse(problems: Mapping[int, str], where: str) -> None:
    """Raise if there is a problem; lines with the same one are named together, without a value.

    Raises
    ------
    ConfigurationError
        Naming every line.
    """
    if not problems:
        return
    lines: dict[str, list[int]] = {}
    for line in sorted(problems):
        lines.setdefault(problems[line], []).append(line)
    said = (
        f"line{'s' * (len(of) > 1)} {', '.join(map(str, of))}: {what}" for what, of in lines.items()
    )
    raise ConfigurationError(
        "The reviews were not imported, none of them",
        where=where,
        observed="; ".join(said),
        next_step="Correct these lines and import the file again",
    )


class _BadLine(Exception):
    def __init__(self, problem: str) -> None:
        self.problem = problem


def _review(cells: Mapping[str, str], reviewer: str, now: datetime) -> tuple[Review, bool]:
    at = cells.get("reviewed_at", "")
    try:
        verdict = Verdict.read(cells["verdict"])
    except ValueError:
        raise _BadLine(NO_SUCH_VERDICT) from None
    try:
        label = ReportingWeek.parse(cells["reporting_week"]).label
    except ConfigurationError:
        raise _BadLine(NO_WEEK) from None
    try:
        when = datetime.fromisoformat(at) if at else now
    except ValueError:
        raise _BadLine(NO_TIME) from None
    try:
        review = Review(
            customer_id=cells["customer_id"],
            reporting_week=label,
            verdict=verdict,
            cause=cells.get("cause", ""),
            action_taken=cells.get("action_taken", ""),
            note=cells.get("note", ""),
            reviewer=cells.get("reviewer") or reviewer,
            reviewed_at=when if when.tzinfo else when.replace(tzinfo=UTC),
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        fault = "missing" if first["type"] == "string_too_short" else "too long"
        raise _BadLine(f"{first['loc'][0]} is {fault}") from None
    return review, bool(at)


def _rows(content: bytes, where: str) -> Iterator[tuple[int, dict[str, str]]]:
    text = _text(content)
    header = next(iter(text.splitlines()), "")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = [name.strip().lower().replace(" ", "_") for name in next(reader, [])]
        if missing := [name for name in NEEDED if name not in names]:
            raise ConfigurationError(
                "The file is no sheet of reviews",
                where=where,
                observed=f"no column {missing[0]}",
                expected=f"at least the columns {', '.join(NEEDED)}",
                next_step="Fill in the reviews_YYYY-WW.csv that a run writes beside its list",
            )
        line = reader.line_num + 1
        for row in reader:
            cells = {
                name: restore(cell if name == "customer_id" else cell.strip())
                for name, cell in zip(names, row, strict=False)
            }
            if any(cells.values()):
                yield line, {name: cells.get(name, "") for name in names}
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigurationError(
            "The file is no CSV", where=f"{where}, line {reader.line_num}", observed=str(error)
        ) from error


def _text(content: bytes) -> str:
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return content.decode(encoding, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
