"""Opening the Spark session that the configuration names."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Mapping
from logging import CRITICAL
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

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
_CONNECT = "sc://"
_CONNECT_PORT = 15002
_PATIENCE = 15.0
"""Seconds."""
_ADDRESS = "SPARK_REMOTE"
"""The variable in which Spark itself looks for the address of a Connect server."""
_JAVA = "Java 17 or newer is there where Spark runs here"


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
    # Spark's client warns of versions that are newer than it.
    warnings.filterwarnings("ignore", category=FutureWarning, module="pyspark")
    from pyspark.logger import PySparkLogger
    from pyspark.sql import SparkSession

    _refuse_token(master)
    for each in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        PySparkLogger.getLogger(each).setLevel(CRITICAL)  # what went wrong is told in one line
    # Executors on this machine use this Python and what is installed in it.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    address = master or os.environ.get(_ADDRESS, "")
    is_client = address.startswith(_CONNECT)
    builder = SparkSession.builder.appName("cardwatch")
    if master:
        builder = builder.remote(master) if is_client else builder.master(master)
    for name, value in {**({} if is_client else _QUIET), **options}.items():
        builder = builder.config(name, value)
    try:
        if is_client:
            _knock(urlsplit(address))
        session = builder.getOrCreate()
        for name, value in _ALWAYS.items():
            session.conf.set(name, value)
    except Exception as error:
        if not (is_of_spark(error) or isinstance(error, OSError | RuntimeError | ValueError)):
            raise
        there = "a Spark Connect server listens there" if is_client else _JAVA
        elsewhere = f"the address in {_ADDRESS}" if is_client else "what spark-submit says"
        raise ConfigurationError(
            "Spark cannot be reached",
            where="engine.spark.master",
            observed=master or elsewhere,
            next_step=f"Check the address, and that {there}",
        ) from error
    return session


def _refuse_token(master: str) -> None:
    if "token=" in master.lower():
        raise ConfigurationError(
            "engine.spark.master holds a token, and manifests show it",
            where="engine.spark.master",
            next_step=f"Leave it empty, and put the whole address into the variable {_ADDRESS}",
        )


def _knock(server: SplitResult) -> None:
    """Fail at once where nothing listens: Connect's own client tries for ten minutes."""
    at = (server.hostname or "", server.port or _CONNECT_PORT)
    socket.create_connection(at, timeout=_PATIENCE).close()
