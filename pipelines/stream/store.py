"""The timeline store as a stream job sees it: where it is, and one pipeline of writes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from pipelines.settings import StreamSettings
from timelines import functions
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings


@dataclass(frozen=True)
class StoreAddress:
    """What an operator carries to the cluster to reach the store."""

    redis: RedisSettings
    timelines: TimelineSettings
    namespace: str

    @classmethod
    def of(cls, settings: StreamSettings) -> StoreAddress:
        return cls(settings.redis, settings.timelines, settings.namespace)

    @property
    def keys(self) -> Keyspace:
        return Keyspace(self.namespace, self.redis.partitions)


class Store:
    """A connection; open it in the operator's ``open``, close it in its ``close``."""

    def __init__(self, address: StoreAddress) -> None:
        self.keys = address.keys
        self.settings = address.timelines
        self._client = redis.Redis.from_url(
            address.redis.url,
            socket_timeout=30,
            socket_connect_timeout=5,
            retry=Retry(ExponentialBackoff(cap=2, base=0.1), 5),
        )
        functions.load(self._client)

    @contextmanager
    def pipeline(self) -> Iterator[Any]:
        """Commands sent together when the block ends.

        Raises:
            redis.exceptions.RedisError: the store did not answer, or refused a command: the batch fails and
                is repeated from the last checkpoint.
        """
        pipe = self._client.pipeline(transaction=False)
        yield pipe
        pipe.execute()

    def close(self) -> None:
        self._client.close()
