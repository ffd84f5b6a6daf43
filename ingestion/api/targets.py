"""Looks up what a write refers to: tweets, accounts, the writer's own edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timelines.bodies import TweetBody, decode_body
from timelines.edges import edge_ts, stands
from timelines.entry import RETWEET, WITHDRAWN
from timelines.keys import Keyspace
from timelines.timeline import decode, newest


@dataclass(frozen=True)
class Standing:
    """Whether a like or retweet stands, and since when it does or does not (milliseconds UTC)."""

    ts: int
    active: bool


@dataclass(frozen=True)
class Targets:
    """Reads of the timeline store through an asyncio client that does not decode."""

    redis: Any
    keys: Keyspace
    length: int

    async def tweet(self, tweet_id: int) -> TweetBody | None:
        """The body or the tombstone of a tweet, None where there never was one."""
        return decode_body(await self.redis.get(self.keys.tweet(tweet_id)))

    async def account_exists(self, user: int) -> bool:
        return bool(await self.redis.exists(self.keys.account(user)))

    async def follows(self, user: int, followee: int) -> bool:
        return stands(await self.redis.zscore(self.keys.followees(user), followee))

    async def blocked(self, user: int, other: int) -> bool:
        """Whether one of the two blocks the other."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.zscore(self.keys.blocked(user), other)
        pipe.zscore(self.keys.blocked_by(user), other)
        return any(map(stands, await pipe.execute()))

    async def like(self, user: int, tweet_id: int) -> Standing | None:
        """The user's like of the tweet, None where there never was one."""
        return _standing(await self.redis.zscore(self.keys.likes(user), tweet_id))

    async def retweet(self, user: int, tweet_id: int) -> Standing | None:
        """The user's retweet of the tweet, None where there never was one."""
        return _standing(await self.redis.zscore(self.keys.retweets(user), tweet_id))

    async def retweet_ids(self, user: int, tweet_id: int) -> list[int]:
        """The ids under which the user's outbox has standing retweets of the tweet; two requests at once make
        more than one."""
        stored = await self.redis.get(self.keys.outbox(user))
        if stored is None:
            return []
        entries = newest(decode(stored).entries, self.length)
        standing = (entries["flags"] & (RETWEET | WITHDRAWN)) == RETWEET
        found: list[int] = entries["appearance"][standing & (entries["original"] == tweet_id)].tolist()
        return found


def _standing(score: float | None) -> Standing | None:
    return None if score is None else Standing(edge_ts(score), stands(score))
