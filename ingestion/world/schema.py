"""The files of a synthetic world: names, columns and types."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

FORMAT_VERSION = "2"

OPTIONAL = ("place", "text", "lang", "in_reply_to", "quote_of", "ms")
"""The columns that may be empty; every other one holds a value in each row."""


def _schema(columns: dict[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, name in OPTIONAL) for name, kind in columns.items()])


ACCOUNTS = _schema(
    {
        "user_id": pa.int64(),
        "ts": pa.int64(),
        "handle": pa.string(),
        "display_name": pa.string(),
        "place": pa.string(),
    }
)
FOLLOWS = _schema(
    {"ts": pa.int64(), "follower_id": pa.int64(), "followee_id": pa.int64(), "active": pa.bool_()}
)
TWEETS = _schema(
    {
        "tweet_id": pa.int64(),
        "ts": pa.int64(),
        "author_id": pa.int64(),
        "text": pa.string(),
        "lang": pa.string(),
        "place": pa.string(),
        "in_reply_to": pa.int64(),
        "quote_of": pa.int64(),
        "hashtags": pa.list_(pa.string()),
        "mentions": pa.list_(pa.int64()),
    }
)
RETWEETS = _schema(
    {
        "retweet_id": pa.int64(),
        "ts": pa.int64(),
        "user_id": pa.int64(),
        "tweet_id": pa.int64(),
        "author_id": pa.int64(),
        "active": pa.bool_(),
    }
)
LIKES = _schema(
    {
        "ts": pa.int64(),
        "user_id": pa.int64(),
        "tweet_id": pa.int64(),
        "author_id": pa.int64(),
        "active": pa.bool_(),
    }
)
DELETES = _schema({"ts": pa.int64(), "tweet_id": pa.int64(), "author_id": pa.int64()})
IMPRESSIONS = _schema(
    {
        "ts": pa.int64(),
        "request_id": pa.string(),
        "user_id": pa.int64(),
        "tweet_id": pa.int64(),
        "author_id": pa.int64(),
        "position": pa.int32(),
    }
)
REPORTS = _schema(
    {
        "ts": pa.int64(),
        "request_id": pa.string(),
        "user_id": pa.int64(),
        "tweet_id": pa.int64(),
        "author_id": pa.int64(),
        "position": pa.int32(),
        "action": pa.string(),
        "ms": pa.int64(),
    }
)
TRUTH_IMPRESSIONS = pa.schema(
    [
        ("request_id", pa.string()),
        ("position", pa.int32()),
        ("user_id", pa.int64()),
        ("author_id", pa.int64()),
        ("tweet_id", pa.int64()),
        ("ts", pa.int64()),
        ("p_engaged", pa.float32()),
        ("p_retweeted", pa.float32()),
        ("topic_match", pa.float32()),
        ("author_quality", pa.float32()),
        ("pair_affinity", pa.float32()),
        ("age_hours", pa.float32()),
        ("popularity", pa.float32()),
        ("engaged", pa.bool_()),
        ("retweeted", pa.bool_()),
        ("p_liked", pa.float32()),
        ("p_replied", pa.float32()),
        ("p_opened", pa.float32()),
        ("p_dwelt", pa.float32()),
        ("p_hidden", pa.float32()),
    ]
)
TRUTH_BURSTS = pa.schema(
    [
        ("hashtag", pa.string()),
        ("place", pa.string()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("tweets", pa.int32()),
        ("authors", pa.int32()),
    ]
)
TRUTH_USERS = pa.schema(
    [
        ("user_id", pa.int64()),
        ("topics", pa.list_(pa.float32())),
        ("quality", pa.float32()),
        ("activity", pa.float32()),
        ("followers", pa.int32()),
    ]
)

TRUTH_ATTACKS = pa.schema([("role", pa.string()), ("user_id", pa.int64()), ("tweet_id", pa.int64())])

FILES: dict[str, Any] = {
    "accounts": ACCOUNTS,
    "follows": FOLLOWS,
    "tweets": TWEETS,
    "retweets": RETWEETS,
    "likes": LIKES,
    "deletes": DELETES,
    "impressions": IMPRESSIONS,
    "reports": REPORTS,
    "truth_impressions": TRUTH_IMPRESSIONS,
    "truth_bursts": TRUTH_BURSTS,
    "truth_users": TRUTH_USERS,
    "truth_attacks": TRUTH_ATTACKS,
}
"""File stem -> schema. The ``truth_`` files are what the world was drawn from; no replay reads them."""

EVENT_FILES = ("accounts", "follows", "tweets", "retweets", "likes", "deletes", "impressions", "reports")
LATER_FILES = ("reports",)
"""Those that worlds of format 1 do not have."""
