"""Weeks scored on a Spark cluster, beside the embedded engine: the same bytes in every file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from command_line import cardwatch, contents
from odd_rows import odd_transactions, odd_weekly
from small_portfolio import WEEK
from spark_cluster import Cluster, SparkRun, cluster, spark_run

from cardwatch.manifest import load_manifest
from cardwatch.outputs import OutputFile

pytestmark = pytest.mark.spark

SAME = ("LIST_CSV", "LIST_JSON", "SCORES", "QUARANTINE")
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


def settings(data: Path, results: str, **sections: Any) -> dict[str, Any]:
    return {
        "data_source": {"path": str(data)},
        "output": {"directory": results},
        "logging": {"file": None},
        "contract": RULES,
        **sections,
    }


def embedded(folder: Path, config: dict[str, Any]) -> None:
    (folder / "embedded.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    cardwatch(folder, "run", "--reporting-week", WEEK.label, "--config", "embedded.yaml")


def same(folder: Path) -> None:
    """Check that both left the same files, and judged who waited for the usual tickets."""
    one, other = (contents(folder / each) for each in ("a", "b"))
    for name in (OutputFile[each].of(WEEK) for each in SAME):
        assert one[name] == other[name], name
    runs = [load_manifest(folder / each / OutputFile.MANIFEST.of(WEEK)) for each in ("a", "b")]
    assert runs[0].scores_fingerprint == runs[1].scores_fingerprint
    assert b"UNIT_ERROR" in other[OutputFile.QUARANTINE.of(WEEK)]


@contextmanager
def scoring(folder: Path, spark: Cluster, rows: pa.Table, **options: str) -> Iterator[SparkRun]:
    """Score a portfolio with the embedded engine into ``a``, and begin to on Spark into ``b``."""
    data, engine = delivered(folder / "data", rows), spark.settings
    embedded(folder, settings(data, "a"))
    engine["spark"] |= options
    with spark_run(
        folder, settings(data, "b", engine=engine), "--reporting-week", WEEK.label
    ) as run:
        yield run


def test_every_oddity_comes_to_the_same_though_an_executor_dies(
    tmp_path: Path, spark: Cluster
) -> None:
    with scoring(tmp_path, spark, odd_weekly(), scores=str(tmp_path / "scores")) as run:
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


def test_every_oddity_of_transactions_comes_to_the_same(tmp_path: Path, spark: Cluster) -> None:
    with scoring(tmp_path, spark, odd_transactions()) as run:
        done = run.end()
    assert done.exit_code == 0, done.err
    same(tmp_path)
