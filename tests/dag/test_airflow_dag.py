"""The DAG on real Airflows: it loads, runs, retries, alerts, fills gaps, and takes a trigger."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from airflow_installation import DAG_ID, ROOT, Airflow, environment_of, wait_for
from command_line import cardwatch
from message_servers import mail_server
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


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Airflow's own database, made once for each version; to be copied."""
    homes: dict[int, Path] = {}

    def home_of(version: int) -> Path:
        if version not in homes:
            home = tmp_path_factory.mktemp(f"airflow{version}")
            Airflow(environment_of(version), home, home).cli("db", "migrate")
            homes[version] = home
        return homes[version]

    return home_of


@pytest.fixture
def airflow(tmp_path: Path, work: Path, migrated: Callable[[int], Path]) -> Airflow:
    home = shutil.copytree(migrated(3), tmp_path / "airflow")
    return Airflow(environment_of(3), Path(home), work)


def test_a_run_of_a_week_leaves_the_weeks_files(airflow: Airflow) -> None:
    week = (LAST - 1).label
    said = airflow.cli("dags", "test", DAG_ID, "--conf", json.dumps({"reporting_week": week}))
    assert "successful" in said
    names = {path.name for path in (airflow.work / "outputs").iterdir()}
    assert {f"anomalies_{week}.csv", f"run_{week}.json", "health_check_latest.json"} <= names
    assert f"anomalies_{LAST.label}.csv" not in names


def test_the_dag_loads_without_anything_heavy(airflow: Airflow) -> None:
    program = f"""
import json, sys
from airflow.dag_processing.dagbag import DagBag
before = set(sys.modules)
bag = DagBag(".")
loaded = set(sys.modules) - before
dag = bag.dags[{DAG_ID!r}]
print(json.dumps([
    bag.import_errors, sorted(dag.task_ids), dag.max_active_runs, dag.catchup,
    [name for name in {HEAVY!r} if name in loaded],
    dict((task.task_id, task.retries) for task in dag.tasks),
    [asset.name for asset in dag.get_task("publish_check").outlets],
]))
"""
    errors, tasks, runs, catchup, heavy, retries, outlets = airflow.python(program)
    assert (errors, tasks, runs, catchup, heavy) == ({}, TASKS, 1, False, [])
    assert retries["run_anomaly_detection_pipeline"] > 0
    assert outlets == ["anomaly_reports"]


def test_every_monday_resolves_to_the_week_that_has_just_ended(airflow: Airflow) -> None:
    """Daylight saving begins and ends in the night to a Sunday; the run stays at two o'clock."""
    zone = ZoneInfo("America/Chicago")
    days = [date(2024, 12, 30) + timedelta(weeks=weeks) for weeks in range(160)]
    mondays = [datetime(day.year, day.month, day.day, 2, tzinfo=zone) for day in days]
    program = f"""
import json
from datetime import datetime
from anomaly_detection_dag import dag, week_before
moments = [datetime.fromisoformat(text) for text in {[m.isoformat() for m in mondays]!r}]
print(json.dumps([
    [week_before(moment) for moment in moments],
    str(dag.timetable.expression), str(dag.timetable.timezone),
]))
"""
    labels, expression, named = airflow.python(program)
    assert labels == [(ReportingWeek(day) - 1).label for day in days]
    assert (expression, named) == ("0 2 * * 1", "America/Chicago")


def test_a_failure_that_may_pass_is_tried_again_and_then_told(airflow: Airflow) -> None:
    outputs = airflow.work / "outputs"
    outputs.write_text("a file where the folder should be")
    with mail_server() as server:
        mail = f"smtp://127.0.0.1:{server.port}/?disable_ssl=true&disable_tls=true&from_email="
        airflow.variables |= {
            "AIRFLOW_CONN_SMTP_DEFAULT": mail + quote("airflow@bank.test"),
            "CARDWATCH_MAIL_TO": "team@bank.test",
        }
        said = airflow.cli("dags", "test", DAG_ID, code=None)
    assert said.count("-m cardwatch.cli run") > 1, said[-6_000:]
    assert [message["To"] for message in server.messages] == ["team@bank.test"]
    assert LAST.label in str(server.messages[0]["Subject"])


def test_what_stays_wrong_is_not_tried_again(airflow: Airflow) -> None:
    (airflow.work / "config").mkdir()
    (airflow.work / "config" / "config.yaml").write_text("outptu: {}\n")
    said = airflow.cli("dags", "test", DAG_ID, code=None)
    assert said.count("-m cardwatch.cli weeks") == 1
    assert "outptu is not a setting" in said
    assert "-m cardwatch.cli run" not in said


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

    def ended(number: int) -> bool:
        states = [state for (state,) in rows("SELECT state::text FROM dag_run")]
        assert "failed" not in states
        return states.count("success") == number

    with airflow.standing() as is_up:
        wait_for(lambda: is_up() and bool(rows("SELECT 1 FROM serialized_dag")), "the DAG")
        airflow.cli("dags", "unpause", DAG_ID, "--yes")
        conf = json.dumps({"reporting_week": LAST.label})
        airflow.cli("dags", "trigger", DAG_ID, "--conf", conf)
        wait_for(lambda: is_up() and ended(1), "the triggered run")
        days = [(LAST - weeks + 1).monday.isoformat() for weeks in (3, 1)]
        airflow.cli(
            "backfill", "create", "--dag-id", DAG_ID,
            "--from-date", f"{days[0]}T00:00:00+00:00", "--to-date", f"{days[1]}T23:00:00+00:00",
        )  # fmt: skip
        wait_for(lambda: is_up() and ended(4), "the backfill", minutes=6)
    lists = {path.name for path in (work / "outputs").glob("anomalies_*.csv")}
    assert lists == {f"anomalies_{(LAST - weeks).label}.csv" for weeks in range(4)}


def test_the_dag_runs_on_the_airflow_before(work: Path, migrated: Callable[[int], Path]) -> None:
    airflow = Airflow(environment_of(2), migrated(2), work)
    conf = json.dumps({"reporting_week": LAST.label})
    said = airflow.cli("dags", "test", DAG_ID, "2025-11-24", "--conf", conf)
    assert "successful" in said
    assert (work / "outputs" / f"anomalies_{LAST.label}.csv").exists()
