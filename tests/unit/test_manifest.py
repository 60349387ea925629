from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from published_weeks import FAMILIES, WEEK, listed_customer, manifest, week_report

from cardwatch.errors import ConfigurationError
from cardwatch.fingerprints import fingerprint, overall_fingerprint, score_basis
from cardwatch.manifest import FileRecord, HistoryRecord, RunManifest, load_manifest
from cardwatch.reproduction import differences, same_files
from cardwatch.session import installed_versions

REPORT = week_report([listed_customer("C-1", 1)])


def one_file(digest: str = "ab" * 32) -> dict[str, FileRecord]:
    return {"scores_2025-46.parquet": FileRecord(sha256=digest, bytes=3)}


def test_a_manifest_comes_back_from_its_own_text() -> None:
    recorded = manifest(REPORT, files=one_file())
    assert RunManifest.from_json(recorded.to_json()) == recorded


def test_a_manifest_records_what_went_in_and_came_out() -> None:
    recorded = manifest(REPORT)
    assert recorded.reporting_week == "2025-46"
    assert recorded.week == WEEK
    assert recorded.counts.rows_in == 11
    assert recorded.counts.listed == 1
    assert recorded.counts.rows_by_reason == {"MALFORMED_MCC": 1}
    assert recorded.thresholds.high == 0.7
    assert recorded.score_quantiles == {"0.5": 0.1, "0.99": 0.7}
    assert recorded.input_fingerprint == overall_fingerprint(recorded.input_weeks)


def test_a_manifest_is_written_as_json_with_its_version_first() -> None:
    text = manifest(REPORT).to_json()
    assert '\n  "detector_state": {"version": 1},\n' in text
    assert '\n  "seconds": {\n    "read": 0.5\n  },\n' in text
    assert next(iter(json.loads(text))) == "manifest_version"
    assert text.endswith("}\n")


def test_a_manifest_from_before_a_field_was_added_is_read() -> None:
    content = json.loads(manifest(REPORT).to_json())
    for name in ("supersedes_run_id", "source_keys"):
        del content[name]
    earlier = RunManifest.from_json(json.dumps(content))
    assert (earlier.supersedes_run_id, earlier.source_keys) == (None, {})


def test_which_run_was_replaced_and_where_it_was_read_from_are_no_differences() -> None:
    recorded = manifest(REPORT, files=one_file())
    other = manifest(week_report([], WEEK - 1), run_id="run-0")
    again = recorded.replacing(manifest(REPORT, run_id="run-0"))
    assert again.supersedes_run_id == "run-0"
    assert recorded.replacing(other).supersedes_run_id is None
    assert recorded.source_keys == {"2025-45": None, "2025-46": "content"}
    fresh = again.model_copy(update={"source_keys": {"2025-46": "other"}})
    assert differences(recorded, fresh) == []


