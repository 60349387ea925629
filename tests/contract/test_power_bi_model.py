"""The semantic models of the Power BI kit, as text: what they say, and that every name resolves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from power_bi import DATABASE, FILES, PROJECTS, Project
from tmdl import Node, column_of, dax_references, parameter, selected

from cardwatch.manifest import CountsRecord, RunManifest
from cardwatch.outputs import LIST_COLUMNS

FUNCTIONS = {
    "AVERAGE", "CALCULATE", "CALCULATETABLE", "COALESCE", "COUNTROWS", "DATEDIFF", "DIVIDE",
    "HASONEVALUE", "IF", "INT", "ISBLANK", "KEEPFILTERS", "MAX", "REMOVEFILTERS", "SUM",
    "SUMX", "TRUE", "USERELATIONSHIP", "UTCNOW", "UTCTODAY", "VALUES",
}  # fmt: skip
"""The functions of DAX that the kit uses; a misspelt one is not among them."""

NAMED = {
    "Total Anomalies This Week", "Critical Risk Count", "Average Anomaly Score", "New This Week",
    "Repeat Rate", "Reviewed Share", "Hit Rate", "Data Age Hours",
}  # fmt: skip
TEXTS = {"Week Shown Label"}
"""The measures that are text, which has no format."""
FACTS = ("Anomaly", "Reason", "Category Week", "Customer Week")
"""The tables that grow by the week."""

both = pytest.mark.parametrize("project", PROJECTS, ids=lambda project: str(project.name))


def columns(project: Project, table: str) -> dict[str, Node]:
    return project.tables[table].of_kind("column")


def described(project: Project) -> Iterator[Node]:
    yield from project.model.of_kind("expression").values()
    for table in project.tables.values():
        yield from (table, *table.of_kind("measure").values(), *table.of_kind("column").values())


@both
def test_everything_that_a_person_sees_is_described(project: Project) -> None:
    missing = [f"{node.kind} {node.name}" for node in described(project) if not node.description]
    assert missing == []
    assert all(
        node.description[-1] in ".:" or ":" in node.description for node in described(project)
    )


@both
def test_every_measure_has_a_format_and_a_folder(project: Project) -> None:
    for name, (_, measure) in project.measures.items():
        assert ("formatString" in measure.properties) == (name not in TEXTS), name
        assert measure.properties["displayFolder"], name


def test_the_measures_that_were_asked_for_are_there() -> None:
    assert DATABASE.measures.keys() >= NAMED
    assert FILES.measures.keys() >= NAMED - {"Reviewed Share", "Hit Rate"}


@both
def test_a_measure_of_both_projects_means_the_same(project: Project) -> None:
    """Apart from what only a database knows: runs that were replaced."""
    for name in FILES.measures.keys() & DATABASE.measures.keys():
        ours, theirs = (each.measures[name][1] for each in (FILES, DATABASE))
        shorter = re.sub(r",\s*Run\[Is Current\] = TRUE \(\)", "", theirs.expression)
        assert ours.expression == shorter, name
        assert ours.properties.get("formatString") == theirs.properties.get("formatString"), name


@both
def test_no_measure_has_the_name_of_a_column_beside_it(project: Project) -> None:
    for table in project.tables.values():
        assert not table.of_kind("measure").keys() & table.of_kind("column").keys()


def expressions(project: Project) -> Iterator[tuple[str, str]]:
    for name, (_, measure) in project.measures.items():
        yield name, measure.expression
    for role in project.model.of_kind("role").values():
        for permission in role.of_kind("tablePermission").values():
            yield f"{role.name} on {permission.name}", permission.expression


@both
def test_every_reference_of_every_dax_expression_resolves(project: Project) -> None:
    for name, expression in expressions(project):
        assert expression.count("(") == expression.count(")"), name
        for kind, table, field in dax_references(expression):
            where = f"{name}: {kind} {table}[{field}]"
            if kind == "column":
                assert field in columns(project, table), where
            elif kind == "measure":
                assert field in project.measures, where
            elif kind == "function":
                assert field in FUNCTIONS, where
            else:
                assert table in project.tables, where


def test_a_reference_to_nothing_is_noticed() -> None:
    found = set(dax_references("VAR _A = [X] RETURN SUM ( T[c] ) + COUNTROWS ( 'U V' ) & \"W[x]\""))
    assert found == {
        ("measure", "", "X"), ("column", "T", "c"), ("function", "", "SUM"),
        ("function", "", "COUNTROWS"), ("table", "U V", ""),
    }  # fmt: skip


def relationships(project: Project) -> Iterator[tuple[tuple[str, str], tuple[str, str], bool]]:
    for node in project.model.of_kind("relationship").values():
        many, one = (column_of(node.properties[f"{end}Column"]) for end in ("from", "to"))
        yield many, one, node.properties.get("isActive") != "false"


@both
def test_every_relationship_joins_columns_of_one_type_with_the_key_hidden(project: Project) -> None:
    for (many, key), (one, target), _ in relationships(project):
        left, right = columns(project, many)[key], columns(project, one)[target]
        assert left.properties["dataType"] == right.properties["dataType"]
        assert left.is_("isHidden"), f"{many}[{key}]"
        assert right.is_("isKey") or target == "Anomaly Key", f"{one}[{target}]"


@both
def test_a_filter_reaches_a_table_by_one_way_at_most(project: Project) -> None:
    below: dict[str, list[str]] = {}
    for (many, _), (one, _), is_active in relationships(project):
        if is_active:
            below.setdefault(one, []).append(many)

    def reached(table: str) -> Iterator[str]:
        for each in below.get(table, []):
            yield each
            yield from reached(each)

    for table in project.tables:
        ways = Counter(reached(table))
        assert {name: count for name, count in ways.items() if count > 1} == {}, table


@both
def test_no_table_stands_alone(project: Project) -> None:
    joined = {table for (many, _), (one, _), _ in relationships(project) for table in (many, one)}
    assert joined == project.tables.keys()


@both
def test_the_date_table_is_marked_and_every_week_label_sorts_by_its_monday(
    project: Project,
) -> None:
    marked = [name for name, node in project.tables.items() if "dataCategory" in node.properties]
    assert marked == ["Date"]
    date = project.tables["Date"]
    assert date.properties["dataCategory"] == "Time"
    keys = [name for name, column in columns(project, "Date").items() if column.is_("isKey")]
    assert keys == ["Date"]
    assert columns(project, "Date")["Date"].properties["dataType"] == "dateTime"
    for name in ("Week", "Reporting Week", "ISO Week"):
        assert columns(project, "Date")[name].properties["sortByColumn"] == "'Week Start'"


@both
def test_columns_are_never_added_up_by_themselves(project: Project) -> None:
    [model] = project.model.of_kind("model").values()
    assert model.is_("discourageImplicitMeasures")
    for table in project.tables:
        for name, column in columns(project, table).items():
            assert column.properties["summarizeBy"] == "none", f"{table}[{name}]"
            if "sortByColumn" in column.properties:
                assert column.properties["sortByColumn"].strip("'") in columns(project, table)


@both
def test_every_level_of_a_hierarchy_is_a_column(project: Project) -> None:
    for name, table in project.tables.items():
        for hierarchy in table.of_kind("hierarchy").values():
            for level in hierarchy.of_kind("level").values():
                assert level.properties["column"] in columns(project, name)


@both
def test_the_model_lists_its_tables_roles_and_queries(project: Project) -> None:
    text = (project.model_folder / "definition" / "model.tmdl").read_text(encoding="utf-8")
    for kind in ("table", "role"):
        listed = re.findall(rf"^ref {kind} ('[^']+'|\w+)$", text, re.M)
        assert {name.strip("'") for name in listed} == project.model.of_kind(kind).keys()
    ordered = re.findall(r'"([^"]+)"', text.partition("PBI_QueryOrder = ")[2].split("\n")[0])
    queries = {*project.model.of_kind("expression"), *project.tables}
    assert set(ordered) == queries
    for path in (project.model_folder / "definition" / "tables").glob("*.tmdl"):
        assert path.stem in project.tables


# The queries


def test_the_parameters_are_those_that_incremental_refresh_asks_for() -> None:
    found = {
        name: parameter(node)[0] for name, node in DATABASE.model.of_kind("expression").items()
    }
    assert found == {
        "Server": "Text", "Database": "Text", "SchemaName": "Text",
        "RangeStart": "DateTime", "RangeEnd": "DateTime",
    }  # fmt: skip


def test_every_table_is_read_from_its_view_and_only_with_the_columns_it_has() -> None:
    for table in DATABASE.tables:
        source = DATABASE.source(table)
        assert source.startswith("let\n    Source = PostgreSQL.Database(Server, Database),\n")
        assert f'Source{{[Schema = SchemaName, Item = "{DATABASE.view(table)}"]}}[Data]' in source
        used = {node.properties["sourceColumn"] for node in columns(DATABASE, table).values()}
        assert set(selected(source)) == used, table


def test_every_table_that_grows_is_refreshed_by_its_weeks_and_no_other_is() -> None:
    for table, node in DATABASE.tables.items():
        policies = node.of_kind("refreshPolicy")
        source = DATABASE.source(table)
        assert bool(policies) == ("RangeStart" in source) == (table in FACTS), table
        if policies:
            policy = policies[""].properties
            assert policy["sourceExpression"] == source
            assert "each [week_start] >= FirstDay and [week_start] < DayAfter" in source
            assert "FirstDay = DateTime.Date(RangeStart)" in source
            assert "DayAfter = DateTime.Date(RangeEnd)" in source
            assert (policy["rollingWindowPeriods"], policy["rollingWindowGranularity"]) == (
                "3", "year"
            )  # fmt: skip
            assert (policy["incrementalPeriods"], policy["incrementalGranularity"]) == (
                "4",
                "month",
            )


M_WORDS = re.compile(r"(?<![\w\"\[.])([A-Z]\w*)(?![\w.]|\s*=[^>=])")


@both
def test_every_name_in_a_query_is_one_of_its_steps_or_another_query(project: Project) -> None:
    shared = {*project.model.of_kind("expression"), *project.tables}
    sources = {name: project.source(name) for name in project.tables}
    sources |= {name: node.expression for name, node in project.model.of_kind("expression").items()}
    for name, source in sources.items():
        text = re.sub(r'"[^"]*"', '""', source.partition(" meta [")[0])
        text = re.sub(r"\[[^\[\]]*=[^\[\]]*\]", lambda part: re.sub(r"\w+ =", "", part[0]), text)
        steps = set(re.findall(r"\b([A-Z]\w*) =", text))
        for word in M_WORDS.findall(re.sub(r"\[[A-Z][\w ]*\]", "", text)):
            assert word in steps | shared, f"{name}: {word}"
        for opening, closing in ("()", "{}", "[]"):
            assert text.count(opening) == text.count(closing), name


def test_every_column_that_a_query_of_the_files_names_is_made_somewhere() -> None:
    nodes = FILES.model.of_kind("expression").values()
    text = "\n".join((*map(FILES.source, FILES.tables), *(node.expression for node in nodes)))
    made = set(re.findall(r'"([a-z]\w*)"|\b([a-z]\w*) =(?!>)', text))
    used = set(re.findall(r"(?<!Manifest)(?<!Counts)(?<!\])\[([a-z]\w*)\]", text))
    assert used <= {name for pair in made for name in pair}


def test_the_list_of_the_files_has_the_columns_that_a_run_writes_and_the_label_is_text() -> None:
    source = FILES.model.of_kind("expression")["ListTypes"].expression
    typed = dict(re.findall(r'\{"(\w+)", ([\w. ]+)\}', source))
    of_kind = {
        "text": "type text", "date": "type date", "integer": "Int64.Type",
        "decimal, 9 digits": "type number", "decimal, 2 digits": "Currency.Type",
        "decimal, 3 digits": "type number", "true or false": "type logical",
    }  # fmt: skip
    assert list(typed.items()) == [(each.name, of_kind[each.type]) for each in LIST_COLUMNS]
    assert typed["reporting_week"] == "type text"


def test_the_runs_of_the_files_have_the_fields_of_a_manifest() -> None:
    source = FILES.model.of_kind("expression")["Runs"].expression
    assert set(re.findall(r"Manifest\[(\w+)\]", source)) <= RunManifest.model_fields.keys()
    assert set(re.findall(r"Counts\[(\w+)\]", source)) <= CountsRecord.model_fields.keys()
    fields = set(re.findall(r"^\s+([a-z]\w*) = (?:[\w.]+\()?(?:Manifest|Counts)\[", source, re.M))
    typed = set(re.findall(r"^\s+(\w+) = (?:text|date|datetime|Int64\.Type),?$", source, re.M))
    used = {node.properties["sourceColumn"] for node in columns(FILES, "Run").values()}
    assert used == typed == fields


# Who sees what


def test_the_example_of_row_level_security_keeps_concerns_from_its_readers() -> None:
    roles = DATABASE.model.of_kind("role")
    assert list(roles) == ["Opportunities only"]
    permissions = roles["Opportunities only"].of_kind("tablePermission")
    assert permissions["Anomaly"].expression == 'Anomaly[Signal] = "opportunity"'
    # What is below the list is filtered with it; customers are above, with a filter of their own.
    below = {
        many
        for (many, _), (one, _), active in relationships(DATABASE)
        if active and one == "Anomaly"
    }
    assert below == {"Reason", "Category Week", "Customer Week", "Review"}
    assert permissions.keys() == {"Anomaly", "Customer"}
