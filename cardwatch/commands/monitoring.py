"""Watching the system: the health check, the check of a week's results, and trying the alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text

from cardwatch import console
from cardwatch.checkup.files import check_files, read_records
from cardwatch.config import Config, LoadedConfig
from cardwatch.errors import CardwatchError, ConfigurationError, NotifyError, PublishError
from cardwatch.monitoring.alerting import Alerter
from cardwatch.monitoring.findings import HealthReport, report_path
from cardwatch.monitoring.health_checks import check_health, unreadable_configuration
from cardwatch.monitoring.settings import MonitoringSettings, read_settings
from cardwatch.monitoring.surroundings import Surroundings
from cardwatch.monitoring.watching import Watched, after_health_check, watched
from cardwatch.publish.base import Mirror
from cardwatch.publish.database_files import recorded_weeks
from cardwatch.session import command_log
from cardwatch.week import ReportingWeek
from cardwatch.whole_files import write_whole
from cardwatch.wiring import open_sinks
from cardwatch.wording import counted

BROKEN = 2
"""Exit code of a health check that found something broken, or that broke itself."""


def health_command(
    load: Callable[[], LoadedConfig], settings_file: Path | None, as_json: bool
) -> None:
    """Check the health, write the report, tell who should know, and end with 0, 1 or 2."""
    console.use_width()
    try:
        code = _health(load, settings_file, as_json)
    except CardwatchError:
        raise
    except Exception as error:  # 1 would say that somebody should look, and nothing is broken
        _say(f"cardwatch: error: The health check failed ({type(error).__name__})")
        code = BROKEN
    if code:
        raise SystemExit(code)


def _health(load: Callable[[], LoadedConfig], settings_file: Path | None, as_json: bool) -> int:
    settings, loaded = MonitoringSettings(), LoadedConfig(Config())
    try:
        loaded, settings = load(), read_settings(settings_file)
    except ConfigurationError as error:
        report = unreadable_configuration(error)
    else:
        with command_log(loaded.config):
            around = Surroundings(loaded, settings, datetime.now(UTC))
            with console.waiting("Checking"):
                report = check_health(around)
            after_health_check(loaded.config, settings, report, _say)
    _write(report, report_path(loaded.config.output.directory, settings.health.report))
    if as_json:
        console.write_json(report.to_json())
    else:
        _show(report)
    return report.exit_code


def _show(report: HealthReport) -> None:
    """Print what every check found, and where the runbook says more."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("check", ""):
        table.add_column(name, no_wrap=True)
    for name in ("found", "expected", "what to do"):
        table.add_column(name, overflow="fold")
    for each in report.checks:
        status = Text(each.status, console.CHECK_STYLES[each.status])
        step = f"{each.next_step} ({each.runbook})" if each.status in ("warn", "fail") else ""
        rest = map(Text, (each.measured, each.expected, step))
        table.add_row(Text(each.name), status, *rest)
    console.out.print(table)
    console.out.print(Text(f"Health: {report.status}", console.CHECK_STYLES[report.status]))


def _write(report: HealthReport, path: Path) -> None:
    try:
        write_whole(path, report.to_json())
    except PublishError as error:
        _say(error.message)


def verify_command(config: Config, wanted: str | None) -> None:
    """Check that a week's results are whole wherever they should be.

    Raises
    ------
    PublishError
        If a file is missing or altered, or the database does not hold the week's run.
    """
    folder = config.output.directory
    with command_log(config):
        week = _week(folder, wanted)
        records, unread = read_records(folder, [week])
        bad = [each for each in check_files(folder, records, unread) if each.status != "ok"]
        if bad:
            raise PublishError(
                f"The results of week {week} are not whole",
                where=str(folder),
                observed=bad[0].measured,
                next_step=bad[0].advice,
            )
        places = [str(folder)]
        for sink in open_sinks(config):
            if isinstance(sink, Mirror):
                places.append(sink.place)
                _compare(sink, week, records[0].run_id)
    files = len(records[0].files)
    console.out.print(
        f"Week {week.display(config.reporting_week.numbering)}, run {records[0].run_id}:"
        f" {counted(files, 'file')} whole in {' and in '.join(places)}",
        markup=False,
        soft_wrap=True,
    )


def _week(folder: Path, wanted: str | None) -> ReportingWeek:
    recorded = recorded_weeks(folder) if folder.is_dir() else ()
    if wanted is not None and wanted.strip().lower() != "last":
        week = ReportingWeek.parse(wanted)
        if week in recorded:
            return week
        raise PublishError(
            f"There are no results of week {week}",
            where=str(folder),
            next_step=f"cardwatch run --reporting-week {week}",
        )
    if not recorded:
        raise PublishError(
            "There are no results", where=str(folder), next_step="`cardwatch run` makes some"
        )
    return recorded[-1]


def _compare(sink: Mirror, week: ReportingWeek, run_id: str) -> None:
    held = sink.current_runs().get(week.label)
    if held != run_id:
        raise PublishError(
            f"The database does not hold the results of week {week}",
            where=sink.place,
            observed=f"run {held}" if held else "no run",
            expected=f"run {run_id}",
            next_step=f"cardwatch publish --reporting-week {week}",
        )


def alert_test_command(config: Config, settings_file: Path | None) -> None:
    """Send a test to every channel, and say what became of each.

    Raises
    ------
    ConfigurationError
        If no channel is configured.
    NotifyError
        If one of them did not take it.
    """
    console.use_width()
    with command_log(config):
        deliveries = Alerter(config, read_settings(settings_file)).test()
    if not deliveries:
        raise ConfigurationError(
            "No channel is configured",
            next_step="Set SMTP_SERVER or SLACK_WEBHOOK_URL, or alerts.channels in"
            " config/monitoring_config.yaml",
        )
    for each in deliveries:
        console.out.print(f"{each.channel}: {each.problem or 'sent'}", markup=False)
    failed = [each for each in deliveries if each.problem]
    if failed:
        raise NotifyError(
            f"{len(failed)} of {counted(len(deliveries), 'channel')} did not take the test",
            observed=f"{failed[0].channel}: {failed[0].problem}",
            next_step="docs/RUNBOOK.md, 'Email alerts not sending'",
        )


@contextmanager
def watching(
    config: Config, command: str, settings_file: Path | None = None, *, dry_run: bool = False
) -> Iterator[Watched]:
    """Watch a command that makes results; a dry run is not watched."""
    if dry_run:
        yield Watched(command)
        return
    with watched(config, command, _say, settings_file) as noted:
        yield noted


def _say(sentence: str) -> None:
    console.err.print(sentence, markup=False, soft_wrap=True)
