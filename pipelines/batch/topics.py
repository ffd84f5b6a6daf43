"""The topics of tweets in Spark, the twin of ``timelines.topics``."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from timelines.topics import TOPICS


def topics_of(hashtags: str) -> Column:
    """The topics of a column of hashtags, without padding."""
    first = F.slice(F.coalesce(hashtags, F.array().cast("array<string>")), 1, TOPICS)
    return F.transform(first, lambda tag: F.crc32(F.lower(tag)))
