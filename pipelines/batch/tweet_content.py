"""The view ``tweet_content``: what a tweet is made of, known from the moment it is created."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.names import TWEET_CONTENT
from pipelines.batch.ticks import BuildTime, feature_rows


def transform(tweets: DataFrame, build: BuildTime) -> DataFrame:
    """One row per tweet, stamped at its creation.

    Where a recording has no text, its length and its hashtags are missing, not zero.

    Args:
        tweets: tweet_created events.
        build: up to when, and when, the rows are built.
    """
    last = Window.partitionBy("tweet_id").orderBy(F.desc("ts"), F.desc("event_id"))
    newest = tweets.withColumn("rank", F.row_number().over(last)).where("rank = 1")
    has_text = F.col("text").isNotNull()
    rows = newest.select(
        F.col("tweet_id").alias("tweet"),
        F.length("text").alias("tweet_length"),
        F.when(has_text, F.size(F.coalesce("hashtags", F.array()))).alias("tweet_hashtags"),
        F.size(F.coalesce("mentions", F.array())).alias("tweet_mentions"),
        F.col("in_reply_to").isNotNull().cast("int").alias("tweet_is_reply"),
        F.col("ts").alias("tick"),
    )
    return feature_rows(rows, ["tweet"], TWEET_CONTENT.columns, build)
