"""What the health checks look at: the configuration, the moment, and what runs have recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from cardwatch.config import Config, LoadedConfig
from cardwatch.history import read_manifests
from cardwatch.manifest import RunManifest
from cardwatch.monitoring.settings import MonitoringSettings, ScheduleSettings
from cardwatch.outputs import week_of
from cardwatch.week import ReportingWeek

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Surroundings:
    """One installation at one moment.

    Attributes
    ----------
    now : datetime.datetime
        Aware.
    """

    loaded: LoadedConfig
    settings: MonitoringSettings
    now: datetime

    @property
    def config(self) -> Config:
        """The configuration of the runs."""
        return self.loaded.config

    @cached_property
    def records(self) -> tuple[RunManifest, ...]:
        """The manifests in the output folder that can be read, oldest week first."""
        folder = self.config.output.directory
        if not folder.is_dir():
            return ()
        weeks = {week_of(path.name) for path in folder.iterdir()}
        return read_manifests(folder, sorted(week for week in weeks if week is not None))

    @property
    def newest(self) -> RunManifest | None:
        """The manifest of the newest week."""
        return self.records[-1] if self.records else None

    @property
    def last_week(self) -> ReportingWeek:
        """The last week that is over, in the portfolio's time zone."""
        zone = ZoneInfo(self.config.portfolio.timezone)
        return ReportingWeek.containing(self.now.astimezone(zone).date()) - 1


def last_due(schedule: ScheduleSettings, now: datetime) -> datetime:
    """Return the last moment at which a weekly run was due to begin, at or before `now`.

    Examples
    --------
    >>> from datetime import UTC
    >>> last_due(ScheduleSettings(), datetime(2025, 11, 20, tzinfo=UTC)).isoformat()
    '2025-11-17T02:00:00-06:00'
    """
    local = now.astimezone(ZoneInfo(schedule.timezone))
    back = (local.weekday() - _WEEKDAYS.index(schedule.weekday)) % 7
    day = local.date() - timedelta(days=back)
    due = datetime.combine(day, schedule.time, local.tzinfo)
    return (
        due
        if due <= now
        else datetime.combine(day - timedelta(weeks=1), schedule.time, local.tzinfo)
    )
