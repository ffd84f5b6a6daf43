"""The Redis client of the ranking service on a real server, through a proxy that holds answers back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from serving.reads import Reads
from serving.redis_client import RedisBreakerOpenError, open_redis
from serving.settings import BreakerSection, ServingSection, ServingSettings
from timelines import commands, functions
from timelines.bodies import TweetBody
from timelines.keys import Keyspace
from timelines.settings import RedisSettings

pytestmark = pytest.mark.valkey


class Proxy:
    """Passes bytes on; answers wait while ``gate`` is closed."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        answers = asyncio.create_task(self._pass(upstream_reader, writer, self.gate.wait))
        try:
            await self._pass(reader, upstream_writer, self._note)
        finally:
            answers.cancel()
            upstream_writer.close()
            writer.close()

    async def _note(self) -> bool:
        self.asked.set()
        return True

    @staticmethod
    async def _pass(
        source: asyncio.StreamReader, target: asyncio.StreamWriter, before: Callable[[], Awaitable[Any]]
    ) -> None:
        while data := await source.read(65536):
            await before()
            target.write(data)


def settings(url: str, **section: Any) -> ServingSettings:
    return ServingSettings(redis=RedisSettings(url=url), serving=ServingSection(**section))


def through_proxy(valkey: str, scenario: Callable[[Proxy, str], Awaitable[None]]) -> None:
    async def run() -> None:
        address = urlsplit(valkey)
        assert address.hostname
        assert address.port
        proxy = Proxy(address.hostname, address.port)
        async with proxy.listening() as url:
            await scenario(proxy, url)

    asyncio.run(run())


def test_a_cancelled_command_never_leaves_its_answer_to_the_next_one(valkey: str) -> None:
    async def scenario(proxy: Proxy, url: str) -> None:
        redis = open_redis(settings(url, redis_connections=1))
        await redis.set("client:a", "A")
        await redis.set("client:b", "B")
        proxy.gate.clear()
        proxy.asked.clear()
        asking = asyncio.create_task(redis.get("client:a"))
        await proxy.asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        proxy.gate.set()
        assert await redis.get("client:b") == b"B"
        assert await redis.mget("client:b", "client:a") == [b"B", b"A"]
        await redis.aclose()

    through_proxy(valkey, scenario)


def test_a_server_that_does_not_answer_is_given_up(valkey: str) -> None:
    async def scenario(proxy: Proxy, url: str) -> None:
        redis = open_redis(settings(url, redis_timeout_ms=50))
        await redis.set("client:a", "A")
        proxy.gate.clear()
        with pytest.raises(RedisTimeoutError):
            await redis.get("client:a")
        proxy.gate.set()
        assert await redis.get("client:a") == b"A"
        await redis.aclose()

    through_proxy(valkey, scenario)


def test_the_pool_is_bounded_and_waiting_for_a_connection_ends(valkey: str) -> None:
    async def scenario(proxy: Proxy, url: str) -> None:
        redis = open_redis(settings(url, redis_connections=1, redis_wait_ms=20))
        await redis.set("client:a", "A")
        proxy.gate.clear()
        proxy.asked.clear()
        asking = asyncio.create_task(redis.get("client:a"))
        await proxy.asked.wait()
        with pytest.raises(RedisConnectionError):
            await redis.get("client:b")
        proxy.gate.set()
        assert await asking == b"A"
        await redis.aclose()

    through_proxy(valkey, scenario)


def test_values_of_every_kind_are_sent_as_redis_py_sends_them(valkey: str) -> None:
    async def scenario() -> None:
        redis = open_redis(settings(valkey))
        pipe = redis.pipeline(transaction=False)
        pipe.set("client:bytes", b"\x00\xff")
        pipe.set("client:text", "é")
        pipe.set("client:number", 2**60)
        pipe.mget("client:bytes", "client:text", "client:number")
        assert (await pipe.execute())[-1] == [b"\x00\xff", "é".encode(), b"%d" % 2**60]
        assert await redis.memory_usage("client:text") > 0
        await redis.aclose()

    asyncio.run(scenario())


def test_an_away_server_is_left_alone_after_a_few_calls_by_commands_and_pipelines_alike() -> None:
    async def scenario() -> None:
        redis = open_redis(settings("redis://127.0.0.1:1/0", redis_breaker=BreakerSection(least_calls=4)))
        for _ in range(2):
            with pytest.raises(RedisConnectionError):
                await redis.get("client:a")
            pipe = redis.pipeline()
            pipe.get("client:a")
            with pytest.raises(RedisConnectionError):
                await pipe.execute()
        assert redis.breaker.state == "open"
        with pytest.raises(RedisBreakerOpenError):
            await redis.get("client:a")
        with pytest.raises(RedisBreakerOpenError):
            await redis.pipeline().execute()
        await redis.aclose()

    asyncio.run(scenario())


def test_errors_that_the_server_replies_with_do_not_open_the_breaker(valkey: str) -> None:
    async def scenario() -> None:
        redis = open_redis(settings(valkey, redis_breaker=BreakerSection(least_calls=2)))
        await redis.set("client:text", "A")
        for _ in range(10):
            with pytest.raises(ResponseError):
                await redis.zrange("client:text", 0, -1)
            pipe = redis.pipeline()
            pipe.zrange("client:text", 0, -1)
            with pytest.raises(ResponseError):
                await pipe.execute()
        assert redis.breaker.state == "closed"
        assert await redis.get("client:text") == b"A"
        await redis.aclose()

    asyncio.run(scenario())


def test_on_a_cluster_one_read_of_many_bodies_asks_every_partition(
    valkey_cluster: str, tmp_path: Path
) -> None:
    settings = ServingSettings(
        namespace="wide",
        redis=RedisSettings(url=valkey_cluster, cluster=True, partitions=64),
        serving=ServingSection(cursor_key=tmp_path / "cursor.key"),
    )
    keys = Keyspace.of(settings)

    async def scenario() -> list[int | None]:
        redis = open_redis(settings)
        try:
            await functions.load_async(redis)
            pipe = redis.pipeline(transaction=False)
            for tweet in range(1, 41):
                commands.put_body(pipe, keys, TweetBody(tweet, 7, "text", 5))
            await pipe.execute()
            found = await Reads(redis, keys).bodies([*range(40, 0, -1), 99])
            return [None if body is None else body.tweet_id for body in found]
        finally:
            await redis.aclose()

    assert asyncio.run(scenario()) == [*range(40, 0, -1), None]
