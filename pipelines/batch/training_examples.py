"""Point-in-time training examples: one per shown item, with its labels and the columns of its context.

The features themselves are joined by Feast at the example's moment (``features.historical``).
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.labels import LABELS
from features.names import FEATURE_SERVICE, MODEL_INPUT
from pipelines.batch.ticks import day_of
from timelines.durations import HOUR_MS

DAY_HOURS = 24
_IS_RETWEET = MODEL_INPUT.index("context_is_retweet")


def transform(shown: DataFrame, tweets: DataFrame, follows: DataFrame) -> DataFrame:
    """Examples with keys, ``event_timestamp``, position, context, labels and the logged features if any.

    The context is what ``features.context`` makes of the same moments.

    Where the page logged no features, an item counts as reached by a retweet if the reader did not follow
    its author at that moment.

    Args:
        shown: ``showings.showings``.
        tweets: tweet_created events.
        follows: changes of ``acts.follows``.
    """
    born = tweets.groupBy(F.col("tweet_id").alias("tweet")).agg(F.min("ts").alias("created_ts"))
    examples = shown.join(born, on="tweet", how="left").join(
        _following(shown, follows), on=["request_id", "tweet"], how="left"
    )
    age_ms = F.greatest(F.col("ts") - F.col("created_ts"), F.lit(0))
    # `greatest` passes over nulls: a tweet of unknown age would be new.
    age_hours = F.when(F.col("created_ts").isNotNull(), age_ms / HOUR_MS)
    # The places of another service's vector mean other things.
    logged_retweet = F.when(
        F.col("feature_service") == FEATURE_SERVICE, F.get("logged_features", F.lit(_IS_RETWEET))
    )
    own = F.col("user") == F.col("author")
    stranger = (F.coalesce("following", F.lit(0)) <= 0) & ~own
    return examples.select(
        "request_id",
        "user",
        "author",
        "tweet",
        F.timestamp_millis("ts").alias("event_timestamp"),
        "position",
        "source",
        "rung",
        age_hours.cast("float").alias("context_age_hours"),
        (F.floor(F.col("ts") / HOUR_MS) % DAY_HOURS).cast("float").alias("context_hour"),
        F.coalesce(logged_retweet, stranger.cast("double")).cast("float").alias("context_is_retweet"),
        *(
            F.col(f"{outcome}_at").isNotNull().cast("float").alias(column)
            for outcome, column in LABELS.items()
        ),
        "feature_service",
        "logged_features",
        day_of(F.col("ts")).alias("day"),
    )


def _following(shown: DataFrame, follows: DataFrame) -> DataFrame:
    """``following`` = 1 for each showing whose reader followed its author just then."""
    moments = shown.select("request_id", "tweet", "user", "author", F.col("ts").alias("shown_ts"))
    before = moments.join(follows, on=["user", "author"], how="inner").where(F.col("ts") < F.col("shown_ts"))
    return before.groupBy("request_id", "tweet").agg(F.sum("delta").alias("following"))
