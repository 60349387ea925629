from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deliveries import LENIENT, REFERENCE, Row, deliver, row
from published_weeks import WEEK, manifest, publish, week_report

from cardwatch.contract import check_contract
from cardwatch.engine import Engine
from cardwatch.fingerprints import overall_fingerprint
from cardwatch.manifest import RunManifest, load_manifest
from cardwatch.outdated import ScoreRecord, expected_history
from cardwatch.publish.retention import retain
from cardwatch.schema import Checked, Delivery
from cardwatch.settled import missing_files, other_rows, other_scores, other_settings

SETTINGS: dict[str, Any] = {"ranking": {"top_n": 20, "min_spend": 0}, "output": {"format": "csv"}}
HASH = "cd" * 32


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"score_version": "0"}, "the scoring is another one now"),
        ({"configuration_hash": "ef" * 32}, "the settings changed"),
        (
            {
                "configuration_hash": "ef" * 32,
                "configuration": {"ranking": {"top_n": 7}, "output": {"format": "json"}},
            },
            "settings changed: ranking.min_spend, ranking.top_n",
        ),
        (
            {"configuration_hash": "ef" * 32, "configuration": {"ranking": dict.fromkeys("abc")}},
            "settings changed: ranking.min_spend, ranking.top_n",
        ),
        (
            {"configuration_hash": "ef" * 32, "configuration": {"model": dict.fromkeys("abc", 1)}},
            "settings changed: model.a, model.b, model.c, …",
        ),
    ],
)
def test_other_settings_are_named(changes: dict[str, Any], said: str) -> None:
    record = manifest(week_report([]), configuration=SETTINGS).model_copy(update=changes)
    assert other_settings(record, SETTINGS, HASH, "1") == said


def test_files_that_are_gone_are_missed_unless_the_week_was_packed(
    tmp_path: Path, engine: Engine
) -> None:
    publish(tmp_path, engine, {"C-1": 1})
    record = load_manifest(tmp_path / "run_2025-46.json")
    assert missing_files(record, tmp_path) == ()
    (tmp_path / "quarantine_2025-46.csv").unlink()
    assert missing_files(record, tmp_path) == ("quarantine_2025-46.csv",)
    publish(tmp_path, engine, {"C-1": 1})
    publish(tmp_path, engine, {"C-1": 1}, week=WEEK + 1)
    retain(tmp_path, 1, 90, WEEK.sunday)
    assert not (tmp_path / "scores_2025-46.parquet").exists()
    assert missing_files(record, tmp_path) == ()


def test_a_run_whose_cuts_would_rest_on_other_scores_is_told() -> None:
    earlier = [manifest(week_report([], week)) for week in WEEK.window(6)]
    scores = {run.week: ScoreRecord.of(run) for run in earlier}
    run = manifest(week_report([]))
    run = run.model_copy(update={"history": expected_history(WEEK, run.score_basis, scores)})
    assert not other_scores(run, [*earlier, run])
    assert not other_scores(run, [])
    anew = earlier[3].model_copy(update={"score_quantiles": {"0.5": 0.9}})
    assert other_scores(run, [*earlier[:3], anew, *earlier[4:]])


class Source:
    """Rows in the engine with a content key per week, and how often they were checked."""

    def __init__(self, engine: Engine, rows: list[Row], keys: str = "key") -> None:
        self.engine, self.checks, self.released = engine, 0, 0
        delivery = deliver(engine, rows, key=lambda week: f"{keys} {week}" if keys else None)
        self.delivery = replace(delivery, release=self.release)

    def release(self) -> None:
        self.released += 1

    def check(self, delivery: Delivery) -> Checked:
        self.checks += 1
        return check_contract(delivery, LENIENT, self.engine)

    def recorded(self) -> RunManifest:
        """The record of a run over these rows."""
        checked = check_contract(self.delivery, LENIENT, self.engine)
        weeks = checked.input_weeks
        return manifest(week_report([])).model_copy(
            update={
                "input_weeks": weeks,
                "input_fingerprint": overall_fingerprint(weeks, checked.stray_fingerprint),
                "source_keys": dict(checked.source_keys),
            }
        )


def usual_rows() -> list[Row]:
    return [row(week, customer_id=who) for week in range(5) for who in "AB"]


def test_a_source_that_says_nothing_changed_is_not_read(engine: Engine) -> None:
    record = Source(engine, usual_rows()).recorded()
    source = Source(engine, usual_rows())
    assert other_rows(record, source.delivery, source.check) == ""
    assert (source.checks, source.released) == (0, 1)


@pytest.mark.parametrize("keys", ["other files", ""])
def test_the_rows_themselves_decide_where_the_source_cannot_tell(engine: Engine, keys: str) -> None:
    record = Source(engine, usual_rows(), keys="" if not keys else "key").recorded()
    source = Source(engine, usual_rows()[::-1], keys=keys)
    assert other_rows(record, source.delivery, source.check) == ""
    assert (source.checks, source.released) == (1, 1)


def test_changed_new_and_lost_weeks_are_named(engine: Engine) -> None:
    record = Source(engine, usual_rows()).recorded()
    labels = [week.label for week in REFERENCE]
    changed = Source(engine, [*usual_rows(), row(1, customer_id="C")], keys="x")
    assert other_rows(record, changed.delivery, changed.check) == f"the rows of {labels[1]} changed"
    without = [each for each in usual_rows() if each["week_start"] != REFERENCE[2].monday]
    lost = Source(engine, without, keys="x")
    assert other_rows(record, lost.delivery, lost.check) == f"the rows of {labels[2]} changed"
    dropped = Source(engine, usual_rows()[4:], keys="x")
    assert other_rows(record, dropped.delivery, dropped.check) == ""
    stray = Source(engine, [*usual_rows(), row(week_start=None)], keys="x")
    assert other_rows(record, stray.delivery, stray.check) == (
        "the rows whose week cannot be read changed"
    )
