"""A timeline store under test: in memory or on real servers, with a namespace of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from timelines import commands
from timelines.client import open_async_client, open_client
from timelines.delivery import deliver
from timelines.entry import Entries
from timelines.home import HomeReader, HomeTimeline
from timelines.keys import Keyspace
from timelines.memory import AsyncMemoryRedis, MemoryRedis, MemoryStore
from timelines.settings import RedisSettings, TimelineSettings

_namespaces = itertools.count()


class StoreUnderTest:
    """A store with a namespace of its own; each write is one executed pipeline."""

    def __init__(self, client: Any, connect: Callable[[], Any], settings: TimelineSettings) -> None:
        self.client = client
        self.connect = connect
        self.settings = settings
        self.keys = Keyspace(f"contract{next(_namespaces)}", partitions=4)
        self.write(commands.note_beginning)

    def fresh(self, settings: TimelineSettings) -> StoreUnderTest:
        """The same server, another namespace."""
        return StoreUnderTest(self.client, self.connect, settings)

    def write(self, put: Callable[..., Any], *args: Any) -> list[Any]:
        """Run one of the ``commands`` that take (pipe, keys, ...)."""
        pipe = self.client.pipeline(transaction=False)
        put(pipe, self.keys, *args)
        answers: list[Any] = pipe.execute()
        return answers

    def activate(self, *readers: int) -> int:
        return sum(self.write(commands.activate, self.settings, readers))

    def follow(self, follower: int, followee: int, ts_ms: int = 1, active: bool = True) -> None:
        self.write(commands.set_followee, follower, followee, ts_ms, active)

    def publish(self, entries: Entries) -> None:
        self.write(commands.append_outbox, self.settings, entries)

    def deliver(self, readers: Sequence[int], entries: Entries) -> int:
        """Deliver every entry to every reader; answers how many timelines were written."""
        pairs = np.repeat(np.array(readers), len(entries)), np.tile(entries, len(readers))
        return deliver(self.client, self.keys, self.settings, *pairs)

    def read(self, reader: int, limit: int | None = None) -> HomeTimeline:
        return self.run(lambda client: HomeReader(client, self.keys, self.settings).read(reader, limit))

    def run(self, scenario: Callable[[Any], Any]) -> Any:
        """Run ``scenario(asyncio client)`` in a loop of its own."""

        async def connected() -> Any:
            client = self.connect()
            try:
                return await scenario(client)
            finally:
                await client.aclose()

        return asyncio.run(connected())


def memory_store(settings: TimelineSettings, clock: Callable[[], int] = lambda: 0) -> StoreUnderTest:
    """Over a store of its own in this process."""
    memory = MemoryStore(clock)
    return StoreUnderTest(MemoryRedis(memory), lambda: AsyncMemoryRedis(memory), settings)


def real_store(url: str, settings: TimelineSettings, *, cluster: bool) -> StoreUnderTest:
    """Over one server or a cluster."""
    address = RedisSettings(url=url, cluster=cluster)
    client = open_client(address, timeout_s=10, connect_timeout_s=10, retries=0)
    return StoreUnderTest(client, lambda: open_async_client(address, timeout_s=10), settings)
