"""Stored tweets by id, replies to a tweet, and the accounts that follow or are followed, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, tuple_, union
from sqlalchemy.ext.asyncio import AsyncEngine

from records.tables import accounts, blocks, follows, muted_words, mutes, retweets, tweets


@dataclass(frozen=True, slots=True)
class StoredTweet:
    """A row of ``tweets``; a deleted one has no text. ``created_at`` in milliseconds UTC."""

    tweet_id: int
    author_id: int
    text: str | None
    created_at: int
    lang: str | None
    place: str | None
    visibility: str
    in_reply_to: int | None
    quote_of: int | None
    hashtags: tuple[str, ...]
    mentions: tuple[int, ...]
    media: tuple[str, ...]
    deleted: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A follow as a place in a list: who is at the other end, and since when (milliseconds UTC)."""

    user: int
    ts: int


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """A row of ``accounts``; ``created_at`` in milliseconds UTC."""

    user_id: int
    handle: str
    display_name: str
    place: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a reader stands to others: whom the reader follows; whom the reader mutes, blocks or is blocked by;
    which words the reader mutes.
    """

    followees: frozenset[int]
    hidden: frozenset[int]
    muted_words: tuple[str, ...]


NEWEST_EDGE = Edge((1 << 63) - 1, (1 << 63) - 1)


@dataclass(frozen=True)
class Lists:
    """Reads; all methods raise what :func:`records.connections.is_unavailable` tells apart."""

    engine: AsyncEngine

    async def tweets(self, tweet_ids: Sequence[int]) -> dict[int, StoredTweet]:
        """Those that are there, deleted ones too."""
        if not tweet_ids:
            return {}
        columns = [tweets.c[name] for name in StoredTweet.__slots__]
        async with self.engine.connect() as connection:
            found = await connection.execute(select(*columns).where(tweets.c.tweet_id.in_(tweet_ids)))
            return {row.tweet_id: _stored(*row) for row in found}

    async def accounts(self, user_ids: Sequence[int]) -> dict[int, StoredAccount]:
        """Those that are there."""
        columns = [accounts.c[name] for name in StoredAccount.__slots__]
        async with self.engine.connect() as connection:
            found = await connection.execute(select(*columns).where(accounts.c.user_id.in_(user_ids)))
            return {row.user_id: StoredAccount(*row) for row in found}

    async def standing(self, reader: int) -> Standing:
        follow, mute, block, words = follows.c, mutes.c, blocks.c, muted_words.c
        hidden = union(
            select(mute.muted_id).where(mute.user_id == reader, mute.active),
            select(block.blocked_id).where(block.user_id == reader, block.active),
            select(block.user_id).where(block.blocked_id == reader, block.active),
        )
        async with self.engine.connect() as connection:
            followed = select(follow.followee_id).where(follow.follower_id == reader, follow.active)
            return Standing(
                frozenset(await connection.scalars(followed)),
                frozenset(await connection.scalars(hidden)),
                tuple(await connection.scalar(select(words.words).where(words.user_id == reader)) or ()),
            )

    async def replies(self, tweet_id: int, after: int, limit: int) -> list[int]:
        """Ids of the standing replies to a tweet that are larger than ``after``, ascending."""
        c = tweets.c
        query = select(c.tweet_id).where(c.in_reply_to == tweet_id, c.tweet_id > after, c.deleted.is_(False))
        async with self.engine.connect() as connection:
            return list(await connection.scalars(query.order_by(c.tweet_id).limit(limit)))

    async def retweets(self, user: int, tweet_id: int) -> list[int]:
        """Ids of the standing retweets of a tweet by one account, the newest first."""
        c = retweets.c
        query = select(c.retweet_id).where(c.tweet_id == tweet_id, c.user_id == user, c.active)
        async with self.engine.connect() as connection:
            return list(await connection.scalars(query.order_by(c.retweet_id.desc())))

    async def followers(self, user: int, before: Edge, limit: int) -> list[Edge]:
        """Who follows ``user``, the newest follow first, after the place ``before``."""
        c = follows.c
        return await self._edges(c.followee_id == user, c.follower_id, before, limit)

    async def following(self, user: int, before: Edge, limit: int) -> list[Edge]:
        """Whom ``user`` follows, the newest follow first, after the place ``before``."""
        c = follows.c
        return await self._edges(c.follower_id == user, c.followee_id, before, limit)

    async def _edges(self, whose: Any, other: Any, before: Edge, limit: int) -> list[Edge]:
        c = follows.c
        query = select(other, c.ts).where(
            whose, c.active, tuple_(c.ts, other) < tuple_(before.ts, before.user)
        )
        async with self.engine.connect() as connection:
            found = await connection.execute(query.order_by(c.ts.desc(), other.desc()).limit(limit))
            return [Edge(user, ts) for user, ts in found]


def _stored(*values: Any) -> StoredTweet:
    frozen: list[Any] = [tuple(value) if isinstance(value, list) else value for value in values]
    return StoredTweet(*frozen)
