"""The view ``author_popularity``: how an author's tweets are shown and received."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.names import AUTHOR_POPULARITY
from pipelines.batch.rates import ENGAGEMENT_PRIOR, RETWEET_PRIOR, smoothed_rate
from pipelines.batch.ticks import BuildTime, feature_rows, running_totals
from timelines.durations import HOUR_MS

_COUNTS = ("shown", "engaged", "retweeted", "followers", "written", "retweets", "likes")


def transform(
    showing_changes: DataFrame,
    follows: DataFrame,
    authored: DataFrame,
    engagements: DataFrame,
    build: BuildTime,
    earlier: DataFrame | None = None,
) -> DataFrame:
    """Rows of the view at hourly ticks.

    Args:
        showing_changes: ``showings.showing_changes``.
        follows: changes of ``acts.follows``.
        authored: changes of ``acts.authored``.
        engagements: changes of ``acts.engagements`` whose author is known.
        build: which time, and when, the rows are built.
        earlier: the view's rows of the days before, as ``ticks.carried_rows`` gives them.
    """
    received = engagements.where(F.col("kind").isin("like", "retweet")).select(
        "author",
        "ts",
        F.when(F.col("kind") == "retweet", F.col("delta")).alias("retweets"),
        F.when(F.col("kind") == "like", F.col("delta")).alias("likes"),
    )
    changes = (
        showing_changes.drop("user")
        .unionByName(
            follows.select("author", "ts", F.col("delta").alias("followers")), allowMissingColumns=True
        )
        .unionByName(
            authored.select("author", "ts", F.col("delta").alias("written")), allowMissingColumns=True
        )
        .unionByName(received, allowMissingColumns=True)
        .fillna(0, subset=list(_COUNTS))
    )
    totals = running_totals(changes, ["author"], _COUNTS, HOUR_MS, build, earlier=earlier)
    rows = totals.withColumns(
        {
            "author_impressions": F.col("shown"),
            "author_engagement_rate": smoothed_rate("engaged", "shown", ENGAGEMENT_PRIOR),
            "author_retweet_rate": smoothed_rate("retweeted", "shown", RETWEET_PRIOR),
            "author_followers": F.col("followers"),
            "author_tweets": F.col("written"),
            "author_retweets_received": F.col("retweets"),
            "author_likes_received": F.col("likes"),
        }
    )
    return feature_rows(rows, ["author"], AUTHOR_POPULARITY.columns, build, carried=_COUNTS)
