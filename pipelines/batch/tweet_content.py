"""The view ``tweet_content``: what a tweet is made of, known from the moment it is created."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.names import TWEET_CONTENT
from pipelines.batch.ticks import BuildTime, day_of, feature_rows


def transform(tweets: DataFrame, build: BuildTime) -> DataFrame:
    """One row per tweet (and day, were it made again), stamped at its creation.

    Where a recording has no text, its length and its hashtags are missing, not zero.

    Args:
        tweets: tweet_created events.
        build: which time, and when, the rows are built.
    """
    last = Window.partitionBy("tweet_id", day_of(F.col("ts"))).orderBy(F.desc("ts"), F.desc("event_id"))
    made = tweets.where(F.col("ts") >= build.since_ms)
    newest = made.withColumn("rank", F.row_number().over(last)).where("rank = 1")
    has_text = F.col("text").isNotNull()
    rows = newest.select(
        F.col("tweet_id").alias("tweet"),
        F.length("text").alias("tweet_length"),
        F.when(has_text, F.size(F.coalesce("hashtags", F.array()))).alias("tweet_hashtags"),
        F.size(F.coalesce("mentions", F.array())).alias("tweet_mentions"),
        F.col("in_reply_to").isNotNull().cast("int").alias("tweet_is_reply"),
        F.col("ts").alias("tick"),
    )
    made_rows = feature_rows(rows, ["tweet"], TWEET_CONTENT.columns, build)
    # A row is of its very moment here, and not of what was before it.
    return made_rows.withColumn("day", F.date_format("event_timestamp", "yyyy-MM-dd"))
