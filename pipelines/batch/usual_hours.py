"""At which hour of the day each reader usually begins to be shown tweets."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from timelines.durations import DAY_MS, HOUR_MS


def transform(impressions: DataFrame, since_ms: int, until_ms: int) -> DataFrame:
    """One row per reader: ``user``, ``hour`` (0 to 23, UTC) and on how many ``days`` they read in that hour.

    The hour is that of the most days, of several the earliest; the moments are [since, until), event time.
    """
    read = (
        impressions.where((F.col("ts") >= since_ms) & (F.col("ts") < until_ms))
        .select(
            F.col("user_id").alias("user"),
            F.expr(f"ts div {HOUR_MS} % 24").cast("int").alias("hour"),
            F.expr(f"ts div {DAY_MS}").alias("day"),
        )
        .distinct()
    )
    days = read.groupBy("user", "hour").agg(F.count("*").alias("days"))
    most = Window.partitionBy("user").orderBy(F.desc("days"), "hour")
    return days.withColumn("place", F.row_number().over(most)).where("place = 1").drop("place")