def broken(**changes: object) -> str:
    return json.dumps({**json.loads(manifest(REPORT).to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not whole JSON"),
        (manifest(REPORT).to_json()[:300], "not whole JSON"),
        (b"\xff\xfe\x00", "not whole JSON"),
        ("[" * 100_000, "not whole JSON"),
        ("[]", "no manifest of a run"),
        ('{"customers": []}', "no manifest of a run"),
        (broken(manifest_version=2), "another version of Cardwatch"),
        (broken(counts={}), "field counts.rows_in"),
        (broken(seed="many"), "field seed"),
        (broken(surprise="me"), "field surprise"),
        (broken(files={"a": {"sha256": "x", "bytes": 1}}), "field files.a.sha256"),
        (broken(started_at="2025-11-24T06:00:00"), "field started_at"),
        (broken(week_start="2025-11-10"), "different weeks"),
        (broken(week_start="2025-11-18"), "different weeks"),
    ],
)
def test_a_damaged_or_foreign_manifest_is_one_clear_line(text: str | bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        RunManifest.from_json(text, where="run_2025-46.json")
    assert "run_2025-46.json" in caught.value.message
    assert "\n" not in caught.value.message


def test_the_message_about_a_damaged_manifest_shows_no_value() -> None:
    with pytest.raises(ConfigurationError) as caught:
        RunManifest.from_json(broken(seed="s3cret"))
    assert "s3cret" not in caught.value.message


def test_a_manifest_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_manifest(tmp_path / "run_2025-46.json")


def test_the_input_fingerprint_does_not_depend_on_the_order_of_weeks() -> None:
    weeks = {"2025-45": "aa", "2025-46": "bb"}
    assert overall_fingerprint(weeks) == overall_fingerprint(dict(reversed(weeks.items())))
    assert overall_fingerprint(weeks) != overall_fingerprint({**weeks, "2025-46": "bc"})


def test_the_input_fingerprint_covers_rows_of_no_known_week() -> None:
    weeks = {"2025-45": "aa", "2025-46": "bb"}
    digests = {overall_fingerprint(weeks, stray) for stray in ("", "cc", "dd")}
    assert len(digests) == 3
    recorded = manifest(REPORT)
    fresh = manifest(REPORT, input_fingerprint="ef" * 32)
    assert differences(recorded, fresh)[0] == "The rows whose week cannot be read changed"


def test_an_earlier_week_that_drift_is_measured_against_is_named_where_it_changed() -> None:
    recorded, fresh = (
        manifest(REPORT, files=one_file(), history=HistoryRecord(drift={"2025-45": digest * 32}))
        for digest in ("ab", "cd")
    )
    [said] = differences(recorded, fresh)
    assert said == "What drift is measured against, of week 2025-45, is other now"


def test_a_manifest_of_before_drift_was_measured_is_read() -> None:
    content = json.loads(manifest(REPORT).to_json())
    for name in ("drift", "peer_groups", "feature_histograms", "category_counts"):
        del content[name]
    del content["history"]["drift"]
    older = RunManifest.from_json(json.dumps(content))
    assert (older.drift, older.peer_groups, older.distributions.histograms) == (None, (), {})


def test_versions_name_everything_that_may_change_a_figure() -> None:
    found = installed_versions()
    assert list(found) == ["cardwatch", "python", "duckdb", "numpy", "pyarrow", "scikit-learn"]
    assert all(text[0].isdigit() for text in found.values())


@pytest.mark.parametrize(
    ("changes", "comparable"),
    [
        ({"model": {"contamination": 0.05, "random_state": 7, "decay": 0.3}}, True),
        ({"ranking": {"top_n": 50}}, True),
        ({"model": {"decay": 0.5}}, False),
        ({"feature_engineering": {"peer_groups": 5}}, False),
        ({"feature_engineering": {"use_cache": True, "cache_dir": "c"}}, True),
    ],
)
def test_scores_are_comparable_when_nothing_that_moves_them_changed(
    changes: dict[str, Any], comparable: bool
) -> None:
    usual: dict[str, Any] = {"model": {"contamination": 0.01, "random_state": 42, "decay": 0.3}}
    same = score_basis("surprise", "1", usual) == score_basis("surprise", "1", {**usual, **changes})
    assert same is comparable


def test_scores_of_another_detector_or_version_are_not_comparable() -> None:
    ours = score_basis("surprise", "1", {})
    assert ours != score_basis("isolation_forest", "1", {})
    assert ours != score_basis("surprise", "2", {})


def test_the_same_run_done_again_later_is_identical() -> None:
    recorded = manifest(REPORT, files=one_file())
    fresh = manifest(REPORT, run_id="run-2", day=datetime(2026, 3, 1, tzinfo=UTC), files=one_file())
    assert differences(recorded, fresh) == []
    assert same_files(recorded, fresh)


def test_every_kind_of_difference_is_said_causes_first() -> None:
    recorded = manifest(
        REPORT,
        files={**one_file(), "anomalies_2025-46.json": FileRecord(sha256="ab" * 32, bytes=1)},
        input_weeks={"2025-44": "aa", "2025-45": "bb"},
        configuration={
            "ranking": {"top_n": 20, "min_spend": 0},
            "data_source": {"path": "data"},
            "output": {"directory": "outputs"},
        },
        history=HistoryRecord(weeks={"2025-44": "ab" * 32, "2025-45": "ab" * 32}),
    )
    fresh = manifest(
        REPORT,
        files=one_file("cd" * 32),
        input_weeks={"2025-45": "bc", "2025-46": "dd"},
        configuration={
            "ranking": {"top_n": 50, "min_spend": 0},
            "data_source": {"path": "elsewhere"},
            "output": {"directory": "/tmp/again"},
        },
        versions={"cardwatch": "1.0.1", "duckdb": "1.5.5"},
        history=HistoryRecord(weeks={"2025-45": "cd" * 32, "2025-43": "ab" * 32}),
        seed=43,
    )
    assert differences(recorded, fresh) == [
        "Input week 2025-44 had rows then and has none now",
        "The rows of input week 2025-45 changed",
        "Input week 2025-46 has rows now and had none then",
        "The rows were read from elsewhere; the recorded run read data",
        "Setting ranking.top_n was 20 and is 50",
        "Version of cardwatch was 1.0.0 and is 1.0.1",
        "Version of duckdb was nothing and is 1.5.5",
        "The recorded scores of week 2025-43 are used now and were not then",
        "The recorded scores of week 2025-44 were used then and are not now",
        "The recorded scores of week 2025-45 changed: it was run again",
        "The seed was 42 and is 43",
        "anomalies_2025-46.json was written then and not now",
        "scores_2025-46.parquet has other bytes",
    ]
    assert not same_files(recorded, fresh)


def test_a_newer_version_that_writes_the_same_bytes_is_told_apart_from_a_changed_list() -> None:
    recorded = manifest(REPORT, files=one_file())
    fresh = manifest(REPORT, files=one_file(), versions={"cardwatch": "1.0.1"})
    assert same_files(recorded, fresh)
    assert differences(recorded, fresh) == ["Version of cardwatch was 1.0.0 and is 1.0.1"]


def test_runs_of_different_weeks_are_not_compared_further() -> None:
    other = manifest(week_report([], WEEK - 1))
    assert differences(manifest(REPORT), other) == [
        "The runs scored different weeks: 2025-46 and 2025-45"
    ]


def test_the_state_of_the_detector_is_kept_as_json() -> None:
    recorded = manifest(REPORT)
    assert recorded.detector_state == {"version": 1}
    assert fingerprint(recorded.detector_state)
    assert FAMILIES
