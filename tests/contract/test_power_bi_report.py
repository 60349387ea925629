"""The reports of the Power BI kit: the documented layout, and that every visual's fields exist."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from power_bi import DATABASE, KIT, PROJECTS, ROOT, Project, Visual, fields_in, read_json

BASE = "https://developer.microsoft.com/json-schemas/fabric/"
REPORT = f"{BASE}item/report/definition/"
SCHEMAS: dict[str, tuple[str, set[str], set[str]]] = {
    ".pbip": (f"{BASE}pbip/pbipProperties/1.0.0", {"version", "artifacts"}, {"settings"}),
    ".platform": (f"{BASE}gitIntegration/platformProperties/2.0.0", {"metadata", "config"}, set()),
    "definition.pbism": (
        f"{BASE}item/semanticModel/definitionProperties/1.0.0", {"version"}, {"settings"}
    ),
    "definition.pbir": (
        f"{BASE}item/report/definitionProperties/2.0.0", {"version", "datasetReference"}, set()
    ),
    "version.json": (f"{REPORT}versionMetadata/1.0.0", {"version"}, set()),
    "report.json": (
        f"{REPORT}report/3.0.0", {"themeCollection"}, {"resourcePackages", "settings"}
    ),
    "pages.json": (f"{REPORT}pagesMetadata/1.0.0", set(), {"pageOrder", "activePageName"}),
    "page.json": (
        f"{REPORT}page/2.0.0",
        {"name", "displayName", "displayOption", "height", "width"},
        {"filterConfig", "pageBinding", "type", "visibility"},
    ),
    "visual.json": (
        f"{REPORT}visualContainer/2.4.0", {"name", "position", "visual"}, {"filterConfig"}
    ),
}  # fmt: skip
"""By name of a file: its schema, the keys that it must have, and those that it may have."""

ROLES = {
    "cardVisual": {"Data"},
    "clusteredBarChart": {"Category", "Series", "Y"},
    "columnChart": {"Category", "Series", "Y"},
    "lineChart": {"Category", "Y"},
    "tableEx": {"Values"},
}
"""The fields that a kind of visual has places for."""

MEASURE_PLACES = {"Data", "Y"}
LAYOUT = re.compile(
    r"(?P<name>\w+)\.(?:pbip"
    r"|SemanticModel/(?:\.platform|definition\.pbism|definition/(?:(?:database|model|expressions|"
    r"relationships)\.tmdl|(?:tables|roles)/[\w ]+\.tmdl))"
    r"|Report/(?:\.platform|definition\.pbir|StaticResources/RegisteredResources/\w+\.json"
    r"|definition/(?:(?:report|version)\.json|pages/(?:pages\.json|\w+/(?:page\.json|visuals/\w+/"
    r"visual\.json)))))"
)

both = pytest.mark.parametrize("project", PROJECTS, ids=lambda project: str(project.name))
FILES_OF_KIT = [path for path in sorted(KIT.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("path", FILES_OF_KIT, ids=lambda path: str(path.relative_to(KIT)))
def test_a_file_is_utf_8_without_a_mark_and_ends_its_lines_plainly(path: Path) -> None:
    content = path.read_bytes()
    assert not content.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in content
    assert content.endswith(b"\n")
    content.decode("utf-8")


@both
def test_every_file_is_where_the_layout_has_it(project: Project) -> None:
    for path in project.folder.rglob("*"):
        if path.is_file():
            match = LAYOUT.fullmatch(path.relative_to(project.folder).as_posix())
            assert match is not None, path
            assert match["name"] == project.name


def schema_of(path: Path) -> tuple[str, set[str], set[str]] | None:
    return SCHEMAS.get(path.name) or SCHEMAS.get(path.suffix)


@pytest.mark.parametrize(
    "path", [path for path in FILES_OF_KIT if schema_of(path)],
    ids=lambda path: str(path.relative_to(KIT)),
)  # fmt: skip
def test_a_file_has_the_keys_of_its_schema(path: Path) -> None:
    schema, required, optional = schema_of(path) or ("", set(), set())
    content = read_json(path)
    assert content.pop("$schema") == f"{schema}/schema.json"
    assert required <= content.keys() <= required | optional


@both
def test_the_shortcut_and_the_report_point_at_what_is_there(project: Project) -> None:
    [artifact] = read_json(project.folder / f"{project.name}.pbip")["artifacts"]
    assert project.folder / artifact["report"]["path"] == project.report_folder
    reference = read_json(project.report_folder / "definition.pbir")["datasetReference"]
    path = project.report_folder / reference["byPath"]["path"]
    assert path.resolve() == project.model_folder.resolve()


def test_every_item_has_an_identity_of_its_own() -> None:
    platforms = [read_json(path) for path in KIT.rglob(".platform")]
    ids = {platform["config"]["logicalId"] for platform in platforms}
    assert len(ids) == len(platforms) == 4
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each) for each in ids)


@both
def test_the_pages_are_in_order_and_named_as_their_folders(project: Project) -> None:
    pages = read_json(project.report_folder / "definition" / "pages" / "pages.json")
    assert sorted(pages["pageOrder"]) == sorted(project.pages)
    assert pages["activePageName"] == pages["pageOrder"][0]
    assert [project.pages[name]["displayName"] for name in pages["pageOrder"]] == [
        "This week", "Trend", "Customer", "Data quality and freshness"
    ]  # fmt: skip
    for name, page in project.pages.items():
        assert page["name"] == name
    for visual in project.visuals:
        assert visual.content["name"] == visual.name


@both
def test_every_field_of_every_visual_and_filter_exists(project: Project) -> None:
    contents = [(visual.name, visual.content) for visual in project.visuals]
    for name, content in [*contents, *project.pages.items()]:
        for kind, table, field in fields_in(content):
            found = project.tables[table].of_kind(kind.lower())
            assert field in found, f"{name}: {kind} {table}[{field}]"


@both
def test_every_visual_has_fields_of_the_right_kind_in_its_places(project: Project) -> None:
    for visual in project.visuals:
        query = visual.content["visual"].get("query")
        if query is None:
            assert visual.type in ("textbox", "actionButton")
            continue
        assert query["queryState"].keys() <= ROLES[visual.type], visual.name
        for place, state in query["queryState"].items():
            for projection in state["projections"]:
                [(kind, table, field)] = fields_in(projection["field"])
                assert (kind == "Measure") == (place in MEASURE_PLACES), visual.name
                assert projection["queryRef"] == f"{table}.{field}"
                assert projection["nativeQueryRef"] == field


@both
def test_hidden_columns_are_shown_nowhere(project: Project) -> None:
    for visual in project.visuals:
        for kind, table, field in fields_in(visual.content["visual"].get("query", {})):
            node = project.tables[table].of_kind(kind.lower())[field]
            assert not node.is_("isHidden"), f"{visual.name}: {table}[{field}]"


@both
def test_every_visual_says_in_words_what_it_shows_and_charts_and_tables_have_titles(
    project: Project,
) -> None:
    for visual in project.visuals:
        assert visual.formatting("general", "altText"), visual.name
        if visual.type not in ("cardVisual", "textbox", "actionButton"):
            assert visual.formatting("title", "text") or visual.name == "customerCard"


@both
@pytest.mark.parametrize("page", ["thisWeek", "trend", "customer", "dataQuality"])
def test_visuals_lie_within_their_page_and_beside_each_other(project: Project, page: str) -> None:
    shown = [visual for visual in project.visuals if visual.page == page]
    assert shown
    for visual in shown:
        left, top, right, bottom = visual.box
        assert (0 <= left < right <= 1280, 0 <= top < bottom <= 720) == (True, True), visual.name
    for one, other in combinations(shown, 2):
        assert not overlap(one, other), f"{one.name} and {other.name}"
    in_order = sorted(shown, key=lambda each: each.content["position"]["tabOrder"])
    for before, after in pairwise(in_order):
        assert before.box[1] <= after.box[1] or before.box[0] < after.box[0], after.name


def overlap(one: Visual, other: Visual) -> bool:
    left, top, right, bottom = one.box
    x, y, x_end, y_end = other.box
    return left < x_end and x < right and top < y_end and y < bottom


def filters_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = content.get("filterConfig", {}).get("filters", [])
    return found


@both
def test_every_filter_has_a_name_of_its_own_and_filters_the_field_that_it_names(
    project: Project,
) -> None:
    contents = [*project.pages.values(), *(visual.content for visual in project.visuals)]
    filters = [each for content in contents for each in filters_of(content)]
    assert len({each["name"] for each in filters}) == len(filters)
    for each in filters:
        assert len(set(fields_in(each))) == 1, each["name"]


@both
def test_the_customer_page_is_reached_by_the_customer_alone(project: Project) -> None:
    page = project.pages["customer"]
    [bound] = filters_of(page)
    binding = page["pageBinding"]
    [parameter] = binding["parameters"]
    assert (page["type"], binding["type"], page["visibility"]) == (
        "Drillthrough", "Drillthrough", "HiddenInViewMode"
    )  # fmt: skip
    assert parameter["boundFilter"] == bound["name"]
    field = ("Column", "Customer", "Customer ID")
    assert list(fields_in(parameter["fieldExpr"])) == list(fields_in(bound)) == [field]
    # Without this the week of the page that one comes from would hide every other week.
    assert binding["acceptsFilterContext"] == "None"
    [top] = [visual for visual in project.visuals if visual.name == "topTwenty"]
    assert field in fields_in(top.content)


def test_the_first_page_shows_the_key_figures_and_the_top_20_with_reasons() -> None:
    shown = {visual.name: visual for visual in DATABASE.visuals if visual.page == "thisWeek"}
    cards = {field for visual in shown.values() if visual.type == "cardVisual"
             for _, _, field in fields_in(visual.content)}  # fmt: skip
    assert cards >= {
        "Total Anomalies This Week", "Critical Risk Count", "Average Anomaly Score",
        "New This Week", "Repeat Rate", "Reviewed Share", "Hit Rate", "Data Age Hours",
    }  # fmt: skip
    fields = set(fields_in(shown["topTwenty"].content))
    assert fields >= {("Column", "Anomaly", "Reasons"), ("Column", "Customer", "Customer ID")}


@both
def test_the_theme_is_registered_and_readable(project: Project) -> None:
    report = read_json(project.report_folder / "definition" / "report.json")
    [package] = report["resourcePackages"]
    [item] = package["items"]
    custom = report["themeCollection"]["customTheme"]
    assert (custom["type"], custom["name"]) == (package["type"], item["name"])
    path = project.report_folder / "StaticResources" / package["name"] / item["path"]
    theme = read_json(path)
    colours = [*theme["dataColors"], theme["foreground"], theme["good"], theme["bad"]]
    for colour in colours:
        assert contrast(colour, theme["background"]) >= 4.5, colour


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_both_reports_have_the_same_theme() -> None:
    themes = {path.read_bytes() for path in KIT.rglob("StaticResources/*/Cardwatch.json")}
    assert len(themes) == 1


# Analysers


def analysed(*words: str | Path) -> dict[str, Any]:
    tool = Path(sysconfig.get_path("scripts")) / str(words[0])
    done = subprocess.run([tool, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "{" in done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return found


@both
def test_the_analyser_of_models_finds_nothing_serious(project: Project) -> None:
    report = analysed("coop-dax-review", "check", project.folder, "--format", "json")
    serious = {
        (each["rule_id"], each["object"])
        for each in report["findings"]
        # Its house style would have measures named "[Category: Name]"; their names were asked for.
        if each["severity"] != "info" and each["rule_id"] != "DAX-MEASURE-CATEGORY"
    }
    assert serious == {("DAX-FORMAT-STRING", "[Week Shown Label]")}  # text has no format
    assert report["models_checked"] == 1
    assert report["diagnostics"] == []


@both
def test_the_analyser_of_reports_finds_nothing_serious(project: Project) -> None:
    report = analysed("pbir-utils", "validate", project.report_folder, "--format", "json")
    assert report["summary"]["passed"] > 10
    assert (report["summary"]["errors"], report["summary"]["warnings"]) == (0, 0)
