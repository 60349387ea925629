"""The Power BI guide says what the kit does."""

from __future__ import annotations

import json
import re

from power_bi import DATABASE, FILES, ROOT
from tmdl import parameter

from cardwatch.publish.database_roles import READABLE

PAGE = (ROOT / "docs" / "POWER_BI_GUIDE.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a line that begins with `heading`."""
    lines = PAGE.partition(f"\n{heading}")[2].splitlines()
    found: list[list[str]] = []
    for line in (line.strip() for line in lines):
        if line.startswith("|"):
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line[1:-1])])
        elif found:
            break
    return found[2:]


def test_the_page_says_plainly_that_nobody_opened_it_in_desktop() -> None:
    assert "**It has not been opened in Power BI Desktop, nor published.**" in PAGE


def test_every_measure_is_in_the_table_as_the_model_describes_it() -> None:
    assert {row[0]: row[1:] for row in table("### The measures")} == {
        name: [
            of_table,
            f"`{measure.properties['formatString']}`"
            if "formatString" in measure.properties
            else "text",
            measure.description,
        ]
        for name, (of_table, measure) in DATABASE.measures.items()
    }
    assert FILES.measures.keys() <= DATABASE.measures.keys()


def test_every_table_of_the_model_is_told_with_its_view_and_how_it_is_read() -> None:
    assert {row[0]: row[1:] for row in table("## The model")} == {
        name: [
            f"`{DATABASE.view(name)}`",
            node.description,
            "by weeks" if node.of_kind("refreshPolicy") else "whole",
        ]
        for name, node in DATABASE.tables.items()
    }


def test_every_parameter_is_told_with_its_type() -> None:
    kinds = {"Text": "text", "DateTime": "date and time"}
    parameters = DATABASE.model.of_kind("expression")
    assert {row[0].strip("`"): row[1] for row in table("1. Open `Cardwatch.pbip`")} == {
        name: kinds[parameter(node)[0]] for name, node in parameters.items()
    }
    assert parameter(FILES.model.of_kind("expression")["OutputFolder"])[0] == "Text"
    assert "Its one parameter is `OutputFolder`" in WORDS


def test_the_pages_are_those_of_both_reports() -> None:
    names = [row[0] for row in table("## The pages")]
    for project in (DATABASE, FILES):
        assert sorted(page["displayName"] for page in project.pages.values()) == sorted(names)


def test_what_incremental_refresh_keeps_and_reads_is_what_the_policies_say() -> None:
    tables = [name for name, node in DATABASE.tables.items() if node.of_kind("refreshPolicy")]
    assert sorted(re.split(r", | and ", WORDS.partition("Each of the tables ")[2].partition(
        " keeps 3 years and reads the last 4 months again")[0])) == sorted(tables)  # fmt: skip
    for name in tables:
        policy = DATABASE.tables[name].of_kind("refreshPolicy")[""].properties
        assert policy["rollingWindowPeriods"] + policy["rollingWindowGranularity"] == "3year"
        assert policy["incrementalPeriods"] + policy["incrementalGranularity"] == "4month"


def test_the_words_that_make_a_hit_are_those_of_the_measure() -> None:
    _, measure = DATABASE.measures["Hit Listings"]
    words = re.findall(r'"(\w+)"', measure.expression)
    assert f"counts a verdict as a hit if it is `{words[0]}` or `{words[1]}`" in WORDS


def test_the_schedule_is_every_day_at_eight_in_chicago() -> None:
    [block] = re.findall(r"^```json\n(.*?)^```", PAGE, re.M | re.S)
    schedule = json.loads(block)["value"]
    assert (len(set(schedule["days"])), schedule["times"]) == (7, ["08:00"])
    assert schedule["localTimeZoneId"] == "Central Standard Time"


def test_every_file_and_view_that_the_page_names_exists() -> None:
    for path in re.findall(r"`((?:deploy|tests)/[\w/.]+)`", PAGE):
        assert (ROOT / path).exists(), path
    assert set(re.findall(r"`(bi_\w+)`", PAGE)) <= set(READABLE)


def test_the_fields_that_the_page_shows_in_dax_exist_or_are_to_be_added() -> None:
    [block] = re.findall(r"^```dax\n(.*?)^```", PAGE, re.M | re.S)
    assert set(re.findall(r"(\w+)\[([^\]]+)\]", block)) == {
        ("Customer", "Customer ID"), ("Assignment", "Customer ID"), ("Assignment", "User")
    }  # fmt: skip
