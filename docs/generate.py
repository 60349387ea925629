"""Writes the pages that are made from the code. A test keeps them current: ``make docs``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from cardwatch import config, errors
from cardwatch.cli import app
from cardwatch.contract.rules import reference_page as contract_page
from cardwatch.features.catalog import CATALOG
from cardwatch.publish.database_declared import DECLARED, HEAD
from cardwatch.publish.database_objects import Column
from cardwatch.schema import Feature
from docs import monitoring_pages

ROOT = Path(__file__).parents[1]
FEATURES = "docs/reference/features.md"
COMMANDS = "docs/reference/cli.md"
CONTRACT = "docs/reference/contract.md"
DATABASE = "docs/reference/database.md"

_MADE = "<!-- Made by `make docs` from {source}; a test keeps it current. -->\n"

_FEATURES_HEAD = """\
# Features

{made}
One row per customer, one column per feature. A feature belongs to a family; inside a family the
most surprising feature speaks for it, the second adds a little to the score without a word, and a
listed customer has at most one reason from each.

*Side* says which end is surprising: `upper` only high values, `two` both. The *sentence* is what
the reason says, with the customer's numbers in the place of the names in braces; where two are
given, the second one is for low values. `log ratio` is the logarithm of an amount over the
customer's level, the usual weekly spend plus 20. *Weight* is how much the feature's surprise counts
([why](../explanation/method.md#features-do-not-tell-alike)); where it *tapers*, it counts for less
once few customers come that far ([why](../explanation/method.md#from-values-to-surprise)). How
columns become a score is told in [how a run works](../explanation/how-a-run-works.md).
"""

_COMMANDS_HEAD = """\
# Commands

{made}
Progress goes to standard error and only on a terminal; results go to standard output. `NO_COLOR`
turns colours off. A failure is one line on standard error; `--debug` adds the traceback.

## Exit codes

| exit code | error | what it means |
|---|---|---|
| 0 | – | The command did what it says. |
{codes}
| 130 | – | Ctrl-C stopped it: nothing is half written, and the same command resumes. |
| 143 | – | SIGTERM stopped it, just so; it dies of the signal, which a shell calls 143. |
"""


_DATABASE_HEAD = """\
# The database

{made}
Tables and views that `cardwatch db upgrade` makes in the schema `output.database.schema`, version
{version}. How to set it up and what happens when something fails:
[publish to a database](../how-to/publish-to-a-database.md).

A run replaces its week in every table in one transaction. Only `anomaly_runs` keeps the runs that
were replaced, and `anomaly_reviews` is never touched. `run_id` says which run a row comes from.
Amounts are in the account currency. The same texts are in the database, as comments on every table,
view and column.

A table of the name `anomaly_reports` that is there already, with rows or without, is adopted when
every value fits it: its columns may be wider (`TEXT`, `VARCHAR(80)`, `DECIMAL(16, 2)`, `BIGINT`),
and it may have more columns, as long as these may stay empty or have a default.

Later versions only add: tables, columns, indexes, views, and columns at the end of views. An older
Cardwatch keeps working on the tables of a newer one.

## The star for BI

| from | column | to | column | |
|---|---|---|---|---|
| `bi_fact_anomaly` | `week_start` | `bi_dim_week` | `week_start` | many to one |
| `bi_fact_anomaly` | `top_mcc` | `bi_dim_mcc` | `mcc` | many to one, not active |
| `bi_fact_anomaly` | `run_id` | `bi_dim_run` | `run_id` | many to one |
| `bi_fact_reason` | `anomaly_key` | `bi_fact_anomaly` | `anomaly_key` | many to one |
| `bi_fact_reason` | `mcc` | `bi_dim_mcc` | `mcc` | many to one |
| `bi_fact_mcc_week` | `anomaly_key` | `bi_fact_anomaly` | `anomaly_key` | many to one |
| `bi_fact_mcc_week` | `mcc` | `bi_dim_mcc` | `mcc` | many to one |
| `bi_fact_anomaly` | `customer_id` | `bi_dim_customer` | `customer_id` | many to one |
| `bi_fact_customer_week` | `anomaly_key` | `bi_fact_anomaly` | `anomaly_key` | many to one |
| `bi_fact_review` | `anomaly_key` | `bi_fact_anomaly` | `anomaly_key` | many to one |
| `bi_fact_quality` | `week_start` | `bi_dim_date` | `calendar_date` | many to one |

Every relationship has one column on each side: `anomaly_key` is the text
`reporting_week|customer_id`. `reporting_week` is text such as `2025-10`, which some tools take for
a month: join weeks on `week_start`, a date. A tool that wants a table of days without gaps joins
`week_start` with `calendar_date` of `bi_dim_date` in place of `bi_dim_week`, as the
[Power BI kit](../POWER_BI_GUIDE.md) does.

A tool that refreshes table by table may read some of them before a publication and some after it.
Within one week `run_id` is then not the same in all of them: compare that of `bi_fact_anomaly` with
that of `bi_dim_week`, and refresh again.

Rows that were in `anomaly_reports` before Cardwatch wrote there show up in `bi_fact_anomaly` and
`bi_dim_week` without a `run_id`.
"""


def generated_files() -> Mapping[str, Callable[[], str]]:
    """Return what makes each generated file, by its path in the repository."""
    return {
        **config.generated_files(),
        **monitoring_pages.generated_files(),
        COMMANDS: commands_page,
        CONTRACT: contract_page,
        DATABASE: database_page,
        FEATURES: features_page,
    }


def features_page() -> str:
    """Return the feature catalogue as a page."""
    parts = [_FEATURES_HEAD.format(made=_MADE.format(source="cardwatch/features/catalog.py"))]
    for family, features in groupby(CATALOG, key=lambda feature: feature.family):
        parts.append(f"\n## {family}\n\n")
        parts.append("| feature | unit | side | weight | reason code | sentence | what it is |\n")
        parts.append("|---|---|---|---|---|---|---|\n")
        parts += [_feature_row(feature) for feature in features]
    return "".join(parts)


def commands_page() -> str:
    """Return every command with its arguments, options and variables."""
    head = _COMMANDS_HEAD.format(
        made=_MADE.format(source="cardwatch/cli/ and errors.py"),
        codes="\n".join(_code_rows(errors.CardwatchError)),
    )
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="cardwatch")
    body = get_docs_for_click(obj=command, ctx=context, indent=1, name="cardwatch")
    return f"{head}\n{body.rstrip()}\n"


def database_page() -> str:
    """Return every table and view with its columns."""
    made = _MADE.format(source="cardwatch/publish/migrations/")
    parts = [_DATABASE_HEAD.format(made=made, version=HEAD)]
    for view in DECLARED.views:
        parts += [f"\n## {view.name}\n\n{view.comment}\n\n", _column_table(view.columns)]
    for table in DECLARED.tables:
        key = ", ".join(f"`{name}`" for name in table.key)
        parts += [f"\n## {table.name}\n\n{table.comment} Key: {key}.\n\n"]
        parts += [_column_table(table.columns)]
        for index in table.indexes:
            columns = ", ".join(index.columns)
            unique = f", unique where {index.where}" if index.is_unique else ""
            parts.append(f"\nIndex `{index.name}` on ({columns}){unique}.\n")
    return "".join(parts)


def _column_table(columns: Iterable[Column]) -> str:
    head = "| column | type | | meaning |\n|---|---|---|---|\n"
    return head + "".join(
        f"| `{column.name}` | {column.type} | {column.rest.lower()} | {_cell(column.comment)} |\n"
        for column in columns
    )


def _feature_row(feature: Feature) -> str:
    sentences = feature.sentence
    if feature.sentence_low:
        sentences += f"<br>{feature.sentence_low}"
    name, code = f"`{feature.name}`", f"`{feature.code}`"
    weight = f"{feature.weight:g}{', tapers' if feature.tapers else ''}"
    cells = (name, feature.unit, feature.side, weight, code, sentences)
    return f"| {' | '.join(_cell(text) for text in (*cells, feature.doc))} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code_rows(error: type[errors.CardwatchError]) -> Iterator[str]:
    said = (error.__doc__ or "").splitlines()[0]
    if error is errors.CardwatchError:
        said = "Something unexpected; `--debug` shows where."
    yield f"| {error.exit_code} | `{error.__name__}` | {said} |"
    for kind in error.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from _code_rows(kind)


def main() -> None:
    """Write every generated file."""
    for name, render in generated_files().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(), encoding="utf-8")
        typer.echo(name)


if __name__ == "__main__":
    main()
