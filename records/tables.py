"""The tables. Times are milliseconds UTC; ``ts`` and ``event_id`` are the version of a row: the later wins.

``alembic`` writes them (``records/migrations``); a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData()


def _version() -> tuple[Column[Any], Column[Any]]:
    return Column("ts", BigInteger, nullable=False), Column("event_id", Text(collation="C"), nullable=False)


def _edges(name: str, subject: str, target: str) -> Table:
    """Who has what relation to whom, ended ones included: they keep their version."""
    return Table(
        name,
        metadata,
        Column(subject, BigInteger, primary_key=True, autoincrement=False),
        Column(target, BigInteger, primary_key=True, autoincrement=False),
        Column("active", Boolean, nullable=False),
        *_version(),
        Index(
            f"{name}_by_{subject}",
            subject,
            text("ts DESC"),
            text(f"{target} DESC"),
            postgresql_where=text("active"),
        ),
        Index(
            f"{name}_by_{target}",
            target,
            text("ts DESC"),
            text(f"{subject} DESC"),
            postgresql_where=text("active"),
        ),
    )


accounts = Table(
    "accounts",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("handle", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("place", Text),
    Column("created_at", BigInteger, nullable=False),
    *_version(),
)
"""Recordings may repeat a handle; those of accounts registered here are also in ``handles``."""

handles = Table(
    "handles",
    metadata,
    Column("handle", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False, unique=True),
)
"""Lower-case handles and whose they are."""

follows = _edges("follows", "follower_id", "followee_id")
mutes = _edges("mutes", "user_id", "muted_id")
blocks = _edges("blocks", "user_id", "blocked_id")

muted_words = Table(
    "muted_words",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("words", ARRAY(Text), nullable=False),
    *_version(),
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("id", UUID(as_uuid=True), nullable=False),
    Column("aggregatetype", Text, nullable=False),
    Column("aggregateid", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
)
"""Debezium's outbox columns, and the order in which rows were written."""

tweets = Table(
    "tweets",
    metadata,
    Column("tweet_id", BigInteger, primary_key=True, autoincrement=False),
    Column("author_id", BigInteger, nullable=False),
    Column("text", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("lang", Text),
    Column("place", Text),
    Column("visibility", Text, nullable=False),
    Column("in_reply_to", BigInteger),
    Column("quote_of", BigInteger),
    Column("hashtags", ARRAY(Text), nullable=False),
    Column("mentions", ARRAY(BigInteger), nullable=False),
    Column("media", ARRAY(Text), nullable=False),
    Column("deleted", Boolean, nullable=False),
    *_version(),
    Index(
        "tweets_by_author",
        "author_id",
        text("tweet_id DESC"),
        postgresql_include=["visibility", "in_reply_to", "deleted"],
    ),
    Index("tweets_by_reply", "in_reply_to", "tweet_id", postgresql_where=text("in_reply_to IS NOT NULL")),
    postgresql_partition_by="RANGE (tweet_id)",
)
"""A deleted tweet keeps its row, without its text. Partitions: a month of ids each."""

retweets = Table(
    "retweets",
    metadata,
    Column("retweet_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, nullable=False),
    Column("tweet_id", BigInteger, nullable=False),
    Column("author_id", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    *_version(),
    Index(
        "retweets_by_user",
        "user_id",
        text("retweet_id DESC"),
        postgresql_include=["tweet_id", "author_id", "active"],
    ),
    Index(
        "retweets_by_tweet", "tweet_id", "user_id", text("retweet_id DESC"), postgresql_where=text("active")
    ),
    postgresql_partition_by="RANGE (retweet_id)",
)

likes = Table(
    "likes",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tweet_id", BigInteger, primary_key=True, autoincrement=False),
    Column("author_id", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    *_version(),
    Index("likes_by_tweet", "tweet_id", "user_id", postgresql_where=text("active")),
)

PARTITIONED = (tweets, retweets)
