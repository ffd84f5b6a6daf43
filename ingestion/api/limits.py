"""How many tweets a user may post: a sliding window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from timelines.keys import Keyspace


@dataclass(frozen=True)
class Allowance:
    """``remaining`` after this one; ``retry_after_s`` until one more is allowed, 0 where this one is."""

    allowed: bool
    limit: int
    remaining: int
    retry_after_s: int

    @property
    def headers(self) -> dict[str, str]:
        headers = {"RateLimit-Limit": str(self.limit), "RateLimit-Remaining": str(self.remaining)}
        return headers if self.allowed else headers | {"Retry-After": str(self.retry_after_s)}


class TweetLimit(Protocol):
    async def take(self, user: int, tweet_id: int, now_ms: int) -> Allowance:
        """Count a tweet unless the window is full; the same tweet counts once."""
        ...

    async def give_back(self, user: int, tweet_id: int) -> None:
        """The tweet was not posted after all."""
        ...


_TAKE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2] - ARGV[3])
local used = redis.call('ZCARD', KEYS[1])
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {1, used, 0} end
if used >= tonumber(ARGV[4]) then
  return {0, used, redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]}
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, used + 1, 0}
"""


class RedisTweetLimit:
    """One sorted set per user, tweet id by the moment it was posted.

    Losing it means that a window starts anew.
    """

    def __init__(self, redis: Any, keys: Keyspace, limit: int, window_seconds: int) -> None:
        self._redis, self._keys, self._limit, self._window_ms = redis, keys, limit, window_seconds * 1000
        self._take = redis.register_script(_TAKE)

    async def take(self, user: int, tweet_id: int, now_ms: int) -> Allowance:
        arguments = [tweet_id, now_ms, self._window_ms, self._limit]
        allowed, used, oldest = await self._take(keys=[self._name(user)], args=arguments)
        return _allowance(bool(allowed), self._limit, used, int(float(oldest)) + self._window_ms - now_ms)

    async def give_back(self, user: int, tweet_id: int) -> None:
        await self._redis.zrem(self._name(user), tweet_id)

    def _name(self, user: int) -> str:
        return self._keys.key("tweet_limit", user)


@dataclass
class MemoryTweetLimit:
    """The twin of :class:`RedisTweetLimit`."""

    limit: int
    window_seconds: int
    _posted: dict[int, dict[int, int]] = field(default_factory=dict)

    async def take(self, user: int, tweet_id: int, now_ms: int) -> Allowance:
        after = now_ms - self.window_seconds * 1000
        posted = {tweet: ts for tweet, ts in self._posted.get(user, {}).items() if ts > after}
        self._posted[user] = posted
        allowed = tweet_id in posted or len(posted) < self.limit
        wait_ms = 0 if allowed else min(posted.values()) - after
        if allowed:
            posted.setdefault(tweet_id, now_ms)
        return _allowance(allowed, self.limit, len(posted), wait_ms)

    async def give_back(self, user: int, tweet_id: int) -> None:
        self._posted.get(user, {}).pop(tweet_id, None)


def _allowance(allowed: bool, limit: int, used: int, wait_ms: int) -> Allowance:
    return Allowance(
        allowed,
        limit,
        remaining=max(limit - used, 0),
        retry_after_s=0 if allowed else max(1, -(-wait_ms // 1000)),
    )
