"""The clients of the store, for one server or a cluster: the one place that opens them.

A cluster's clients are redis-py's, with two differences. A command finds its node by its first key alone,
because every call of ours stays within one partition: redis-py asks the server for the keys of each function
call before it sends it. And a cancelled asyncio call ends in the background, so that its connection is given
back instead of lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import hiredis
import redis
import redis.asyncio
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio import cluster as asyncio_cluster
from redis.asyncio.connection import BlockingConnectionPool, Connection, parse_url
from redis.backoff import ExponentialBackoff
from redis.cluster import ClusterPipeline, RedisCluster
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, RedisClusterException, ResponseError
from redis.retry import Retry

from timelines.settings import RedisSettings

_FIRST_KEY = {"FCALL": 3, "FCALL_RO": 3, "MGET": 1}


class PackedConnection(Connection):  # type: ignore[misc]
    """Encodes commands in C: redis-py's asyncio connections do it in Python, which for one ranking's 1,600
    keys costs more than the lookups themselves. And of a pipeline's answers it waits only for those that are
    not here yet: redis-py sets a timer for each.
    """

    async def read_response(self, disable_decoding: bool = False, *args: Any, **options: Any) -> Any:
        parser, answer = self._parser, NOT_ENOUGH_DATA
        if not disable_decoding and parser._connected:
            try:
                answer = parser._reader.gets()
                if isinstance(answer, RedisConnectionError):
                    raise answer
            except BaseException:  # what is left in the buffer belongs to nobody any more
                await self.disconnect(nowait=True)
                raise
        if answer is NOT_ENOUGH_DATA:
            return await super().read_response(disable_decoding, *args, **options)
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    def pack_command(self, *args: Any) -> list[bytes]:
        name = args[0] if isinstance(args[0], bytes) else str(args[0]).encode()
        try:
            return [hiredis.pack_command((*name.split(), *args[1:]))]
        except TypeError as error:
            raise DataError(str(error)) from error


@lru_cache(maxsize=1 << 16)
def _slot_of_tag(tag: str) -> int:
    slot: int = key_slot(tag.encode())
    return slot


def _slot(command: Any, args: tuple[Any, ...]) -> int | None:
    """The slot of the command's first key, where its place is known and it carries a tag."""
    at = _FIRST_KEY.get(command)
    if at is None or len(args) < at:
        return None
    _, _, rest = str(args[at - 1]).partition("{")
    tag, closed, _ = rest.partition("}")
    return _slot_of_tag(tag) if tag and closed else None


class _ByFirstKey:
    """Routes the commands of a synchronous cluster client or pipeline."""

    def determine_slot(self, *args: Any) -> int:
        slot = _slot(args[0], args[1:])
        return super().determine_slot(*args) if slot is None else slot  # type: ignore[misc]


class _Pipeline(_ByFirstKey, ClusterPipeline):  # type: ignore[misc]
    pass


class ClusterClient(_ByFirstKey, RedisCluster):  # type: ignore[misc]
    """redis-py's synchronous cluster client; a pipeline writes to every node before it reads from any."""

    def pipeline(self, transaction: bool | None = None, shard_hint: None = None) -> ClusterPipeline:
        if transaction or shard_hint:
            raise RedisClusterException("A cluster's pipelines are no transactions.")
        return _Pipeline(
            nodes_manager=self.nodes_manager,
            commands_parser=self.commands_parser,
            startup_nodes=self.nodes_manager.startup_nodes,
            result_callbacks=self.result_callbacks,
            cluster_response_callbacks=self.cluster_response_callbacks,
            cluster_error_retry_attempts=self.cluster_error_retry_attempts,
            reinitialize_steps=self.reinitialize_steps,
            lock=self._lock,
        )


class _AsyncPipeline(asyncio_cluster.ClusterPipeline):  # type: ignore[misc]
    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> list[Any]:
        sent = super().execute(raise_on_error, allow_redirections)
        answers: list[Any] = await self._client.in_turn(sent)
        return answers


class AsyncClusterClient(asyncio_cluster.RedisCluster):  # type: ignore[misc]
    """redis-py's asyncio cluster client; a pipeline is one per node, all at the same time.

    At most ``connections`` calls are under way; another waits ``wait_s`` for its turn.
    """

    def __init__(self, *args: Any, connections: int, wait_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection_kwargs["connection_class"] = PackedConnection
        self._turns = asyncio.Semaphore(connections)
        self._wait_s = wait_s

    def pipeline(self, transaction: bool | None = None, shard_hint: None = None) -> _AsyncPipeline:
        if transaction or shard_hint:
            raise RedisClusterException("A cluster's pipelines are no transactions.")
        return _AsyncPipeline(self)

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        return await self.in_turn(super().execute_command(*args, **kwargs))

    async def in_turn(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Run a call to its end, also when who waits for it is cancelled.

        Raises:
            redis.exceptions.ConnectionError: no turn came in time, or no node could be reached.
        """
        try:
            await asyncio.wait_for(self._turns.acquire(), self._wait_s)
        except TimeoutError:
            call.close()
            raise RedisConnectionError("No connection to the cluster came free in time.") from None
        except BaseException:
            call.close()
            raise
        task = asyncio.ensure_future(call)
        task.add_done_callback(lambda _: self._turns.release())
        try:
            return await asyncio.shield(task)
        except RedisClusterException as error:  # no RedisError of redis-py's, and says the same
            raise RedisConnectionError(str(error)) from error

    async def _determine_slot(self, command: str, *args: Any) -> int:
        slot = _slot(command, args)
        return await super()._determine_slot(command, *args) if slot is None else slot


def mget(pipe: Any, keys: Iterable[str]) -> None:
    """Queue the read of several strings of one partition; a cluster's pipeline refuses ``pipe.mget``."""
    pipe.execute_command("MGET", *keys)


def open_client(settings: RedisSettings, *, timeout_s: float, connect_timeout_s: float, retries: int) -> Any:
    """A synchronous client that does not decode.

    Args:
        retries: how often a call that finds the server away is repeated, with growing pauses.

    Raises:
        redis.exceptions.RedisError: the cluster cannot be reached (one server: at first use).
    """
    options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": connect_timeout_s}
    if retries:
        options["retry"] = Retry(ExponentialBackoff(cap=2, base=0.1), retries)
    if not settings.cluster:
        return redis.Redis.from_url(settings.url, **options)
    try:
        return ClusterClient.from_url(settings.url, **options)
    except RedisClusterException as error:
        raise RedisConnectionError(
            f"No cluster answers at {urlsplit(settings.url).hostname}: {error}"
        ) from error


def open_async_client(
    settings: RedisSettings,
    *,
    timeout_s: float,
    connect_timeout_s: float | None = None,
    connections: int = 64,
    wait_s: float = 1.0,
) -> Any:
    """An asyncio client that does not decode, bounded in connections and in every wait.

    It connects on first use.
    """
    options = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s if connect_timeout_s is None else connect_timeout_s,
    }
    if settings.cluster:
        return AsyncClusterClient.from_url(settings.url, connections=connections, wait_s=wait_s, **options)
    given = {"connection_class": PackedConnection, **parse_url(settings.url)}
    pool = BlockingConnectionPool(max_connections=connections, timeout=wait_s, **options, **given)
    return redis.asyncio.Redis(connection_pool=pool)
