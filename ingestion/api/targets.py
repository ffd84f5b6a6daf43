"""Looks up what a write refers to: tweets, accounts, the writer's own edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timelines.bodies import TweetBody, decode_body
from timelines.entry import RETWEET
from timelines.keys import Keyspace
from timelines.timeline import decode, newest


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
        return _active(await self.redis.zscore(self.keys.followees(user), followee))

    async def blocked(self, user: int, other: int) -> bool:
        """Whether one of the two blocks the other."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.zscore(self.keys.blocked(user), other)
        pipe.zscore(self.keys.blocked_by(user), other)
        return any(map(_active, await pipe.execute()))

    async def has_retweeted(self, user: int, tweet_id: int) -> bool:
        return _active(await self.redis.zscore(self.keys.retweets(user), tweet_id))

    async def newest_retweet(self, user: int, tweet_id: int) -> int | None:
        """The id under which the user's retweet of the tweet appears, if the outbox still has it."""
        stored = await self.redis.get(self.keys.outbox(user))
        if stored is None:
            return None
        entries = newest(decode(stored).entries, self.length)
        mine = entries[(entries["original"] == tweet_id) & ((entries["flags"] & RETWEET) != 0)]
        return int(mine["appearance"][0]) if len(mine) else None


def _active(score: float | None) -> bool:
    return score is not None and bool(int(score) & 1)
