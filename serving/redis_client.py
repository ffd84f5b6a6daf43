"""The Redis client of the ranking service: bounded in connections and in every wait, behind a breaker."""

from __future__ import annotations

from functools import partial
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError

from serving.breaker import Breaker, BreakerObserver, BreakerOpenError
from serving.settings import ServingSettings
from timelines.client import open_async_client


def is_failure(error: Exception) -> bool:
    """An error that the server replies with, such as ``WRONGTYPE``, is an answer like any other."""
    return isinstance(error, RedisConnectionError | RedisTimeoutError | InvalidResponse | OSError)


class RedisBreakerOpenError(BreakerOpenError, RedisConnectionError):  # type: ignore[misc]
    """Redis is given a pause."""


class GuardedRedis:
    """An asyncio redis-py client whose every round trip passes the breaker.

    Commands and ``pipeline`` are the client's; its iterators (``scan_iter``) and subscriptions are not here.
    """

    def __init__(self, client: Any, breaker: Breaker) -> None:
        self._client = client
        self.breaker = breaker

    def pipeline(self, transaction: bool = False) -> GuardedPipeline:
        return GuardedPipeline(self._client.pipeline(transaction=transaction), self.breaker)

    async def aclose(self) -> None:
        await self._client.aclose()

    def __getattr__(self, command: str) -> Any:
        return partial(self.breaker.call, getattr(self._client, command))


class GuardedPipeline:
    """Queues commands as the client's pipeline does; ``execute`` is the round trip."""

    def __init__(self, pipe: Any, breaker: Breaker) -> None:
        self._pipe = pipe
        self._breaker = breaker

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        answers: list[Any] = await self._breaker.call(self._pipe.execute, raise_on_error)
        return answers

    def __len__(self) -> int:
        return len(self._pipe)

    def __getattr__(self, command: str) -> Any:
        return getattr(self._pipe, command)


def open_redis(settings: ServingSettings, observer: BreakerObserver | None = None) -> GuardedRedis:
    """A client that does not decode; it connects on first use."""
    section = settings.serving
    client = open_async_client(
        settings.redis,
        timeout_s=section.redis_timeout_ms / 1000,
        connections=section.redis_connections,
        wait_s=section.redis_wait_ms / 1000,
    )
    breaker = Breaker("redis", section.redis_breaker, is_failure, RedisBreakerOpenError, observer)
    return GuardedRedis(client, breaker)
