"""Smoothed rates in Spark, the formula of ``features.aggregates.smoothed_rate``."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

# What is believed of a reader or author before anything is known, and how many showings that is worth.
ENGAGEMENT_PRIOR = 0.03
RETWEET_PRIOR = 0.02
PRIOR_WEIGHT = 20.0


def smoothed_rate(hits: str, shown: str, prior: float) -> Column:
    """(hits + weight * prior) / (shown + weight) of two count columns."""
    return (F.col(hits) + PRIOR_WEIGHT * prior) / (F.col(shown) + PRIOR_WEIGHT)
