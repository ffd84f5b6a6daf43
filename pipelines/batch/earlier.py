"""What a part of the lake has to know of what came before it: the earlier events of the same edges and
tweets. They are looked up in the lake itself, which keeps them by the day; nothing else is carried for it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from ingestion.events import Event, FollowChanged, LikeChanged, RetweetChanged, TweetCreated, TweetDeleted
from pipelines.batch.lake import LakeEvents, read_lake, stored_events


def read_span(spark: SparkSession, lake: Path, namespace: str, since_ms: int, until_ms: int) -> LakeEvents:
    """The events of [``since_ms``, ``until_ms``) and, of before, whatever tells what those change.

    That is: earlier events of a follow, like or retweet that changes again, and of a follow between a reader
    and an author who is shown to the reader; tweets that are shown, deleted, replied to or quoted now; and
    what those that are deleted now replied to or quoted.
    """
    span = read_lake(spark, lake, namespace, until_ms, since_ms)
    if not since_ms:
        return span

    def earlier(event_type: type[Event]) -> DataFrame:
        return stored_events(spark, lake, namespace, event_type, 0, since_ms)

    shown = span.impressions.select(
        F.col("user_id").alias("follower_id"), F.col("author_id").alias("followee_id")
    )
    changed = span.follows.select("follower_id", "followee_id").unionByName(shown)
    tweets = earlier(TweetCreated)
    named = tweets.join(_named(span), on="tweet_id", how="left_semi")
    # Of the few that are named, as their own targets are looked up, too.
    targets = _targets(named.join(span.deletions.select("tweet_id"), on="tweet_id", how="left_semi"))
    known = named.unionByName(tweets.join(targets, on="tweet_id", how="left_semi"))
    return replace(
        span,
        follows=_with(span.follows, earlier(FollowChanged), changed, "follower_id", "followee_id"),
        likes=_with(span.likes, earlier(LikeChanged), span.likes, "user_id", "tweet_id"),
        retweets=_with(span.retweets, earlier(RetweetChanged), span.retweets, "user_id", "tweet_id"),
        deletions=_with(span.deletions, earlier(TweetDeleted), span.tweets, "tweet_id"),
        tweets=span.tweets.unionByName(known.dropDuplicates(["event_id"])),
    )


def _with(span: DataFrame, earlier: DataFrame, wanted: DataFrame, *keys: str) -> DataFrame:
    """``span`` and the earlier events that share their ``keys`` with ``wanted``, each event once."""
    found = earlier.join(wanted.select(*keys).distinct(), on=[*keys], how="left_semi")
    return span.unionByName(found.dropDuplicates(["event_id"]))


def _named(span: LakeEvents) -> DataFrame:
    """``tweet_id`` of whatever the span shows, deletes, replies to or quotes."""
    ids = (
        span.impressions.select("tweet_id"),
        span.deletions.select("tweet_id"),
        _targets(span.tweets),
    )
    return ids[0].unionByName(ids[1]).unionByName(ids[2]).distinct()


def _targets(tweets: DataFrame) -> DataFrame:
    targets: Column = F.explode(F.array("in_reply_to", "quote_of"))
    return tweets.select(targets.alias("tweet_id")).where("tweet_id IS NOT NULL").distinct()
