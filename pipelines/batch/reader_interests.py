"""The table ``reader_interests``: topics that a reader cares for, and accounts with the same taste.

An act weighs exp(-age / LIFETIME_S) at the end of the build, so that whoever reads a weight later goes on
from there (``timelines.interests``). Only the last ``LIFETIMES`` lifetimes are looked at: a build costs what
happened within them, however old the lake.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from pipelines.batch import similar_users
from pipelines.batch.similar_users import in_order
from pipelines.batch.ticks import BuildTime
from pipelines.batch.topics import topics_of
from timelines.interests import LIFETIME_S, SIMILAR, TOPICS

LIFETIMES = 4
_LIFETIME_MS = round(LIFETIME_S * 1000)


def transform(
    engagements: DataFrame, reports: DataFrame, tweets: DataFrame, deletions: DataFrame, build: BuildTime
) -> DataFrame:
    """Rows ``user``, ``similar``, ``topics`` and their ``weights`` (arrays, the first matters most),
    ``event_timestamp`` (the end of the build) and ``created``.

    A reader's topics are those of the tweets that the reader likes, retweeted or opened, each of these an
    act, and of those that the reader wrote. Alike are who acts on the same tweets and cares for the same
    topics.

    Args:
        engagements: ``acts.engagements``.
        reports: client_report events.
        tweets: tweet_created events.
        deletions: tweet_deleted events.
        build: up to when, and when, the rows are built.
    """
    since = build.until_ms - LIFETIMES * _LIFETIME_MS
    weight = F.exp((F.col("ts") - build.until_ms) / _LIFETIME_MS).alias("weight")
    about = (
        tweets.where(F.col("ts") >= since)
        .join(deletions.select("tweet_id"), on="tweet_id", how="left_anti")
        .dropDuplicates(["tweet_id"])
        .select(
            F.col("tweet_id").alias("tweet"),
            F.col("author_id").alias("author"),
            "ts",
            F.explode(topics_of("hashtags")).alias("topic"),
        )
    )
    acts = _acts(engagements, reports).where(F.col("ts") >= since).select("user", "tweet", weight)
    written = about.select(F.col("author").alias("user"), "topic", weight)
    cared = acts.join(about.select("tweet", "topic"), on="tweet").select("user", "topic", "weight")
    topics = cared.unionByName(written).groupBy("user", "topic").agg(F.sum("weight").alias("weight"))
    # Below zero is no tweet.
    as_items = topics.select("user", (-1 - F.col("topic")).alias("item"), "weight")
    rated = acts.groupBy("user", F.col("tweet").alias("item")).agg(F.sum("weight").alias("weight"))
    similar = similar_users.transform(rated.unionByName(as_items), SIMILAR)
    found = _favourites(topics).join(similar, on="user", how="full")
    nothing = F.array().cast("array<bigint>")
    return found.select(
        "user",
        F.coalesce("similar", nothing).alias("similar"),
        F.coalesce("topics", nothing).alias("topics"),
        F.coalesce("weights", F.array().cast("array<double>")).alias("weights"),
        F.timestamp_millis(F.lit(build.until_ms)).alias("event_timestamp"),
        F.lit(build.created).cast("timestamp").alias("created"),
    )


def _acts(engagements: DataFrame, reports: DataFrame) -> DataFrame:
    """``user``, ``tweet``, ``ts``: likes and retweets that stand, and opened tweets at the last opening."""
    standing = engagements.where(F.col("kind").isin("like", "retweet") & F.col("ended_at").isNull())
    opened = (
        reports.where(F.col("action") == "open")
        .groupBy(F.col("user_id").alias("user"), F.col("tweet_id").alias("tweet"))
        .agg(F.max("ts").alias("ts"))
    )
    return standing.select("user", "tweet", "ts").unionByName(opened)


def _favourites(topics: DataFrame) -> DataFrame:
    best = Window.partitionBy("user").orderBy(F.desc("weight"), "topic")
    placed = topics.withColumn("place", F.row_number().over(best)).where(F.col("place") <= TOPICS)
    return placed.groupBy("user").agg(in_order("topic").alias("topics"), in_order("weight").alias("weights"))
