"""Deploying where Airflow is used: real Airflows, 2.11 before and 3.3 after, and the way back."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import dotenv
import pytest
from sandbox import ROOT, Installation, clone, executable, make_origin

pytestmark = pytest.mark.airflow

INSTALL = """\
#!/usr/bin/env bash
# In place of pip: the environments that make test-airflow builds.
set -eu
cd "$1"
mkdir -p venv/bin
printf '#!/bin/sh\\nPYTHONPATH="${PYTHONPATH:-%s}:%s" PYTHONWARNINGS=ignore exec %s "$@"\\n' \\
    "$1" "${BESIDE}" "${ROOT}/$(<environment)/bin/python" >venv/bin/python
printf '#!/bin/sh\\nexec "%s" -c "from cardwatch.cli import main; main()" "$@"\\n' \\
    "$1/venv/bin/python" >venv/bin/cardwatch
printf '#!/bin/sh\\nexec "%s" -m airflow "$@"\\n' "$1/venv/bin/python" >venv/bin/airflow
chmod +x venv/bin/*
"""


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    for name in (".venv-airflow", ".venv-airflow-2"):
        if not (ROOT / name / "bin/airflow").exists():
            pytest.skip(f"{name} is not there: make test-airflow builds it")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "dotenv").symlink_to(Path(dotenv.__file__).parent)
    made = clone(make_origin(tmp_path / "origin"), tmp_path / "place", tmp_path / "programs")
    executable(tmp_path / "programs" / "install", INSTALL)
    (made.origin / "dags").mkdir()
    shutil.copy(ROOT / "dags" / "anomaly_detection_dag.py", made.origin / "dags")
    made.release("v1.1.0", environment=".venv-airflow-2")
    made.release("v1.2.0", environment=".venv-airflow")
    (made.folder / "airflow").mkdir()
    made.write("config/config.yaml", "environment: production\n")
    made.write(
        ".env",
        f"AIRFLOW_HOME={made.folder}/airflow\n"
        f"AIRFLOW__CORE__DAGS_FOLDER={made.folder}/dags\n"
        "AIRFLOW__CORE__LOAD_EXAMPLES=False\n",
    )
    variables = {"BESIDE": str(tmp_path / "beside"), "ROOT": str(ROOT)}
    return Installation(made.folder, {**made.variables, **variables})


def revision(place: Installation) -> str:
    with closing(sqlite3.connect(place.folder / "airflow" / "airflow.db")) as database:
        [(found,)] = database.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(found)


@pytest.mark.takes(120)
def test_airflows_database_goes_with_its_version_and_back(place: Installation) -> None:
    place.run("git", "fetch", "--quiet", "--tags")
    place.run("git", "checkout", "--quiet", "v1.1.0")
    place.run("bash", place.variables["DEPLOY_INSTALL"], str(place.folder))
    with_env = ("venv/bin/python", "deploy/lib/with_env.py", "venv/bin/airflow")
    place.run(*with_env, "db", "migrate")
    before = revision(place)
    place.deploy("v1.1.0")
    assert (place.folder / "airflow/dags/anomaly_detection_dag.py").exists()

    place.deploy("v1.2.0")
    after = revision(place)
    assert after != before
    calls = [call for call in place.calls if call.startswith(("stop", "restart"))]
    assert "stop airflow-scheduler.service" in calls
    assert calls[-1].startswith("restart")

    place.release("v1.3.0", crashes="", environment=".venv-airflow-2")
    place.deploy("v1.3.0", code=1)
    assert (place.current, revision(place)) == ("v1.2.0", after)

    place.rollback()
    assert (place.current, revision(place)) == ("v1.1.0", before)


def test_a_dag_that_does_not_load_stops_the_deployment(place: Installation) -> None:
    place.release("v1.3.0", **{"dags/anomaly_detection_dag.py": "import nothing_like_it\n"})
    said = place.deploy("v1.3.0", code=1)
    assert "No module named 'nothing_like_it'" in said
    assert "the DAG of v1.3.0 does not load" in said
