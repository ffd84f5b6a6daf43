"""The view ``user_activity``: what a reader was shown, did, follows and wrote."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.names import USER_ACTIVITY
from pipelines.batch.rates import ENGAGEMENT_PRIOR, RETWEET_PRIOR, smoothed_rate
from pipelines.batch.ticks import BuildTime, feature_rows, running_totals
from timelines.durations import HOUR_MS

_COUNTS = ("shown", "engaged", "retweeted", "followees", "written")


def transform(
    showing_changes: DataFrame,
    follows: DataFrame,
    authored: DataFrame,
    build: BuildTime,
    earlier: DataFrame | None = None,
) -> DataFrame:
    """Rows of the view at hourly ticks.

    Args:
        showing_changes: ``showings.showing_changes``.
        follows: changes of ``acts.follows``.
        authored: changes of ``acts.authored``.
        build: which time, and when, the rows are built.
        earlier: the view's rows of the days before, as ``ticks.carried_rows`` gives them.
    """
    changes = (
        showing_changes.drop("author")
        .unionByName(
            follows.select("user", "ts", F.col("delta").alias("followees")), allowMissingColumns=True
        )
        .unionByName(
            authored.select(F.col("author").alias("user"), "ts", F.col("delta").alias("written")),
            allowMissingColumns=True,
        )
        .fillna(0, subset=list(_COUNTS))
    )
    totals = running_totals(changes, ["user"], _COUNTS, HOUR_MS, build, earlier=earlier)
    rows = totals.withColumns(
        {
            "user_impressions": F.col("shown"),
            "user_engagement_rate": smoothed_rate("engaged", "shown", ENGAGEMENT_PRIOR),
            "user_retweet_rate": smoothed_rate("retweeted", "shown", RETWEET_PRIOR),
            "user_followees": F.col("followees"),
            "user_tweets": F.col("written"),
        }
    )
    return feature_rows(rows, ["user"], USER_ACTIVITY.columns, build, carried=_COUNTS)
