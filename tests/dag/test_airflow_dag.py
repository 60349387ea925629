"""The DAG on real Airflows: it loads, runs, retries, alerts, fills gaps, and takes a trigger."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from airflow_installation import DAG_ID, ROOT, Airflow, environment_of, wait_for
from command_line import cardwatch
from filelock import FileLock
from message_servers import http_server, mail_server
from postgres import Database

from cardwatch.week import ReportingWeek

pytestmark = pytest.mark.airflow

LAST = (
    ReportingWeek.containing(datetime.now(UTC).astimezone(ZoneInfo("America/Chicago")).date()) - 1
)
HEAVY = ("cardwatch", "duckdb", "pandas", "numpy", "pyarrow", "sklearn")
TASKS = ["health_check", "publish_check", "run_anomaly_detection_pipeline", "wait_for_data"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of the sample portfolio up to last week; not to be changed."""
    folder = tmp_path_factory.mktemp("sample")
    cardwatch(folder, "sample", "--customers", "300", "--weeks", "14")
    return folder / "datasamples"


@pytest.fixture
def work(tmp_path: Path, sample: Path) -> Path:
    """An installation of Cardwatch over the sample."""
    folder = tmp_path / "installation"
    folder.mkdir()
    (folder / "datasamples").symlink_to(sample)
    (folder / "main.py").symlink_to(ROOT / "main.py")
    return folder


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Airflow's own database, made once for each version and all workers; to be copied."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def home_of(version: int) -> Path:
        home = shared / f"airflow-{version}"
        with FileLock(f"{home}.lock"):
            if not (home / "made").exists():
                home.mkdir(exist_ok=True)
                Airflow(environment_of(version), home, home).cli("db", "migrate")
                (home / "made").touch()
        return home

    return home_of


@pytest.fixture
def airflow(tmp_path: Path, work: Path, migrated: Callable[[int], Path]) -> Airflow:
    home = shutil.copytree(migrated(3), tmp_path / "airflow")
    return Airflow(environment_of(3), Path(home), work)


