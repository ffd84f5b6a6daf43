"""Redis, one server or a cluster: the clients that the online store opens for itself, and wide reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.cluster

CONNECT_TIMEOUT_S = 2.0


def open_client(url: str, cluster: bool, timeout_s: float) -> Any:
    """A synchronous client.

    Raises:
        redis.exceptions.RedisError: the cluster cannot be reached (one server: at first use).
    """
    kind = redis.cluster.RedisCluster if cluster else redis.Redis
    return kind.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=CONNECT_TIMEOUT_S)


def open_async_client(url: str, cluster: bool, timeout_s: float) -> Any:
    """An asyncio client, which connects on first use."""
    kind = redis.asyncio.cluster.RedisCluster if cluster else redis.asyncio.Redis
    return kind.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=CONNECT_TIMEOUT_S)


def queue_reads(pipe: Any, row_keys: Sequence[str], partitions: Sequence[int]) -> list[Sequence[int]]:
    """Queue the read of strings on a pipeline, sync or asyncio: one command, on a cluster one a partition.

    Returns:
        For each command the places of its keys, for :func:`in_order`.
    """
    # By what it has, not by its type: a client may be wrapped. A cluster's has a pool for every node.
    if not hasattr(pipe, "connection_pool"):
        groups = by_partition(partitions)
        for group in groups:
            # A cluster's pipeline refuses ``pipe.mget``.
            pipe.execute_command("MGET", *(row_keys[index] for index in group))
        return [*groups]
    if not row_keys:
        return []
    pipe.mget(row_keys)
    return [range(len(row_keys))]


def by_partition(partitions: Sequence[int]) -> list[list[int]]:
    """Places in the sequence, grouped by partition."""
    groups: dict[int, list[int]] = {}
    for index, partition in enumerate(partitions):
        groups.setdefault(partition, []).append(index)
    return list(groups.values())


def in_order(
    groups: Sequence[Sequence[int]], answers: Sequence[Sequence[bytes | None]]
) -> Sequence[bytes | None]:
    """The answers to grouped reads, back in the order of the request."""
    if len(groups) == 1:
        return answers[0]
    blobs: list[bytes | None] = [None] * sum(map(len, groups))
    for group, answer in zip(groups, answers, strict=True):
        for index, blob in zip(group, answer, strict=True):
            blobs[index] = blob
    return blobs
