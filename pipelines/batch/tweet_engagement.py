"""The view ``tweet_engagement`` offline: the twin of the fold that the Flink job ``engagement`` runs."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.aggregates import HOUR_MS, PANE_MS
from features.names import TWEET_ENGAGEMENT
from pipelines.batch.acts import KINDS, changes
from pipelines.batch.ticks import BuildTime, feature_rows, running_totals

TICK_MS = 10 * 60 * 1000


def transform(engagements: DataFrame, build: BuildTime) -> DataFrame:
    """Rows every ten minutes while a value changes, the decay of the last hour's engagements included.

    Args:
        engagements: ``acts.engagements``.
        build: up to when, and when, the rows are built.
    """
    pane = F.col("ts") - F.col("ts") % PANE_MS
    # A pane is out of the last hour at the moment an hour after its start, so a change just before that
    # moment is the first that its row covers.
    outlived = pane + HOUR_MS - 1
    recent = engagements.withColumn("ended_at", F.least("ended_at", outlived)).select(
        "tweet", "ts", "ended_at"
    )
    counted = changes(engagements.select("tweet", "kind", "ts", "ended_at"))
    by_kind = counted.select(
        "tweet", "ts", *(F.when(F.col("kind") == kind, F.col("delta")).alias(kind) for kind in KINDS)
    )
    moments = by_kind.unionByName(
        changes(recent).withColumnRenamed("delta", "recent"), allowMissingColumns=True
    ).where(F.col("ts") < build.until_ms)
    names = (*KINDS, "recent")
    totals = running_totals(moments.fillna(0, subset=list(names)), ["tweet"], names, TICK_MS, build)
    rows = totals.withColumns(
        {
            "tweet_likes": F.col("like"),
            "tweet_retweets": F.col("retweet"),
            "tweet_replies": F.col("reply"),
            "tweet_quotes": F.col("quote"),
            "tweet_engagements_1h": F.col("recent"),
        }
    )
    return feature_rows(rows, ["tweet"], TWEET_ENGAGEMENT.columns, build)
