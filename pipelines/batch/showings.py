"""What was shown and what came of it: each impression with the acts and reports it is credited with."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.labels import ATTRIBUTION_MS
from ingestion.events import LONG_DWELL_MS

MENTION_MS = 10 * 60 * 1000

OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "engaged": ("like", "retweet", "reply", "quote", "mention"),
    "liked": ("like",),
    "retweeted": ("retweet",),
    "replied": ("reply", "quote", "mention"),
    "opened": ("open",),
    "dwelt": ("dwell",),
    "hidden": ("hide", "report"),
}
"""Each label of ``features.labels`` and the acts and reports that make it true."""


def showings(
    impressions: DataFrame,
    engagements: DataFrame,
    mentions: DataFrame,
    reports: DataFrame,
    attribution_ms: int = ATTRIBUTION_MS,
) -> DataFrame:
    """One row per (request, tweet), with ``<outcome>_at`` (ms, the first such act) or null for each outcome.

    An engagement of the reader with the tweet is credited to the newest showing of that tweet to that reader
    at or before it, if that is less than ``attribution_ms`` ago; taking it back does not unmake it. A mention
    of an author is credited to the newest showing of that author, if less than ``MENTION_MS`` ago, or than
    ``attribution_ms`` if that is shorter. What a client reports names its showing itself, and counts if it
    came within ``attribution_ms`` after it; a dwell counts from ``LONG_DWELL_MS`` on.

    Args:
        impressions: impression events; of several of one (request, tweet) the earliest counts.
        engagements: ``acts.engagements``.
        mentions: ``acts.mentions``.
        reports: client_report events.
    """
    shown = _once(impressions).select(
        "request_id",
        F.col("user_id").alias("user"),
        F.col("tweet_id").alias("tweet"),
        F.col("author_id").alias("author"),
        "ts",
        "position",
        "source",
        "rung",
        "feature_service",
        F.col("features").alias("logged_features"),
    )
    engaged = engagements.select("user", "tweet", "kind", F.col("ts").alias("act_ts"))
    mentioned = mentions.select("user", "author", F.lit("mention").alias("kind"), F.col("ts").alias("act_ts"))
    credited = (
        _credited(shown, engaged, "tweet", attribution_ms)
        .unionByName(_credited(shown, mentioned, "author", min(MENTION_MS, attribution_ms)))
        .unionByName(_reported(shown, reports, attribution_ms))
    )
    outcomes = credited.groupBy("request_id", "tweet").agg(
        *(
            F.min(F.when(F.col("kind").isin(*kinds), F.col("act_ts"))).alias(f"{outcome}_at")
            for outcome, kinds in OUTCOMES.items()
        )
    )
    return shown.join(outcomes, on=["request_id", "tweet"], how="left")


def showing_changes(shown: DataFrame) -> DataFrame:
    """``user``, ``author``, ``ts`` and ``shown``, ``engaged``, ``retweeted``, each 1 when it became known."""
    moments = (("shown", "ts"), ("engaged", "engaged_at"), ("retweeted", "retweeted_at"))
    frames = [
        shown.where(F.col(moment).isNotNull()).select(
            "user",
            "author",
            F.col(moment).alias("ts"),
            *(F.lit(int(name == counted)).alias(counted) for counted, _ in moments),
        )
        for name, moment in moments
    ]
    return frames[0].unionByName(frames[1]).unionByName(frames[2])


def _credited(shown: DataFrame, made: DataFrame, on: str, window_ms: int) -> DataFrame:
    """``request_id``, ``tweet``, ``kind``, ``act_ts`` of each act that a showing of its ``on`` precedes."""
    places = shown.select("request_id", "user", "tweet", "author", "ts", "position")
    pairs = places.join(made, on=["user", on], how="inner")
    since = F.col("act_ts") - F.col("ts")
    newest = Window.partitionBy("user", on, "kind", "act_ts").orderBy(F.desc("ts"), "request_id", "position")
    ranked = pairs.where((since >= 0) & (since < window_ms)).withColumn("rank", F.row_number().over(newest))
    return ranked.where("rank = 1").select("request_id", "tweet", "kind", "act_ts")


def _reported(shown: DataFrame, reports: DataFrame, window_ms: int) -> DataFrame:
    """The same of what clients say of the very showing."""
    said = reports.where((F.col("action") != "dwell") | (F.col("ms") >= LONG_DWELL_MS)).select(
        F.col("feed_request_id").alias("request_id"),
        F.col("user_id").alias("user"),
        F.col("tweet_id").alias("tweet"),
        F.col("action").alias("kind"),
        F.col("ts").alias("act_ts"),
    )
    pairs = shown.select("request_id", "user", "tweet", "ts").join(said, on=["request_id", "user", "tweet"])
    since = F.col("act_ts") - F.col("ts")
    return pairs.where((since >= 0) & (since < window_ms)).select("request_id", "tweet", "kind", "act_ts")


def _once(impressions: DataFrame) -> DataFrame:
    first = Window.partitionBy("request_id", "tweet_id").orderBy("ts", "event_id")
    return impressions.withColumn("rank", F.row_number().over(first)).where("rank = 1").drop("rank")
