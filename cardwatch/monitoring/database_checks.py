"""Health checks of the databases: reachable, holding what the files say, and for how long yet."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, time, timedelta

from cardwatch.errors import CardwatchError
from cardwatch.monitoring.findings import Finding, Status, worst_of
from cardwatch.monitoring.servers import (
    Server,
    ask,
    certificate_expiry,
    password_expiry,
    servers_of,
)
from cardwatch.monitoring.surroundings import Surroundings
from cardwatch.publish.base import Mirror
from cardwatch.wiring import open_sinks

Found = tuple[Status, str, str]


def check_database(around: Surroundings) -> Finding:
    """Whether every database in use answers."""
    expected = "every database answers"
    servers = servers_of(around.config)
    if not servers:
        return Finding("database", "unknown", "no PostgreSQL database is in use", expected)
    return worst_of("database", expected, [_answer(server) for server in servers])


def _answer(server: Server) -> Found:
    try:
        [[version]] = ask(server, "SHOW server_version")
    except CardwatchError as error:
        return "fail", f"{server.address.origin}: {error.what}", error.next_step
    return "ok", f"{server.address.origin} answers, PostgreSQL {str(version).split()[0]}", ""


def check_published_table(around: Surroundings) -> Finding:
    """Whether the published tables hold the runs that the files come from."""
    name, expected = "published-table", "the runs of the output folder in the database"
    found: list[Found] = []
    for sink in open_sinks(around.config):
        if isinstance(sink, Mirror):
            held = sink.current_runs()
            folder = around.config.output.directory
            there = [
                run
                for run in around.records
                if any((folder / each).is_file() for each in run.files)
            ]
            lacking = [run for run in there if held.get(run.reporting_week) != run.run_id]
            same = len(there) - len(lacking)
            found.append(("ok", f"{sink.place}: {same:,} of {len(there):,} weeks the same", ""))
            found += [
                (
                    "fail",
                    f"{run.reporting_week} is not that of the files",
                    f"cardwatch publish --reporting-week {run.reporting_week}",
                )
                for run in lacking
            ]
    if not found:
        return Finding(name, "unknown", "results go to files only", expected)
    return worst_of(name, expected, found)


def check_certificate(around: Surroundings) -> Finding:
    """Whether the certificates of the database servers stay valid."""
    days = around.settings.health.expiry_warn_days
    expected = f"valid for {days:g} days or more, where a certificate is shown"
    found = [
        each
        for server in servers_of(around.config)
        if (each := _certificate(server, around.now, days))
    ]
    if not found:
        return Finding("certificate", "unknown", "no certificate is visible", expected)
    return worst_of("certificate", expected, found)


def _certificate(server: Server, now: datetime, days: float) -> Found | None:
    origin = server.address.origin
    step = "Ask the database's administrator for a new certificate"
    try:
        until = certificate_expiry(server)
    except ssl.SSLCertVerificationError as error:
        if "expired" in error.verify_message:
            return "fail", f"the certificate of {origin} has expired", step
        return "unknown", f"the certificate of {origin} cannot be read", ""
    except OSError as error:
        return "unknown", f"{origin} could not be asked ({type(error).__name__})", ""
    return _until(until, now, days, f"the certificate of {origin}", step) if until else None


def check_credentials(around: Surroundings) -> Finding:
    """Whether passwords that have an end are still good for a while."""
    days = around.settings.health.expiry_warn_days
    expected = f"good for {days:g} days or more, where an end is known"
    step = "Have it renewed, and put the new one into .env"
    found = [
        _until(end, around.now, days, f"the password for {server.address.origin}", step)
        for server in servers_of(around.config)
        if (end := password_expiry(server))
    ]
    for name, day in around.settings.health.credentials_expire.items():
        end = datetime.combine(day, time(0, 0), UTC)
        found.append(_until(end, around.now, days, name, step))
    if not found:
        return Finding("credentials", "unknown", "no end of a password is visible", expected)
    return worst_of("credentials", expected, found)


def _until(end: datetime, now: datetime, days: float, what: str, step: str) -> Found:
    text = f"{what} is valid until {end:%Y-%m-%d}"
    if end <= now:
        return "fail", f"{what} expired on {end:%Y-%m-%d}", step
    return ("warn", text, step) if end - now < timedelta(days=days) else ("ok", text, "")
