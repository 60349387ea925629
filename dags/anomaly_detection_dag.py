"""The weekly run under Airflow: wait for the data, run, check what was published, check the health.

Mondays at 02:00 in Chicago, for the week that has just ended; a manual or backfill run may name
another one in the parameter ``reporting_week``. Each task starts the command line of the project's
own environment, so that Airflow's and the project's libraries never meet. Runs on Airflow 3.3, and
loads on 2.11.

Variables of Airflow's services, all optional: ``CARDWATCH_HOME`` (the installation; found from this
file otherwise), ``CARDWATCH_PYTHON`` (its interpreter; ``venv/bin/python`` or ``.venv/bin/python``
there otherwise), ``CARDWATCH_WAIT_SECONDS`` and ``CARDWATCH_RETRY_SECONDS`` (between two looks for
the data, and before the first retry) and ``CARDWATCH_MAIL_TO`` (who is told by ``smtp_default``).
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

try:
    from airflow.sdk import DAG, Asset, CronTriggerTimetable, Param, get_current_context, task
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.datasets import Dataset as Asset
    from airflow.decorators import task
    from airflow.exceptions import AirflowException, AirflowFailException
    from airflow.models.param import Param
    from airflow.operators.python import get_current_context
    from airflow.timetables.trigger import CronTriggerTimetable

DAG_ID = "card_portfolio_anomaly_detection"
ZONE = ZoneInfo("America/Chicago")
WORTH_A_RETRY = (3, 6)
"""Exit codes of the source and of publishing; what is wrong otherwise stays wrong by itself."""
NOT_THERE_YET = 3
WARNINGS_ONLY = 1
GUIDES_HOME = Path("/opt/anomaly-detection")


def home() -> Path:
    """Return the folder of the installation: the one named, or the one that this file is in."""
    if named := os.environ.get("CARDWATCH_HOME"):
        return Path(named)
    above = Path(__file__).resolve().parents
    return next((folder for folder in above if (folder / "main.py").is_file()), GUIDES_HOME)


def interpreter() -> str:
    """Return the project's own Python."""
    if named := os.environ.get("CARDWATCH_PYTHON"):
        return named
    places = [home() / name / "bin" / "python" for name in ("venv", ".venv")]
    return str(next((place for place in places if place.exists()), places[0]))


def week_before(moment: datetime) -> str:
    """Return the guide's label of the last week that was over at a moment, in Chicago.

    >>> week_before(datetime.fromisoformat("2025-11-24T08:00:00+00:00"))
    '2025-46'
    """
    today = moment.astimezone(ZONE).date()
    monday = today - timedelta(days=today.weekday() + 7)
    return monday.strftime("%Y-%W")


def reporting_week(context: Any) -> str:
    """Return the week of a run: parameter, partition, or the last one over when it was due."""
    if asked := context["params"].get("reporting_week") or context.get("partition_key"):
        return str(asked)
    run = context["dag_run"]
    due = getattr(run, "logical_date", None) or getattr(run, "run_after", None)
    return week_before(due or run.execution_date)


