"""Good rows to add bad ones to, and the results that must not suffer from them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
from command_line import contents
from small_portfolio import WEEK, ScoredWeek, as_csv, portfolio_rows

from cardwatch.outputs import OutputFile
from cardwatch.publish.lock import LOCK_NAME

CUSTOMERS, WEEKS = 60, 8
SECRET = "CUST00007"
AMOUNT = "91.17"
RUN = ("run", "--source", "data", "--reporting-week", WEEK.label)
Files = Mapping[str, str | bytes]


@cache
def good() -> str:
    """The rows that everything is added to or taken from, as CSV without average tickets."""
    return as_csv(portfolio_rows(CUSTOMERS, WEEKS).drop_columns("avg_ticket_amount"))


def line(**values: str) -> str:
    """Return one more row: usual, but for `values`."""
    usual = {
        "customer_id": SECRET,
        "reporting_week": WEEK.label,
        "mcc": "5411",
        "spend_amount": AMOUNT,
        "transaction_count": "1",
    }
    cells = (usual | values).values()
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells) + "\n"


def with_lines(*lines: str) -> Callable[[], Files]:
    return lambda: {"a.csv": good() + "".join(lines)}


@pytest.fixture(scope="session")
def good_run(tmp_path_factory: pytest.TempPathFactory) -> ScoredWeek:
    """The week run from good rows; not to be changed."""
    folder = tmp_path_factory.mktemp("good_run")
    (folder / "data").mkdir()
    (folder / "data" / "a.csv").write_text(good(), encoding="utf-8")
    return ScoredWeek.run(folder, Path("data"), WEEK)


def deliver(folder: Path, files: Files, settings: str) -> None:
    (folder / "data").mkdir()
    for name, content in files.items():
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / "data" / name).write_bytes(raw)
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(settings, encoding="utf-8")


def assert_whole(run: ScoredWeek) -> None:
    """Check that the files are those of the manifest, and no others but the list it replaced."""
    recorded = {name: file["sha256"] for name, file in run.manifest["files"].items()}
    found = {name: held for name, held in contents(run.outputs).items() if "superseded" not in name}
    assert {name: hashlib.sha256(found[name]).hexdigest() for name in recorded} == recorded
    beside = {OutputFile.MANIFEST.of(WEEK), OutputFile.REVIEWS.of(WEEK), LOCK_NAME}
    assert found.keys() - recorded.keys() <= beside
    with run.path(OutputFile.QUARANTINE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["row_copies"]) for row in rows) == run.manifest["counts"]["rows_quarantined"]
