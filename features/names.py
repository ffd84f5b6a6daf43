"""The feature vocabulary: views, their columns in stored order, and the order of the model's input.

Imported by Flink workers and by serving, so it imports nothing but the standard library. Offline counts are
over events strictly before the moment of the row; a row of the stream is stamped with the newest event it
covers. A missing value is NaN, never zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Entity = Literal["user", "author", "tweet"]

WINDOWS: dict[str, float] = {"10m": 600.0, "1h": 3_600.0, "24h": 86_400.0}
"""Lifetimes in seconds of the decaying windows."""
AFFINITY_S = 14 * 86_400.0
"""Lifetime in seconds of what a reader did with an author."""


@dataclass(frozen=True)
class Feature:
    """One float32 column of a view.

    With a ``decay_s`` the value holds at the row's moment, and whoever reads it at an age takes what is left:
    value * exp(-age / decay_s). Where nothing is known the column holds its ``default``; a bundle has the
    model's own default beside it.
    """

    name: str
    meaning: str
    decay_s: float | None = None
    dtype: Literal["float32"] = "float32"
    default: float = math.nan


@dataclass(frozen=True)
class View:
    """A feature view: ``entities`` are its join keys in order, ``engine`` says who computes it.

    A row older than ``ttl_days`` counts as missing. Without an ``offline`` twin of its rows there is nothing
    to train on, so no model takes the view: it is none of ``VIEWS``.
    """

    name: str
    entities: tuple[Entity, ...]
    engine: Literal["spark", "flink"]
    ttl_days: int
    features: tuple[Feature, ...]
    offline: bool = True

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @cached_property
    def lifetimes_s(self) -> tuple[float | None, ...]:
        """``decay_s`` of each column."""
        return tuple(feature.decay_s for feature in self.features)

    @property
    def ttl_seconds(self) -> int:
        return self.ttl_days * 24 * 3600


def _windows(name: str, meaning: str) -> tuple[Feature, ...]:
    return tuple(
        Feature(f"{name}_{window}", f"{meaning}, each weighing exp(-age / {window})", seconds)
        for window, seconds in WINDOWS.items()
    )


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
        *_windows("tweet_engagements", "likes, retweets, replies and quotes"),
    ),
)
USER_AUTHOR_RECENT = View(
    "user_author_recent",
    ("user", "author"),
    "flink",
    30,
    (
        Feature(
            "pair_affinity",
            "likes, retweets, replies and quotes of the reader on the author, each weighing exp(-age / 14d)",
            AFFINITY_S,
        ),
    ),
)
TWEET_SHOWINGS = View(
    "tweet_showings",
    ("tweet",),
    "flink",
    30,
    (
        Feature("tweet_impressions", "pages that showed the tweet"),
        Feature("tweet_clicks", "pages on which it was opened"),
        Feature("tweet_click_rate", "smoothed share of the pages that showed it on which it was opened"),
        *_windows("tweet_impressions", "pages that showed the tweet"),
        *_windows("tweet_clicks", "pages on which it was opened"),
    ),
    offline=False,
)
AUTHOR_ENGAGEMENT = View(
    "author_engagement",
    ("author",),
    "flink",
    30,
    (
        Feature("author_engagements", "likes, retweets, replies and quotes of the author's tweets"),
        *_windows("author_engagements", "likes, retweets, replies and quotes of the author's tweets"),
    ),
    offline=False,
)

VIEWS = (
    USER_ACTIVITY,
    AUTHOR_POPULARITY,
    USER_AUTHOR_AFFINITY,
    TWEET_CONTENT,
    TWEET_ENGAGEMENT,
    USER_AUTHOR_RECENT,
)
"""The views of the model's input: each has an offline twin."""
ONLINE_VIEWS = (TWEET_SHOWINGS, AUTHOR_ENGAGEMENT)
"""Views that only the stream computes, for display and rules."""

CONTEXT_FEATURES = (
    Feature("context_age_hours", "hours from the tweet's creation to the request"),
    Feature("context_hour", "hour of the day of the request, UTC"),
    Feature("context_is_retweet", "1 where the candidate reached the reader by a retweet"),
)

FEATURE_SERVICE = "ranking_v2"
"""Changes with ``MODEL_INPUT``: a bundle made for another one is refused."""

MODEL_INPUT: tuple[str, ...] = (
    *(column for view in VIEWS for column in view.columns),
    *(feature.name for feature in CONTEXT_FEATURES),
)
