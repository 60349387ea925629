"""The page of a week: written by a run, and made again by ``cardwatch report``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import cardwatch, contents, failure
from pages import PageReader
from small_portfolio import WEEK, ScoredWeek

from cardwatch.outputs import INDEX, OutputFile

PAGE = OutputFile.REPORT.of(WEEK)


@pytest.fixture
def folder(scored: ScoredWeek, tmp_path: Path) -> Path:
    shutil.copytree(scored.outputs, tmp_path / "outputs")
    return tmp_path


@pytest.mark.system
def test_a_page_is_made_again_with_the_same_bytes(folder: Path) -> None:
    outputs = folder / "outputs"
    before = contents(outputs)
    (outputs / PAGE).unlink()
    done = cardwatch(folder, "report", "--reporting-week", WEEK.label, "--output-dir", "outputs")
    assert done.out == f"outputs/{PAGE}\noutputs/{INDEX}\n"
    assert contents(outputs) == before
    (outputs / INDEX).unlink()
    said = cardwatch(folder, "report", "--output-dir", "outputs", "--format", "json")
    assert json.loads(said.out)["reporting_week"] == WEEK.label
    assert contents(outputs) == before


def test_a_real_week_fills_its_page(scored: ScoredWeek) -> None:
    content = (scored.outputs / PAGE).read_bytes()
    page = PageReader.of(content)
    assert len(content) < 250_000
    assert page.problems == page.open == []
    assert (page.elements["article"], page.elements["svg"]) == (20, 2 * 20 + 3)
    for row in scored.document["customers"]:
        assert row["customer_id"] in page.text
        assert all(reason["sentence"] in page.text for reason in row["reasons"])
    assert scored.manifest["run_id"] in page.text
    assert scored.manifest["configuration_hash"] in page.text


def test_the_portfolio_of_the_page_is_the_sum_of_what_was_accepted(scored: ScoredWeek) -> None:
    portfolio = scored.document["portfolio"]
    assert [week["reporting_week"] for week in portfolio] == [
        week.label for week in (*WEEK.window(12), WEEK)
    ]
    coverage, last = scored.document["coverage"], portfolio[-1]
    assert last["customers"] == coverage["customers_scored"] - coverage["customers_absent"]
    assert last["transaction_count"] == sum(scored.scores["transaction_count"].to_pylist())


def test_ids_are_masked_by_a_setting(folder: Path, scored: ScoredWeek) -> None:
    settings = folder / "masked.yaml"
    settings.write_text("report: {mask_ids: true}\n", encoding="utf-8")
    cardwatch(folder, "report", "--output-dir", "outputs", "--config", settings)
    text = PageReader.of((folder / "outputs" / PAGE).read_bytes()).text
    assert not [c for c in scored.document["customers"] if c["customer_id"] in text]
    assert "•••" in text


def test_without_a_list_or_a_run_the_failure_says_what_to_do(folder: Path) -> None:
    (folder / "outputs" / OutputFile.LIST_JSON.of(WEEK)).unlink()
    named = cardwatch(folder, "report", "--output-dir", "outputs", code=2)
    assert "There is no JSON list of this week" in failure(named)
    nothing = cardwatch(folder, "report", "--output-dir", "empty", code=2)
    assert "No run is recorded in the output folder" in failure(nothing)
    assert not (folder / "empty").exists()


def test_a_run_is_reproduced_whatever_became_of_its_page(folder: Path, scored: ScoredWeek) -> None:
    manifest = scored.path(OutputFile.MANIFEST)
    done = cardwatch(scored.folder, "reproduce", manifest)
    assert "identical" in done.out
    assert PAGE not in scored.manifest["files"]