def interpreter(work: Path, before: str) -> str:
    """Return a stand-in for Python that first does something, as a line of sh."""
    script = work / "interpreter"
    script.write_text(f'#!/bin/sh\ncd "{work}"\n{before}\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.mark.takes(40)
def test_a_run_of_a_week_waits_for_the_feed_and_leaves_the_weeks_files(airflow: Airflow) -> None:
    (airflow.work / "datasamples").rename(airflow.work / "late")
    at_the_second_look = "[ -e looked ] && [ -e late ] && mv late datasamples; touch looked"
    airflow.variables["CARDWATCH_PYTHON"] = interpreter(airflow.work, at_the_second_look)
    week = (LAST - 1).label
    said = airflow.cli("dags", "test", DAG_ID, "--conf", json.dumps({"reporting_week": week}))
    assert "successful" in said
    assert said.count("-m cardwatch.cli weeks") == 2
    names = {path.name for path in (airflow.work / "outputs").iterdir()}
    assert {f"anomalies_{week}.csv", f"run_{week}.json", "health_check_latest.json"} <= names
    assert f"anomalies_{LAST.label}.csv" not in names


FACTS = f"""
import json, os, sys
from datetime import datetime
from time import perf_counter, process_time
from airflow.models.dagbag import DagBag
if __VERSION__ == 3:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.encoders import coerce_to_core_timetable
else:
    coerce_to_core_timetable = lambda timetable: timetable
from airflow.timetables.base import DataInterval, TimeRestriction
import pendulum

before, cpu, wall = set(sys.modules), process_time(), perf_counter()
bag = DagBag(".", **({{}} if __VERSION__ == 3 else {{"include_examples": False}}))
cpu, wall = process_time() - cpu, perf_counter() - wall
loaded = set(sys.modules) - before
dag = bag.dags[{DAG_ID!r}]

timetable, mondays, last = coerce_to_core_timetable(dag.timetable), [], None
first = pendulum.datetime(2024, 12, 28)
while len(mondays) < 160:
    info = timetable.next_dagrun_info(
        last_automated_data_interval=last, restriction=TimeRestriction(first, None, True)
    )
    last = info.data_interval
    mondays.append(info.run_after.isoformat())

import anomaly_detection_dag as module
def ending(line):
    with open(os.environ["STAND_IN"], "w") as script:
        script.write("#!/bin/sh\\n" + line + "\\n")
    try:
        module.judge(module.call("anything"), "It")
    except Exception as error:
        return type(error).__name__
os.environ["CARDWATCH_PYTHON"] = os.environ["STAND_IN"]
print(json.dumps(dict(
    errors=bag.import_errors,
    seconds=[cpu, wall],
    heavy=[name for name in {HEAVY!r} if name in loaded],
    tasks=sorted(dag.task_ids),
    one=[dag.max_active_runs, dag.catchup],
    timeouts=[dag.dagrun_timeout.total_seconds(),
              dag.get_task("run_anomaly_detection_pipeline").execution_timeout.total_seconds(),
              dag.get_task("wait_for_data").timeout],
    mode=dag.get_task("wait_for_data").mode,
    retries=[[task.retries, task.retry_exponential_backoff > 0] for task in dag.tasks],
    outlets=[getattr(each, "name", each.uri) for each in dag.get_task("publish_check").outlets],
    weeks=[[day, module.week_before(datetime.fromisoformat(day))] for day in mondays],
    endings=[ending(f"exit {{code}}") for code in range(8)] + [ending("kill -9 $$")],
)))
"""


@pytest.fixture(scope="module", params=[3, 2], ids=["Airflow 3", "Airflow 2"])
def facts(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    migrated: Callable[[int], Path],
) -> dict[str, Any]:
    """What each Airflow knows of the DAG."""
    folder = tmp_path_factory.mktemp("facts")
    airflow = Airflow(environment_of(request.param), migrated(request.param), folder)
    script = folder / "interpreter"
    script.touch(mode=0o755)
    airflow.variables["STAND_IN"] = str(script)
    found: dict[str, Any] = airflow.python(FACTS.replace("__VERSION__", str(request.param)))
    return found


def test_the_dag_loads_in_less_than_a_second_and_without_anything_heavy(
    facts: dict[str, Any],
) -> None:
    assert (facts["errors"], facts["heavy"], facts["tasks"]) == ({}, [], TASKS)
    cpu, wall = facts["seconds"]
    assert cpu < 1, f"{wall:.2f} s by the clock"


def test_one_run_at_a_time_waits_without_a_worker_and_ends_by_itself(
    facts: dict[str, Any],
) -> None:
    assert facts["one"] == [1, False]
    assert facts["mode"] == "reschedule"
    assert facts["timeouts"] == [36 * 3600, 6 * 3600, 24 * 3600]
    assert facts["retries"] == [[3, True]] * 4
    assert facts["outlets"] == ["anomaly_reports"]


def test_every_monday_resolves_to_the_week_that_has_just_ended(facts: dict[str, Any]) -> None:
    """Daylight saving begins and ends in the night to a Sunday; the run stays at two o'clock."""
    zone = ZoneInfo("America/Chicago")
    days = [date(2024, 12, 30) + timedelta(weeks=weeks) for weeks in range(160)]
    mondays = [datetime(day.year, day.month, day.day, 2, tzinfo=zone) for day in days]
    assert [datetime.fromisoformat(due) for due, _ in facts["weeks"]] == mondays
    assert [label for _, label in facts["weeks"]] == [
        (ReportingWeek(day) - 1).label for day in days
    ]


def test_exit_codes_that_may_pass_are_tried_again_and_no_others(facts: dict[str, Any]) -> None:
    again, never = "AirflowException", "AirflowFailException"
    by_code = [None, never, never, again, never, never, again, never]
    assert facts["endings"] == [*by_code, again]  # the last is a signal


@pytest.mark.takes(40)
def test_a_source_that_fails_is_tried_again_and_then_told_by_mail_and_by_slack(
    airflow: Airflow,
) -> None:
    source_fails = 'case "$*" in *"cardwatch.cli run"*) rm -f datasamples ;; esac'
    with mail_server() as mail, http_server(200) as slack:
        address = f"smtp://127.0.0.1:{mail.port}/?disable_ssl=true&disable_tls=true&from_email="
        hook = {"conn_type": "slackwebhook", "password": slack.url}
        airflow.variables |= {
            "CARDWATCH_PYTHON": interpreter(airflow.work, source_fails),
            "AIRFLOW_CONN_SMTP_DEFAULT": address + quote("airflow@bank.test"),
            "AIRFLOW_CONN_SLACK_DEFAULT": json.dumps(hook),
            "CARDWATCH_MAIL_TO": "team@bank.test",
        }
        said = airflow.cli("dags", "test", DAG_ID, code=None)
    assert said.count("-m cardwatch.cli run") == 4, said[-6_000:]
    assert "The run ended with exit code 3" in said
    assert [message["To"] for message in mail.messages] == ["team@bank.test"]
    assert mail.messages[0]["From"] == "airflow@bank.test"
    assert LAST.label in str(mail.messages[0]["Subject"])
    assert len(slack.bodies) == 1
    assert f"a task failed: week {LAST.label}" in slack.bodies[0]


@pytest.mark.parametrize("version", [3, 2])
def test_a_run_that_took_too_long_is_told_of(
    version: int, work: Path, migrated: Callable[[int], Path]
) -> None:
    airflow = Airflow(environment_of(version), migrated(version), work)
    program = """
import json
from anomaly_detection_dag import dag
context = {"dag": dag, "run_id": "scheduled__2025-11-24", "reason": "timed_out"}
dag.on_failure_callback(context)
dag.on_failure_callback(context | {"reason": "task_failure"})
print(json.dumps(None))
"""
    with http_server(200) as slack:
        hook = {"conn_type": "slackwebhook", "password": slack.url}
        airflow.variables["AIRFLOW_CONN_SLACK_DEFAULT"] = json.dumps(hook)
        airflow.python(program)
    assert len(slack.bodies) == 1
    assert "took too long, and was ended: run scheduled__2025-11-24" in slack.bodies[0]


def test_the_project_and_its_interpreter_are_found_beside_the_dag(
    airflow: Airflow, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    (place / "releases/v1/dags").mkdir(parents=True)
    shutil.copy(ROOT / "dags/anomaly_detection_dag.py", place / "releases/v1/dags")
    (place / "releases/v1/main.py").touch()
    (place / "releases/v1/venv/bin").mkdir(parents=True)
    (place / "releases/v1/venv/bin/python").touch()
    airflow.variables |= {"CARDWATCH_HOME": "", "CARDWATCH_PYTHON": ""}
    program = "import json, anomaly_detection_dag as d; print(json.dumps(d.interpreter()))"
    release = place / "releases/v1"
    assert airflow.python(program, release / "dags") == str(release / "venv/bin/python")
    airflow.variables["CARDWATCH_HOME"] = str(place)
    assert airflow.python(program, release / "dags") == str(place / "venv/bin/python")
    airflow.variables["CARDWATCH_PYTHON"] = "/somewhere/else/python"
    assert airflow.python(program, release / "dags") == "/somewhere/else/python"


def test_what_stays_wrong_is_not_tried_again(airflow: Airflow) -> None:
    (airflow.work / "config").mkdir()
    (airflow.work / "config" / "config.yaml").write_text("outptu: {}\n")
    said = airflow.cli("dags", "test", DAG_ID, code=None)
    assert said.count("-m cardwatch.cli weeks") == 1
    assert "outptu is not a setting" in said
    assert "-m cardwatch.cli run" not in said


@pytest.mark.takes(120)
def test_a_trigger_and_a_backfill_run_under_a_live_scheduler(
    tmp_path: Path, work: Path, database: Database
) -> None:
    """All of Airflow's services, over PostgreSQL as the guide has it."""
    home = tmp_path / "airflow"
    home.mkdir()
    address = database.url.replace("postgresql://", "postgresql+psycopg2://")
    variables = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address}
    airflow = Airflow(environment_of(3), home, work, variables)
    airflow.cli("db", "migrate")

    def rows(statement: str) -> list[tuple[Any, ...]]:
        with database.connect() as connection:
            return connection.execute(statement.encode()).fetchall()

    def succeeded(kind: str, number: int) -> bool:
        states = rows("SELECT run_type::text, state::text FROM dag_run")
        assert "failed" not in [state for _, state in states], states
        return states.count((kind, "success")) == number

    with airflow.standing() as is_up:
        wait_for(is_up, "all of the services")
        wait_for(lambda: is_up() and bool(rows("SELECT 1 FROM serialized_dag")), "the DAG")
        assert DAG_ID in airflow.cli("dags", "list")
        assert "No data found" in airflow.cli("dags", "list-import-errors")
        conf = json.dumps({"reporting_week": (LAST - 3).label})
        airflow.cli("dags", "trigger", DAG_ID, "--conf", conf)
        wait_for(lambda: succeeded("manual", 1), "the triggered run", minutes=8)
        days = [(LAST - weeks + 1).monday.isoformat() for weeks in (2, 1)]
        airflow.cli(
            "backfill", "create", "--dag-id", DAG_ID, "--max-active-runs", "1",
            "--from-date", f"{days[0]}T00:00:00+00:00", "--to-date", f"{days[1]}T23:00:00+00:00",
        )  # fmt: skip
        wait_for(lambda: succeeded("backfill", 2), "the backfill", minutes=15)
        times = "SELECT start_date, end_date FROM dag_run WHERE run_type = 'backfill'"
        (_, ended), (began, _) = sorted(rows(times))
        assert ended <= began, "a week learns from the one before"
        wait_for(lambda: succeeded("scheduled", 1), "last Monday's run", minutes=8)
        updates = "SELECT count(*) FROM asset_event JOIN asset ON asset.id = asset_id WHERE name"
        assert rows(f"{updates} = 'anomaly_reports'") == [(4,)]
    lists = {path.name for path in (work / "outputs").glob("anomalies_*.csv")}
    assert lists == {f"anomalies_{(LAST - weeks).label}.csv" for weeks in range(4)}


def test_the_dag_runs_on_the_airflow_before(
    tmp_path: Path, work: Path, migrated: Callable[[int], Path]
) -> None:
    home = shutil.copytree(migrated(2), tmp_path / "airflow")
    airflow = Airflow(environment_of(2), Path(home), work)
    conf = json.dumps({"reporting_week": LAST.label})
    said = airflow.cli("dags", "test", DAG_ID, "2025-11-24", "--conf", conf)
    assert "successful" in said
    assert (work / "outputs" / f"anomalies_{LAST.label}.csv").exists()
