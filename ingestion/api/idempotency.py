"""A request that is sent again with its ``Idempotency-Key`` gets the first answer and does nothing twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from timelines.keys import Keyspace

LEASE_MS = 30_000
"""A request that has not ended by then has died with its process; a retry may take over."""


@dataclass(frozen=True)
class Begun:
    """What a request with a key may do.

    ``run``: do it, under ``tweet_id`` - that of the first attempt, so that a retry after a failure writes
    the same tweet. ``replay``: answer with ``answer``. ``running``: another does it now. ``other_body``: the
    key belongs to another request.
    """

    state: Literal["run", "replay", "running", "other_body"]
    tweet_id: int = 0
    answer: bytes = b""


class Idempotency(Protocol):
    async def begin(self, user: int, key: str, body: bytes, tweet_id: int, now_ms: int) -> Begun:
        """Claim the key for this request, or say why not."""
        ...

    async def finish(self, user: int, key: str, answer: bytes) -> None:
        """Keep the answer for those who ask again."""
        ...

    async def release(self, user: int, key: str) -> None:
        """The attempt failed: a retry may run at once."""
        ...


_BEGIN = """
local known = redis.call('HMGET', KEYS[1], 'body', 'tweet', 'lease', 'answer')
if not known[1] then
  redis.call('HSET', KEYS[1], 'body', ARGV[1], 'tweet', ARGV[2], 'lease', ARGV[3] + ARGV[4])
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  return {'run', ARGV[2]}
end
if known[1] ~= ARGV[1] then return {'other_body', ''} end
if known[4] then return {'replay', known[4]} end
if tonumber(known[3]) > tonumber(ARGV[3]) then return {'running', ''} end
redis.call('HSET', KEYS[1], 'lease', ARGV[3] + ARGV[4])
return {'run', known[2]}
"""


class RedisIdempotency:
    """One hash per key, forgotten ``seconds`` after the first attempt.

    Losing it means that a retry may post a tweet again.
    """

    def __init__(self, redis: Any, keys: Keyspace, seconds: int) -> None:
        self._redis, self._keys, self._seconds = redis, keys, seconds
        self._begin = redis.register_script(_BEGIN)

    async def begin(self, user: int, key: str, body: bytes, tweet_id: int, now_ms: int) -> Begun:
        arguments = [_digest(body), tweet_id, now_ms, LEASE_MS, self._seconds]
        state, value = await self._begin(keys=[self._name(user, key)], args=arguments)
        match state.decode():
            case "run":
                return Begun("run", tweet_id=int(value))
            case "replay":
                return Begun("replay", answer=value)
            case "running":
                return Begun("running")
        return Begun("other_body")

    async def finish(self, user: int, key: str, answer: bytes) -> None:
        await self._redis.hset(self._name(user, key), "answer", answer)

    async def release(self, user: int, key: str) -> None:
        await self._redis.hset(self._name(user, key), "lease", 0)

    def _name(self, user: int, key: str) -> str:
        return self._keys.key("idempotency", user, int.from_bytes(hashlib.sha256(key.encode()).digest()))


@dataclass
class _Attempt:
    body: str
    tweet_id: int
    began_ms: int
    lease_ms: int
    answer: bytes | None = None


@dataclass
class MemoryIdempotency:
    """The twin of :class:`RedisIdempotency`."""

    seconds: int
    _attempts: dict[tuple[int, str], _Attempt] = field(default_factory=dict)

    async def begin(self, user: int, key: str, body: bytes, tweet_id: int, now_ms: int) -> Begun:
        known = self._attempts.get((user, key))
        if known is None or known.began_ms + self.seconds * 1000 <= now_ms:
            self._attempts[user, key] = _Attempt(_digest(body), tweet_id, now_ms, now_ms + LEASE_MS)
            return Begun("run", tweet_id=tweet_id)
        if known.body != _digest(body):
            return Begun("other_body")
        if known.answer is not None:
            return Begun("replay", answer=known.answer)
        if known.lease_ms > now_ms:
            return Begun("running")
        known.lease_ms = now_ms + LEASE_MS
        return Begun("run", tweet_id=known.tweet_id)

    async def finish(self, user: int, key: str, answer: bytes) -> None:
        self._attempts[user, key].answer = answer

    async def release(self, user: int, key: str) -> None:
        self._attempts[user, key].lease_ms = 0


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
