"""A small generated portfolio: its rows in several forms, and what a run of one week leaves."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from command_line import Outcome, cardwatch

from cardwatch.cli import main
from cardwatch.outputs import OutputFile
from cardwatch.sources.sample import SamplePortfolio
from cardwatch.week import ReportingWeek

WEEK = ReportingWeek.parse("2025-46")
WEEKS = 20
CUSTOMERS = 300


@cache
def portfolio_rows(customers: int = CUSTOMERS, weeks: int = WEEKS) -> pa.Table:
    """Return all rows of a generated portfolio whose last week is `WEEK`."""
    return pa.concat_tables(SamplePortfolio(customers, weeks, seed=11, last_week=WEEK).tables())


def shuffled(rows: pa.Table) -> pa.Table:
    """Return the rows in another order."""
    order = list(range(rows.num_rows))
    Random(3).shuffle(order)
    return rows.take(order)


def of_weeks(rows: pa.Table, weeks: Sequence[ReportingWeek]) -> pa.Table:
    """Return the rows of some weeks."""
    labels = pa.array([week.label for week in weeks])
    return rows.filter(pc.is_in(rows["reporting_week"], labels))


def as_csv(rows: pa.Table) -> str:
    """Return the rows as CSV text."""
    sink = io.BytesIO()
    pa_csv.write_csv(rows, sink)
    return sink.getvalue().decode()


def write_parquet(rows: pa.Table, folder: Path) -> Path:
    """Write one Parquet file of rows into a new folder, and return the folder."""
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "spend.parquet")
    return folder


@dataclass(frozen=True)
class ScoredWeek:
    """A run of one week: the folder it was run in, what it printed and what it wrote."""

    week: ReportingWeek
    folder: Path
    done: Outcome

    @classmethod
    def run(
        cls, folder: Path, source: Path, week: ReportingWeek, *options: str, **variables: str
    ) -> ScoredWeek:
        """Run a week in `folder`, results in ``outputs`` there."""
        arguments = ["--reporting-week", week.label, "--output-dir", "outputs", *options]
        done = cardwatch(
            folder, "run", "--source", source, *arguments, code=0, entry=main, **variables
        )
        return cls(week, folder, done)

    @property
    def outputs(self) -> Path:
        """The output folder."""
        return self.folder / "outputs"

    def path(self, file: OutputFile) -> Path:
        """Return the path of one of the week's files."""
        return self.outputs / file.of(self.week)

    @property
    def list_rows(self) -> list[dict[str, str]]:
        """The list as the CSV tells it."""
        with self.path(OutputFile.LIST_CSV).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @property
    def document(self) -> dict[str, Any]:
        """The list as the JSON tells it."""
        return read_json(self.path(OutputFile.LIST_JSON))

    @property
    def manifest(self) -> dict[str, Any]:
        """The record of the run."""
        return read_json(self.path(OutputFile.MANIFEST))

    @property
    def scores(self) -> pa.Table:
        """Every customer's score."""
        return pq.read_table(self.path(OutputFile.SCORES))

    @property
    def results(self) -> dict[str, bytes]:
        """The bytes of everything but the manifest, which tells when the run took place."""
        kinds = (
            OutputFile.LIST_CSV,
            OutputFile.LIST_JSON,
            OutputFile.SCORES,
            OutputFile.QUARANTINE,
        )
        return {kind.of(self.week): self.path(kind).read_bytes() for kind in kinds}


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file."""
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content
