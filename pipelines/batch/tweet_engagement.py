"""The view ``tweet_engagement`` offline: the twin of the fold that the Flink job ``engagement`` runs."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.names import TWEET_ENGAGEMENT, WINDOWS
from pipelines.batch.acts import KINDS, changes
from pipelines.batch.ticks import CHANGE_MS, BuildTime, decayed_totals, feature_rows, running_totals


def transform(engagements: DataFrame, build: BuildTime, earlier: DataFrame | None = None) -> DataFrame:
    """A row at every change, as the stream writes them; whoever reads one lets its windows decay.

    Args:
        engagements: ``acts.engagements``.
        build: which time, and when, the rows are built.
        earlier: the view's rows of the days before, as ``ticks.carried_rows`` gives them.
    """
    states = engagements.select("tweet", "kind", "ts", "ended_at", F.col("ts").alias("born"))
    moments = changes(states)
    by_kind = moments.select(
        "tweet",
        "ts",
        "born",
        *(F.when(F.col("kind") == kind, F.col("delta")).otherwise(0).alias(kind) for kind in KINDS),
    )
    # A like that is given anew changes no total, and is recent all the same: `born` keeps its row.
    totals = running_totals(by_kind, ["tweet"], KINDS, CHANGE_MS, build, ["born"], earlier)
    windows = {f"tweet_engagements_{window}": seconds for window, seconds in WINDOWS.items()}
    recent = decayed_totals(moments, ["tweet"], windows, CHANGE_MS, build, earlier)
    rows = totals.join(recent, on=["tweet", "tick"], how="inner").withColumns(
        {
            "tweet_likes": F.col("like"),
            "tweet_retweets": F.col("retweet"),
            "tweet_replies": F.col("reply"),
            "tweet_quotes": F.col("quote"),
        }
    )
    return feature_rows(rows, ["tweet"], TWEET_ENGAGEMENT.columns, build, [*KINDS, "born", *windows])
