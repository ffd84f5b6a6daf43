"""What the store's clients add to redis-py's: routing by the first key, calls that end when cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from redis.exceptions import RedisError

from timelines import functions
from timelines.client import mget, open_async_client, open_client
from timelines.keys import Keyspace
from timelines.settings import RedisSettings

pytestmark = pytest.mark.valkey
KEYS = Keyspace("client", 64)


def commands_asked(client: Any) -> int:
    stats = client.info("commandstats", target_nodes="primaries")
    return sum(node.get("cmdstat_command|getkeys", {}).get("calls", 0) for node in stats.values())


def test_a_function_call_is_routed_without_asking_the_server_for_its_keys(valkey_cluster: str) -> None:
    client = open_client(
        RedisSettings(url=valkey_cluster, cluster=True), timeout_s=10, connect_timeout_s=10, retries=0
    )
    asked_before = commands_asked(client)  # others use the cluster, too
    pipe = client.pipeline(transaction=False)
    for user in range(64):
        pipe.fcall("put_versioned", 1, KEYS.account(user), bytes(8) + b"%d" % user)
    assert pipe.execute() == [1] * 64
    assert commands_asked(client) == asked_before
    held = [client.get_node_from_key(KEYS.account(user)).name for user in range(64)]
    assert len(set(held)) == 3
    client.close()


def test_every_primary_has_the_functions(valkey_cluster: str) -> None:
    address = RedisSettings(url=valkey_cluster, cluster=True)

    async def loaded() -> Any:
        client = open_async_client(address, timeout_s=10)
        try:
            await functions.load_async(client)
            return [
                await client.execute_command("FUNCTION", "LIST", target_nodes=node)
                for node in client.get_primaries()
            ]
        finally:
            await client.aclose()

    libraries = asyncio.run(loaded())
    assert len(libraries) == 3
    assert all(b"tideline" in str(found).encode() for found in libraries)


@pytest.mark.parametrize("cluster", [False, True])
def test_a_cancelled_read_gives_its_connection_back(request: pytest.FixtureRequest, cluster: bool) -> None:
    url = request.getfixturevalue("valkey_cluster" if cluster else "valkey")

    async def scenario() -> list[Any]:
        client = open_async_client(RedisSettings(url=url, cluster=cluster), timeout_s=10, connections=1)
        try:
            await client.set(KEYS.account(1), b"one")
            for _ in range(5):
                pipe = client.pipeline(transaction=False)
                mget(pipe, KEYS.keys("account", [1, 65, 129]))
                task = asyncio.create_task(pipe.execute())
                await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            return [await client.get(KEYS.account(1)), await client.get(KEYS.account(100))]
        finally:
            await client.aclose()

    assert asyncio.run(scenario()) == [b"one", None]


def test_a_cluster_that_is_away_is_a_redis_error(unused_port: int) -> None:
    address = RedisSettings(url=f"redis://127.0.0.1:{unused_port}/0", cluster=True)
    with pytest.raises(RedisError):
        open_client(address, timeout_s=1, connect_timeout_s=1, retries=0)

    async def asked() -> None:
        client = open_async_client(address, timeout_s=1)
        try:
            with pytest.raises(RedisError):
                await client.get("a")
        finally:
            await client.aclose()

    asyncio.run(asked())
