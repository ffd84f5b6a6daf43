"""A lake of any size, made up by Spark: people who write, follow, are shown tweets and like some of them.

``python -m benchmarks.offline_events LAKE EVENTS`` writes ten days of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.day_partitions import COLUMN
from features.settings import FeatureSettings
from features.spark_session import spark_session
from ingestion.events import (
    Event,
    FollowChanged,
    Impression,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
)
from ingestion.lake import event_folder
from pipelines.batch.lake import event_schema
from pipelines.batch.ticks import day_of
from timelines.durations import DAY_MS

DAYS = 10
START_MS = 20_000 * DAY_MS
SHARES: dict[type[Event], float] = {
    Impression: 0.6,
    LikeChanged: 0.2,
    RetweetChanged: 0.05,
    FollowChanged: 0.05,
    TweetCreated: 0.1,
}
EVENTS_PER_USER = 100
PAGE = 20


def write_events(spark: SparkSession, lake: Path, events: int) -> None:
    """About ``events`` events; the same number gives the same lake."""
    users, tweets = events // EVENTS_PER_USER, round(events * SHARES[TweetCreated])
    for event_type, share in SHARES.items():
        count = round(events * share)
        made = _columns(event_type, count, users, tweets)
        schema = event_schema(event_type)
        rows = spark.range(count).select(
            *(made.get(field.name, F.lit(None)).cast(field.dataType).alias(field.name) for field in schema)
        )
        _write(rows, event_folder(lake, "", event_type))


def _write(rows: DataFrame, folder: Path) -> None:
    by_day = rows.withColumn(COLUMN, day_of(F.col("ts")))
    by_day.repartition(COLUMN).write.partitionBy(COLUMN).parquet(str(folder.absolute()))


def _columns(event_type: type[Event], count: int, users: int, tweets: int) -> dict[str, Column]:
    """The fields of the event of each ``id``; what is not named is null."""
    number = F.col("id")
    # Events of one type are spread evenly over the days, a page's items come together.
    together = PAGE if event_type is Impression else 1
    ts = F.lit(START_MS) + F.floor(number / together) * together * (DAYS * DAY_MS // count)
    # Half of what is done is done to what is less than some hours old.
    newest = F.greatest(F.floor((ts - START_MS) / (DAYS * DAY_MS) * tweets), F.lit(1))
    tweet = newest - 1 - F.floor(newest * F.pow(_share(number, 1), F.lit(6.0)))
    author = _author(tweet, users)
    user = F.floor(_share(F.floor(number / together), 2) * users) + 1
    known: dict[str, Any] = {
        "event_id": F.concat(F.lit(event_type.__name__), number.cast("string")),
        "ts": ts,
        "v": F.lit(1),
        "user_id": user,
        "tweet_id": tweet,
        "author_id": author,
        "active": _share(number, 3) < 0.95,
    }
    if event_type is TweetCreated:
        tag = F.concat(F.lit("tag"), F.floor(F.pow(_share(number, 4), F.lit(3.0)) * 2000).cast("string"))
        reply = F.when(_share(number, 5) < 0.2, tweet)
        known |= {
            "tweet_id": number,
            "author_id": _author(number, users),
            "text": F.concat(F.lit("words of a tweet that somebody wrote #"), tag),
            "visibility": F.lit("public"),
            "in_reply_to": reply,
            "hashtags": F.array(tag),
            "mentions": F.array().cast("array<bigint>"),
            "media": F.array().cast("array<string>"),
        }
    if event_type is RetweetChanged:
        known["retweet_id"] = number + 2**40
    if event_type is FollowChanged:
        known |= {"follower_id": user, "followee_id": F.floor(_share(number, 6) * users) + 1}
    if event_type is Impression:
        known |= {
            "request_id": F.concat(F.lit("r"), F.floor(number / PAGE).cast("string")),
            "position": number % PAGE,
            "source": F.lit("following"),
            "rung": F.lit("recorded"),
        }
    return known


def _author(tweet: Column, users: int) -> Column:
    """Few write much."""
    return F.floor(F.pow(_share(tweet, 7), F.lit(2.0)) * users) + 1


def _share(number: Column, seed: int) -> Column:
    """A share of [0, 1) that follows from a number."""
    return F.pmod(F.xxhash64(number, F.lit(seed)), F.lit(2**31)) / 2**31


if __name__ == "__main__":
    write_events(spark_session(FeatureSettings()), Path(sys.argv[1]), int(sys.argv[2]))
