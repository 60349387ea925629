"""What runs export for Prometheus."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from published_weeks import WEEK
from recorded_runs import RAN, run

from cardwatch.monitoring.last_run import LastRun
from cardwatch.monitoring.metrics import RUN_FILE, run_metrics, write_metrics
from cardwatch.monitoring.settings import MetricsSettings
from cardwatch.schema import Drift, Shift


@pytest.mark.parametrize(("psi", "judged"), [(0.09, 0), (0.2, 1), (0.3, 2)])
def test_drift_is_exported_as_it_is_told(psi: float, judged: int) -> None:
    def exported(usual: float) -> dict[str, float]:
        shifts = (Shift("refunds", "refunds", psi, usual), Shift("own", "own spend", 0.01, usual))
        drift = Drift(((WEEK - 1).label,), Shift("", "scores", psi, usual), shifts)
        recorded = run().model_copy(update={"drift": drift})
        last = LastRun(command="cardwatch run", finished_at=RAN, exit_code=0)
        registry = run_metrics(last, [run(1), recorded])
        names = ("score_drift_status", "features_moved", "score_drift_psi")
        return {name: registry.get_sample_value(f"cardwatch_{name}") or 0.0 for name in names}

    told = {"score_drift_status": judged, "features_moved": int(judged > 0), "score_drift_psi": psi}
    assert exported(usual=0.02) == told
    quiet = {"score_drift_status": 0, "features_moved": 0, "score_drift_psi": psi}
    assert exported(usual=0.5) == quiet, "of few customers it is chance"


def test_every_row_is_counted_once_with_its_reason(tmp_path: Path) -> None:
    recorded = run(
        rows_in=100,
        rows_accepted=93,
        rows_quarantined=7,
        rows_by_reason={"MALFORMED_MCC": 5, "UNIT_ERROR": 2, "AVERAGE_TICKET_DISAGREES": 9},
    )
    last = LastRun(command="cardwatch run", finished_at=RAN, exit_code=0)
    settings = MetricsSettings(textfile_directory=tmp_path)
    write_metrics(run_metrics(last, [recorded]), settings, RUN_FILE)
    rows = {
        sample.labels["reason"]: sample.value
        for family in text_string_to_metric_families((tmp_path / RUN_FILE).read_text())
        for sample in family.samples
        if sample.name == "cardwatch_rows"
    }
    assert {reason: number for reason, number in rows.items() if number} == {
        "": 93, "MALFORMED_MCC": 5, "UNIT_ERROR": 2,
    }  # fmt: skip
    assert rows["DUPLICATE_COPY"] == 0
    assert "AVERAGE_TICKET_DISAGREES" not in rows
    assert [path.name for path in tmp_path.iterdir()] == [RUN_FILE]