def call(*words: str) -> int:
    """Run the project's command line; what it prints goes to the task's log, line by line."""
    command = [interpreter(), "-m", *words]
    print("+", *command, flush=True)
    with subprocess.Popen(
        command,
        cwd=home(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                print(line, end="", flush=True)
        except BaseException:  # the task was stopped or took too long: so does the command
            process.terminate()
            raise
    return process.returncode


def judge(code: int, what: str) -> None:
    """Fail the task for good, or until the next try, as the exit code deserves."""
    if code == 0:
        return
    text = f"{what} ended with exit code {code}; the log above says why"
    if code in WORTH_A_RETRY or code < 0:  # below zero: a signal ended it
        raise AirflowException(text)
    raise AirflowFailException(text)


def connection(name: str) -> Any | None:
    """Return one of Airflow's connections, None where there is none."""
    try:
        from airflow.sdk import BaseHook
    except ImportError:  # Airflow 2
        from airflow.hooks.base import BaseHook
    with suppress(Exception):  # each version has an error of its own for it
        return BaseHook.get_connection(name)
    return None


def tell(context: Any, subject: str) -> None:
    """Tell by mail and by Slack, where Airflow has a connection for it; never fails the task."""
    subject = f"[cardwatch] {subject}: {_what(context)}"
    lines = [subject, f"DAG {DAG_ID}"]
    if instance := context.get("ti"):
        lines[1] += f", task {instance.task_id}, try {instance.try_number}"
        lines.append(f"Log: {instance.log_url}")
    text = "\n".join([*lines, "Runbook: docs/RUNBOOK.md"])
    for send in (_mail, _slack):
        try:
            send(context, subject, text)
        except Exception as error:
            print(f"Nobody could be told by {send.__name__.strip('_')}: {type(error).__name__}")


def _what(context: Any) -> str:
    """Name the week; a run that was ended from outside may have left its name alone."""
    try:
        return f"week {reporting_week(context)}"
    except (AttributeError, KeyError):
        return f"run {context.get('run_id')}"


def _mail(context: Any, subject: str, text: str) -> None:
    server = connection("smtp_default")
    receiver = os.environ.get("CARDWATCH_MAIL_TO") or os.environ.get("SMTP_USER")
    if server is None or not receiver:
        return
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    body = text.replace("\n", "<br>\n")
    sender = server.extra_dejson.get("from_email") or receiver
    SmtpNotifier(to=receiver, from_email=sender, subject=subject, html_content=body)(context)


def _slack(context: Any, subject: str, text: str) -> None:
    if connection("slack_default") is None:
        return
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    SlackWebhookNotifier(slack_webhook_conn_id="slack_default", text=text)(context)


def tell_of_failure(context: Any) -> None:
    """Tell that a task failed, when no try is left."""
    tell(context, "a task failed")


def tell_of_a_run_that_took_too_long(context: Any) -> None:
    """Tell that the whole run was ended; of a failed task, the task has told."""
    if context.get("reason") == "timed_out":
        tell(context, "the run took too long, and was ended")


def tell_of_success(context: Any) -> None:
    """Tell that the list is there."""
    tell(context, "the list is ready")


def _seconds(variable: str, default: int) -> timedelta:
    return timedelta(seconds=float(os.environ.get(variable, default)))


with DAG(
    dag_id=DAG_ID,
    description="The weekly list of customers whose spending does not look like itself",
    schedule=CronTriggerTimetable("0 2 * * 1", timezone="America/Chicago"),
    start_date=datetime(2025, 1, 1, tzinfo=ZONE),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=36),
    on_failure_callback=tell_of_a_run_that_took_too_long,
    params={
        "reporting_week": Param(
            None,
            type=["null", "string"],
            pattern=r"^\d{4}-(W?\d{2}|\d{2}-\d{2})$",
            title="Reporting week",
            description="2025-46, 2025-W47 or a date in it; empty is the week that has just ended.",
        )
    },
    default_args={
        "owner": "cardwatch",
        "retries": 3,
        "retry_delay": _seconds("CARDWATCH_RETRY_SECONDS", 300),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
        "on_failure_callback": tell_of_failure,
    },
    tags=["cardwatch"],
    doc_md=__doc__,
) as dag:

    @task.sensor(
        mode="reschedule",
        poke_interval=_seconds("CARDWATCH_WAIT_SECONDS", 900).total_seconds(),
        timeout=timedelta(hours=24).total_seconds(),
    )
    def wait_for_data() -> bool:
        """Wait until the source holds the week."""
        week = reporting_week(get_current_context())
        code = call("cardwatch.cli", "weeks", "--reporting-week", week)
        if code != NOT_THERE_YET:
            judge(code, "Looking for the week")
        return code == 0

    @task(execution_timeout=timedelta(hours=6))
    def run_anomaly_detection_pipeline() -> str:
        """Score the week and write the results."""
        week = reporting_week(get_current_context())
        judge(call("cardwatch.cli", "run", "--reporting-week", week), "The run")
        return week

    @task(outlets=[Asset("anomaly_reports")])
    def publish_check(week: str) -> None:
        """Check that the week's results are whole, in the folder and in the database."""
        judge(call("cardwatch.cli", "verify", "--reporting-week", week), "The check")

    @task(on_success_callback=tell_of_success)
    def health_check() -> None:
        """Check the health of the installation; warnings are in the report, and in the log."""
        code = call("src.monitoring.health_checks")
        if code != WARNINGS_ONLY:
            judge(code, "The health check")

    week_run = run_anomaly_detection_pipeline()
    wait_for_data() >> week_run
    publish_check(week_run) >> health_check()
