"""The table ``reader_interests``: topics that a reader cares for, and accounts with the same taste.

An act weighs exp(-age / LIFETIME_S) at the end of the build, so that whoever reads a weight later goes on
from there (``timelines.interests``). Only the last ``LIFETIMES`` lifetimes are looked at: a build costs what
happened within them, however old the lake.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from pipelines.batch import similar_users
from pipelines.batch.similar_users import in_order
from pipelines.batch.ticks import BuildTime
from pipelines.batch.topics import topics_of
from timelines.interests import LIFETIME_S, SIMILAR, TOPICS

LIFETIMES = 4
_LIFETIME_MS = round(LIFETIME_S * 1000)


def since_ms(build: BuildTime) -> int:
    """From when on anything weighs."""
    return build.until_ms - LIFETIMES * _LIFETIME_MS


def ratings(
    engagements: DataFrame, reports: DataFrame, tweets: DataFrame, deletions: DataFrame, build: BuildTime
) -> DataFrame:
    """``user``, ``item``, ``weight``, one row per user and item: what each user cares for.

    An item is a tweet that the user likes, retweeted or opened, each of these an act, or a topic of such a
    tweet or of one that the user wrote; a topic's item is -1 - topic.

    Args:
        engagements: ``acts.engagements``.
        reports: client_report events.
        tweets: tweet_created events.
        deletions: tweet_deleted events; a tweet that is gone has no topics.
        build: up to when the ratings are.
    """
    since = since_ms(build)
    weight = F.exp((F.col("ts") - build.until_ms) / _LIFETIME_MS).alias("weight")
    about = (
        tweets.where(F.col("ts") >= since)
        .join(deletions.select("tweet_id"), on="tweet_id", how="left_anti")
        .dropDuplicates(["tweet_id"])
        .select(
            F.col("tweet_id").alias("tweet"),
            F.col("author_id").alias("author"),
            "ts",
            F.transform(topics_of("hashtags"), lambda topic: -1 - topic).alias("items"),
        )
    )
    acts = _acts(engagements, reports).where(F.col("ts") >= since)
    rated = acts.join(about.select("tweet", "items"), on="tweet", how="left").select(
        "user", F.explode(F.concat(F.array("tweet"), F.coalesce("items", _nothing()))).alias("item"), weight
    )
    written = about.select(F.col("author").alias("user"), F.explode("items").alias("item"), weight)
    return rated.unionByName(written).groupBy("user", "item").agg(F.sum("weight").alias("weight"))


def transform(ratings: DataFrame, build: BuildTime) -> DataFrame:
    """Rows ``user``, ``similar``, ``topics`` and their ``weights`` (arrays, the first matters most),
    ``event_timestamp`` (the end of the build) and ``created``.

    Args:
        ratings: of :func:`ratings`.
        build: up to when, and when, the rows are built.
    """
    topics = ratings.where(F.col("item") < 0).select("user", (-1 - F.col("item")).alias("topic"), "weight")
    found = _favourites(topics).join(similar_users.transform(ratings, SIMILAR), on="user", how="full")
    return found.select(
        "user",
        F.coalesce("similar", _nothing()).alias("similar"),
        F.coalesce("topics", _nothing()).alias("topics"),
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


def _nothing() -> Column:
    return F.array().cast("array<bigint>")
