"""The view ``user_author_affinity``: what a reader was shown of an author and made of it."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.names import USER_AUTHOR_AFFINITY
from pipelines.batch.rates import ENGAGEMENT_PRIOR, smoothed_rate
from pipelines.batch.ticks import BuildTime, feature_rows, running_totals
from timelines.durations import HOUR_MS

_PAIR = ("user", "author")
_COUNTS = ("shown", "engaged", "acts")


def transform(
    showing_changes: DataFrame,
    engagements: DataFrame,
    build: BuildTime,
    earlier: DataFrame | None = None,
) -> DataFrame:
    """Rows of the view at hourly ticks; hours since the last act are told at the tick.

    Args:
        showing_changes: ``showings.showing_changes``.
        engagements: changes of ``acts.engagements`` whose author is known.
        build: which time, and when, the rows are built.
        earlier: the view's rows of the days before, as ``ticks.carried_rows`` gives them.
    """
    done = engagements.select(
        *_PAIR,
        "ts",
        F.col("delta").alias("acts"),
        F.when(F.col("delta") > 0, F.col("ts")).alias("last_act"),
    )
    changes = showing_changes.unionByName(done, allowMissingColumns=True).fillna(0, subset=list(_COUNTS))
    totals = running_totals(changes, _PAIR, _COUNTS, HOUR_MS, build, ["last_act"], earlier)
    rows = totals.withColumns(
        {
            "pair_impressions": F.col("shown"),
            "pair_engagement_rate": smoothed_rate("engaged", "shown", ENGAGEMENT_PRIOR),
            "pair_engagements": F.col("acts"),
            "pair_hours_since_engagement": (F.col("tick") - F.col("last_act")) / HOUR_MS,
        }
    )
    return feature_rows(rows, _PAIR, USER_AUTHOR_AFFINITY.columns, build, [*_COUNTS, "last_act"])
