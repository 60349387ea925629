"""Opening the Spark session that the configuration names."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cardwatch.config import EngineConfig
from cardwatch.errors import ConfigurationError
from cardwatch.spark.engine import SparkEngine
from cardwatch.spark.failures import is_of_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_QUIET = {"spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
"""What people see in the terminal is the run's own."""
_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "131072",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}
"""Times are read as everywhere else; rows travel in batches as large as the engine's; a folder
named week=2025-46 holds a text."""


def open_spark_engine(config: EngineConfig) -> SparkEngine:
    """Connect to Spark, and start the driver's own engine beside it.

    Raises
    ------
    ConfigurationError
        If no session can be made.
    ModuleNotFoundError
        If the extra is not installed.
    """
    return SparkEngine(
        _session(config.spark.master, config.spark.options),
        config.spark.partitions,
        memory_limit=config.memory_limit,
        threads=config.threads,
        temp_directory=config.temp_directory,
        max_temp_directory_size=config.max_temp_directory_size,
    )


def _session(master: str, options: Mapping[str, str]) -> SparkSession:
    from pyspark.sql import SparkSession

    # Executors on this machine use this Python and what is installed in it.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("cardwatch")
    is_client = master.startswith("sc://")
    if is_client:
        builder = builder.remote(master)
    elif master:
        builder = builder.master(master)
    for name, value in {**({} if is_client else _QUIET), **options}.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
        for name, value in _ALWAYS.items():
            session.conf.set(name, value)
    except Exception as error:
        if not (is_of_spark(error) or isinstance(error, OSError | RuntimeError)):
            raise
        raise ConfigurationError(
            "Spark cannot be reached",
            where="engine.spark.master",
            observed=master or "what spark-submit says",
            next_step="Check the address, and that Java 17 or newer is there where Spark runs here",
        ) from error
    return session
