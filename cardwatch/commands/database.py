"""The database that results are written to: its tables, and sending it what the files say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cardwatch import console
from cardwatch.commands.monitoring import watching
from cardwatch.config import Config
from cardwatch.database.faults import translated
from cardwatch.errors import PublishError
from cardwatch.manifest import load_manifest
from cardwatch.outputs import OutputFile
from cardwatch.publish.database import DatabaseSink
from cardwatch.publish.database_check import check_database
from cardwatch.publish.database_declared import HEAD
from cardwatch.publish.database_files import recorded_weeks
from cardwatch.publish.database_roles import grant_reader, reader_statements
from cardwatch.publish.database_script import upgrade_script
from cardwatch.publish.database_upgrade import upgrading
from cardwatch.publish.lock import reading
from cardwatch.session import command_log
from cardwatch.week import ReportingWeek
from cardwatch.wiring import open_database_sink, output_address
from cardwatch.wording import counted


def upgrade_command(config: Config, *, as_sql: bool, reader_role: str | None) -> None:
    """Make the tables and views that are missing, or print the SQL of it."""
    database = config.output.database
    if as_sql:
        console.write_json(upgrade_script(database.schema_name, reader_role))
        return
    address, granted = output_address(config), True
    with (
        command_log(config),
        translated(address, PublishError),
        upgrading(address, database, lock_seconds=config.output.lock_timeout_seconds) as upgrade,
    ):
        if reader_role is not None:
            granted = grant_reader(upgrade, reader_role)
    was = {None: "was empty", HEAD: "was up to date"}.get(upgrade.before, f"was {upgrade.before}")
    place = f"{address.origin}, schema {database.schema_name}"
    _say(f"{place}: version {HEAD} ({was})", *upgrade.notes)
    if reader_role is not None and not granted:
        _refuse_role(database.schema_name, reader_role, address.user)
    if reader_role is not None:
        _say(
            f"The role {reader_role} may read anomaly_reports and the views bi_*: GRANT it to users"
        )


def _refuse_role(schema: str, role: str, user: str) -> None:
    console.write_json("".join(f"{each};\n" for each in reader_statements(schema, role)))
    raise PublishError(
        f"The tables are up to date, but the user {user} may not make the role {role}, or grant it",
        next_step="Hand the database's administrator the statements above",
    )


def check_command(config: Config) -> None:
    """Say what the database lacks; nothing is changed."""
    address = output_address(config)
    with command_log(config):
        state = check_database(address, config.output.database)
    _say(
        f"{address.origin}, schema {config.output.database.schema_name}: {state.server}",
        f"version {state.version or 'unknown'}",
        *(problem.sentence for problem in state.found),
    )
    if state.faults:
        raise PublishError(
            "The database is not as this version needs it",
            observed=state.faults[0].sentence,
            next_step="`cardwatch db upgrade` makes what is missing",
        )
    _say("Everything that is needed is there")


def publish_command(
    config: Config,
    wanted: str | None,
    *,
    all_missing: bool,
    dry_run: bool,
    monitoring: Path | None = None,
) -> None:
    """Send to the database what the files of a week say, or say what that would do."""
    with watching(config, "cardwatch publish", monitoring, dry_run=dry_run):
        _publish(config, wanted, all_missing, dry_run)


def _publish(config: Config, wanted: str | None, all_missing: bool, dry_run: bool) -> None:
    sink, output = open_database_sink(config), config.output
    with (
        command_log(config),
        reading(
            output.directory,
            output.lock_timeout_seconds,
            lambda sentence: console.err.print(sentence, markup=False),
        ),
    ):
        weeks = _missing(config, sink) if all_missing else [_week(config, wanted)]
        for week in weeks:
            named = week.display(config.reporting_week.numbering)
            _say(_preview(sink, week, named) if dry_run else _published(sink, week, named))
    if not weeks:
        _say("Nothing is missing: the database holds the newest run of every week")


def _week(config: Config, wanted: str | None) -> ReportingWeek:
    if wanted is not None and wanted.strip().lower() != "last":
        return ReportingWeek.parse(wanted)
    recorded = recorded_weeks(config.output.directory)
    if not recorded:
        raise PublishError(
            "The output folder holds no results to publish",
            where=str(config.output.directory),
            next_step="`cardwatch run` makes some",
        )
    return recorded[-1]


def _missing(config: Config, sink: DatabaseSink) -> list[ReportingWeek]:
    """Return the weeks whose newest run the database does not hold; packed ones are only told."""
    folder, current = config.output.directory, sink.current_runs()
    found = []
    for week in recorded_weeks(folder):
        run_id = load_manifest(folder / OutputFile.MANIFEST.of(week)).run_id
        if current.get(week.label) == run_id:
            continue
        if (folder / OutputFile.LIST_JSON.of(week)).exists():
            found.append(week)
        else:
            _say(f"Week {week.label} is missing in the database and has no JSON list to send")
    return found


def _published(sink: DatabaseSink, week: ReportingWeek, named: str) -> str:
    return f"Published week {named} to {'; '.join(sink.publish(week).written)}"


def _preview(sink: DatabaseSink, week: ReportingWeek, named: str) -> str:
    preview = sink.preview(week)
    counts = ", ".join(f"{count:,} in {name}" for name, count in preview.rows.items() if count)
    there = counted(preview.listed_now, "listed customer")
    would = "be new there"
    if preview.current_run is not None:
        would = f"replace run {preview.current_run} and its {there}"
    elif preview.listed_now:
        would = f"replace {there} of no run of Cardwatch's"
    return (
        f"Dry run, nothing was written: week {named}, run {preview.run_id} would {would}: {counts}"
    )


def _say(*sentences: str) -> None:
    _lines(sentences)


def _lines(sentences: Sequence[str]) -> None:
    console.use_width()
    for sentence in sentences:
        console.out.print(sentence, markup=False)
