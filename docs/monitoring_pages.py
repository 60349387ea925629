"""The pages and files that are made from the monitoring: its example, its reference, the schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cardwatch.config.reference import example_entries, setting_tables
from cardwatch.monitoring.findings import report_schema
from cardwatch.monitoring.health_checks import CHECKS
from cardwatch.monitoring.metrics import CATALOG
from cardwatch.monitoring.settings import MonitoringSettings

EXAMPLE = "config/monitoring_config.example.yaml"
REFERENCE = "docs/reference/monitoring.md"
SCHEMA = "docs/reference/health_check.schema.json"

_EXAMPLE_HEAD = """\
# Cardwatch monitoring, with the defaults. Copy it to config/monitoring_config.yaml; keep what you
# change. Whether runs are watched at all is said by ENABLE_MONITORING, and from which severity on
# an alert is sent by ALERT_THRESHOLD (info, warn or critical), in .env or in config/config.yaml.
# ${NAME} and ${NAME:-default} are replaced by environment variables, also from .env.
# Relative paths start at the working directory. Reference: docs/reference/monitoring.md
"""

_HEAD = """\
# Monitoring

<!-- Made by `make docs` from cardwatch/monitoring/; a test keeps it current. -->

How to use it: [watch the system](../how-to/watch-the-system.md). What to do about each check and
alert: the [runbook](../RUNBOOK.md).

## Health checks

| check | what it looks at | warns | fails |
|---|---|---|---|
{checks}

A check that does not apply is `unknown`, and counts for nothing. One that gives no answer within
`timeout_seconds` fails.

## `health_check_latest.json`

In `output.directory`, replaced whole by each check. Its [JSON Schema](health_check.schema.json) is
that of version 1; later versions only add keys.

| key | what it is |
|---|---|
"""

_METRICS_HEAD = """
## Metrics

`cardwatch.prom` is written by what makes results, `cardwatch_health.prom` by the health check. No
label ever holds a customer.

| metric | what it is |
|---|---|
"""

_SETTINGS_HEAD = """
## Settings

In `config/monitoring_config.yaml`, or the file that `--monitoring-config` or the variable
`CARDWATCH_MONITORING_CONFIG` names;
[its example](../../config/monitoring_config.example.yaml) holds them all.
"""

_WARNS_AND_FAILS = {
    "configuration": ("", "an unknown key, a wrong value, a missing variable"),
    "source": ("", "it cannot be reached, or a column is missing"),
    "latest-week": ("the week is not there; `volume_warn_ratio`", "the source cannot be read"),
    "last-run": ("", "none since the last one was due (`schedule`), or the last command failed"),
    "outputs": ("", "a file is missing or altered"),
    "published-table": ("", "it holds other runs, or cannot be reached"),
    "database": ("", "one does not answer"),
    "disk": ("`disk_warn_gb`", "`disk_fail_gb`"),
    "memory": ("`memory_warn_gb`", ""),
    "cache": ("it is closed to this user", ""),
    "log-errors": ("there is one", ""),
    "drift": ("`drift_warn_psi`", "`drift_fail_psi`"),
    "coverage": ("`quarantine_warn_share`, `coverage_warn_share`", "`quarantine_fail_share`"),
    "clock": ("`clock_warn_seconds`", ""),
    "certificate": ("`expiry_warn_days`", "it has expired"),
    "credentials": ("`expiry_warn_days`, `credentials_expire`", "one has expired"),
}


def generated_files() -> Mapping[str, Callable[[], str]]:
    """Return what makes each of these files, by its path in the repository."""
    return {
        EXAMPLE: lambda: _EXAMPLE_HEAD + example_entries(MonitoringSettings),
        REFERENCE: reference_page,
        SCHEMA: lambda: json.dumps(report_schema(), indent=2) + "\n",
    }


def reference_page() -> str:
    """Return every check, key of the report, metric and setting."""
    return "".join(
        [
            _HEAD.format(checks="\n".join(_check_rows())),
            *(f"| `{key}` | {meaning} |\n" for key, meaning in _report_keys(report_schema())),
            _METRICS_HEAD,
            *(f"| `{metric.text}` | {metric.meaning} |\n" for metric in CATALOG),
            _SETTINGS_HEAD,
            setting_tables(MonitoringSettings),
        ]
    )


def _check_rows() -> Iterator[str]:
    for name, check in CHECKS.items():
        looks_at = (check.__doc__ or "").splitlines()[0]
        yield f"| {' | '.join((f'`{name}`', looks_at, *_WARNS_AND_FAILS[name]))} |"


def _report_keys(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, part in schema["properties"].items():
        yield name, part["description"]
    for name, part in schema["$defs"]["Finding"]["properties"].items():
        yield f"checks[].{name}", part["description"]
