"""The settings of ``config/monitoring_config.yaml``: thresholds, channels and places.

Whether runs are watched at all, and from which severity on, is said by ``ENABLE_MONITORING`` and
``ALERT_THRESHOLD`` in the configuration proper.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from datetime import date
from datetime import time as TimeOfDay
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, SecretStr, ValidationError

from cardwatch.config import SmtpSecurity
from cardwatch.config.environment import Variables, read_dotenv, replace
from cardwatch.config.section import Section, SettingPath, setting
from cardwatch.config.values import is_time_zone
from cardwatch.config.yaml_file import ConfigFile, read_yaml
from cardwatch.errors import ConfigurationError

DEFAULT_FILE = Path("config/monitoring_config.yaml")
FILE_VARIABLE = "CARDWATCH_MONITORING_CONFIG"

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
TimeZone = Annotated[str, AfterValidator(is_time_zone)]


class ScheduleSettings(Section):
    """When the weekly run is due: the schedule of Airflow or of the timer."""

    weekday: Weekday = setting("monday", "The day of the weekly run.")
    time: TimeOfDay = setting(TimeOfDay(2, 0), "When it begins.", unit="time of day")
    timezone: TimeZone = setting("America/Chicago", "The time zone of that hour.")
    grace_hours: float = setting(
        6.0, "How long it may take until it is missed.", unit="hours", gt=0, le=168
    )


class HealthSettings(Section):
    """From where on a health check warns or fails."""

    timeout_seconds: float = setting(
        30.0, "How long one check may take.", unit="seconds", gt=0, le=600
    )
    report: SettingPath | None = setting(
        None, "Where the report goes; null is health_check_latest.json in output.directory."
    )
    disk_warn_gb: float = setting(
        10.0, "Free space below which to warn.", unit="GB of 10^9 bytes", ge=0
    )
    disk_fail_gb: float = setting(
        1.0, "Free space below which to fail.", unit="GB of 10^9 bytes", ge=0
    )
    memory_warn_gb: float = setting(
        1.0, "Available memory below which to warn.", unit="GB of 10^9 bytes", ge=0
    )
    volume_warn_ratio: float = setting(
        0.7,
        "Rows of the newest week over the median of the weeks before, below which (or above whose"
        " inverse) to warn.",
        unit="ratio",
        gt=0,
        lt=1,
    )
    quarantine_warn_share: float = setting(
        0.01, "Rows set aside above which to warn.", unit="share of rows", ge=0, le=1
    )
    quarantine_fail_share: float = setting(
        0.05, "Rows set aside above which to fail.", unit="share of rows", ge=0, le=1
    )
    coverage_warn_share: float = setting(
        0.95, "Customers scored below which to warn.", unit="share of customers", ge=0, le=1
    )
    drift_warn_psi: float | None = setting(
        None,
        "Drift of the scores, or of a feature, above which to warn; null is drift.moved_psi.",
        unit="PSI",
        gt=0,
    )
    drift_fail_psi: float | None = setting(
        None,
        "Drift of the scores above which to fail; null is drift.shifted_psi.",
        unit="PSI",
        gt=0,
    )
    clock_warn_seconds: float = setting(
        60.0, "Difference to the database's clock above which to warn.", unit="seconds", gt=0
    )
    expiry_warn_days: float = setting(
        30.0, "Days before a certificate or password expires to warn.", unit="days", ge=0
    )
    credentials_expire: dict[str, date] = setting(
        {},
        'Credentials that expire where no program can see it, such as {Power BI: "2027-06-30"}.',
        unit="date by name",
    )


class MetricsSettings(Section):
    """Where metrics go."""

    textfile_directory: SettingPath | None = setting(
        None, "The folder that node_exporter's textfile collector reads; null writes none."
    )
    pushgateway: str | None = setting(
        None, "A Prometheus Pushgateway, for machines without node_exporter.", unit="URL"
    )
    timeout_seconds: float = setting(
        5.0, "How long the gateway may take.", unit="seconds", gt=0, le=60
    )


class QuietHours(Section):
    """Hours in which only critical alerts are sent; the others follow afterwards."""

    begin: TimeOfDay = setting(TimeOfDay(0, 0), "When they begin.", unit="time of day")
    end: TimeOfDay = setting(
        TimeOfDay(0, 0), "When they end; the same as the beginning is never.", unit="time of day"
    )
    timezone: TimeZone = setting("America/Chicago", "The time zone of these hours.")


class AlertSettings(Section):
    """Who is told, how, and how often."""

    mail_to: tuple[str, ...] = setting(
        (), "Mail addresses that are told, through SMTP_SERVER; empty is SMTP_USER's own."
    )
    mail_from: str = setting("", "The sender's address; empty is SMTP_USER.")
    smtp_security: SmtpSecurity | None = setting(
        None,
        "How the connection to the mail server is encrypted: starttls, ssl or none; null is"
        " notify.smtp_security.",
    )
    channels: tuple[SecretStr, ...] = setting(
        (),
        "Other channels, as URLs of the library apprise such as msteams://… or json://host/path;"
        " write secrets in them as ${NAME}. SLACK_WEBHOOK_URL needs no entry. Never shown.",
        unit="URLs",
    )
    attempts: int = setting(4, "How often a message is tried.", unit="attempts", ge=1, le=10)
    wait_seconds: float = setting(
        3.0, "How long to wait before the next attempt.", unit="seconds", ge=0, le=60
    )
    timeout_seconds: float = setting(
        20.0, "How long sending may take in all, after which the run ends.", unit="seconds", gt=0
    )
    max_per_hour: int = setting(
        6, "Messages to one channel within an hour; others wait.", unit="messages", ge=1
    )
    state: SettingPath | None = setting(
        None, "What was told to whom; null is alert_state.json in output.directory."
    )
    quiet_hours: QuietHours = QuietHours()


class MonitoringSettings(Section):
    """Everything in ``config/monitoring_config.yaml``."""

    schedule: ScheduleSettings = ScheduleSettings()
    health: HealthSettings = HealthSettings()
    metrics: MetricsSettings = MetricsSettings()
    alerts: AlertSettings = AlertSettings()


def read_settings(
    path: Path | None = None, environ: Mapping[str, str] | None = None
) -> MonitoringSettings:
    """Read the settings of monitoring; without a file the defaults apply.

    Parameters
    ----------
    path : pathlib.Path, optional
        The file. Without one: that which ``CARDWATCH_MONITORING_CONFIG`` names, else
        ``config/monitoring_config.yaml`` if there is one.
    environ : mapping of str to str, optional
        The process environment; ``os.environ`` if left out. ``.env`` is read below it.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, a key is unknown, a value does not fit, or a ``${NAME}`` in it
        is not set.
    """
    process = os.environ if environ is None else environ
    variables = Variables(process, read_dotenv(Path(".env"), required=False))
    named = path or (Path(text) if (text := variables.get(FILE_VARIABLE)) else None)
    if named is None and not DEFAULT_FILE.exists():
        return MonitoringSettings()
    file = read_yaml(named or DEFAULT_FILE)
    values = _replaced(dict(file.values), (), file, variables)
    try:
        return MonitoringSettings.model_validate(values)
    except ValidationError as error:
        raise _problem(error, file) from error


def _replaced(
    value: Any, path: tuple[str | int, ...], file: ConfigFile, variables: Variables
) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _replaced(each, (*path, name), file, variables) for name, each in value.items()
        }
    if isinstance(value, list):
        return [_replaced(each, (*path, at), file, variables) for at, each in enumerate(value)]
    key = ".".join(map(str, path))
    try:
        found = replace(value, variables)
    except ValueError as error:
        raise ConfigurationError(
            f"{key} cannot be read", where=file.place(path), observed=str(error)
        ) from error
    if found.missing:
        raise ConfigurationError(
            f"{key} needs the variable {found.missing[0]}, which is not set",
            where=file.place(path),
            next_step=f"Set it in the environment or in .env, or write ${{{found.missing[0]}:-…}}",
        )
    return found.value


def _problem(error: ValidationError, file: ConfigFile) -> ConfigurationError:
    """Say the first thing that is wrong; values are not shown, for a channel holds a secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = tuple(first["loc"])
    key = ".".join(map(str, path))
    if first["type"] != "extra_forbidden":
        expected = first["msg"].removeprefix("Input should be ")
        return ConfigurationError(f"{key} is not valid", where=file.place(path), expected=expected)
    known = _names_beside(path)
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    advice = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}"
    return ConfigurationError(f"{key} is not a setting", where=file.place(path), next_step=advice)


def _names_beside(path: tuple[str | int, ...]) -> list[str]:
    model: Any = MonitoringSettings
    for name in path[:-1]:
        model = model.model_fields[str(name)].annotation
    return list(model.model_fields)
