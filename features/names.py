"""The feature vocabulary: views, their columns in stored order, and the order of the model's input.

Imported by Flink workers and by serving, so it imports nothing but the standard library. Counts are over
events strictly before the moment of the row. A missing value is NaN, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Entity = Literal["user", "author", "tweet"]


@dataclass(frozen=True)
class Feature:
    """One float32 column of a view."""

    name: str
    meaning: str


@dataclass(frozen=True)
class View:
    """A feature view: ``entities`` are its join keys in order, ``engine`` says who computes it.

    A row older than ``ttl_days`` counts as missing.
    """

    name: str
    entities: tuple[Entity, ...]
    engine: Literal["spark", "flink"]
    ttl_days: int
    features: tuple[Feature, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)


USER_ACTIVITY = View(
    "user_activity",
    ("user",),
    "spark",
    30,
    (
        Feature("user_impressions", "items shown to the reader"),
        Feature("user_engagement_rate", "smoothed share of shown items the reader engaged with in any way"),
        Feature("user_retweet_rate", "smoothed share of shown items the reader retweeted"),
        Feature("user_followees", "accounts the reader follows"),
        Feature("user_tweets", "tweets and retweets the reader made"),
    ),
)
AUTHOR_POPULARITY = View(
    "author_popularity",
    ("author",),
    "spark",
    30,
    (
        Feature("author_impressions", "times the author's tweets were shown"),
        Feature("author_engagement_rate", "smoothed share of showings that were engaged with"),
        Feature("author_retweet_rate", "smoothed share of showings that were retweeted"),
        Feature("author_followers", "accounts that follow the author"),
        Feature("author_tweets", "tweets and retweets the author made"),
        Feature("author_retweets_received", "retweets of the author's tweets"),
        Feature("author_likes_received", "likes of the author's tweets"),
    ),
)
USER_AUTHOR_AFFINITY = View(
    "user_author_affinity",
    ("user", "author"),
    "spark",
    30,
    (
        Feature("pair_impressions", "times the author was shown to the reader"),
        Feature("pair_engagement_rate", "smoothed share of those showings the reader engaged with"),
        Feature("pair_engagements", "likes, retweets and replies of the reader on the author"),
        Feature("pair_hours_since_engagement", "hours from the last such engagement to the row's moment"),
    ),
)
TWEET_CONTENT = View(
    "tweet_content",
    ("tweet",),
    "spark",
    30,
    (
        Feature("tweet_length", "code points of the text"),
        Feature("tweet_hashtags", "hashtags in the text"),
        Feature("tweet_mentions", "accounts mentioned"),
        Feature("tweet_is_reply", "1 for a reply, else 0"),
    ),
)
TWEET_ENGAGEMENT = View(
    "tweet_engagement",
    ("tweet",),
    "flink",
    30,
    (
        Feature("tweet_likes", "likes so far"),
        Feature("tweet_retweets", "retweets so far"),
        Feature("tweet_replies", "replies so far"),
        Feature("tweet_quotes", "quotes so far"),
        Feature("tweet_engagements_1h", "likes, retweets, replies and quotes of the last hour"),
    ),
)

VIEWS = (USER_ACTIVITY, AUTHOR_POPULARITY, USER_AUTHOR_AFFINITY, TWEET_CONTENT, TWEET_ENGAGEMENT)

CONTEXT_FEATURES = (
    Feature("context_age_hours", "hours from the tweet's creation to the request"),
    Feature("context_hour", "hour of the day of the request, UTC"),
    Feature("context_is_retweet", "1 where the candidate reached the reader by a retweet"),
)

FEATURE_SERVICE = "ranking_v1"

MODEL_INPUT: tuple[str, ...] = (
    *(column for view in VIEWS for column in view.columns),
    *(feature.name for feature in CONTEXT_FEATURES),
)
