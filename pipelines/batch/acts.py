"""What people did: states with a beginning and maybe an end, and the changes of counts they make.

The events of one edge are ordered by (ts, event_id) and the last one wins. Each active event is a state that
lasts until the edge's next event, so the number of edges that stand at a moment is the number of states
begun strictly before it, less those ended strictly before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from pipelines.batch.lake import LakeEvents
from pipelines.batch.ticks import day_of

KINDS = ("like", "retweet", "reply", "quote")


def edge_states(events: DataFrame, edge: Sequence[str]) -> DataFrame:
    """The active events with ``ended_at``: the time of the edge's next event, null while it stands."""
    order = Window.partitionBy(*edge).orderBy("ts", "event_id")
    return events.withColumn("ended_at", F.lead("ts").over(order)).where("active")


def changes(states: DataFrame) -> DataFrame:
    """The other columns of ``states`` with ``ts`` and ``delta``: +1 where one begins, -1 where it ends."""
    begun = states.drop("ended_at").withColumn("delta", F.lit(1))
    ended = states.where(F.col("ended_at").isNotNull()).withColumns(
        {"ts": F.col("ended_at"), "delta": F.lit(-1)}
    )
    return begun.unionByName(ended.drop("ended_at"))


def follows(events: LakeEvents) -> DataFrame:
    """States: ``user`` (follower), ``author`` (followee), ``ts``, ``ended_at``."""
    return edge_states(events.follows, ["follower_id", "followee_id"]).select(
        F.col("follower_id").alias("user"), F.col("followee_id").alias("author"), "ts", "ended_at"
    )


def engagements(events: LakeEvents) -> DataFrame:
    """States: ``user``, ``tweet``, its ``author``, ``kind`` (one of KINDS), ``ts``, ``ended_at``.

    The author is null where the tweet that a reply or quote refers to is not in the lake by the end of the
    day of that reply or quote.
    """
    likes = edge_states(events.likes, ["user_id", "tweet_id"]).withColumn("kind", F.lit("like"))
    retweets = edge_states(events.retweets, ["user_id", "tweet_id"]).withColumn("kind", F.lit("retweet"))
    edges = [
        frame.select(
            F.col("user_id").alias("user"),
            F.col("tweet_id").alias("tweet"),
            F.col("author_id").alias("author"),
            "kind",
            "ts",
            "ended_at",
        )
        for frame in (likes, retweets)
    ]
    return edges[0].unionByName(edges[1]).unionByName(_written_about(events))


def mentions(events: LakeEvents) -> DataFrame:
    """``user``, ``author`` (whom the user named in a tweet or reply), ``ts``.

    Naming the author whom one replies to or quotes is part of that reply or quote and is not here.
    """
    authors = _authors(events).select(
        F.col("tweet").alias("about"), F.col("author").alias("addressed"), "made_on"
    )
    named = events.tweets.select(
        F.col("author_id").alias("user"),
        F.explode(F.array_distinct("mentions")).alias("author"),
        "ts",
        F.coalesce("in_reply_to", "quote_of").alias("about"),
    )
    addressed = named.join(authors, on="about", how="left")
    whom = F.when(_known("ts"), F.col("addressed"))
    return addressed.where(~F.col("author").eqNullSafe(whom)).select("user", "author", "ts")


def authored(events: LakeEvents) -> DataFrame:
    """States: tweets and retweets by ``author`` (who made it), ``ts``, ``ended_at`` (deleted, taken back)."""
    tweets = _tweets(events).select(F.col("author_id").alias("author"), "ts", "ended_at")
    retweets = edge_states(events.retweets, ["user_id", "tweet_id"])
    return tweets.unionByName(retweets.select(F.col("user_id").alias("author"), "ts", "ended_at"))


def _tweets(events: LakeEvents) -> DataFrame:
    """Tweets with ``ended_at``: when they were deleted, at the earliest when they were made."""
    deleted = events.deletions.groupBy("tweet_id").agg(F.min("ts").alias("deleted_ts"))
    tweets = events.tweets.join(deleted, on="tweet_id", how="left")
    # `greatest` passes over nulls: a tweet that stands would look deleted at once.
    ended_at = F.when(F.col("deleted_ts").isNotNull(), F.greatest("ts", "deleted_ts"))
    return tweets.withColumn("ended_at", ended_at)


def _written_about(events: LakeEvents) -> DataFrame:
    """Replies and quotes; each counts once while the tweet that makes it stands."""
    written = _tweets(events)
    about = [
        written.where(F.col(field).isNotNull()).select(
            F.col("author_id").alias("user"),
            F.col(field).alias("tweet"),
            F.lit(kind).alias("kind"),
            "ts",
            "ended_at",
        )
        for kind, field in (("reply", "in_reply_to"), ("quote", "quote_of"))
    ]
    named = about[0].unionByName(about[1]).join(_authors(events), on="tweet", how="left")
    return named.withColumn("author", F.when(_known("ts"), F.col("author"))).drop("made_on")


def _authors(events: LakeEvents) -> DataFrame:
    """``tweet``, its ``author`` and the day it was ``made_on``."""
    return events.tweets.groupBy(F.col("tweet_id").alias("tweet")).agg(
        F.min("author_id").alias("author"), day_of(F.min("ts")).alias("made_on")
    )


def _known(moment: str) -> Column:
    """Whether a tweet ``made_on`` a day is there by the end of a moment's day: no later one is known then."""
    return F.col("made_on") <= day_of(F.col(moment))
