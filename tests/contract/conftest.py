"""The timeline store under contract: in memory, on a real Valkey server, and on a cluster of three."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from records.migrate import migrate
from records.settings import RecordsSettings
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


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def real_store(url: str, settings: TimelineSettings, *, cluster: bool) -> StoreUnderTest:
    """Over one server or a cluster."""
    address = RedisSettings(url=url, cluster=cluster)
    client = open_client(address, timeout_s=10, connect_timeout_s=10, retries=0)
    return StoreUnderTest(client, lambda: open_async_client(address, timeout_s=10), settings)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("valkey", marks=pytest.mark.valkey),
        pytest.param("valkey_cluster", marks=pytest.mark.valkey),
    ]
)
def store(request: pytest.FixtureRequest) -> Iterator[StoreUnderTest]:
    """A store that keeps 5 entries and trims at about 4 more: in memory, on one server, on a cluster."""
    settings = TimelineSettings(length=5, slack=4)
    if request.param == "memory":
        memory = MemoryStore()
        yield StoreUnderTest(MemoryRedis(memory), lambda: AsyncMemoryRedis(memory), settings)
        return
    url = request.getfixturevalue(request.param)
    made = real_store(url, settings, cluster=request.param == "valkey_cluster")
    yield made
    made.client.close()


@pytest.fixture
def records(postgres: str) -> RecordsSettings:
    """Settings of the real PostgreSQL server; ``records_namespace`` names a schema of its own."""
    return RecordsSettings(dsn=postgres)


@pytest.fixture
def records_namespace(records: RecordsSettings) -> str:
    """A namespace whose tables are there and empty."""
    namespace = f"records{next(_namespaces)}"
    migrate(records, namespace)
    return namespace
