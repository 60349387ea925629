"""When pages are written, from which files, and what becomes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pages import PageReader
from published_pages import BEFORE, PAGE, pages, read, two_weeks
from published_weeks import (
    WEEK,
    QuickOperations,
    config,
    contents,
    fill_engine,
    listed_customer,
    manifest,
    publish,
    week_report,
)

from cardwatch.config import Config
from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError, PublishError
from cardwatch.outputs import INDEX, OutputFile
from cardwatch.pages import WeekPages
from cardwatch.publish.files import FileSink
from cardwatch.publish.retention import retain


def test_a_run_and_a_later_rendering_give_the_same_bytes(outputs: Path, engine: Engine) -> None:
    two_weeks(outputs, engine)
    before = contents(outputs)
    sink = FileSink(config(outputs), pages=pages(), operations=QuickOperations())
    assert sink.write_pages(WEEK) == (outputs / PAGE, outputs / INDEX)
    assert contents(outputs) == before


def test_a_list_of_the_format_before_has_a_page_without_trends(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"a": 1}, pages=pages())
    path = outputs / OutputFile.LIST_JSON.of(WEEK)
    document = json.loads(path.read_bytes())
    del document["portfolio"]
    path.write_text(json.dumps({**document, "format_version": 2}), encoding="utf-8")
    page = PageReader.of(pages().published(outputs, WEEK))
    assert page.elements["svg"] == 2 + 1
    path.write_text(json.dumps({**document, "format_version": 1}), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot be made into a report") as caught:
        pages().published(outputs, WEEK)
    assert "format_version 1" in caught.value.message


@pytest.mark.parametrize("spoilt", ['{"customers": ', "[]", '{"customers": "SECRET"}'])
def test_a_damaged_list_is_one_clear_line_without_its_values(
    outputs: Path, engine: Engine, spoilt: str
) -> None:
    publish(outputs, engine, {"a": 1})
    (outputs / OutputFile.LIST_JSON.of(WEEK)).write_text(spoilt, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot be made into a report") as caught:
        pages().published(outputs, WEEK)
    assert "SECRET" not in caught.value.message
    assert "run the week again" in caught.value.message


def test_a_missing_list_says_what_to_do(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"a": 1}, settings={"list_format": "csv"})
    with pytest.raises(ConfigurationError, match="no JSON list") as caught:
        pages().published(outputs, WEEK)
    assert "output.format json or both" in caught.value.message


def test_a_run_that_writes_csv_alone_has_a_page(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"a": 1}, settings={"list_format": "csv"}, pages=pages())
    assert not (outputs / OutputFile.LIST_JSON.of(WEEK)).exists()
    assert read(outputs).elements["article"] == 1


def test_the_manifest_does_not_list_the_page_which_is_not_a_result(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"a": 1}, pages=pages())
    publish(outputs, engine, {"a": 1}, pages=pages(mask_ids=True))
    record = json.loads((outputs / OutputFile.MANIFEST.of(WEEK)).read_bytes())
    assert PAGE not in record["files"]
    assert not (outputs / "archive").exists(), "another page alone replaces no list"


class Broken(WeekPages):
    def under_way(self, *_: object) -> bytes:
        raise RuntimeError("C-1 cannot be drawn")

    def index(self, folder: Path) -> bytes:
        raise OSError(28, "No space left on device", str(folder / INDEX))


def test_the_list_is_published_even_if_its_pages_cannot_be_made(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"a": 1}, pages=pages())
    index = (outputs / INDEX).read_bytes()
    receipt = publish(outputs, engine, {"b": 1}, pages=Broken(Config()))
    assert (outputs / OutputFile.LIST_JSON.of(WEEK)).exists()
    assert not (outputs / PAGE).exists(), "a page of the list before would tell of another one"
    assert (outputs / INDEX).read_bytes() == index
    assert receipt.notes[0] == "The report of the week was not made: RuntimeError"
    assert receipt.notes[1].startswith("The index of the reports stays as it was: The disk is full")
    assert str(outputs / PAGE) not in receipt.written


def test_a_packed_week_takes_its_page_along_and_leaves_the_index(
    outputs: Path, engine: Engine
) -> None:
    for week in (WEEK - 2, BEFORE, WEEK):
        publish(outputs, engine, {"a": 1}, week=week, settings={"keep_weeks": 2}, pages=pages())
    assert not (outputs / OutputFile.REPORT.of(WEEK - 2)).exists()
    index = read(outputs, INDEX)
    assert index.values("href") == [PAGE, OutputFile.REPORT.of(BEFORE)]
    assert "1 earlier week packed in" in index.text
    assert "2025-46\n17–23 November 2025\n1\n0\n1\n6" in index.text
    assert retain(outputs, 1, 90, manifest(week_report()).finished_at.date()).packed == (BEFORE,)


def test_the_index_of_an_empty_folder_says_so(tmp_path: Path) -> None:
    assert "There is no report in this folder." in PageReader.of(pages().index(tmp_path)).text


class Failing(QuickOperations):
    """Fails at the n-th change to the folder."""

    def __init__(self, at: int) -> None:
        self.left = at

    def before(self, operation: str, path: Path) -> None:
        self.left -= 1
        if not self.left:
            raise OSError(5, "Input/output error", str(path))


@pytest.mark.system
def test_a_page_that_is_made_again_is_the_old_one_or_the_new_one(
    outputs: Path, engine: Engine
) -> None:
    publish(outputs, engine, {"C-104233": 1}, pages=pages())
    old, masked = (outputs / PAGE).read_bytes(), pages(mask_ids=True)
    new = masked.published(outputs, WEEK)
    seen = set()
    for at in range(1, 100):
        sink = FileSink(config(outputs), pages=masked, operations=Failing(at))
        try:
            sink.write_pages(WEEK)
        except PublishError:
            seen.add((outputs / PAGE).read_bytes())
        else:
            break
    assert seen == {old, new}
    assert at > 6
    assert (outputs / PAGE).read_bytes() == new
    assert not list(outputs.glob(".*.tmp"))


def test_a_guard_does_not_tell_the_page_where_the_list_ends(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"moved": 1, "one": 2}, week=BEFORE)
    guard = replace(listed_customer("guard", 40), guard=True)
    report = week_report([listed_customer("one", 1), guard])
    fill_engine(engine, {"one": 1, "guard": 40, "moved": 7})
    files = FileSink(config(outputs), pages=pages(), operations=QuickOperations())
    files.write(report, engine, manifest(report))
    assert "the list ends at 1<" in (outputs / PAGE).read_text(encoding="utf-8")
