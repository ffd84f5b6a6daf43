"""The Redis client of the ranking service: bounded in connections and in every wait."""

from __future__ import annotations

from typing import Any

import hiredis
from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import DataError

from serving.settings import ServingSettings


class PackedConnection(Connection):  # type: ignore[misc]
    """Encodes commands in C: redis-py's asyncio connections do it in Python, which for one ranking's 1,600
    keys costs more than the lookups themselves.
    """

    def pack_command(self, *args: Any) -> list[bytes]:
        name = args[0] if isinstance(args[0], bytes) else str(args[0]).encode()
        try:
            return [hiredis.pack_command((*name.split(), *args[1:]))]
        except TypeError as error:
            raise DataError(str(error)) from error


def open_redis(settings: ServingSettings) -> Redis:
    """A client that does not decode; it connects on first use."""
    timeout = settings.serving.redis_timeout_ms / 1000
    options = {"connection_class": PackedConnection, **parse_url(settings.redis.url)}
    pool = BlockingConnectionPool(
        max_connections=settings.serving.redis_connections,
        timeout=settings.serving.redis_wait_ms / 1000,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        **options,
    )
    return Redis(connection_pool=pool)
