"""The Redis clients that the online store opens for itself: one server or a cluster, nothing decoded."""

from __future__ import annotations

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
