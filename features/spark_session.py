"""The one Spark session of a batch process: small, UTC, on loopback."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark import SparkConf
from pyspark.sql import SparkSession

from features.settings import FeatureSettings

LOGGING = Path(__file__).with_name("spark_log4j2.properties")


def spark_conf(settings: FeatureSettings) -> dict[str, str]:
    """Spark's settings, the same for our jobs and for Feast's offline store."""
    return {
        "spark.app.name": "tideline",
        "spark.master": settings.spark_master,
        "spark.driver.memory": settings.spark_memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # Jobs of seconds on few cores: the optimizing compiler and a parallel collector cost more
        # than they give.
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "
        # One tier alone reserves 48 MB of code cache, which a long session of many plans fills.
        "-XX:ReservedCodeCacheSize=240m "
        f"-Dlog4j2.configurationFile={LOGGING.as_uri()}",
    }


def use_this_python() -> None:
    """Have Spark's workers run on this process's interpreter; call it before a session starts.

    They would take the first ``python3`` on PATH, and refuse to work with another version.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def spark_session(settings: FeatureSettings) -> SparkSession:
    """The running session, or a new one; the JVM starts once per process."""
    use_this_python()
    builder = SparkSession.builder.config(conf=SparkConf().setAll(list(spark_conf(settings).items())))
    return builder.getOrCreate()
