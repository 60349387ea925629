"""Weeks scored on a Spark cluster, beside the embedded engine: the same bytes in every file."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from command_line import cardwatch, contents
from odd_rows import odd_transactions, odd_weekly
from postgres import Database
from psycopg.rows import dict_row
from small_portfolio import WEEK
from spark_cluster import CLIENT, Cluster, SparkRun, cluster, connect, spark_run

from cardwatch.manifest import load_manifest
from cardwatch.outputs import OutputFile
from cardwatch.week import ReportingWeek

pytestmark = [pytest.mark.spark, pytest.mark.takes(240)]

SAME = ("LIST_CSV", "LIST_JSON", "SCORES", "QUARANTINE")
DRIVER = Path("/usr/share/java/postgresql.jar")
RULES = {"on_unusable": "warn", "max_quarantined_share": 0.5}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def delivered(folder: Path, rows: pa.Table) -> Path:
    """Write rows as two files, as they come."""
    folder.mkdir()
    middle = rows.num_rows // 2
    pq.write_table(rows.slice(0, middle), folder / "one.parquet")
    pq.write_table(rows.slice(middle), folder / "two.parquet")
    return folder


def make_table(folder: Path, master: str, name: str, data: Path) -> None:
    """Let the catalog of a Connect server know Parquet files as a table."""
    program = folder / "make_table.py"
    program.write_text(
        "from pyspark.sql import SparkSession\n"
        f"session = SparkSession.builder.remote({master!r}).getOrCreate()\n"
        f"session.sql(\"CREATE TABLE {name} USING parquet LOCATION '{data.as_uri()}'\")\n"
    )
    subprocess.run([CLIENT / "python", program], check=True)


def settings(data: Path, results: str, **sections: Any) -> dict[str, Any]:
    return {
        "data_source": {"path": str(data)},
        "output": {"directory": results},
        "logging": {"file": None},
        "contract": RULES,
        **sections,
    }


def embedded(folder: Path, config: dict[str, Any], week: ReportingWeek) -> None:
    (folder / "embedded.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    cardwatch(folder, "run", "--reporting-week", week.label, "--config", "embedded.yaml")


def reviewed(folder: Path, config: dict[str, Any]) -> None:
    """Score the week before, and say what became of some of its customers."""
    before = WEEK - 1
    embedded(folder, config, before)
    with (folder / "a" / OutputFile.LIST_CSV.of(before)).open(newline="") as file:
        listed = [row["customer_id"] for row in csv.DictReader(file)]
    options = ("--reporting-week", before.label, "--config", "embedded.yaml")
    for at, customer in enumerate(listed[:12]):
        verdict = ("confirmed_risk", "expected", "expected")[at % 3]
        words = ("review", "set", customer, "--verdict", verdict, "--reviewer", "ana", *options)
        cardwatch(folder, *words)


def same(folder: Path, source: str = "") -> None:
    """Check that both left the same files, and judged who waited for the usual tickets.

    With a `source`, every row that was set aside on Spark names that one.
    """
    one, other = (contents(folder / each) for each in ("a", "b"))
    aside = OutputFile.QUARANTINE.of(WEEK)
    if source:
        assert source.encode() in other[aside]
        one[aside], other[aside] = (set_aside(each[aside]) for each in (one, other))
    for name in (OutputFile[each].of(WEEK) for each in SAME):
        assert one[name] == other[name], name
    runs = [load_manifest(folder / each / OutputFile.MANIFEST.of(WEEK)) for each in ("a", "b")]
    assert runs[0].scores_fingerprint == runs[1].scores_fingerprint
    assert b"UNIT_ERROR" in other[OutputFile.QUARANTINE.of(WEEK)]


def set_aside(content: bytes) -> bytes:
    """Return how often each row was set aside, wherever it came from."""
    copies = Counter[tuple[str, ...]]()
    for row in csv.DictReader(content.decode().splitlines(keepends=True)):
        row.pop("source")
        count = int(row.pop("row_copies"))
        copies[tuple(row.values())] += count
    return repr(sorted(copies.items())).encode()


@contextmanager
def scoring(
    folder: Path, engine: dict[str, Any], data: Path, scores: str, table: str = "", **sections: Any
) -> Iterator[SparkRun]:
    """Score a portfolio with the embedded engine into ``a``, and begin to on Spark into ``b``.

    `engine` is that section of the latter, `scores` where executors write them, and `table` what
    it reads in place of the files; `sections` are those of both.
    """
    reviewed(folder, settings(data, "a", **sections))
    shutil.copytree(folder / "a", folder / "b")
    embedded(folder, settings(data, "a", **sections), WEEK)
    in_spark = engine | {"spark": engine["spark"] | {"scores": scores}}
    config = settings(data, "b", engine=in_spark, **sections)
    if table:
        config["data_source"] = {"type": "table", "table": table}
    with spark_run(folder, config, "--reporting-week", WEEK.label) as run:
        yield run


def test_every_oddity_comes_to_the_same_though_an_executor_dies(
    tmp_path: Path, spark: Cluster
) -> None:
    scores = str(tmp_path / "scores")
    ranking = {"peer_group_cap": 0.3, "min_spend": 10, "top_n": 12}
    data = delivered(tmp_path / "data", odd_weekly())
    with scoring(tmp_path, spark.settings, data, scores, ranking=ranking) as run:
        run.wait_for("step contract took")
        executors = spark.executors()
        assert len(executors) == 2, "two processes do the work"
        executors[0].kill()
        done = run.end()
    assert done.exit_code == 0, done.err
    same(tmp_path)
    name = OutputFile.SCORES.of(WEEK)
    written = pq.read_table(tmp_path / "scores" / name).sort_by("anomaly_rank")
    same_rows = pq.read_table(tmp_path / "b" / name).to_pylist()
    assert written.to_pylist() == same_rows, "the executors wrote the same"


def test_a_client_without_java_comes_to_the_same_of_a_table_also_in_a_database(
    tmp_path: Path, spark: Cluster, database: Database
) -> None:
    if not DRIVER.exists():
        pytest.skip(f"{DRIVER.name} is not installed: sudo tests/system/install.sh")
    server = urlsplit(database.url)
    place = f"jdbc:postgresql://{server.hostname}:{server.port}{server.path}"
    login = urlencode({"user": server.username or "", "password": unquote(server.password or "")})
    scores, model = f"{place}?{login}", {"detector": "isolation_forest", "n_estimators": 50}
    data = delivered(tmp_path / "data", odd_transactions())
    with connect(tmp_path / "server", spark, "--jars", str(DRIVER)) as engine:
        make_table(tmp_path, engine["spark"]["master"], "transactions", data)
        with scoring(tmp_path, engine, data, scores, "transactions", model=model) as run:
            done = run.end()
    assert done.exit_code == 0, done.err
    assert "throw-away" not in done.out + done.err
    assert "Warning" not in done.err
    same(tmp_path, source="transactions")
    expected = pq.read_table(tmp_path / "b" / OutputFile.SCORES.of(WEEK)).to_pylist()
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as rows:
        rows.execute("SELECT * FROM anomaly_scores_2025_46 ORDER BY anomaly_rank")
        assert rows.fetchall() == expected
