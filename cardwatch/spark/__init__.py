"""The engine for portfolios that one machine does not carry: Apache Spark."""

from cardwatch.spark.contract import check_in_spark
from cardwatch.spark.engine import SparkEngine
from cardwatch.spark.session import open_spark_engine
from cardwatch.spark.sink import SparkScores
from cardwatch.spark.source import SparkDelivery, SparkSource

__all__ = [
    "SparkDelivery",
    "SparkEngine",
    "SparkScores",
    "SparkSource",
    "check_in_spark",
    "open_spark_engine",
]
