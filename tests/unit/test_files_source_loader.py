from __future__ import annotations

import traceback

import pyarrow as pa
import pytest

from cardwatch.config import Config
from cardwatch.engine import Engine
from cardwatch.errors import SourceError
from cardwatch.loader import DataLoader
from cardwatch.sources.base import Source
from cardwatch.sources.memory import MemorySource
from cardwatch.week import ReportingWeek

ROWS = pa.table(
    {
        "customer_id": ["a", "b"],
        "reporting_week": ["2025-45", "2025-46"],
        "mcc": ["5411", "5411"],
        "spend_amount": ["1.00", "2.00"],
        "transaction_count": ["1", "1"],
    }
)


def from_memory(config: Config, engine: Engine) -> Source:
    return MemorySource(ROWS, engine)


def test_test_connection_says_on_standard_output_what_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with DataLoader(Config(), from_memory) as loader:
        report = loader.test_connection()
    assert capsys.readouterr().out == report.summary + "\n"
    assert report.rows == 2


def test_what_keeps_the_source_from_being_reached_is_not_buried_in_a_traceback() -> None:
    """The guide calls it from ``python -c``, where a traceback is all that is seen."""
    address = "postgresql://reader:S3cret@127.0.0.1:1/cards"
    source = {"type": "database", "connection_string": address, "attempts": 1}
    with (
        DataLoader(Config.model_validate({"data_source": source})) as loader,
        pytest.raises(SourceError) as caught,
    ):
        loader.test_connection()
    shown = "".join(traceback.format_exception(caught.value)).splitlines()
    assert shown[-1].startswith("cardwatch.errors.SourceError: No database server answers (")
    assert len([line for line in shown if line.startswith("  File ")]) == 2  # here, and there
    assert "S3cret" not in "".join(shown)


def test_read_takes_a_label_and_the_configured_number_of_reference_weeks() -> None:
    with DataLoader(Config(), from_memory) as loader:
        delivery = loader.read("2025-46")
        assert len(delivery.reference_weeks) == Config().feature_engineering.reference_weeks
        assert len(loader.engine.rows(delivery.select([delivery.week]))) == 1
        assert loader.read(ReportingWeek.parse("2025-45"), 1).reference_weeks[0].label == "2025-44"
        assert [week.rows for week in loader.weeks()] == [1, 1]


def test_closing_deletes_what_the_engine_kept() -> None:
    loader = DataLoader(Config(), from_memory)
    folder = loader.engine.folder
    assert folder.exists()
    loader.close()
    assert not folder.exists()
